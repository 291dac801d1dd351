"""Attacks on the worker: one delivery, webhook or receiver that must not stop the others."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from tests.services.base import wait_until
from tests.webhooks.makers import a_delivery, a_webhook, an_event
from webhooks import breaker, disabling, formats, operations
from webhooks.formats.sistema_crm import SistemaCRM
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.queue import queue_on
from webhooks.testing import Answer, Receiver, deliver_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def others() -> Iterator[Receiver]:
    """The receiver of a webhook that has nothing to do with it."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="webhooks")


def owe(*webhooks: Webhook, **values: Any) -> list[Delivery]:
    return [a_delivery(each, an_event(**values), status="pending") for each in webhooks]


def the_only(delivery: Delivery) -> Attempt:
    delivery.refresh_from_db()
    return Attempt.objects.get(delivery=delivery)


class Broken(SistemaCRM):
    """A format with a fault of its own at each of the places where it is asked."""

    name = "broken"
    fault = ""

    def accepts(self, status: int) -> bool:
        return super().accepts(status if self.fault != "accepts" else None)  # type: ignore[arg-type]

    def is_gone(self, status: int) -> bool:
        if self.fault == "is_gone":
            raise RuntimeError
        return super().is_gone(status)

    def body(self, message: Any) -> str:
        if self.fault == "body":
            raise RuntimeError
        faults: dict[str, Any] = {"no text": {"a": object()}, "surrogate": '{"a": "\ud800"}'}
        return str(super().body(message)) if self.fault not in faults else faults[self.fault]

    def headers(self, *args: Any) -> dict[str, str]:
        faults: dict[str, dict[Any, Any]] = {
            "header": {"X-A": "a\r\nX-B: b"},
            "bytes": {"X-A": b"a"},
            "name": {None: "a"},
        }
        return super().headers(*args) | faults.get(self.fault, {})


FAULTS = ("accepts", "is_gone", "body", "no text", "surrogate", "header", "bytes", "name")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_format_with_a_fault_fails_alone(
    fault: str, others: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken()
    broken.fault = fault
    monkeypatch.setitem(formats._FORMATS, "broken", broken)
    status = 500 if fault == "is_gone" else 200
    with Receiver(Answer(status=status)) as receiver:
        # More than a receiver has slots: a sender or a slot lost would be missed.
        poisoned = [owe(a_webhook(url=receiver.url, format="broken"))[0] for _ in range(5)]
        healthy = owe(*[a_webhook(url=others.url) for _ in range(5)])
        deliver_all()
    assert others.count == 5
    for delivery in healthy:
        delivery.refresh_from_db()
        assert delivery.status == Delivery.Status.DELIVERED
    for delivery in poisoned:
        assert the_only(delivery).error in {Attempt.Error.INTERNAL, Attempt.Error.FORMAT}
        assert delivery.status == Delivery.Status.PENDING  # and is tried again


def test_a_body_that_is_no_json_any_more_and_a_lost_key_fail_alone(
    others: Receiver, settings: Any
) -> None:
    unreadable = a_webhook(url=others.url)
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ENCRYPTION_KEYS": [another_key()]}
    healthy = a_webhook(url=others.url)
    standard = a_webhook(url=others.url, format="standard-webhooks")
    [lost] = owe(unreadable)
    [garbage] = owe(standard, body="{no JSON\x01")
    [well] = owe(healthy)
    deliver_all()
    assert others.count == 1
    assert the_only(well).succeeded
    assert the_only(lost).error == Attempt.Error.FORMAT
    assert the_only(garbage).error == Attempt.Error.INTERNAL


def another_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def test_a_result_that_cannot_be_recorded_keeps_no_other_from_it(
    others: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a row of the answer turns out to be: here, something that is no JSON at all."""
    from webhooks import delivery as sending

    kept = sending._kept_answer

    def unheard_of(answer: Any, receiver: Any) -> dict[str, Any]:
        found = kept(answer, receiver)
        return {**found, "response_headers": {"x": object()}} if answer.status == 418 else found

    monkeypatch.setattr(sending, "_kept_answer", unheard_of)
    with Receiver(Answer(status=418)) as teapot:
        [bad] = owe(a_webhook(url=teapot.url))
        [good] = owe(a_webhook(url=others.url))
        deliver_all()
    assert the_only(good).succeeded
    attempt = the_only(bad)
    assert (attempt.status_code, attempt.response_headers) == (418, {})


# --- answers made to be in the way ----------------------------------------------------------------
@pytest.mark.parametrize(
    "asked_for",
    [
        *("-5", "9" * 60, "9" * 300, "NaN", "inf", "1e400", "\xb2", "0x10", "", "1, 2"),
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Fri, 31 Dec 2027 23:59:59 +9999",
    ],
)
@pytest.mark.parametrize("status", [410, 429, 503])
def test_no_answer_puts_its_own_delivery_off_for_ever_nor_any_other(
    status: int, asked_for: str, others: Receiver
) -> None:
    begun = timezone.now()
    with Receiver(Answer(status=status, headers={"Retry-After": asked_for})) as hostile:
        [put_off] = owe(a_webhook(url=hostile.url, retry_schedule=[0, 60]))
        [well] = owe(a_webhook(url=others.url))
        deliver_all()
    assert the_only(well).succeeded
    assert the_only(put_off).status_code == status
    wait = put_off.next_attempt_at - begun
    assert timedelta(seconds=60) <= wait <= timedelta(days=1, seconds=30)
    put_off.webhook.refresh_from_db()
    held = put_off.webhook.hold_until or begun
    assert held - begun <= timedelta(days=1, seconds=30)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-A": "a\x01\x7f\x9b31m"}, b"\x00" * 5000),
        ({"X-B": "\xff"}, b"\xed\xa0\x80\xed\xb0\x80\xff\xfe"),
        ({f"X-{n}": "a" * 400 for n in range(90)}, b"a" * 1_000_000),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"\x00" * 50_000_000)),
        ({"Content-Encoding": "gzip"}, b"no gzip"),
        ({}, ("\u202e" * 100 + "\\u0000").encode()),
    ],
)
def test_whatever_is_answered_can_be_recorded(
    headers: dict[str, str], body: bytes, others: Receiver
) -> None:
    with Receiver(Answer(status=500, headers=headers, body=body)) as hostile:
        [odd] = owe(a_webhook(url=hostile.url))
        [well] = owe(a_webhook(url=others.url))
        deliver_all()
    assert the_only(well).succeeded
    attempt = the_only(odd)
    assert attempt.status_code == 500
    assert len(attempt.response_body) <= 16_384
    assert "\x00" not in attempt.response_body
    assert sum(len(name) + len(value) for name, value in attempt.response_headers.items()) <= 8_192


# --- headers that got past the form ---------------------------------------------------------------
@pytest.mark.parametrize(
    "values",
    [
        {"headers": {"content-type": "text/plain"}},
        {"headers": {"x-webhook-signature": "sha256=forged"}},
        {"headers": {"WEBHOOK-ID": "forged"}},
        {"headers": {"X_Webhook_Id": "forged"}},
        {"headers": {"Host": "inside"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"X-A": "a\r\nX-Webhook-Id: forged"}},
        {"headers": {"X-A\r\nX-B": "b"}},
        {"auth_type": "header", "auth_header_name": "webhook-ID", "auth_secret": "forged"},
        {"auth_type": "header", "auth_header_name": "content-LENGTH", "auth_secret": "1"},
        {"auth_type": "header", "auth_header_name": "A: b\r\nX", "auth_secret": "forged"},
        {"auth_type": "bearer", "auth_secret": "a\r\nX-Webhook-Id: forged"},
    ],
)
def test_no_header_in_the_table_overrides_ours_or_adds_another(
    values: dict[str, Any], others: Receiver
) -> None:
    """Straight into the table: by a fixture, by a release with other rules."""
    [forged] = owe(a_webhook(url=others.url, **values))
    [well] = owe(a_webhook(url=others.url))
    deliver_all()
    assert the_only(well).succeeded
    assert the_only(forged).error == Attempt.Error.FORMAT
    assert "forged" not in forged.attempts.get().error_detail
    assert others.count == 1


# --- webhooks made to be in the way ---------------------------------------------------------------
@pytest.mark.parametrize("rate", [1e-320, 1e-300, 1e-13, -1.0])
def test_no_rate_limit_stops_the_lane_of_all(rate: float) -> None:
    """However it got into the table."""
    lane = Webhook.Lane.TROUBLED
    hostile, other = (a_webhook(lane=lane, rate_limit=each) for each in (rate, None))
    for each in owe(hostile, other, other):
        Delivery.objects.filter(pk=each.pk).update(lane=lane)
    queue = queue_on()
    jobs = queue.claim_troubled(10, lease=60)
    assert sorted(job.webhook_id for job in jobs) == sorted([hostile.pk, other.pk, other.pk])
    Webhook.objects.update(next_turn_at=timezone.now() + timedelta(days=1))
    queue.mend_times(lease=60)


def test_a_rate_limit_beyond_reason_is_refused_when_entered() -> None:
    from django.core.exceptions import ValidationError

    for rate in (1e-320, 1e-5, 1001):
        with pytest.raises(ValidationError, match="rate_limit"):
            operations.clean_webhook(Webhook(name="x", url="http://127.0.0.1/", rate_limit=rate))
    assert breaker.bounded_rate(float("nan")) == breaker.LEAST_RATE
    assert breaker.bounded_rate(None) is breaker.bounded_rate(0) is None


def test_an_answer_disables_none_but_the_webhook_that_was_answered() -> None:
    """Two owners, one receiver: 410 for one of its paths says nothing of the other."""
    with Receiver(lambda request: Answer(status=410 if "mine" in request.path else 200)) as shared:
        base = shared.url.removesuffix("/webhook")
        gone, other = (
            a_webhook(url=f"{base}/{path}", format="standard-webhooks")
            for path in ("mine", "yours")
        )
        owe(gone, other)
        deliver_all()
    gone.refresh_from_db()
    other.refresh_from_db()
    assert (gone.status, other.status) == (Webhook.Status.DISABLED, Webhook.Status.ACTIVE)
    assert Event.objects.filter(type="webhook.desativado").count() == 1


def test_a_name_puts_no_header_into_the_mail_to_the_owner(django_user_model: Any) -> None:
    owner = django_user_model.objects.create_user("ana", email="ana@example.com")
    webhook = a_webhook(name="ERP\r\nBcc: eve@example.com\n\nHi", owner=owner)
    assert disabling.disable(webhook.pk, "gone")
    wait_until(lambda: mail.outbox, what="the mail")
    [message] = mail.outbox
    sent = message.message()
    assert sent["Bcc"] is None
    assert message.recipients() == ["ana@example.com"]
    assert "ERP Bcc: eve@example.com Hi" in str(message.subject)
