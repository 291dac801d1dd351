"""Each kind is kept as long as the settings say, and pruned without anybody asking."""

from __future__ import annotations

import io
import threading
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event
from webhooks import checks, conf, operations, tasks
from webhooks.models import Attempt, AuditEntry, Delivery, Event, Tally, Webhook
from webhooks.operations import maintenance
from webhooks.rules import RULES

PENDING = Delivery.Status.PENDING

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def retention(settings: Any) -> Any:
    def keep(**days: float | None) -> None:
        settings.WEBHOOKS = {**settings.WEBHOOKS, "RETENTION_DAYS": days}

    return keep


def a_story(at: datetime, status: str = Delivery.Status.DELIVERED) -> Event:
    webhook = Webhook.objects.first() or a_webhook()
    event = an_event(occurred_at=at)
    an_attempt(a_delivery(webhook, event, status=status, at=at))
    return event


def kept() -> dict[str, tuple[bool, bool]]:
    """Of each event by its age in days: whether its payload and its answer are kept."""
    now = timezone.now()
    return {
        f"{round((now - event.occurred_at).total_seconds() / 86_400)}": (
            bool(event.body),
            bool(Attempt.objects.get(delivery__event=event).response_body),
        )
        for event in Event.objects.order_by("-occurred_at")
    }


def test_answers_go_first_then_payloads_then_all() -> None:
    for days in (10, 40, 100, 400):
        a_story(ago(days=days))
    assert operations.count_prunable() == operations.Pruned(events=1, payloads=1, responses=3)
    pruned = operations.prune()
    assert (pruned.events, pruned.payloads, pruned.responses) == (1, 1, 2)
    assert kept() == {"10": (True, True), "40": (True, False), "100": (False, False)}


def test_what_is_for_ever_is_never_pruned_and_the_rest_keeps_its_default(retention: Any) -> None:
    retention(payload=None, metadata=None)
    a_story(ago(days=4000))
    operations.prune()
    assert kept() == {"4000": (True, False)}


@pytest.mark.parametrize("days", [90, "90", {"payloads": 9}, {"payload": 0}, {"payload": "9"}, []])
def test_a_retention_that_cannot_work_is_found_by_the_checks(settings: Any, days: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "RETENTION_DAYS": days}
    [found] = checks.check_settings()
    assert found.id == "webhooks.E002"
    assert "RETENTION_DAYS" in found.msg


def test_the_environment_gives_it_as_json() -> None:
    found = conf.from_environment({"WEBHOOKS_RETENTION_DAYS": '{"payload": 7, "response": null}'})
    assert found == {"RETENTION_DAYS": {"payload": 7, "response": None}}
    assert RULES["RETENTION_DAYS"](found["RETENTION_DAYS"]) is None


# --- the task -----------------------------------------------------------------------------------
def test_maintenance_prunes_and_says_that_nothing_is_left() -> None:
    a_story(ago(days=400))
    a_story(ago(days=400), Delivery.Status.PENDING)
    assert operations.maintain() is False
    assert Event.objects.count() == 1  # still owed
    assert AuditEntry.objects.get(action="pruned").count == 2  # an event, and the other's answer
    tasks.maintain()
    assert AuditEntry.objects.count() == 1


def test_what_waits_for_a_webhook_that_nobody_resumes_expires_with_its_payload(
    retention: Any, in_english: None
) -> None:
    webhook = a_webhook()
    old = [a_delivery(webhook, an_event(occurred_at=ago(days=100)), status=PENDING)]
    young = a_delivery(webhook, an_event(occurred_at=ago(days=80)), status=PENDING)
    operations.pause(webhook)
    for lane in (Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED):
        other = a_webhook(name="Outro", lane=lane)
        event = an_event(occurred_at=ago(days=100))
        old.append(a_delivery(other, event, status=PENDING, lane=lane))
    resumed = a_webhook(name="Retomado")
    event = an_event(occurred_at=ago(days=100))
    old.append(a_delivery(resumed, event, status=PENDING, lane=Webhook.Lane.PARKED))

    operations.maintain()

    expired, *owed = [Delivery.objects.get(pk=each.pk) for each in [*old, young]]
    assert expired.status == Delivery.Status.CANCELLED
    assert expired.event.body == ""
    assert "was not resumed" in operations.cancelled(expired)
    assert AuditEntry.objects.filter(detail="deliveries expired while paused", count=1).exists()
    for delivery in owed:
        assert delivery.status == PENDING
        assert delivery.event.body

    retention(payload=None)
    Event.objects.update(occurred_at=ago(days=4000))
    operations.maintain()
    young.refresh_from_db()
    assert young.status == PENDING


def test_the_command_lets_expire_what_the_settings_do_and_not_what_somebody_chose(
    in_english: None,
) -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook, an_event(occurred_at=ago(days=100)), status=PENDING)
    operations.pause(webhook)

    def prune(*options: str) -> str:
        out = io.StringIO()
        call_command("webhooks_prune", *options, stdout=out)
        delivery.refresh_from_db()
        return out.getvalue()

    assert "Expired" not in prune("--older-than", "1d")
    assert "in time: 1 deliveries" in prune("--dry-run")
    assert delivery.status == PENDING
    assert "in time: 1 deliveries" in prune()
    assert delivery.status == Delivery.Status.CANCELLED


def test_a_slice_of_time_ends_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        a_story(ago(days=400))
    clock = iter(range(100))
    monkeypatch.setattr(maintenance, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(operations.prune, "__kwdefaults__", {**_defaults(), "batch_size": 2})
    assert operations.maintain(seconds=2.5) is True
    assert Event.objects.count() == 3


def _defaults() -> dict[str, Any]:
    return dict(operations.prune.__kwdefaults__ or {})


def test_what_is_left_is_left_to_another_task(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.maintain, "apply_async", lambda **options: sent.append(options))
    for left in (True, False):
        monkeypatch.setattr(operations, "maintain", lambda left=left: left)
        tasks.maintain()
    assert [options["expires"] for options in sent] == [3600]


def test_beat_asks_for_it() -> None:
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.maintain.name in names


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_each_others_work_once() -> None:
    for index in range(60):
        a_story(ago(days=400 if index % 2 else 100))
    start = threading.Barrier(3)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            start.wait(PATIENCE)
            operations.prune(batch_size=5)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert errors == []
    operations.prune()  # what all of them passed over
    assert set(kept().values()) == {(False, False)}
    assert Event.objects.count() == 30
    done = [entry.detail for entry in AuditEntry.objects.all()]
    assert sum(int(detail.split(",")[0].removeprefix("events: ")) for detail in done) == 30


# --- however much there is ----------------------------------------------------------------------
def test_counts_by_the_hour_stay_as_long_as_they_are_needed(retention: Any) -> None:
    webhook = a_webhook()
    for days in (400, 20, 3):
        Tally.objects.create(webhook=webhook, hour=ago(days=days))
    retention(metadata=10)
    operations.prune()
    assert Tally.objects.count() == 1
    retention(metadata=1)
    operations.prune()
    assert Tally.objects.count() == 1  # DISABLE_AFTER_DAYS looks at five days
