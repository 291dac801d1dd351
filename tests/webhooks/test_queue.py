"""The queue's SQL, alike on both databases: claims, leases, fences, lanes, outcomes."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.services.base import PATIENCE
from tests.webhooks.makers import (
    a_delivery,
    a_webhook,
    an_event,
    analyze,
    rows_read,
    wait_for_a_blocked_statement,
)
from webhooks import breaker, operations
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.queue import Job, Pulse, Result, mending, queue_on

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

PENDING, DELIVERED, FAILED, CANCELLED = (
    Delivery.Status.PENDING,
    Delivery.Status.DELIVERED,
    Delivery.Status.FAILED,
    Delivery.Status.CANCELLED,
)
NORMAL, TROUBLED, PARKED = Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED, Webhook.Lane.PARKED
LEASE = 60.0
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def queue():
    return queue_on()


@pytest.fixture
def webhook():
    return a_webhook()


def owed(webhook: Webhook, count: int = 1, **values: Any) -> list[Delivery]:
    """Deliveries that wait, each of an event of its own."""
    return [
        a_delivery(webhook, an_event(sequence=number), **{"status": PENDING, **values})
        for number in range(1, count + 1)
    ]


def tried(
    job: Job, status: str = DELIVERED, *, delay: float | None = None, **values: Any
) -> Result:
    """What an attempt came to."""
    failed = status != DELIVERED
    attempt = {
        "number": job.attempt_count + 1,
        "started_at": timezone.now(),
        "duration_ms": 12,
        "url": "http://127.0.0.1:9/",
        "request_headers": {"X-Webhook-Event": "cliente.criado"},
        "request_body": None,
        "status_code": 500 if failed else 200,
        "response_headers": {"server": "test", "x": 'quote " \\ é 🎉'},
        "response_body": 'a "quoted" é 🎉 \\ body\n',
        "response_truncated": False,
        "error": "status" if failed else "",
        "error_detail": "",
        **values,
    }
    return Result(job=job, status=status, delay=delay, attempt=attempt)


def wait_over(delivery: Delivery) -> None:
    """The lease, or the wait, ends."""
    Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=timezone.now())


# --- due and claim ----------------------------------------------------------------------------


def test_nothing_is_due_in_an_empty_queue(queue):
    assert not queue.due()
    assert queue.claim(10, lease=LEASE) == []
    assert queue.claim_troubled(10, lease=LEASE) == []


def test_what_is_due_is_told_apart(queue, webhook):
    event = an_event(fanned_out=False)
    assert (queue.due().events, queue.due().normal, queue.due().troubled) == (True, False, False)
    Event.objects.filter(pk=event.pk).update(fanned_out=True)
    [delivery] = owed(webhook)
    assert (queue.due().events, queue.due().normal, queue.due().troubled) == (False, True, False)
    queue.trouble([webhook.pk])
    assert (queue.due().events, queue.due().normal, queue.due().troubled) == (False, False, True)
    for other in (
        {"lane": PARKED},
        {"lane": NORMAL, "next_attempt_at": timezone.now() + HOUR},
        {"lane": NORMAL, "status": DELIVERED, "next_attempt_at": None},
    ):
        Delivery.objects.filter(pk=delivery.pk).update(**other)
        assert not queue.due()


def test_it_is_told_how_late_the_first_of_the_normal_lane_is(queue, webhook):
    assert queue.due().late <= 0
    owed(webhook, next_attempt_at=timezone.now() - HOUR)
    owed(webhook)
    assert 3_600 <= queue.due().late < 3_660
    Delivery.objects.update(next_attempt_at=timezone.now() + HOUR)
    assert queue.due().late < 0
    assert not queue.due()


def test_who_has_much_waiting_in_the_normal_lane_is_told(queue, webhook):
    few, elsewhere = a_webhook(name="few"), a_webhook(name="elsewhere", lane=TROUBLED)
    owed(webhook, 5)
    owed(few, 4)
    owed(elsewhere, 9, lane=TROUBLED)
    owed(few, 9, next_attempt_at=timezone.now() + HOUR)
    assert queue.crowding(4) == [webhook.pk]
    assert queue.crowding(5) == []
    assert queue.crowding(4, within=4) == []


def test_looking_locks_and_writes_nothing(queue, webhook, django_assert_num_queries):
    owed(webhook)
    with django_assert_num_queries(1) as asked:
        queue.due()
    assert asked.captured_queries[0]["sql"].startswith("SELECT EXISTS")
    assert "FOR UPDATE" not in asked.captured_queries[0]["sql"]


def test_a_claim_brings_what_sending_needs(queue, webhook):
    event = an_event("tarefa.criada", sequence=7, body='{"event":"tarefa.criada","data":{"é":1}}')
    delivery = a_delivery(
        webhook, event, status=PENDING, fence=4, attempt_count=6, schedule_position=2
    )
    [job] = queue.claim(10, lease=LEASE)
    assert job == Job(
        delivery_id=delivery.pk,
        webhook_id=webhook.pk,
        event_id=event.pk,
        fence=5,
        attempt_count=6,
        schedule_position=2,
        lane=NORMAL,
        event_type="tarefa.criada",
        sequence=7,
        occurred_at=event.occurred_at,
        body=event.body,
    )


def test_those_due_the_longest_are_claimed_first_and_come_in_the_order_of_their_events(
    queue, webhook
):
    now = timezone.now()
    new, old, oldest, later = owed(webhook, 4)
    for delivery, minutes in ((new, 1), (old, 2), (oldest, 3), (later, -5)):
        Delivery.objects.filter(pk=delivery.pk).update(
            next_attempt_at=now - dt.timedelta(minutes=minutes)
        )
    assert [job.delivery_id for job in queue.claim(2, lease=LEASE)] == [old.pk, oldest.pk]
    assert [job.delivery_id for job in queue.claim(2, lease=LEASE)] == [new.pk]


def test_many_come_in_the_order_of_their_events(queue, webhook):
    deliveries = owed(webhook, 60)
    Delivery.objects.update(next_attempt_at=timezone.now())
    assert [job.sequence for job in queue.claim(100, lease=LEASE)] == list(range(1, 61))
    assert len(deliveries) == 60


def test_what_is_claimed_is_nobody_elses_until_its_lease_ends(queue, webhook):
    [delivery] = owed(webhook)
    [first] = queue.claim(10, lease=LEASE)
    assert queue.claim(10, lease=LEASE) == []
    delivery.refresh_from_db()
    left = (delivery.next_attempt_at - timezone.now()).total_seconds()
    assert LEASE / 2 < left <= LEASE
    wait_over(delivery)
    [second] = queue.claim(10, lease=LEASE)
    assert (first.fence, second.fence) == (1, 2)


def test_a_short_lease_ends_by_the_clock(queue, webhook):
    owed(webhook)
    assert len(queue.claim(10, lease=0)) == 1
    assert len(queue.claim(10, lease=0)) == 1


def test_one_can_be_claimed_that_is_not_due(queue, webhook):
    [delivery] = owed(webhook, lane=PARKED, next_attempt_at=timezone.now() + HOUR)
    assert queue.claim_one(delivery.pk, lease=LEASE).delivery_id == delivery.pk
    Delivery.objects.filter(pk=delivery.pk).update(status=DELIVERED)
    assert queue.claim_one(delivery.pk, lease=LEASE) is None
    assert queue.claim_one(0, lease=LEASE) is None


@pytest.mark.django_db(transaction=True)
def test_claimers_at_once_never_share_a_row_and_leave_none(queue, webhook):
    owed(webhook, 200)
    other = a_webhook(name="other", lane=TROUBLED)
    owed(other, 50, lane=TROUBLED)
    taken, failures, start = [], [], threading.Barrier(4)

    def claim():
        try:
            mine = queue_on()
            start.wait(PATIENCE)
            while jobs := mine.claim(7, lease=LEASE) + mine.claim_troubled(3, lease=LEASE):
                taken.extend(jobs)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failures == []
    # A claimer that finds the rest locked by others stops early: that is left over, not lost.
    taken.extend(queue.claim(500, lease=LEASE) + queue.claim_troubled(500, lease=LEASE))
    times = Counter(job.delivery_id for job in taken)
    assert len(times) == 250
    assert set(times.values()) == {1}


# --- record -----------------------------------------------------------------------------------


def test_nothing_to_record_is_no_error(queue):
    assert queue.record([]) == set()


def test_a_success_settles_the_delivery_and_keeps_the_attempt(queue, webhook):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    result = tried(job)
    assert queue.record([result]) == {delivery.pk}
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_attempt_at) == (DELIVERED, None)
    assert delivery.finished_at is not None
    assert (delivery.attempt_count, delivery.schedule_position) == (1, 1)
    assert (delivery.last_status_code, delivery.last_error) == (200, "")
    attempt = Attempt.objects.get()
    assert not attempt.superseded
    for name, value in result.attempt.items():
        kept = getattr(attempt, name)
        if name == "started_at":
            assert abs(kept - value) < dt.timedelta(milliseconds=1)
        else:
            assert kept == value


def test_a_failure_waits_for_its_next_try(queue, webhook):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    queue.record([tried(job, PENDING, delay=300.0)])
    delivery.refresh_from_db()
    assert delivery.status == PENDING
    left = (delivery.next_attempt_at - timezone.now()).total_seconds()
    assert 295 < left <= 300
    assert (delivery.last_status_code, delivery.last_error) == (500, "status")
    assert (delivery.attempt_count, delivery.schedule_position) == (1, 1)
    assert delivery.finished_at is None


def test_a_wait_that_nobody_said_is_none(queue, webhook):
    """Never one without end: a delivery without a moment would never be due."""
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    queue.record([tried(job, PENDING, delay=None)])
    assert len(queue.claim(10, lease=LEASE)) == 1
    assert delivery.pk


def test_the_last_failure_is_final(queue, webhook):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    queue.record([tried(job, FAILED)])
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_attempt_at) == (FAILED, None)
    assert not queue.due()


def test_what_was_not_tried_leaves_no_attempt_and_spends_none(queue, webhook):
    [delivery] = owed(webhook, attempt_count=2, last_status_code=503, last_error="status")
    [job] = queue.claim(10, lease=LEASE)
    assert queue.record([Result(job, Delivery.Status.CANCELLED)]) == {delivery.pk}
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.CANCELLED
    assert (delivery.attempt_count, delivery.last_status_code) == (2, 503)
    assert not Attempt.objects.exists()


def test_a_batch_is_recorded_each_for_itself(queue, webhook):
    owed(webhook, 30)
    jobs = queue.claim(100, lease=LEASE)
    statuses = [DELIVERED, FAILED, PENDING]
    results = [
        tried(job, statuses[number % 3], delay=60.0, response_body=str(job.delivery_id))
        for number, job in enumerate(jobs)
    ]
    assert queue.record(results) == {job.delivery_id for job in jobs}
    assert Counter(Delivery.objects.values_list("status", flat=True)) == dict.fromkeys(statuses, 10)
    for attempt in Attempt.objects.all():
        assert attempt.response_body == str(attempt.delivery_id)


def test_a_batch_costs_the_same_number_of_statements_as_one(queue, webhook):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no round trips to save")
    owed(webhook, 101)
    counts = []
    for size in (1, 100):
        with CaptureQueriesContext(connection) as asked:
            queue.record([tried(job) for job in queue.claim(size, lease=LEASE)])
        counts.append(len(asked))
    assert counts == [2, 2]  # claim, record


def test_a_stale_workers_result_is_refused_and_its_attempt_kept_as_superseded(queue, webhook):
    [delivery] = owed(webhook)
    [stale] = queue.claim(10, lease=LEASE)
    wait_over(delivery)
    [newer] = queue.claim(10, lease=LEASE)
    assert queue.record([tried(stale, FAILED, response_body="late")]) == set()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (PENDING, 0)
    assert Attempt.objects.get().superseded
    assert queue.record([tried(newer)]) == {delivery.pk}
    assert list(Attempt.objects.order_by("pk").values_list("superseded", flat=True)) == [
        True,
        False,
    ]
    # and one that comes later still
    assert queue.record([tried(stale)]) == set()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (DELIVERED, 1)


def test_both_results_of_one_delivery_in_one_batch_are_told_apart(queue, webhook):
    """A worker whose own lease ended, and that claimed the same delivery again."""
    [delivery] = owed(webhook)
    [stale] = queue.claim(10, lease=LEASE)
    wait_over(delivery)
    [newer] = queue.claim(10, lease=LEASE)
    results = [tried(stale, FAILED, response_body="stale"), tried(newer, response_body="newer")]
    assert queue.record(results) == {delivery.pk}
    assert dict(Attempt.objects.values_list("response_body", "superseded")) == {
        "stale": True,
        "newer": False,
    }
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (DELIVERED, 1)


@pytest.mark.parametrize("status", [DELIVERED, PENDING, FAILED])
def test_a_batch_that_is_recorded_again_counts_once(queue, webhook, status):
    """The connection broke after the commit: nobody knows, so it is recorded anew."""
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    result = tried(job, status, delay=60.0)
    assert queue.record([result]) == {delivery.pk}
    assert queue.record([result]) == set()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count, delivery.schedule_position) == (status, 1, 1)
    assert [attempt.superseded for attempt in Attempt.objects.all()] == [False]


def test_what_was_deleted_in_flight_is_passed_over_and_the_rest_recorded(queue, webhook):
    owed(webhook, 3)
    jobs = queue.claim(10, lease=LEASE)
    Delivery.objects.get(pk=jobs[0].delivery_id).delete()
    Event.objects.get(pk=jobs[1].event_id).delete()
    assert queue.record([tried(job) for job in jobs]) == {jobs[2].delivery_id}
    assert Attempt.objects.count() == 1


def test_a_webhook_paused_in_flight_keeps_its_retries_parked(queue, webhook):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    operations.pause(webhook)
    queue.record([tried(job, PENDING, delay=0.0)])
    delivery.refresh_from_db()
    assert (delivery.status, delivery.lane) == (PENDING, PARKED)
    assert not queue.due()
    operations.resume(webhook)
    assert len(queue.claim(10, lease=LEASE)) == 1


def delete(delivery: Delivery) -> None:
    operations.delete_webhook(delivery.webhook)


def forget(delivery: Delivery) -> None:
    operations.forget(delivery.event.subject)


def expire(delivery: Delivery) -> None:
    """Its webhook is paused, and what it would tell is older than payloads are kept."""
    operations.pause(delivery.webhook)
    Event.objects.update(occurred_at=timezone.now() - 24 * 1000 * HOUR)
    assert operations.cancel_expired() == 1


def mend_after_an_interrupted_deletion(delivery: Delivery) -> None:
    Webhook.objects.update(deleted_at=timezone.now())
    queue_on().mend_deleted()


ENDED = pytest.mark.parametrize("end", [delete, forget, expire, mend_after_an_interrupted_deletion])


@ENDED
def test_what_was_cancelled_in_flight_is_delivered_if_its_receiver_took_it(queue, webhook, end):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    end(delivery)
    before = timezone.now()
    result = tried(job)
    assert queue.record([result]) == {delivery.pk}
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_attempt_at) == (DELIVERED, None)
    assert (delivery.attempt_count, delivery.last_status_code, delivery.last_error) == (1, 200, "")
    assert before - dt.timedelta(seconds=1) < delivery.finished_at
    assert result.status == DELIVERED
    assert not Attempt.objects.get().superseded
    assert not queue.due()


@ENDED
@pytest.mark.parametrize("status", [PENDING, FAILED])
def test_what_was_cancelled_in_flight_stays_so_and_says_what_came_of_its_request(
    queue, webhook, end, status
):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    end(delivery)
    ended_at = Delivery.objects.get().finished_at
    result = tried(job, status, delay=60.0, status_code=503)
    assert queue.record([result]) == {delivery.pk}
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_attempt_at) == (CANCELLED, None)
    assert (delivery.last_status_code, delivery.last_error) == (503, "status")
    assert (delivery.attempt_count, delivery.finished_at) == (1, ended_at)
    assert result.status == CANCELLED  # neither observers nor the log tell of a retry or a failure
    assert not Attempt.objects.get().superseded


@ENDED
def test_what_was_cancelled_in_flight_is_recorded_once_and_for_the_newest_claim(
    queue, webhook, end
):
    [delivery] = owed(webhook)
    [stale] = queue.claim(10, lease=LEASE)
    wait_over(delivery)
    [newest] = queue.claim(10, lease=LEASE)
    end(delivery)
    assert queue.record([tried(stale)]) == set()
    assert queue.record([Result(newest, CANCELLED)]) == set()  # not even tried
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_status_code) == (CANCELLED, None)
    late = tried(newest, PENDING, delay=0.0)
    assert queue.record([late]) == {delivery.pk}
    assert queue.record([late]) == set()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (CANCELLED, 1)
    assert sorted(Attempt.objects.values_list("superseded", flat=True)) == [False, True]


@pytest.mark.parametrize("stop", [operations.pause, lambda each: operations.disable(each, "why")])
def test_what_its_receiver_took_is_delivered_though_the_webhook_was_stopped(queue, webhook, stop):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    stop(webhook)
    assert queue.record([tried(job)]) == {delivery.pk}
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_status_code) == (DELIVERED, 200)


def test_a_test_that_was_given_up_while_under_way_is_delivered_by_its_answer(queue, webhook):
    delivery = a_test_of(webhook)
    job = queue.claim_one(delivery.pk, lease=0)
    queue.mend_parked()
    delivery.refresh_from_db()
    assert delivery.status == FAILED
    assert queue.record([tried(job)]) == {delivery.pk}
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_status_code) == (DELIVERED, 200)


def test_what_was_pruned_in_flight_brings_nothing_of_its_payload_back(queue, webhook):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    expire(delivery)
    assert operations.prune(kinds=["payload"]).payloads == 1
    queue.record([tried(job, FAILED, request_body="nome=João", error_detail="code: João")])
    attempt = Attempt.objects.get()
    assert (attempt.request_body, attempt.error_detail) == (None, "")
    assert attempt.response_body  # kept as long as any answer


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_an_answer_that_waits_for_the_cancelling_to_commit_is_recorded(queue, webhook):
    """The statement that records it began before, and sees the delivery as it was then."""
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    accepted: list[set[int]] = []

    def record() -> None:
        try:
            accepted.append(queue_on().record([tried(job)]))
        finally:
            connections.close_all()

    recording = threading.Thread(target=record)
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(**Delivery.settled(CANCELLED))
        recording.start()
        wait_for_a_blocked_statement()
    recording.join(PATIENCE)
    assert accepted == [{delivery.pk}]
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_status_code) == (DELIVERED, 200)


def test_a_replay_goes_on_counting_attempts_and_begins_the_schedule_anew(queue, webhook):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    queue.record([tried(job, FAILED)])
    operations.replay(Delivery.objects.all())
    [job] = queue.claim(10, lease=LEASE)
    assert (job.attempt_count, job.schedule_position) == (1, 0)
    queue.record([tried(job)])
    delivery.refresh_from_db()
    assert delivery.attempt_count == 2
    assert sorted(Attempt.objects.values_list("number", flat=True)) == [1, 2]


def test_an_earlier_rounds_result_does_not_count_for_a_replay(queue, webhook):
    [delivery] = owed(webhook)
    [job] = queue.claim(10, lease=LEASE)
    queue.record([tried(job, FAILED)])
    operations.replay(Delivery.objects.all())
    assert queue.record([tried(job)]) == set()
    delivery.refresh_from_db()
    assert delivery.status == PENDING


# --- hand back --------------------------------------------------------------------------------


def test_what_is_handed_back_is_due_at_once_and_spent_nothing(queue, webhook):
    owed(webhook, 3)
    jobs = queue.claim(10, lease=LEASE)
    queue.hand_back(jobs[:2], lane=NORMAL)
    again = queue.claim(10, lease=LEASE)
    assert [job.delivery_id for job in again] == [job.delivery_id for job in jobs[:2]]
    assert {(job.fence, job.attempt_count) for job in again} == {(2, 0)}


def test_only_who_holds_a_delivery_can_hand_it_back(queue, webhook):
    [delivery] = owed(webhook)
    [stale] = queue.claim(10, lease=LEASE)
    wait_over(delivery)
    [newer] = queue.claim(10, lease=LEASE)
    queue.hand_back([stale], lane=PARKED)
    delivery.refresh_from_db()
    assert (delivery.lane, queue.due().normal) == (NORMAL, False)
    queue.record([tried(newer)])
    queue.hand_back([newer], lane=NORMAL)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_attempt_at) == (DELIVERED, None)


# --- lanes ------------------------------------------------------------------------------------


def test_trouble_moves_the_receiver_and_what_waits_for_it_and_nothing_else(queue, webhook):
    other = a_webhook(name="other")
    waiting = owed(webhook, 3)
    [later] = owed(webhook, next_attempt_at=timezone.now() + HOUR)
    [settled] = owed(webhook, status=DELIVERED)
    [others] = owed(other)
    queue.trouble([webhook.pk])
    lanes = dict(Delivery.objects.values_list("pk", "lane"))
    assert {lanes[each.pk] for each in waiting} == {TROUBLED}
    assert {lanes[each.pk] for each in (later, settled, others)} == {NORMAL}
    assert dict(Webhook.objects.values_list("pk", "lane")) == {
        webhook.pk: TROUBLED,
        other.pk: NORMAL,
    }
    assert {job.webhook_id for job in queue.claim(10, lease=LEASE)} == {other.pk}
    queue.trouble([])


def test_trouble_leaves_a_paused_webhook_parked(queue, webhook):
    operations.pause(webhook)
    queue.trouble([webhook.pk])
    webhook.refresh_from_db()
    assert webhook.lane == PARKED


def test_trouble_moves_no_more_at_once_than_it_is_told(queue, webhook):
    owed(webhook, 10)
    queue.trouble([webhook.pk], within=4)
    assert Delivery.objects.filter(lane=TROUBLED).count() == 4


@pytest.mark.postgres_only
def test_no_plan_makes_trouble_move_more_than_it_is_told(queue, webhook):
    with connection.cursor() as cursor:
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "indexscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    owed(webhook, 10)
    queue.trouble([webhook.pk], within=4)
    assert Delivery.objects.filter(lane=TROUBLED).count() == 4


def test_trouble_moves_what_came_later_only_when_asked_again(queue, webhook):
    queue.trouble([webhook.pk])
    owed(webhook, 3)  # by a worker that had not heard of it
    queue.trouble([webhook.pk])
    assert Delivery.objects.filter(lane=TROUBLED).count() == 0
    queue.trouble([webhook.pk], again=True)
    assert Delivery.objects.filter(lane=TROUBLED).count() == 3


def a_history(webhook: Webhook, count: int, lane: int = TROUBLED) -> None:
    """Many deliveries of one receiver: two thirds wait, the rest is delivered."""
    now = timezone.now()
    events = Event.objects.bulk_create(
        Event(type="cliente.criado", occurred_at=now, body="{}", fanned_out=True)
        for _ in range(count)
    )
    Delivery.objects.bulk_create(
        Delivery(
            event=event,
            webhook=webhook,
            lane=lane,
            status=PENDING if number % 3 else DELIVERED,
            next_attempt_at=now if number % 3 else None,
            created_at=now,
        )
        for number, event in enumerate(events)
    )


@pytest.mark.parametrize("lane", [NORMAL, TROUBLED])
@pytest.mark.parametrize("again", [False, True])
def test_trouble_reads_no_history_of_a_receiver(queue, webhook, lane, again):
    costs = []
    other = a_webhook(name="other")
    for count in (300, 3_000):
        a_history(webhook, count)
        a_history(other, count, NORMAL)
        owed(webhook, 3)
        Webhook.objects.filter(pk=webhook.pk).update(lane=lane)
        analyze()
        with rows_read() as read:
            queue.trouble([webhook.pk], again=again, within=100)
        costs.append(read.count)
    assert costs[1] < 2 * costs[0] + 50


def test_each_troubled_receiver_gets_its_share_however_much_waits_for_another(queue):
    webhooks = [a_webhook(name=str(number), lane=TROUBLED) for number in range(3)]
    owed(webhooks[0], 40, lane=TROUBLED, next_attempt_at=timezone.now() - HOUR)
    owed(webhooks[1], 5, lane=TROUBLED)
    owed(webhooks[2], 1, lane=TROUBLED)
    got = Counter(job.webhook_id for job in queue.claim_troubled(4, lease=LEASE))
    assert got == {webhooks[0].pk: 4, webhooks[1].pk: 4, webhooks[2].pk: 1}
    got = Counter(job.webhook_id for job in queue.claim_troubled(4, lease=LEASE))
    assert got == {webhooks[0].pk: 4, webhooks[1].pk: 1}


def test_troubled_receivers_can_be_chosen_or_passed_over(queue):
    webhooks = [a_webhook(name=str(number), lane=TROUBLED) for number in range(3)]
    for each in webhooks:
        owed(each, 2, lane=TROUBLED)
    skipped = queue.claim_troubled(1, lease=LEASE, skip={webhooks[0].pk, webhooks[1].pk})
    assert [job.webhook_id for job in skipped] == [webhooks[2].pk]
    only = queue.claim_troubled(1, lease=LEASE, only={webhooks[0].pk})
    assert [job.webhook_id for job in only] == [webhooks[0].pk]
    assert queue.claim_troubled(1, lease=LEASE, only=set()) == []


def test_a_held_receiver_is_left_alone_until_its_time_is_over(queue):
    held, free = (a_webhook(name=name, lane=TROUBLED) for name in ("held", "free"))
    owed(held, 2, lane=TROUBLED)
    owed(free, 2, lane=TROUBLED)
    queue.hold({held.pk: 3_600.0})
    queue.hold({held.pk: 1.0})  # the longer one stays
    assert {job.webhook_id for job in queue.claim_troubled(9, lease=LEASE)} == {free.pk}
    assert not queue.due()
    Webhook.objects.filter(pk=held.pk).update(hold_until=timezone.now())
    assert queue.due().troubled
    assert len(queue.claim_troubled(9, lease=LEASE)) == 2


def test_a_half_open_breaker_lets_one_try_through_for_all_workers(queue):
    webhook = a_webhook(
        lane=TROUBLED,
        failure_count=breaker.AFTER_FAILURES,
        failing_since=timezone.now() - HOUR,
        hold_until=timezone.now(),
    )
    owed(webhook, 5, lane=TROUBLED)
    [job] = queue.claim_troubled(9, lease=LEASE)
    assert queue.claim_troubled(9, lease=LEASE) == []
    assert queue.claim_troubled(9, lease=LEASE, only=[webhook.pk]) == []
    # it answers: all is open again
    queue.record([tried(job)])
    queue.note([Pulse(webhook.pk, attempts=1, well=True)])
    assert len(queue.claim_troubled(9, lease=LEASE)) == 4


def test_a_rate_is_kept_by_all_workers_together(queue):
    webhook = a_webhook(rate_limit=3.0)
    slow = a_webhook(name="slow", rate_limit=0.5)
    assert webhook.lane == TROUBLED
    owed(webhook, 10, lane=TROUBLED)
    owed(slow, 10, lane=TROUBLED)
    before = timezone.now()
    got = Counter(job.webhook_id for job in queue.claim_troubled(64, lease=LEASE))
    after = timezone.now()
    assert got == {webhook.pk: 3, slow.pk: 1}
    holds = dict(Webhook.objects.values_list("pk", "next_turn_at"))
    again = queue.claim_troubled(64, lease=LEASE)
    assert again == [] or timezone.now() > min(holds.values())
    for pk, seconds in {webhook.pk: 1, slow.pk: 2}.items():
        turn = dt.timedelta(seconds=seconds)
        assert before + turn <= holds[pk] <= after + turn


def test_a_rate_is_used_up_by_what_was_claimed_and_no_more(queue):
    webhook = a_webhook(rate_limit=100.0)
    owed(webhook, 1, lane=TROUBLED)
    assert len(queue.claim_troubled(64, lease=LEASE)) == 1
    after = timezone.now()
    assert Webhook.objects.get().next_turn_at <= after + dt.timedelta(seconds=1 / 100)


def test_a_half_open_breaker_goes_before_a_rate(queue):
    webhook = a_webhook(
        rate_limit=50.0,
        failure_count=breaker.AFTER_FAILURES,
        failing_since=timezone.now() - HOUR,
        hold_until=timezone.now(),
    )
    owed(webhook, 5, lane=TROUBLED)
    [job] = queue.claim_troubled(9, lease=LEASE)
    Webhook.objects.update(next_turn_at=None)
    assert queue.claim_troubled(9, lease=LEASE) == []
    queue.record([tried(job)])
    queue.note([Pulse(webhook.pk, attempts=1, well=True)])
    assert len(queue.claim_troubled(9, lease=LEASE)) == 4


def test_a_rate_of_nothing_is_no_rate_and_no_error(queue):
    webhook = a_webhook()
    Webhook.objects.update(rate_limit=0.0, lane=TROUBLED)
    owed(webhook, 5, lane=TROUBLED)
    assert len(queue.claim_troubled(64, lease=LEASE)) == 5


def test_a_receiver_that_is_well_and_has_nothing_left_there_leaves_the_lane(queue, webhook):
    deliveries = owed(webhook, 2)
    queue.trouble([webhook.pk])
    queue.calm([webhook.pk])
    webhook.refresh_from_db()
    assert webhook.lane == TROUBLED  # something waits there
    for job in queue.claim_troubled(1, lease=LEASE):
        queue.record([tried(job)])
    # One is delivered and still says TROUBLED, another waits elsewhere: neither is a reason.
    Delivery.objects.filter(status=PENDING).update(lane=NORMAL)
    queue.calm([webhook.pk])
    webhook.refresh_from_db()
    assert webhook.lane == NORMAL
    assert deliveries


@pytest.mark.parametrize(
    "state",
    [
        {"rate_limit": 1.0},
        {"failing_since": timezone.now()},
        {"hold_until": timezone.now() + HOUR},
        {"lane": PARKED},
    ],
    ids=lambda state: next(iter(state)),
)
def test_one_that_has_a_reason_to_stay_stays(queue, webhook, state):
    state = {"lane": TROUBLED, **state}
    Webhook.objects.update(**state)
    queue.calm([webhook.pk])
    webhook.refresh_from_db()
    assert webhook.lane == state["lane"]


def test_a_delivery_that_was_left_behind_in_the_lane_is_found(queue, webhook):
    owed(webhook, lane=TROUBLED)
    assert queue.claim_troubled(9, lease=LEASE) == []
    queue.mend_lanes()
    assert len(queue.claim_troubled(9, lease=LEASE)) == 1


def test_what_was_parked_after_a_resume_is_found(queue, webhook):
    owed(webhook, 3, lane=PARKED)
    paused = a_webhook(name="paused")
    operations.pause(paused)
    owed(paused, lane=PARKED)
    assert queue.mend_parked() == 3
    assert {job.webhook_id for job in queue.claim(9, lease=LEASE)} == {webhook.pk}
    assert queue.mend_parked() == 0


def test_a_stray_is_found_however_long_ago_its_webhook_was_resumed(queue, webhook):
    Webhook.objects.update(status_changed_at=timezone.now() - 48 * HOUR)
    owed(webhook, lane=PARKED)
    assert queue.mend_parked() == 1


def test_strays_are_found_in_the_middle_of_much_that_is_parked_rightly(queue, webhook, monkeypatch):
    monkeypatch.setattr(mending, "_NEWEST", 1)
    paused = a_webhook(name="paused", status=Webhook.Status.PAUSED, lane=PARKED)
    now = timezone.now()
    for minutes in range(9, 0, -1):
        owner = webhook if minutes == 3 else paused
        owed(owner, lane=PARKED, next_attempt_at=now - minutes * HOUR)
    found = [queue.mend_parked(limit=2) for _look in range(5)]
    assert found == [0, 0, 0, 1, 0]
    owed(webhook, lane=PARKED)  # the newest
    assert queue.mend_parked(limit=2) == 1


@pytest.mark.parametrize("lane", Webhook.Lane.values)
def test_what_is_still_owed_to_a_deleted_webhook_is_cancelled(queue, webhook, lane):
    """The deletion was interrupted, or a fan-out committed after it; some days ago."""
    left = owed(webhook, 3, lane=lane)
    Webhook.objects.update(
        deleted_at=timezone.now() - 48 * HOUR, status_changed_at=timezone.now() - 48 * HOUR
    )
    other = owed(a_webhook(name="other"))
    assert [queue.mend_deleted(limit=2) for _look in range(3)] == [2, 1, 0]
    for delivery in left:
        delivery.refresh_from_db()
        assert (delivery.status, delivery.next_attempt_at) == (Delivery.Status.CANCELLED, None)
        assert delivery.finished_at is not None
    other[0].refresh_from_db()
    assert other[0].status == PENDING


def test_where_nothing_is_owed_to_deleted_webhooks_one_query_finds_that_out(
    queue, webhook, django_assert_num_queries
):
    owed(webhook, 3)
    with django_assert_num_queries(1):
        queue.mend_deleted()


def test_what_a_stop_left_in_a_lane_that_nobody_claims_from_is_parked(queue, webhook):
    left = owed(webhook, 3, lane=TROUBLED)
    served = owed(a_webhook(name="served", lane=TROUBLED), lane=TROUBLED)
    Webhook.objects.filter(pk=webhook.pk).update(status=Webhook.Status.PAUSED, lane=PARKED)
    assert [queue.mend_stopped(limit=2) for _look in range(3)] == [2, 1, 0]
    lanes = dict(Delivery.objects.values_list("pk", "lane"))
    assert lanes == {**{each.pk: PARKED for each in left}, served[0].pk: TROUBLED}


def a_test_of(webhook: Webhook, **values: Any) -> Delivery:
    event = an_event("webhook.teste", only_webhook=webhook)
    return a_delivery(webhook, event, **{"status": PENDING, "lane": PARKED, **values})


def test_a_test_that_is_being_sent_is_not_taken_for_a_stray(queue, webhook):
    delivery = a_test_of(webhook, next_attempt_at=timezone.now() + HOUR)
    assert queue.mend_parked() == 0
    operations.resume(webhook)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.lane) == (PENDING, PARKED)


@pytest.mark.parametrize("status", Webhook.Status.values)
def test_a_test_whose_sender_was_killed_fails_once_its_lease_is_over(queue, webhook, status):
    Webhook.objects.update(status=status)
    delivery = a_test_of(webhook, next_attempt_at=timezone.now() - HOUR)
    queue.mend_parked()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_attempt_at) == (FAILED, None)
    assert delivery.finished_at is not None


def test_a_test_that_was_sent_again_while_paused_goes_out_when_that_ends(queue, webhook):
    operations.pause(webhook)
    delivery = a_test_of(webhook, attempt_count=1)
    queue.mend_parked()
    operations.resume(webhook)
    assert [job.delivery_id for job in queue.claim(9, lease=LEASE)] == [delivery.pk]


# --- what receivers are like ------------------------------------------------------------------


def test_failures_are_counted_from_the_first_to_the_next_success(queue, webhook):
    [failing] = queue.note([Pulse(webhook.pk, attempts=2, failures=2, well=False)])
    assert (failing.webhook_id, failing.failures) == (webhook.pk, 2)
    assert 0 <= failing.seconds < 60
    Webhook.objects.update(failing_since=F("failing_since") - HOUR)
    [failing] = queue.note([Pulse(webhook.pk, attempts=1, failures=1, well=False)])
    assert failing.failures == 3
    assert 3_600 <= failing.seconds < 3_660
    assert queue.note([Pulse(webhook.pk, attempts=2, failures=1, well=True)]) == []
    webhook.refresh_from_db()
    assert (webhook.failing_since, webhook.failure_count) == (None, 0)
    tally = webhook.tallies.get()
    assert (tally.attempts, tally.failures) == (5, 4)


def test_what_a_deleted_receiver_was_like_is_of_no_interest(queue, webhook):
    id = webhook.pk
    Webhook.all_objects.all().delete()
    assert queue.note([Pulse(id, attempts=1, failures=1, well=False)]) == []


@pytest.mark.django_db(transaction=True)
def test_workers_that_record_judge_and_move_at_once_do_not_block_each_other_for_ever():
    webhooks = [a_webhook(name=str(number)) for number in range(6)]
    for each in webhooks:
        owed(each, 40)
    failures = []

    def work(seed: int) -> None:
        try:
            queue = queue_on()
            order = webhooks[seed:] + webhooks[:seed]
            for _ in range(100):
                jobs = queue.claim(6, lease=LEASE) + queue.claim_troubled(2, lease=LEASE)
                if not jobs:
                    break
                queue.record([tried(job) for job in jobs])
                queue.note(
                    [
                        Pulse(each.pk, attempts=1, failures=seed % 2, well=seed % 2 == 0)
                        for each in order
                    ]
                )
                queue.trouble([each.pk for each in order[:2]])
                queue.hold({each.pk: 0.0 for each in order})
                queue.calm([each.pk for each in order])
                queue.mend_lanes()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(90)
    assert failures == []
    assert (
        Attempt.objects.filter(superseded=False).count()
        == Delivery.objects.filter(status=DELIVERED).count()
    )
