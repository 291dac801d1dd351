"""Credentials do not follow a webhook's address to another host, by whichever door."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import translation

from tests.webhooks.makers import a_webhook
from webhooks import operations
from webhooks.fields import MASK
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db

HERE = "http://127.0.0.1:8001/webhook"
ELSEWHERE = "http://127.0.0.2:8001/webhook"


def guarded(**values: Any) -> Webhook:
    return a_webhook(
        **{
            "url": HERE,
            "auth_type": "bearer",
            "auth_secret": "the-token",
            "headers": {"X-Key": "the-key", "X-Shop": "the-shop"},
            **values,
        }
    )


def refusal(webhook: Webhook, **changes: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        operations.update_webhook(webhook, **changes)
    return dict(caught.value.message_dict)


def sent(webhook: Webhook) -> tuple[str, str, dict[str, str]]:
    stored = Webhook.objects.get(pk=webhook.pk)
    return stored.url, stored.auth_secret.reveal(), stored.headers.reveal()


@pytest.mark.parametrize(
    "url",
    [
        ELSEWHERE,
        "http://127.0.0.1:8002/webhook",
        "https://127.0.0.1:8001/webhook",
        "http://localhost:8001/webhook",
    ],
)
def test_another_host_port_or_scheme_needs_credentials_of_its_own(url: str) -> None:
    webhook = guarded()
    before = sent(webhook)
    errors = refusal(webhook, url=url)
    assert set(errors) == {"auth_secret", "headers"}
    assert url.removesuffix("/webhook") in errors["auth_secret"][0]
    assert "the-" not in str(errors)
    assert sent(webhook) == before


@pytest.mark.parametrize("url", [5, "", "http://10.0.0.1/"])
def test_of_what_is_no_address_that_alone_is_told(url: Any) -> None:
    assert set(refusal(guarded(), url=url)) == {"url"}


def test_another_path_on_the_same_host_does_not() -> None:
    webhook = guarded(url="http://localhost:80/a")
    operations.update_webhook(webhook, url="HTTP://LOCALHOST/b?c=1")
    assert sent(webhook)[1] == "the-token"


def test_credentials_given_anew_or_let_go_pass() -> None:
    webhook = guarded()
    headers = {"X-Key": "the-key"}
    operations.update_webhook(webhook, url=ELSEWHERE, auth_secret="the-token", headers=headers)
    assert sent(webhook) == (ELSEWHERE, "the-token", headers)

    operations.update_webhook(webhook, url=HERE, auth_type="none", headers={})
    assert sent(webhook) == (HERE, "", {})
    keys = webhook.signing_keys.count()
    operations.update_webhook(webhook, url=ELSEWHERE)
    assert webhook.signing_keys.count() == keys == 1


def test_one_header_given_anew_does_not_take_the_others_along() -> None:
    webhook = guarded(auth_type="none", auth_secret="")
    stored = Webhook.objects.get(pk=webhook.pk)
    mixed = stored.headers.unmasked({"X-Key": MASK, "X-Shop": "another"})
    assert set(refusal(webhook, url=ELSEWHERE, headers=mixed)) == {"headers"}


def test_it_counts_where_the_credentials_were_read_whatever_was_saved_meanwhile() -> None:
    webhook = copy.deepcopy(Webhook.objects.get(pk=guarded().pk))
    operations.update_webhook(webhook, url=ELSEWHERE, auth_type="none", headers={})
    webhook.url = ELSEWHERE  # still with what was read before
    with pytest.raises(ValidationError):
        operations.clean_webhook(webhook)


def test_the_form_asks_for_them_at_their_fields() -> None:
    webhook = guarded(events=["cliente.*"])
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("root", password="x"))
    page = f"/admin/webhooks/webhook/{webhook.pk}/change/"
    values = {
        "name": webhook.name,
        "url": ELSEWHERE,
        "patterns": "cliente.*",
        "format": webhook.format,
        "auth_type": "bearer",
        "auth_secret": MASK,
        "headers": f"X-Key: {MASK}\nX-Shop: {MASK}",
    }
    with translation.override("en"):
        html = client.post(page, values).content.decode()
        assert html.count("what is stored was not given for that host") == 2
        assert sent(webhook)[0] == HERE

        values |= {"auth_secret": "another-token", "headers": "X-Key: another"}
        assert client.post(page, values).status_code == 302
    assert sent(webhook) == (ELSEWHERE, "another-token", {"X-Key": "another"})
