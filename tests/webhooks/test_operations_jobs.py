"""Replays done by workers: a slice at a time, at a pace, from where the last one came to."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone, translation

from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_event
from webhooks import jobs as leases
from webhooks import operations, tasks
from webhooks.models import AuditEntry, BulkJob, Delivery
from webhooks.operations import ReplayFilter, jobs
from webhooks.signals import worker_alive

pytestmark = pytest.mark.django_db
PENDING = Delivery.Status.PENDING


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[threading.Event]:
    told = threading.Event()
    monkeypatch.setattr(leases, "_publish", told.set)
    return [told]


def pending() -> list[int]:
    return list(Delivery.objects.filter(status=PENDING).order_by("id").values_list("pk", flat=True))


def test_it_sends_in_slices_at_its_rate_and_then_is_done() -> None:
    user = User.objects.create_user("ana")
    webhook = a_webhook()
    rows = [a_delivery(webhook).pk for _ in range(5)]
    job = operations.start_replay(ReplayFilter(webhook=webhook), user=user, rate=2)
    assert (job.total, job.changed, job.state) == (5, 0, "running")
    later = a_delivery(webhook)

    seen: list[tuple[float, int]] = []
    assert not operations.work_on_jobs(wait=lambda pause: seen.append((pause, len(pending()))))
    assert seen == [(1.0, 2), (1.0, 4)]
    assert pending() == rows
    job.refresh_from_db()
    assert (job.changed, job.state, job.leased_until) == (5, "done", None)
    assert job.finished_at is not None
    later.refresh_from_db()
    assert later.status == Delivery.Status.FAILED, "it was made after the replay was asked for"

    told = AuditEntry.objects.order_by("id").values_list("action", "user", "subject", "count")
    name = f"replay_{job.pk}"
    assert list(told) == [("replayed", user.pk, name, 5), ("replayed", user.pk, name, 5)]


def test_whoever_comes_after_a_dead_worker_goes_on_where_it_was() -> None:
    webhook = a_webhook()
    rows = [a_delivery(webhook).pk for _ in range(4)]
    job = operations.start_replay(ReplayFilter(webhook=webhook), rate=2)

    class Killed(Exception):
        pass

    def die(pause: float) -> None:
        raise Killed

    with pytest.raises(Killed):
        operations.work_on_jobs(wait=die)
    assert pending() == rows[:2]
    assert not operations.jobs_waiting(), "the dead one's lease is still in force"
    # What was sent has failed again meanwhile: it is not sent a second time.
    Delivery.objects.filter(pk__in=rows[:2]).update(
        status=Delivery.Status.FAILED, finished_at=timezone.now()
    )
    BulkJob.objects.update(leased_until=ago(seconds=1))
    assert operations.jobs_waiting()
    operations.work_on_jobs(wait=lambda pause: None)
    assert pending() == rows[2:]
    job.refresh_from_db()
    assert job.changed == 4


def test_it_can_be_stopped_and_resumed() -> None:
    webhook = a_webhook()
    rows = [a_delivery(webhook).pk for _ in range(4)]
    job = operations.start_replay(ReplayFilter(webhook=webhook), rate=2)
    operations.work_on_jobs(wait=lambda pause: operations.stop_replay(job) and None)
    assert pending() == rows[:2]
    assert not operations.stop_replay(job)
    operations.work_on_jobs(wait=lambda pause: None)
    assert pending() == rows[:2]
    assert operations.resume_replay(job)
    assert not operations.resume_replay(job)
    operations.work_on_jobs(wait=lambda pause: None)
    assert pending() == rows


def test_time_runs_out_and_the_rest_is_left_to_others() -> None:
    webhook = a_webhook()
    for _ in range(3):
        a_delivery(webhook)
    operations.start_replay(ReplayFilter(webhook=webhook), rate=1)
    assert operations.work_on_jobs(seconds=0)
    assert operations.jobs_waiting()


@pytest.mark.parametrize("rate", [0, -1, 1001])
def test_a_rate_out_of_bounds_is_refused(rate: int) -> None:
    a_delivery(a_webhook())
    with pytest.raises(ValidationError, match="From 1 to 1000"):
        operations.start_replay(ReplayFilter(), rate=rate)


def test_nothing_to_send_is_no_job() -> None:
    a_delivery(a_webhook(), status=PENDING)
    with pytest.raises(ValidationError, match="Nothing to send again"):
        operations.start_replay(ReplayFilter())
    assert not BulkJob.objects.exists()


def test_every_condition_survives_being_written_down() -> None:
    webhook = a_webhook()
    event = an_event(subject="cliente_7")
    wanted = a_delivery(webhook, event, last_error="timeout", last_status_code=504)
    for other in (
        {"webhook": a_webhook(name="Outro")},
        {"event": an_event(subject="cliente_8")},
        {"last_error": "dns"},
        {"last_status_code": 500},
        {"at": ago(days=9)},
    ):
        values: dict[str, Any] = {
            "webhook": webhook,
            "event": an_event(subject="cliente_7"),
            "last_error": "timeout",
            "last_status_code": 504,
            **other,
        }
        a_delivery(values.pop("webhook"), values.pop("event"), **values)
    chosen = ReplayFilter(
        webhook=webhook,
        subject="cliente_7",
        errors=("timeout",),
        status_codes=(504,),
        event_patterns=("cliente.criado",),
        created_since=ago(days=1),
        created_until=timezone.now(),
        since=ago(days=1),
        until=timezone.now(),
        event_ids=(event.pk,),
        ids=(wanted.pk,),
    )
    assert list(operations.replayable(chosen)) == [wanted]
    job = operations.start_replay(chosen)
    job.refresh_from_db()
    assert list(operations.replayable(jobs.read(job.chosen))) == [wanted]


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_told_once_the_job_is_committed(hints: list[threading.Event]) -> None:
    a_delivery(a_webhook())
    operations.start_replay(ReplayFilter())
    assert hints[0].wait(PATIENCE)


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_without_a_hint_the_sign_of_life_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_publish", None)
    delivery = a_delivery(a_webhook())
    job = operations.start_replay(ReplayFilter())
    worker_alive.send_robust(None)
    for thread in threading.enumerate():
        if thread.name == "webhooks-jobs":
            thread.join(PATIENCE)
    job.refresh_from_db()
    delivery.refresh_from_db()
    assert (job.state, delivery.status) == ("done", PENDING)
    assert not tasks._working.locked()


# --- who is at it ---------------------------------------------------------------------------------
class Killed(Exception):
    pass


def die(pause: float) -> None:
    raise Killed


@pytest.mark.both_databases
def test_who_was_held_up_beyond_the_lease_sends_no_more_beside_who_took_over() -> None:
    webhook = a_webhook()
    rows = [a_delivery(webhook).pk for _ in range(8)]
    operations.start_replay(ReplayFilter(webhook=webhook), rate=2)
    pauses: list[float] = []

    def held_up(pause: float) -> None:
        pauses.append(pause)
        BulkJob.objects.update(leased_until=ago(seconds=1))
        with pytest.raises(Killed):  # the other has the lease from now on
            operations.work_on_jobs(wait=die)

    operations.work_on_jobs(wait=held_up)
    assert len(pauses) == 1
    assert pending() == rows[:4], "two by each"


@pytest.mark.both_databases
def test_many_workers_at_one_job_send_each_slice_once() -> None:
    webhook = a_webhook()
    rows = [a_delivery(webhook).pk for _ in range(6)]
    job = operations.start_replay(ReplayFilter(webhook=webhook), rate=2)
    fences = [leases.take(job.pk)]
    for _ in range(2):
        BulkJob.objects.update(leased_until=ago(seconds=1))
        fences.append(leases.take(job.pk))
    assert fences == [1, 2, 3]
    done = [jobs._advance(job.pk, fence, "default") for fence in (1, 2, 3, 2, 1)]
    assert [step is not None for step in done] == [False, False, True, False, False]
    assert pending() == rows[:2]


def test_a_state_that_a_webhook_was_given_is_not_stopped_like_a_replay() -> None:
    webhook = a_webhook()
    a_delivery(webhook, status=PENDING)
    operations.pause(webhook, at_once=0)
    job = operations.job_of(webhook)
    assert job is not None
    assert not operations.stop_replay(job)
    job.refresh_from_db()
    assert job.state == "running"


# --- the rest of what a request began -------------------------------------------------------------
@pytest.mark.both_databases
def test_the_rest_of_a_replay_leaves_out_what_was_sent_already_however_it_ended() -> None:
    webhook = a_webhook()
    rows = [a_delivery(webhook, status=Delivery.Status.DELIVERED).pk for _ in range(4)]
    chosen = ReplayFilter(webhook=webhook, statuses=("delivered",))
    assert operations.replay(Delivery.objects.filter(pk__in=rows[:2])) == 2
    job = operations.replay_rest(chosen)
    assert job is not None and job.total == 2
    # The first are delivered again before a worker comes to the job.
    later = timezone.now() + dt.timedelta(seconds=1)
    Delivery.objects.filter(pk__in=rows[:2]).update(status="delivered", finished_at=later)
    operations.work_on_jobs(wait=lambda pause: None)
    assert pending() == rows[2:]
    assert operations.replay_rest(ReplayFilter(webhook=webhook)) is None


@pytest.mark.both_databases
def test_a_recovery_is_done_in_slices_and_goes_on_after_a_killed_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 2)
    webhook = a_webhook()
    failed = [a_delivery(webhook).pk for _ in range(3)]
    for number in range(5):
        an_event(subject=f"cliente_{number}")
    since = ago(hours=1)
    job = operations.recover_rest(webhook, since)
    assert (job.kind, job.total) == ("recover", 8)
    for _ in range(3):  # killed after a slice, each time
        fence = leases.take(job.pk)
        assert fence is not None and jobs._advance(job.pk, fence, "default") is not None
        BulkJob.objects.update(leased_until=ago(seconds=1))
    assert not operations.work_on_jobs(wait=lambda pause: None)
    job.refresh_from_db()
    assert (job.changed, job.state) == (8, "done")
    assert webhook.deliveries.filter(status=PENDING).count() == 8
    assert set(failed) < set(pending())
    [entry] = AuditEntry.objects.filter(action="recovered")
    assert (entry.count, entry.subject) == (8, f"replay_{job.pk}")
    assert operations.recover(webhook, since).total == 0


def test_a_recovery_of_a_webhook_that_is_deleted_meanwhile_ends() -> None:
    webhook = a_webhook()
    an_event()
    job = operations.recover_rest(webhook, ago(hours=1))
    operations.delete_webhook(webhook)
    assert not operations.work_on_jobs(wait=lambda pause: None)
    job.refresh_from_db()
    assert (job.changed, job.state) == (0, "done")
    assert not pending()
