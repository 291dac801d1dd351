"""Trying at once what waits for a later try, and never what a worker is sending."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests.webhooks.makers import a_delivery, a_webhook, ago, an_event
from webhooks import operations
from webhooks.conf import settings
from webhooks.models import AuditEntry, Delivery, Webhook
from webhooks.queue import Result, queue_on

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Status = Delivery.Status
ATTEMPT = {
    "number": 1,
    "duration_ms": 1,
    "url": "http://127.0.0.1:9/",
    "request_headers": {},
    "request_body": None,
    "status_code": 500,
    "response_headers": {},
    "response_body": "",
    "response_truncated": False,
    "error": "status",
    "error_detail": "",
}


def failed_once(webhook: Webhook, *, delay: float = 3600) -> Delivery:
    """A delivery whose first try failed, as a worker leaves it."""
    delivery = a_delivery(webhook, status=Status.PENDING, at=ago(seconds=1))
    fail(claim(delivery), delay)
    return delivery


def claim(delivery: Delivery) -> Any:
    return queue_on().claim_one(delivery.pk, lease=settings.LEASE_SECONDS)


def fail(job: Any, delay: float = 3600) -> None:
    attempt = {**ATTEMPT, "started_at": timezone.now()}
    assert queue_on().record([Result(job, Status.PENDING, delay=delay, attempt=attempt)])


def try_now(*deliveries: Delivery) -> int:
    return operations.try_now(Delivery.objects.filter(pk__in=[each.pk for each in deliveries]))


def test_what_waits_for_a_later_try_is_due_and_stays_where_it_is_in_its_schedule() -> None:
    webhook, other = a_webhook(hold_until=ago(hours=-1)), a_webhook(hold_until=ago(hours=-1))
    delivery, untouched = failed_once(webhook), failed_once(other)
    assert try_now(delivery) == 1
    delivery.refresh_from_db()
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at <= timezone.now()
    assert (delivery.schedule_position, delivery.attempt_count) == (1, 1)
    assert [job.delivery_id for job in queue_on().claim(10, lease=60)] == [delivery.pk]
    for each in (webhook, other, untouched):
        each.refresh_from_db()
    assert webhook.hold_until is None
    assert other.hold_until is not None
    assert untouched.next_attempt_at > timezone.now()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.count) == ("hastened", f"delivery_{delivery.pk}", 1)


def test_asked_twice_it_is_tried_once() -> None:
    delivery = failed_once(a_webhook())
    assert [try_now(delivery), try_now(delivery)] == [1, 0]


@pytest.mark.parametrize("tries", [0, 1])
def test_what_a_worker_is_sending_is_left_to_it(tries: int) -> None:
    delivery = a_delivery(a_webhook(), status=Status.PENDING, at=ago(seconds=1))
    for _ in range(tries):
        fail(claim(delivery), delay=0)
    job = claim(delivery)
    assert try_now(delivery) == 0
    fail(job)
    assert try_now(delivery) == 1


def test_a_claim_that_died_is_waited_for_until_no_lease_can_be_in_force() -> None:
    delivery = a_delivery(a_webhook(), status=Status.PENDING, at=ago(seconds=1))
    claim(delivery)  # by one that died
    fail(claim(delivery), delay=settings.LEASE_SECONDS)
    assert try_now(delivery) == 0
    Delivery.objects.update(next_attempt_at=ago(minutes=-5))
    assert try_now(delivery) == 1


def test_what_cannot_or_must_not_be_sent_is_left_alone() -> None:
    webhook = a_webhook()
    settled = a_delivery(webhook)
    erased = failed_once(webhook)
    erased.event.__class__.objects.filter(pk=erased.event_id).update(body="")
    paused = failed_once(a_webhook(status=Webhook.Status.PAUSED))
    orphan = failed_once(a_webhook(deleted_at=ago(hours=1)))
    # A test's, which waits for nothing but its caller.
    test = a_delivery(webhook, an_event(), status=Status.PENDING, next_attempt_at=ago(minutes=-9))
    assert try_now(settled, erased, paused, orphan, test) == 0
    assert not AuditEntry.objects.exists()


def test_a_limited_rate_stays_limited() -> None:
    limited = a_webhook(rate_limit=0.01, hold_until=ago(minutes=-1), next_turn_at=ago(minutes=-1))
    assert try_now(failed_once(limited)) == 1
    limited.refresh_from_db()
    assert limited.hold_until is None
    assert limited.next_turn_at is not None


def test_what_is_due_to_a_receiver_that_is_held_is_tried_in_its_turn() -> None:
    webhook = a_webhook(hold_until=ago(hours=-1), failing_since=ago(hours=1))
    due = a_delivery(webhook, status=Status.PENDING, at=ago(minutes=9))
    assert [try_now(due), try_now(due)] == [1, 0]
    webhook.refresh_from_db()
    assert webhook.hold_until is None
    since = due.next_attempt_at
    due.refresh_from_db()
    assert due.next_attempt_at == since
    limited = a_webhook(next_turn_at=ago(hours=-1), rate_limit=0.01)
    assert try_now(a_delivery(limited, status=Status.PENDING, at=ago(minutes=9))) == 0


def test_more_than_a_batch_is_tried_and_no_more_than_one_call_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("webhooks.operations.sooner.BATCH_SIZE", 2)
    monkeypatch.setattr("webhooks.operations.sooner.MOST_AT_ONCE", 5)
    webhook = a_webhook()
    waiting = [failed_once(webhook) for _ in range(7)]
    assert [try_now(*waiting) for _ in range(3)] == [5, 2, 0]


def test_a_receiver_that_is_resumed_is_tried_at_once_but_nothing_is_sent_twice() -> None:
    webhook = a_webhook()
    waiting, sending = failed_once(webhook), a_delivery(webhook, status=Status.PENDING)
    job = claim(sending)
    operations.pause(webhook)
    operations.resume(webhook)
    waiting.refresh_from_db()
    sending.refresh_from_db()
    assert waiting.next_attempt_at is not None
    assert sending.next_attempt_at is not None
    assert waiting.next_attempt_at <= timezone.now() < sending.next_attempt_at
    assert waiting.schedule_position == 1
    fail(job)
