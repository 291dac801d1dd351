"""What is due is decided by the database's clock: a process whose own is wrong changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.webhooks.makers import a_delivery, a_webhook
from webhooks import clock, jobs, operations
from webhooks.conf import settings
from webhooks.models import BulkJob, Delivery, SigningKey, Webhook
from webhooks.operations import ReplayFilter

pytestmark = [pytest.mark.django_db, pytest.mark.postgres_only]

PENDING, PARKED = Delivery.Status.PENDING, Webhook.Lane.PARKED
HALF_AN_HOUR, MINUTE = dt.timedelta(minutes=30), dt.timedelta(minutes=1)


@pytest.fixture(params=[1, -1], ids=["an hour ahead", "an hour behind"])
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's clock."""
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + dt.timedelta(hours=request.param))


def true() -> dt.datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        moment: dt.datetime = cursor.fetchone()[0]
        return moment


def waiting(webhook: Webhook, **values: Any) -> Delivery:
    """One whose first try failed, due again in half an hour."""
    return a_delivery(
        webhook,
        status=PENDING,
        **{
            "attempt_count": 1,
            "fence": 2,
            "created_at": true(),
            "next_attempt_at": true() + HALF_AN_HOUR,
            **values,
        },
    )


def assert_due(delivery: Delivery) -> None:
    delivery.refresh_from_db()
    assert delivery.next_attempt_at is not None
    assert -MINUTE < delivery.next_attempt_at - true() <= dt.timedelta(0)


@pytest.mark.usefixtures("wrong")
def test_a_replay_is_due_now() -> None:
    delivery = a_delivery(a_webhook())
    assert operations.replay(operations.replayable()) == 1
    assert_due(delivery)


@pytest.mark.usefixtures("wrong")
def test_a_replay_by_a_job_is_due_now() -> None:
    delivery = a_delivery(a_webhook())
    operations.start_replay(ReplayFilter())
    operations.work_on_jobs(wait=lambda pause: None)
    assert_due(delivery)
    assert BulkJob.objects.get().state == "done"


@pytest.mark.usefixtures("wrong")
def test_what_waited_when_a_webhook_is_resumed_is_due_now() -> None:
    webhook = a_webhook(status=Webhook.Status.PAUSED, lane=PARKED)
    delivery = waiting(webhook, lane=PARKED)
    operations.resume(webhook)
    assert_due(delivery)


@pytest.mark.usefixtures("wrong")
def test_what_is_to_be_tried_now_is_due_now() -> None:
    delivery = waiting(a_webhook())
    assert operations.try_now(Delivery.objects.all()) == 1
    assert_due(delivery)


@pytest.mark.usefixtures("wrong")
def test_what_is_held_is_held_by_the_databases_clock() -> None:
    held = a_webhook(hold_until=true() + HALF_AN_HOUR)
    free = a_webhook(hold_until=true() - HALF_AN_HOUR)
    rows = [waiting(each, next_attempt_at=true() - MINUTE) for each in (held, free)]
    assert list(operations.hastenable(Delivery.objects.all())) == [rows[0]]


@pytest.mark.usefixtures("wrong")
def test_what_is_claimed_is_not_tried_beside_its_worker() -> None:
    lease = dt.timedelta(seconds=settings.LEASE_SECONDS)
    waiting(a_webhook(), fence=3, next_attempt_at=true() + lease)
    assert operations.try_now(Delivery.objects.all()) == 0


class Killed(Exception):
    pass


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("kind", ["replay", "pause"])
def test_a_jobs_lease_is_as_long_as_any(kind: str) -> None:
    webhook = a_webhook()
    for _ in range(3):
        a_delivery(webhook, status=PENDING if kind == "pause" else Delivery.Status.FAILED)
    if kind == "replay":
        operations.start_replay(ReplayFilter(), rate=1)
    else:
        operations.pause(webhook, at_once=0)
    [job] = BulkJob.objects.all()
    assert jobs.take(job.pk) is not None
    assert jobs.take(job.pk) is None, "it has just been taken"
    job.refresh_from_db()
    assert job.leased_until is not None
    assert abs(job.leased_until - true() - dt.timedelta(seconds=jobs.LEASE_SECONDS)) < MINUTE / 6
    BulkJob.objects.update(leased_until=true() - dt.timedelta(seconds=1))
    assert jobs.take(job.pk) is not None, "the lease is over"


@pytest.mark.usefixtures("wrong")
def test_a_replays_lease_is_as_long_as_its_pace_needs() -> None:
    a_delivery(a_webhook()), a_delivery(a_webhook())
    operations.start_replay(ReplayFilter(), rate=1)

    def die(pause: float) -> None:
        raise Killed

    with pytest.raises(Killed):
        operations.work_on_jobs(wait=die)
    until = BulkJob.objects.get().leased_until
    assert until is not None
    assert dt.timedelta(0) < until - true() < MINUTE


@pytest.mark.usefixtures("wrong")
def test_a_test_event_is_left_to_its_sender_for_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Delivery] = []

    def look(delivery: Delivery, **options: Any) -> Any:
        made.append(Delivery.objects.get(pk=delivery.pk))
        raise LookupError

    monkeypatch.setattr("webhooks.direct.deliver_now", look)
    with pytest.raises(LookupError):
        operations.send_test(a_webhook())
    [delivery] = made
    assert delivery.next_attempt_at is not None
    wait = delivery.next_attempt_at - true()
    assert abs(wait.total_seconds() - settings.LEASE_SECONDS) < 10
    assert abs(delivery.created_at - true()) < MINUTE / 6


@pytest.mark.usefixtures("wrong")
def test_an_old_secret_ends_when_its_overlap_does() -> None:
    webhook = a_webhook()
    operations.rotate_secret(webhook, overlap_seconds=600)
    old = SigningKey.objects.exclude(expires_at=None).get()
    assert old.expires_at is not None
    assert abs((old.expires_at - true()).total_seconds() - 600) < 10
    assert operations.active_keys(webhook).count() == 2
    SigningKey.objects.filter(pk=old.pk).update(expires_at=true() - MINUTE)
    assert operations.active_keys(webhook).count() == 1


@pytest.mark.usefixtures("wrong")
def test_the_retention_is_counted_from_the_databases_now(settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "RETENTION_DAYS": {"payload": 1}}
    limit = operations.retention_limits()["payload"]
    assert abs(limit + dt.timedelta(days=1) - true()) < MINUTE / 6


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("name", ["at", "now"])
def test_both_ways_to_ask_for_a_moment_agree(name: str) -> None:
    ask: Callable[[], Any] = getattr(clock, name)
    delivery = a_delivery(a_webhook())
    Delivery.objects.update(next_attempt_at=ask())
    assert_due(delivery)
