"""The secret in an address' path or query, as chat and automation services have it: whoever may not
change the webhook sees it at no door."""

from __future__ import annotations

import html
import json
import logging
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client

from api_common import tokens
from tests.webhooks.makers import a_delivery, a_webhook, an_attempt, an_event, receiver
from webhooks import delivery as sending
from webhooks import egress, operations
from webhooks.directory import receiver_of
from webhooks.eventos import TEST_EVENT
from webhooks.models import Attempt, AuditEntry, Delivery, Event, Webhook
from webhooks.queue import queue_on

pytestmark = pytest.mark.django_db(transaction=True)

TEAM, CHANNEL, TOKEN = "T024BE7LDsecret", "B0815XYZsecret", "zXk3pQ9LmN2bVc7"
KEY = "qToken8472secret"
TARGET = f"services/{TEAM}/{CHANNEL}/{TOKEN}?key={KEY}&v=1"
SECRETS = (TEAM, CHANNEL, TOKEN, KEY)
MAY = [
    "view_webhook",
    "view_event",
    "view_delivery",
    "view_auditentry",
    "view_bulkjob",
    "view_payload",
    "export_delivery",
    "replay_delivery",
    "test_webhook",
    "delete_webhook",
]


def assert_hidden(where: str, *texts: Any) -> None:
    for text in texts:
        shown = html.unescape(text if isinstance(text, str) else str(text))
        for secret in SECRETS:
            assert secret not in shown, (where, shown[max(0, shown.find(secret) - 200) :][:400])


@pytest.fixture
def viewer(db: None) -> User:
    user = User.objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=MAY))
    return user


@pytest.fixture(params=["sistema-crm", "twenty"])
def sent(request: pytest.FixtureRequest) -> Webhook:
    """A webhook whose receiver repeats the address in its answer, and what was sent to it."""
    with receiver(status=404, body=b"Cannot POST /" + TARGET.encode()) as (url, _got):
        base = url.removesuffix("webhook")
        webhook = a_webhook(url=base + TARGET, format=request.param, owner=None)
        operations.send_test(webhook)
        row = a_delivery(webhook, an_event("cliente.criado"), status=Delivery.Status.PENDING)
        job = queue_on().claim_one(row.pk, lease=60)
        assert job is not None
        transport = egress.transport()
        queue_on().record([sending.attempt(job, receiver_of(webhook), transport)])
        transport.close()
    # as earlier releases kept it
    an_attempt(
        a_delivery(webhook, an_event()),
        url=webhook.url,
        request_body=json.dumps({"targetUrl": webhook.url}),
        error="blocked",
        status_code=None,
    )
    return webhook


def test_no_page_of_the_admin_shows_it(sent: Webhook, viewer: User) -> None:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(viewer)
    pages = ["/admin/", *(f"/admin/webhooks/{name}/" for name in ("webhook", "event", "delivery"))]
    pages += ["/admin/webhooks/auditentry/", "/admin/webhooks/webhook/panel/"]
    pages += [f"/admin/webhooks/webhook/{sent.pk}/{name}/" for name in ("change", "history")]
    pages += [f"/admin/webhooks/webhook/{sent.pk}/delete/"]
    for row in (*Event.objects.all(), *Delivery.objects.all(), *AuditEntry.objects.all()):
        pages.append(f"/admin/webhooks/{row._meta.model_name}/{row.pk}/change/")
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert_hidden(page, answer.content.decode())
        if page.endswith("/change/") and ("/delivery/" in page or "/event/" in page):
            revealed = client.post(page.replace("/change/", "/reveal/"), follow=True)
            assert revealed.status_code == 200
            assert_hidden(page, revealed.content.decode())
    chosen = {"action": "delete_selected", "_selected_action": [str(sent.pk)]}
    assert_hidden("delete", client.post("/admin/webhooks/webhook/", chosen).content.decode())
    replay = client.get(f"/admin/webhooks/delivery/replay/?webhook={sent.pk}")
    assert_hidden("replay", replay.content.decode())
    test = client.post(f"/admin/webhooks/webhook/{sent.pk}/test/", follow=True)
    assert_hidden("test", test.content.decode())
    for term in (TOKEN, TEAM[:6]):  # nor is it found out by searching
        found = client.get(f"/admin/webhooks/webhook/?q={term}").content.decode()
        assert str(sent.pk) not in found
        found = client.get(f"/admin/webhooks/webhook/?url__contains={quote(term)}", follow=True)
        assert "ERP" not in found.content.decode() or found.redirect_chain


def test_no_answer_of_the_api_shows_it(sent: Webhook, viewer: User) -> None:
    _row, bearer = tokens.create(viewer, "test")
    api = Client(headers={"authorization": f"Bearer {bearer}"})
    paths = ["webhooks/", f"webhooks/{sent.pk}/", f"webhooks/{sent.pk}/health/", "deliveries/"]
    paths += [f"webhooks/{sent.pk}/keys/", "events/"]
    paths += [f"event-types/cliente.criado/preview/?webhook={sent.pk}"]
    for row in Delivery.objects.all():
        paths += [f"deliveries/delivery_{row.pk}/"]
        paths += [f"deliveries/delivery_{row.pk}/attempts/?payloads=true"]
    for path in paths:
        answer = api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, (path, answer.content)
        assert_hidden(path, answer.content.decode(), answer.json())
    assert_hidden("test", api.post(f"/api/v1/webhooks/{sent.pk}/test/").content.decode())


def test_no_command_export_mail_log_or_metric_shows_it(
    sent: Webhook, viewer: User, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.WEBHOOKS = {
        **settings.WEBHOOKS,
        "METRICS_TOKEN": "of-a-test-0123456789",
        "METRICS_PER_WEBHOOK": True,
    }
    for command in (
        ("webhooks_status",),
        ("webhooks_status", "--json"),
        ("webhooks_test", str(sent.pk), "--dry-run"),
        ("webhooks_test", str(sent.pk)),
        ("webhooks_replay", "--dry-run", "--status", "all"),
        ("webhooks_replay", "--dry-run", "--status", "all", "--json"),
        ("webhooks_export", "--payloads"),
        ("webhooks_export", "--format", "jsonl", "--payloads"),
        ("webhooks_forget", "--subject", "cliente_1", "--dry-run"),
    ):
        out = StringIO()
        try:
            call_command(*command, stdout=out, stderr=out)
        except (CommandError, SystemExit) as error:
            out.write(str(error))
        assert_hidden(str(command), out.getvalue())
    answer = Client().get("/metrics", headers={"authorization": "Bearer of-a-test-0123456789"})
    assert answer.status_code == 200
    assert_hidden("metrics", answer.content.decode())
    sent.owner = viewer
    viewer.email = "ana@example.com"
    viewer.save()
    sent.save()
    operations.disable(sent, "failing")
    assert_hidden("mail", *(f"{each.subject}{each.body}" for each in mail.outbox))
    assert_hidden("log", *(each.getMessage() for each in caplog.records if each.name != "urllib3"))


def test_what_a_receiver_repeats_of_it_is_not_kept(sent: Webhook) -> None:
    kept = Attempt.objects.filter(delivery__event__type=TEST_EVENT.name).latest("id")
    assert "Cannot POST" in kept.response_body
    assert_hidden("answer", kept.response_body, kept.error_detail, kept.response_headers)
    for model in apps.get_app_config("webhooks").get_models():
        if model not in (Webhook, Attempt):  # which must have it, as it was entered
            assert_hidden(model.__name__, list(models.QuerySet(model).values_list()))


@pytest.mark.parametrize(
    "change", [{"REQUIRE_HTTPS": True}, {"ALLOWED_NETWORKS": []}, {"ALLOWED_PORTS": [80]}], ids=str
)
def test_an_address_that_is_refused_is_not_repeated(settings: Any, change: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, **change}
    webhook = a_webhook(url=f"http://127.0.0.1:9/{TARGET}")
    attempt = operations.send_test(webhook)
    assert attempt.error in {"blocked", "connect"}
    assert_hidden("detail", attempt.error_detail)


def test_who_may_change_it_sees_it_whole(sent: Webhook) -> None:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    root = User.objects.create_superuser("root")
    client.force_login(root)
    page = client.get(f"/admin/webhooks/webhook/{sent.pk}/change/").content.decode()
    assert TOKEN in page
    _row, bearer = tokens.create(root, "test")
    api = Client(headers={"authorization": f"Bearer {bearer}"})
    assert api.get(f"/api/v1/webhooks/{sent.pk}/").json()["url"] == sent.url


def test_logs_of_a_delivery_do_not_hold_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "webhooks"):
        operations.send_test(a_webhook(url=f"http://127.0.0.1:9/{TARGET}"))
    ours = [each for each in caplog.records if each.name.startswith("webhooks")]
    assert_hidden("log", *(each.getMessage() for each in ours), [vars(each) for each in ours])
