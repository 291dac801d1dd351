"""Attacks by a webhook's address: at every door, and where a door was passed, at the connection."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from api_common import tokens
from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, an_event
from webhooks import operations
from webhooks.models import Attempt, Webhook
from webhooks.testing import Answer, Receiver, deliver_all

pytestmark = pytest.mark.django_db(transaction=True)

INSIDE = [
    "https://127.0.0.1/admin/",
    "https://localhost/admin/",
    "https://api.localhost/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1%25lo]/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://0/",
    "https://0.0.0.0/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://127.0.0.1./",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://10.0.0.1/",
    "https://example.com@127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https://127.0.0.1\\.example.com/",
    "https://example.com:22/",
    "https://example.com:6379/",
    "https://example.com/\r\nX-Evil: 1",
    "https://example.com/\tx",
    "https://exam\u00adple.com/",
    "https://example.com\u202e/",
    "http://example.com/",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "file:///etc/passwd",
    "//127.0.0.1/",
    "https:///127.0.0.1/",
    "https://",
]


@pytest.fixture(autouse=True)
def _as_in_production(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="webhooks")
    settings.WEBHOOKS = {
        **settings.WEBHOOKS,
        "ALLOWED_NETWORKS": [],
        "ALLOWED_PORTS": [80, 443],
        "REQUIRE_HTTPS": True,
    }


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root")


@pytest.mark.parametrize("url", INSIDE)
def test_no_door_lets_it_in(url: str, root: User) -> None:
    before = a_webhook(url="https://example.com/", format="standard-webhooks")
    values: dict[str, Any] = {"name": "x", "url": url, "events": ["*"]}
    with pytest.raises(ValidationError) as refused:
        operations.create_webhook(**values)
    assert set(refused.value.message_dict) == {"url"}
    with pytest.raises(ValidationError):
        operations.update_webhook(before, url=url)

    client = Client(headers={"accept-language": "en"})
    bearer = {"authorization": f"Bearer {tokens.create(root, 'x')[1]}"}
    for method, path, body in (
        ("POST", "/api/v1/webhooks/", values),
        ("PATCH", f"/api/v1/webhooks/{before.pk}/", {"url": url}),
    ):
        answer = client.generic(
            method, path, json.dumps(body), content_type="application/json", headers=bearer
        )
        assert answer.status_code == 400, path
        assert [each["field"] for each in answer.json()["errors"]] == ["url"]

    client.force_login(root)
    form = {"name": "x", "url": url, "patterns": "*", "format": "sistema-crm", "auth_type": "none"}
    for path in ("add/", f"{before.pk}/change/"):
        page = client.post(f"/admin/webhooks/webhook/{path}", form)
        assert page.status_code == 200
        assert "url" in page.context["adminform"].form.errors
    assert list(Webhook.objects.values_list("url", flat=True)) == ["https://example.com/"]


@pytest.mark.parametrize("url", INSIDE)
def test_what_got_past_the_doors_is_blocked_unsent(url: str, settings: Any) -> None:
    """Straight into the table: by a fixture, by a release with other rules."""
    settings.WEBHOOKS = {**settings.WEBHOOKS, "REQUIRE_HTTPS": url.startswith("http:")}
    delivery = a_delivery(a_webhook(url=url), an_event(), status="pending")
    deliver_all()
    assert Attempt.objects.get(delivery=delivery).error == Attempt.Error.BLOCKED


@pytest.fixture
def inside() -> Iterator[list[Any]]:
    """What connects to port 80 of an address of this machine; a sudden one, where that is free."""
    reached: list[Any] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                reached.append(listener.accept())
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    reached_at = listener.getsockname()[1]
    yield [reached, reached_at]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(PATIENCE)


def test_a_name_that_led_outside_when_it_was_saved_does_not_lead_inside(
    inside: list[Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding, over the system's own resolver and real sockets."""
    reached, port = inside
    settings.WEBHOOKS = {**settings.WEBHOOKS, "REQUIRE_HTTPS": False, "ALLOWED_PORTS": [port]}
    answers = [["93.184.215.14"], ["127.0.0.1"], ["::ffff:127.0.0.1"], ["127.0.0.1", "10.0.0.1"]]
    lookup = socket.getaddrinfo
    asked = []

    def rebinding(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "rebinding.test":
            return lookup(host, *args, **kwargs)
        asked.append(host)
        found = answers[0] if len(answers) == 1 else answers.pop(0)
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, 0))
            for each in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebinding.test:{port}/admin/"
    webhook, _secret = operations.create_webhook(name="x", url=url, events=["*"])
    assert asked
    for _ in range(3):
        delivery = a_delivery(webhook, an_event(), status="pending")
        deliver_all()
        attempt = Attempt.objects.filter(delivery=delivery).get()
        assert (attempt.error, attempt.error_detail[:8]) == (Attempt.Error.BLOCKED, "network:")
    assert not reached


def test_a_redirect_to_the_inside_is_not_followed(settings: Any) -> None:
    with Receiver() as secret_place, Receiver() as outside:
        outside.answer = Answer(status=307, headers={"Location": secret_place.url})
        settings.WEBHOOKS = {
            **settings.WEBHOOKS,
            "ALLOWED_NETWORKS": ["127.0.0.1/32"],
            "REQUIRE_HTTPS": False,
        }
        delivery = a_delivery(a_webhook(url=outside.url), an_event(), status="pending")
        deliver_all()
        assert (outside.count, secret_place.count) == (1, 0)
    assert Attempt.objects.get(delivery=delivery).error == Attempt.Error.REDIRECT
