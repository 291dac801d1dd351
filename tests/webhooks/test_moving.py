"""What a webhook has pending follows its state, however much it is and whoever is killed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_event
from webhooks import disabling, jobs, moving, operations
from webhooks.models import BulkJob, Delivery, Event, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

PENDING, CANCELLED = Delivery.Status.PENDING, Delivery.Status.CANCELLED
NORMAL, PARKED = Webhook.Lane.NORMAL, Webhook.Lane.PARKED
MOST_A_SLICE = 12  # statements, with those that begin and end its transaction


def owed(webhook: Webhook, count: int, **values: Any) -> None:
    """Pending deliveries of as many events."""
    events = Event.objects.bulk_create(
        Event(
            type="cliente.criado",
            subject=f"cliente_{number}",
            sequence=1,
            occurred_at=timezone.now(),
            body="{}",
            fanned_out=True,
        )
        for number in range(count)
    )
    Delivery.objects.bulk_create(
        Delivery(
            event=event,
            webhook=webhook,
            created_at=timezone.now(),
            next_attempt_at=timezone.now(),
            **values,
        )
        for event in events
    )


def lanes(webhook: Webhook) -> dict[int, int]:
    found: dict[int, int] = {}
    for lane in webhook.deliveries.filter(status=PENDING).values_list("lane", flat=True):
        found[lane] = found.get(lane, 0) + 1
    return found


def work(*, seconds: float = 60.0) -> bool:
    return operations.work_on_jobs(seconds=seconds, wait=lambda pause: None)


def disable(webhook: Webhook) -> object:
    return disabling.disable(webhook.pk, "It fails.")


CHANGES: dict[str, Callable[[Webhook], object]] = {
    "pause": operations.pause,
    "resume": operations.resume,
    "disable": disable,
    "delete": operations.delete_webhook,
}


# --- how much is done by whom ---------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_state_costs_statements_by_the_slice_and_not_by_the_row(name: str) -> None:
    costs = []
    for count in (10, 1_000):
        webhook = a_webhook(name=f"{count}")
        if name == "resume":
            webhook = operations.pause(webhook)
        owed(webhook, count, lane=PARKED if name == "resume" else NORMAL)
        with CaptureQueriesContext(connection) as captured:
            CHANGES[name](webhook)
        costs.append(len(captured))
        done = {"pause": {PARKED: count}, "disable": {PARKED: count}, "resume": {NORMAL: count}}
        assert lanes(webhook) == done.get(name, {})
    assert not BulkJob.objects.exists(), "all of it was done at once"
    few, many = costs
    assert many - few <= 2 * MOST_A_SLICE, costs


def test_what_is_replayed_by_way_of_its_event_is_not_read_row_by_row() -> None:
    event = an_event()
    for number in range(30):
        a_delivery(a_webhook(name=f"{number}"), event)
    with CaptureQueriesContext(connection) as captured:
        assert operations.replay(event.deliveries.all()) == 30
    assert len(captured) < 15


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", CHANGES)
def test_what_is_more_than_a_request_does_is_a_job_for_workers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    monkeypatch.setattr(jobs, "_publish", told.set)
    monkeypatch.setattr(jobs, "SLICE", 2)
    webhook = a_webhook()
    if name == "resume":
        webhook = operations.pause(webhook)
    owed(webhook, 9, lane=PARKED if name == "resume" else NORMAL)
    if name == "delete":
        assert operations.cancel_owed(operations.mark_deleted(webhook), at_once=4) == 4
    elif name == "disable":
        operations.disable(webhook, "It fails.", at_once=4)
    else:
        getattr(operations, name)(webhook, at_once=4)

    job = operations.job_of(webhook)
    assert job is not None
    assert (job.changed, job.total, job.state) == (4, 9, "running")
    assert operations.jobs_waiting(), "whoever asked has given it up"
    assert told.wait(PATIENCE)
    before = Webhook.all_objects.get(pk=webhook.pk)
    assert before.lane == (NORMAL if name == "resume" else PARKED), "sending follows at once"
    assert not work()
    job.refresh_from_db()
    assert (job.changed, job.state, job.leased_until) == (9, "done", None)
    assert job.finished_at is not None
    assert operations.job_of(webhook) is None
    expected = {"resume": {NORMAL: 9}, "delete": {}}.get(name, {PARKED: 9})
    assert lanes(webhook) == expected
    cancelled = webhook.deliveries.filter(status=CANCELLED).count()
    assert cancelled == (9 if name == "delete" else 0)


def test_a_job_that_is_done_has_nothing_left_whatever_others_did_meanwhile() -> None:
    webhook = a_webhook()
    owed(webhook, 3)
    operations.pause(webhook, at_once=0)
    job = operations.job_of(webhook)
    assert job is not None
    Delivery.objects.filter(pk=Delivery.objects.latest("id").pk).update(status="delivered")
    work()
    job.refresh_from_db()
    assert (job.state, job.changed, job.total) == ("done", 2, 2)


def test_none_at_once_leaves_all_of_it_to_workers() -> None:
    webhook = a_webhook()
    owed(webhook, 3)
    operations.pause(webhook, at_once=0)
    job = operations.job_of(webhook)
    assert job is not None and job.total == 3
    work()
    assert lanes(webhook) == {PARKED: 3}


def test_whoever_comes_after_a_killed_process_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 2)
    webhook = a_webhook()
    owed(webhook, 6)

    class Killed(BaseException):
        pass

    advance = moving.advance

    def die(*args: Any, **kwargs: Any) -> Any:
        advance(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(moving, "advance", die)
        with pytest.raises(Killed):
            operations.pause(webhook)
    assert lanes(webhook) == {NORMAL: 4, PARKED: 2}
    assert not operations.jobs_waiting(), "the dead one's lease is still in force"
    BulkJob.objects.update(leased_until=ago(seconds=1))
    work()
    assert lanes(webhook) == {PARKED: 6}
    assert BulkJob.objects.get().changed == 6


def test_a_job_that_was_taken_over_is_left_alone_by_who_had_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 2)
    webhook = a_webhook()
    owed(webhook, 6)
    operations.pause(webhook, at_once=0)
    [job] = BulkJob.objects.all()
    stopped = jobs.take(job.pk)
    assert stopped is not None and jobs.take(job.pk) is None
    BulkJob.objects.update(leased_until=ago(seconds=1))
    other = jobs.take(job.pk)
    assert other is not None
    assert moving.advance(job.pk, stopped, using="default") is None
    jobs.give_up(job.pk, stopped)
    assert lanes(webhook) == {NORMAL: 6} and not operations.jobs_waiting()
    assert moving.advance(job.pk, other, using="default") is not None
    assert lanes(webhook) == {NORMAL: 4, PARKED: 2}


def test_a_slow_replay_keeps_no_other_job_waiting() -> None:
    slow, webhook = a_webhook(), a_webhook()
    for _ in range(5):
        a_delivery(slow)
    owed(webhook, 3)
    replay = operations.start_replay(operations.ReplayFilter(webhook=slow), rate=1)
    asked: list[float] = []

    def wait(pause: float) -> None:
        if not asked:
            operations.pause(webhook, at_once=0)  # while the replay is under way
        asked.append(pause)
        replay.refresh_from_db()
        if replay.changed == 3:
            assert lanes(webhook) == {PARKED: 3}

    assert not operations.work_on_jobs(wait=wait)
    replay.refresh_from_db()
    assert (replay.changed, replay.state) == (5, "done")


# --- one state after another ----------------------------------------------------------------------
def test_a_later_state_ends_the_job_of_the_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SLICE", 2)
    webhook = a_webhook()
    owed(webhook, 6)
    operations.pause(webhook, at_once=2)
    earlier = operations.job_of(webhook)
    assert earlier is not None
    fence = jobs.take(earlier.pk)
    assert fence is not None
    operations.resume(webhook, at_once=2)
    assert moving.advance(earlier.pk, fence, using="default") is None
    work()
    earlier.refresh_from_db()
    assert earlier.state == "superseded" and earlier.finished_at is not None
    assert lanes(webhook) == {NORMAL: 6}


def test_what_waited_is_tried_at_once_even_if_its_pause_was_ended_half_way() -> None:
    webhook = a_webhook()
    owed(webhook, 4, attempt_count=1, fence=2)
    Delivery.objects.update(next_attempt_at=ago(hours=-1))
    operations.pause(webhook, at_once=2)
    assert lanes(webhook) == {NORMAL: 2, PARKED: 2}
    operations.resume(webhook)
    assert lanes(webhook) == {NORMAL: 4}
    assert Delivery.objects.filter(next_attempt_at__lte=timezone.now()).count() == 4


@pytest.mark.parametrize("seed", range(25))
def test_any_sequence_of_states_and_of_workers_ends_in_the_last_state(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers take jobs, do slices, are held up beyond their lease, and come back."""
    monkeypatch.setattr(jobs, "SLICE", 2)
    rng = random.Random(seed)
    webhook, other = a_webhook(), a_webhook(name="Other")
    owed(webhook, 7)
    owed(other, 3)
    leases: list[tuple[int, int]] = []  # also those that are over
    last = "active"

    def change() -> None:
        nonlocal last
        last = rng.choice(["pause", "resume", "disable"])
        at_once = rng.choice([0, 1, 3])
        if last == "disable":
            disable(webhook)
            last = Webhook.objects.get(pk=webhook.pk).status
        else:
            last = getattr(operations, last)(webhook, at_once=at_once).status

    def take() -> None:
        for job in jobs.free():
            if (fence := jobs.take(job.pk)) is not None:
                leases.append((job.pk, fence))

    def go_on() -> None:
        if leases:
            moving.advance(*rng.choice(leases), using="default")

    def run_out() -> None:
        BulkJob.objects.exclude(leased_until=None).update(leased_until=ago(seconds=1))

    for _ in range(30):
        rng.choice([change, take, go_on, go_on, run_out])()
    if rng.random() < 0.3:
        operations.cancel_owed(operations.mark_deleted(webhook), at_once=rng.choice([0, 3]))
        last = "deleted"
    for _ in range(3):
        go_on()
    run_out()
    assert not work()
    run_out()
    assert not work()

    if last == "deleted":
        assert webhook.deliveries.filter(status=CANCELLED).count() == 7
    else:
        assert Webhook.objects.get(pk=webhook.pk).status == last
        assert lanes(webhook) == {NORMAL if last == "active" else PARKED: 7}
    assert lanes(other) == {NORMAL: 3}
    assert not BulkJob.objects.filter(state="running").exists()


@pytest.mark.django_db(transaction=True)
def test_workers_at_it_while_states_follow_each_other_end_in_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 5)
    webhook = a_webhook()
    owed(webhook, 60)
    over = threading.Event()
    failures: list[BaseException] = []

    def worker() -> None:
        try:
            while not over.is_set():
                operations.work_on_jobs(seconds=5, wait=over.wait)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            operations.pause(webhook, at_once=10)
            operations.resume(webhook, at_once=10)
        operations.pause(webhook, at_once=10)
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert not failures
    BulkJob.objects.update(leased_until=None)
    work()
    assert lanes(webhook) == {PARKED: 60}


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_what_others_have_locked_is_come_back_for_and_never_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.db import transaction

    webhook = a_webhook()
    owed(webhook, 3)
    held = webhook.deliveries.order_by("id")[0].pk
    operations.pause(webhook, at_once=0)
    locked, let_go = threading.Event(), threading.Event()

    def record() -> None:
        try:
            with transaction.atomic():
                Delivery.objects.select_for_update().get(pk=held)
                locked.set()
                let_go.wait(PATIENCE)
        finally:
            connections.close_all()

    recording = threading.Thread(target=record)
    recording.start()
    assert locked.wait(PATIENCE)
    paused: list[float] = []

    def wait(pause: float) -> None:
        paused.append(pause)
        assert lanes(webhook) == {NORMAL: 1, PARKED: 2}
        let_go.set()
        recording.join(PATIENCE)

    assert not operations.work_on_jobs(wait=wait)
    assert paused and lanes(webhook) == {PARKED: 3}
    assert BulkJob.objects.get().changed == 3
