"""The runner, against real receivers: all arrives, each once, and none waits for another."""

from __future__ import annotations

import datetime as dt
import errno
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from tests.services.base import PATIENCE, wait_until
from tests.webhooks.makers import SECRET, a_delivery, a_webhook, an_event
from webhooks import delivery as delivery_module
from webhooks import direct, events, failures, intake, operations, senders
from webhooks.engine import Engine
from webhooks.fanout import fan_out
from webhooks.models import Attempt, Delivery, Event, Tally, Webhook, Worker
from webhooks.queue import queue_on
from webhooks.senders import Held
from webhooks.testing import Answer, Receiver
from webhooks.transport import Shortage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PENDING, DELIVERED = Delivery.Status.PENDING, Delivery.Status.DELIVERED


@pytest.fixture(autouse=True)
def _event_type():
    events.declare(
        "teste.feito", description="", area="", data_schema={"type": "object"}, example={}
    )


@pytest.fixture(autouse=True)
def configure(settings) -> Callable[..., None]:
    def change(**values: Any) -> None:
        settings.WEBHOOKS = {**settings.WEBHOOKS, **values}

    # Neither an attempt nor a lease ends because the machine is busy.
    change(POLL_SECONDS=0.2, TIMEOUT_SECONDS=50.0, LEASE_SECONDS=300)
    return change


@pytest.fixture
def receivers() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(*args: Any, **values: Any) -> Receiver:
        made.append(Receiver(*args, secrets=[SECRET], **values))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def run() -> Iterator[Callable[..., Engine]]:
    """`run()` starts an engine in a thread; it is stopped with the test."""
    running: list[tuple[Engine, threading.Thread]] = []

    def start(engine: Engine | None = None) -> Engine:
        engine = engine or Engine()
        thread = threading.Thread(target=engine.run, name="engine under test")
        thread.start()
        running.append((engine, thread))
        return engine

    yield start
    for engine, _thread in running:
        engine.stop()
    for _engine, thread in running:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def owed(webhook: Webhook, count: int, **values: Any) -> list[Delivery]:
    now = timezone.now()
    many = Event.objects.bulk_create(
        Event(
            type="teste.feito",
            occurred_at=now,
            sequence=number,
            body=f'{{"event":"teste.feito","timestamp":"x","data":{{"n":{number}}}}}',
            fanned_out=True,
        )
        for number in range(1, count + 1)
    )
    return Delivery.objects.bulk_create(
        Delivery(
            **{
                "event": event,
                "webhook": webhook,
                "next_attempt_at": now,
                "created_at": now,
                **values,
            }
        )
        for event in many
    )


def settled(count: int, *, status: str = DELIVERED) -> Callable[[], bool]:
    return lambda: Delivery.objects.filter(status=status).count() == count


def wait_settled(count: int, **values: Any) -> None:
    wait_until(settled(count, **values), what=f"{count} settled deliveries", state=outcomes)


def outcomes() -> str:
    deliveries = Counter(Delivery.objects.values_list("webhook__name", "status", "lane", "fence"))
    attempts = Counter(Attempt.objects.values_list("status_code", "error", "superseded"))
    return f"{deliveries}\n{attempts}"


def a_receiver_of(webhook_name: str, receiver: Receiver, **values: Any) -> Webhook:
    return a_webhook(name=webhook_name, url=receiver.url, events=["teste.*"], **values)


# --- drain ------------------------------------------------------------------------------------


def test_drain_sends_what_is_due_and_leaves_what_is_not(receivers):
    receiver = receivers()
    webhook = a_receiver_of("a", receiver)
    owed(webhook, 30)
    [later] = owed(webhook, 1, next_attempt_at=timezone.now() + timezone.timedelta(hours=1))
    events.emit("teste.feito", data={"n": 0})
    Engine().drain()
    assert receiver.count == 31
    assert all(request.verified for request in receiver.requests)
    later.refresh_from_db()
    assert later.status == PENDING
    assert Delivery.objects.filter(status=DELIVERED).count() == 31


def test_drain_leaves_retries_for_later_and_ends(receivers):
    receiver = receivers(Answer(status=500))
    owed(a_receiver_of("a", receiver), 3)
    Engine().drain()
    assert receiver.count == 3
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {(PENDING, 1)}


def test_drain_gives_up_after_its_time(receivers, configure):
    receiver = receivers(Answer(delay=30))
    configure(TIMEOUT_SECONDS=1.0)
    owed(a_receiver_of("a", receiver, retry_schedule=[0, 0, 0, 0, 0, 0]), 1)
    with pytest.raises(TimeoutError, match="still due"):
        Engine().drain(timeout=0.2)


# --- run --------------------------------------------------------------------------------------


def test_what_is_owed_goes_out_without_being_told_and_what_is_kicked_at_once(
    receivers, run, configure
):
    configure(POLL_SECONDS=600)
    receiver = receivers()
    webhook = a_receiver_of("a", receiver)
    owed(webhook, 5)
    engine = run()
    receiver.wait_for(5)
    wait_settled(5)
    time.sleep(0.1)  # it sleeps now, for ten minutes
    events.emit("teste.feito", data={"n": 1})
    engine.kick()
    receiver.wait_for(6)


def test_what_is_new_for_a_receiver_with_a_queue_of_its_own_goes_out_when_kicked(
    receivers, run, configure
):
    """In the same look as it is distributed, not after another poll."""
    configure(POLL_SECONDS=3600)
    receiver = receivers()
    a_webhook(url=receiver.url, lane=Webhook.Lane.TROUBLED)
    engine = run()
    for number in range(3):
        an_event("teste.feito", fanned_out=False)
        engine.kick()
        wait_settled(number + 1)


def test_it_looks_by_itself_every_poll(receivers, run):
    receiver = receivers()
    a_receiver_of("a", receiver)
    run()
    for number in range(1, 4):
        events.emit("teste.feito", data={"n": number})
        receiver.wait_for(number)


def test_a_retry_goes_out_when_it_is_due_by_the_schedule(receivers, run):
    receiver = receivers()
    receiver.script(Answer(status=500), Answer(status=503))
    owed(a_receiver_of("a", receiver, retry_schedule=[0, 0.3, 0.3]), 1)
    run()
    wait_settled(1)
    assert [request.attempt for request in receiver.requests] == ["1", "2", "3"]
    assert len({request.id for request in receiver.requests}) == 1
    waits = [
        after.received_at - before.received_at
        for before, after in zip(receiver.requests, receiver.requests[1:], strict=False)
    ]
    assert all(wait >= 0.3 for wait in waits)
    assert list(Attempt.objects.order_by("pk").values_list("number", "status_code")) == [
        (1, 500),
        (2, 503),
        (3, 200),
    ]


def test_the_requests_of_one_receiver_never_exceed_its_cap(receivers, run, configure):
    configure(RECEIVER_CONCURRENCY=3)
    at_once, most, lock = 0, 0, threading.Lock()

    def answer(request):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        return Answer()

    receiver = receivers(answer)
    owed(a_receiver_of("a", receiver), 60)
    run()
    wait_settled(60)
    assert most == 3


def owe_to_patient_receivers(receivers: Callable[..., Receiver], go_on: threading.Event) -> None:
    """Two each to five, which answer when told to."""

    def answer(request: Any) -> Answer:
        go_on.wait(PATIENCE)
        return Answer()

    for number in range(5):
        owed(a_receiver_of(str(number), receivers(answer)), 2)


def test_requests_begin_one_by_one(receivers, run, monkeypatch):
    """The next one when the last to begin is over: no thread waits for another's turn to run."""
    monkeypatch.setattr(senders, "_MOMENT", 3600.0)
    go_on = threading.Event()
    owe_to_patient_receivers(receivers, go_on)
    engine = run()
    wait_until(lambda: engine._senders.waiting == 9, what="one request of ten to begin")
    assert engine._senders.in_flight == 1
    go_on.set()
    wait_settled(10)
    assert len(engine._senders._threads) <= 2  # the second stood by


def test_where_there_are_no_more_threads_those_there_are_do_the_work(receivers, run, monkeypatch):
    start, started = threading.Thread.start, []

    def refuse_the_third(self: threading.Thread) -> None:
        if self.name == "webhooks-sender":
            if len(started) == 2:
                raise RuntimeError("can't start new thread")
            started.append(self)
        start(self)

    go_on = threading.Event()
    owe_to_patient_receivers(receivers, go_on)
    monkeypatch.setattr(threading.Thread, "start", refuse_the_third)
    engine = run()
    try:
        wait_until(lambda: engine._senders.in_flight >= 2, what="both threads to send")
    finally:
        go_on.set()
    wait_settled(10)
    assert len(started) == 2


def refuse(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, error: Exception
) -> Callable[[], None]:
    """Have the system refuse something to those that send. :returns: what ends it."""
    real, over = getattr(where, name), threading.Event()

    def call(*args: Any, **values: Any) -> Any:
        if threading.current_thread().name == "webhooks-sender" and not over.is_set():
            raise error
        return real(*args, **values)

    monkeypatch.setattr(where, name, call)
    return over.set


SHORTAGES = pytest.mark.parametrize(
    ("where", "name", "error", "code"),
    [
        (socket.socket, "setsockopt", OSError(errno.EMFILE, "Too many open files"), "sockets"),
        (socket.socket, "setsockopt", OSError(errno.ENFILE, "Too many, all in all"), "sockets"),
        (socket.socket, "connect", OSError(errno.EADDRNOTAVAIL, "No port"), "ports"),
        (socket.socket, "connect", OSError(errno.ENOBUFS, "No buffer space"), "memory"),
        (socket.socket, "send", OSError(errno.ENOMEM, "No memory"), "memory"),
        (delivery_module, "build_request", MemoryError(), "memory"),
        (delivery_module, "build_request", OSError(errno.ENOSPC, "No space left"), "disk"),
        (threading.Thread, "start", RuntimeError("can't start new thread"), "threads"),
    ],
    ids=lambda value: str(value) if isinstance(value, str | Exception) else "",
)


@SHORTAGES
def test_what_this_machine_lacks_costs_no_attempt_and_is_no_receivers_fault(
    receivers, run, monkeypatch, caplog, where, name, error, code
):
    receiver = receivers()
    webhook = a_receiver_of("a", receiver)
    if name == "connect":
        monkeypatch.setattr(socket, "socket", type("Socket", (socket.socket,), {}))
        where = socket.socket
        real = socket.socket.connect

        def connect(self: socket.socket, address: Any) -> Any:
            # Datagrams have ports of their own.
            refused = self.type == socket.SOCK_STREAM and not over.is_set()
            if threading.current_thread().name == "webhooks-sender" and refused:
                raise error
            return real(self, address)

        over = threading.Event()
        monkeypatch.setattr(socket.socket, "connect", connect)
        end = over.set
    else:
        end = refuse(monkeypatch, where, name, error)
    owed(webhook, 10)
    engine = run()
    wait_until(lambda: engine._senders.slowed > 2, what="the engine to slow down")
    assert engine._senders.lacking.startswith(f"{code}: ")
    assert engine._senders.allowed == 1
    assert not Attempt.objects.exists()
    assert not Delivery.objects.exclude(status=PENDING).exists()
    wait_until(Worker.objects.exclude(shortage=None).exists, what="the shortage to be told")
    end()
    wait_settled(10)
    assert receiver.count == 10
    assert set(Delivery.objects.values_list("attempt_count", "last_error")) == {(1, "")}
    wait_until(lambda: Tally.objects.filter(attempts=10).exists(), what="them to be counted")
    webhook.refresh_from_db()
    assert (webhook.failing_since, webhook.failure_count, webhook.lane) == (None, 0, 0)
    assert Tally.objects.get().failures == 0
    alarms = [each for each in caplog.records if each.levelname == "ERROR"]
    assert ["is short" in each.getMessage() for each in alarms] == [True]  # once, however often


def test_where_no_thread_can_be_started_all_is_handed_back_and_no_slot_lost(
    receivers, run, monkeypatch
):
    start, over = threading.Thread.start, threading.Event()

    def refuse_senders(self: threading.Thread) -> None:
        if self.name == "webhooks-sender" and not over.is_set():
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse_senders)
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 20)
    engine = run()
    wait_until(lambda: engine._senders.slowed > 2, what="the engine to slow down")
    assert engine._senders.lacking.startswith("threads: ")
    assert (engine._senders.in_flight, receiver.count) == (0, 0)
    over.set()
    wait_settled(20)
    assert engine._senders.in_flight == 0


def test_a_shortage_of_one_worker_leaves_the_work_to_another(receivers, run, monkeypatch):
    """What it holds is handed back at once, not after a lease."""
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 50)
    short, well = Engine(), Engine()

    def post(*args: Any, **values: Any) -> Any:
        raise Shortage("sockets: Too many open files")

    monkeypatch.setattr(short._senders._transport, "post", post)
    run(short)
    wait_until(lambda: short._senders.slowed > 0, what="the engine to slow down")
    run(well)
    wait_settled(50)
    assert receiver.count == 50


@SHORTAGES
def test_a_test_says_that_this_machine_is_short_and_blames_nobody(
    receivers, monkeypatch, where, name, error, code
):
    if name in {"connect", "start"}:
        pytest.skip("the same error, met elsewhere")
    monkeypatch.setattr(threading.current_thread(), "name", "webhooks-sender")
    webhook = a_receiver_of("a", receivers())
    end = refuse(monkeypatch, where, name, error)
    attempt = operations.send_test(webhook)
    end()
    assert (attempt.error, attempt.status_code) == ("internal", None)
    assert attempt.error_detail.startswith(f"{code}: ")
    with translation.override("en"):
        told = failures.sentence(attempt.error, detail=attempt.error_detail)
    assert "This system" in told
    webhook.refresh_from_db()
    assert webhook.failing_since is None
    assert not Tally.objects.exists()


def test_a_request_that_takes_a_moment_holds_up_no_other(receivers, run):
    go_on = threading.Event()
    owe_to_patient_receivers(receivers, go_on)
    engine = run()
    try:
        wait_until(lambda: engine._senders.in_flight == 10, what="all requests to begin")
    finally:
        go_on.set()
    wait_settled(10)


def test_two_engines_share_the_work_and_send_each_once(receivers, run):
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 150)
    other = receivers()
    owed(a_receiver_of("b", other), 150)
    run()
    run()
    wait_settled(300)
    assert (receiver.count, other.count) == (150, 150)
    assert set(Counter(each.id for each in receiver.requests).values()) == {1}
    assert Attempt.objects.count() == 300


# --- none waits for another -------------------------------------------------------------------


def test_a_hanging_receiver_costs_the_others_nothing(receivers, run):
    hold = threading.Event()

    def hang(request):
        hold.wait(2 * PATIENCE)
        return Answer()

    hanging = receivers(hang)
    # For longer than the others may take.
    owed(a_receiver_of("hanging", hanging, timeout_seconds=2 * PATIENCE), 100)
    well = [receivers() for _ in range(5)]
    for number, each in enumerate(well):
        owed(a_receiver_of(str(number), each), 100)
    run()
    try:
        wait_settled(500)
        assert [each.count for each in well] == [100] * 5
        assert not Attempt.objects.filter(delivery__webhook__name="hanging").exists()
        # and what comes now does not wait either
        events.emit("teste.feito", data={"n": 1})
        for each in well:
            each.wait_for(101)
        assert not Attempt.objects.filter(delivery__webhook__name="hanging").exists()
    finally:
        hold.set()


def test_more_hanging_receivers_than_slots_leave_room_for_the_rest(receivers, run, configure):
    configure(SENDER_THREADS=16, RECEIVER_CONCURRENCY=2, SUSPECT_AFTER_SECONDS=0.2)
    hold = threading.Event()

    def hang(request):
        hold.wait(2 * PATIENCE)
        return Answer()

    hanging = receivers(hang)
    for number in range(24):
        owed(a_receiver_of(f"hanging {number}", hanging, timeout_seconds=0.8), 5)
    run()
    try:
        wait_until(
            lambda: Attempt.objects.filter(error="timeout").count() >= 16,
            what="the first to be given up",
        )
        well = receivers()
        owed(a_receiver_of("well", well), 50)
        before = Attempt.objects.filter(error="timeout").count()
        began = time.monotonic()
        well.wait_for(50)
        turns = (time.monotonic() - began) / 0.8
        # Suspects have 4 of the 16 slots; beside those, what was not recorded yet.
        assert Attempt.objects.filter(error="timeout").count() - before < 5 * turns + 32
    finally:
        hold.set()


def test_a_receiver_with_very_much_waiting_does_not_hold_up_another(receivers, run):
    crowd = receivers(Answer(delay=0.1))
    owed(a_receiver_of("crowd", crowd), 2_000)
    run()
    crowd.wait_for(8)
    alone = receivers()
    owed(a_receiver_of("alone", alone), 1)
    before = crowd.count
    alone.wait_for(1)
    assert crowd.count - before < 1_000


@pytest.mark.parametrize("lane", [Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED])
def test_many_slow_receivers_with_much_waiting_do_not_hold_up_one_that_is_well(
    receivers, run, configure, lane
):
    """Not slow enough to be suspects, and together more than the slots can take."""
    configure(SENDER_THREADS=16)
    slow = receivers(Answer(delay=0.25))
    for number in range(20):
        owed(a_receiver_of(str(number), slow, lane=lane), 60, lane=lane)
    engine = run()
    slow.wait_for(32)
    alone = receivers()
    owed(a_receiver_of("alone", alone), 1)
    engine.kick()
    before = slow.count
    alone.wait_for(1)
    # Long before the others' 1,200 are through.
    assert slow.count - before <= 600


def test_what_is_held_in_memory_is_bounded_however_many_receivers_are_behind(receivers, configure):
    configure(SENDER_THREADS=4, RECEIVER_CONCURRENCY=1)
    slow = receivers(Answer(delay=2))
    for number in range(12):
        webhook = a_receiver_of(str(number), slow, lane=Webhook.Lane.TROUBLED)
        owed(webhook, 40, lane=Webhook.Lane.TROUBLED)
    engine = Engine()
    engine._turn(wait=0)
    engine._turn(wait=0)
    held = Delivery.objects.filter(fence__gt=0).count()
    assert 12 <= held <= 8 * 4 + 12
    engine.stop()
    engine._finish()
    engine._senders.close()


def test_who_has_a_queue_of_its_own_is_served_from_it_before_it_has_nothing_left(
    receivers, monkeypatch
):
    monkeypatch.setattr(intake, "_TROUBLED_EVERY", 3600.0)  # no look by the clock
    receiver = receivers()
    owed(a_receiver_of("a", receiver, lane=Webhook.Lane.TROUBLED), 200, lane=Webhook.Lane.TROUBLED)
    Engine().drain(timeout=30)
    assert receiver.count == 200


def test_while_all_that_is_due_must_wait_the_engine_is_at_rest(receivers, run, configure):
    """No loop through claiming and handing back, where a receiver may take no more."""
    configure(POLL_SECONDS=0.5, SUSPECT_AFTER_SECONDS=0.05, RECEIVER_CONCURRENCY=1)
    hold = threading.Event()

    def hang(request):
        hold.wait(2 * PATIENCE)
        return Answer()

    hanging = receivers(hang)
    owed(a_receiver_of("hanging", hanging, timeout_seconds=2 * PATIENCE), 400)
    engine = Engine()
    calls: Counter[str] = Counter()
    for name in ("due", "claim", "claim_troubled", "hand_back", "trouble"):
        original = getattr(engine._queue, name)

        def counted(*args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            calls[_name] += 1
            return _original(*args, **kwargs)

        setattr(engine._queue, name, counted)

    def at_rest() -> bool:
        calls.clear()
        began = time.monotonic()
        time.sleep(1.5)
        took = time.monotonic() - began
        return (
            calls["due"] <= 15 * took
            and calls["claim_troubled"] <= 25 * took
            and calls["hand_back"] + calls["claim"] + calls["trouble"] <= 3 * took
        )

    run(engine)
    try:
        hanging.wait_for(1)
        # Once it has sorted itself out.
        wait_until(at_rest, what="the engine to be at rest", state=lambda: calls)
    finally:
        hold.set()


@pytest.mark.parametrize("late", [200, 503])
def test_a_receiver_that_asks_for_time_gets_it_without_a_loop(receivers, run, configure, late):
    """Whatever it answers to the request that was under way when it asked."""
    configure(POLL_SECONDS=0.1, RECEIVER_CONCURRENCY=2)
    receiver = receivers()
    first, asked = threading.Event(), threading.Event()

    def answer(request):
        if not first.is_set():
            first.set()
            return Answer(status=429, headers={"Retry-After": "300"})
        asked.wait(PATIENCE)
        return Answer(status=late)

    receiver.answer = answer
    owed(a_receiver_of("a", receiver), 40)
    engine = Engine()
    claims = 0
    original = engine._queue.claim_troubled

    def claim_troubled(*args: Any, **kwargs: Any) -> Any:
        nonlocal claims
        claims += 1
        return original(*args, **kwargs)

    engine._queue.claim_troubled = claim_troubled  # type: ignore[method-assign]
    began = time.monotonic()
    run(engine)
    wait_until(lambda: Webhook.objects.get().hold_until, what="the receiver to be held")
    asked.set()
    wait_until(lambda: Attempt.objects.count() >= 2, what="two attempts")
    time.sleep(1.0)
    assert claims < 60 * (time.monotonic() - began)
    assert Webhook.objects.get().hold_until > timezone.now() + dt.timedelta(seconds=200)
    assert receiver.count < 10


# --- stop -------------------------------------------------------------------------------------


def test_stopping_finishes_what_was_begun_and_hands_back_the_rest(receivers, run):
    hold = threading.Event()

    def answer(request):
        hold.wait(2 * PATIENCE)
        return Answer()

    receiver = receivers(answer)
    owed(a_receiver_of("a", receiver), 50)
    engine = run()
    receiver.wait_for(4)
    wait_until(lambda: Delivery.objects.filter(fence__gt=0).count() == 50, what="claims")
    engine.stop()
    wait_until(
        lambda: Delivery.objects.filter(next_attempt_at__lte=timezone.now()).count() == 46,
        what="46 to be handed back",
    )
    assert settled(0)()
    hold.set()
    wait_settled(4)
    assert Attempt.objects.count() == 4
    assert set(Delivery.objects.filter(status=PENDING).values_list("attempt_count")) == {(0,)}
    # another takes over at once
    run()
    wait_settled(50)
    assert receiver.count == 50


def test_nothing_is_left_running(receivers, run):
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 40)
    engine = run()
    wait_settled(40)
    engine.stop()

    def senders() -> int:
        return sum(each.name == "webhooks-sender" for each in threading.enumerate())

    wait_until(lambda: senders() == 0, what="the senders to end")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            wait_until(
                lambda: (
                    cursor.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    )
                    or cursor.fetchone()[0] == 1
                ),
                what="the engine's connection to be closed",
            )


# --- what changes meanwhile -------------------------------------------------------------------


def test_a_webhook_that_another_worker_has_just_heard_of_is_not_taken_for_deleted(receivers):
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 1)
    engine = Engine()
    claim = engine._queue.claim

    def claim_what_has_just_come(limit: int, *, lease: float) -> Any:
        engine._queue.claim = claim  # type: ignore[method-assign]
        owed(a_receiver_of("new", receiver), 1)
        return claim(limit, lease=lease)

    engine._queue.claim = claim_what_has_just_come  # type: ignore[method-assign]
    engine.drain()
    assert set(Delivery.objects.values_list("status", flat=True)) == {DELIVERED}
    assert receiver.count == 2


def test_what_is_owed_to_a_deleted_webhook_is_cancelled_and_to_a_paused_one_parked(receivers):
    receiver = receivers()
    deleted, paused = (a_receiver_of(name, receiver) for name in ("deleted", "paused"))
    owed(deleted, 3)
    owed(paused, 3)
    # As when a process dies between the two halves of deleting and pausing.
    Webhook.objects.filter(pk=deleted.pk).update(deleted_at=timezone.now(), version=9)
    Webhook.objects.filter(pk=paused.pk).update(status="paused", version=9)
    Engine().drain()
    assert receiver.count == 0
    assert Counter(Delivery.objects.values_list("webhook__name", "status", "lane")) == {
        ("deleted", "cancelled", 0): 3,
        ("paused", "pending", 2): 3,
    }
    operations.resume(Webhook.objects.get(pk=paused.pk))
    Engine().drain()
    assert receiver.count == 3


def test_pausing_stops_what_a_worker_already_holds(receivers, run):
    hold = threading.Event()

    def answer(request):
        hold.wait(2 * PATIENCE)
        return Answer()

    receiver = receivers(answer)
    webhook = a_receiver_of("a", receiver)
    owed(webhook, 60)
    run()
    receiver.wait_for(4)
    wait_until(lambda: Delivery.objects.filter(fence__gt=0).count() == 60, what="claims")
    operations.pause(webhook)
    parked = Delivery.objects.filter(status=PENDING, lane=Webhook.Lane.PARKED)
    wait_until(
        lambda: parked.filter(next_attempt_at__lte=timezone.now()).count() == 56,
        what="all but those on their way to be handed back",
        state=outcomes,
    )
    hold.set()
    wait_settled(4)
    time.sleep(0.5)  # two polls
    assert receiver.count == 4
    operations.resume(webhook)
    wait_settled(60)


def test_a_new_secret_signs_what_was_claimed_before(receivers, run):
    hold = threading.Event()

    def answer(request):
        hold.wait(2 * PATIENCE)
        return Answer()

    receiver = receivers(answer)
    webhook = a_receiver_of("a", receiver)
    owed(webhook, 30)
    run()
    receiver.wait_for(4)
    wait_until(lambda: Delivery.objects.filter(fence__gt=0).count() == 30, what="claims")
    new = operations.rotate_secret(webhook, overlap_seconds=0)
    # An event that it gives to another shows that the worker has read the webhooks since.
    other = receivers()
    a_receiver_of("b", other)
    events.emit("teste.feito", data={"n": 31})
    other.wait_for(1)
    receiver.secrets = (new,)
    hold.set()
    wait_settled(32)
    assert receiver.count == 31
    assert all(request.verified for request in receiver.requests)


# --- the database, and what it refuses --------------------------------------------------------


def test_results_outlive_a_database_that_is_away_when_they_are_recorded(receivers, run, caplog):
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 20)
    engine = Engine()
    record, failures = engine._queue.record, 3

    def away(results: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise OperationalError("the server closed the connection unexpectedly")
        return record(results)

    engine._queue.record = away  # type: ignore[method-assign]
    run(engine)
    wait_settled(20)
    assert receiver.count == 20
    assert Attempt.objects.count() == 20
    assert "(OperationalError: the server closed the connection unexpectedly)" in caplog.text


@pytest.mark.parametrize("step", ["note", "hold"])
def test_conclusions_outlive_a_database_that_is_away_when_they_are_drawn(
    receivers, run, caplog, step
):
    """The results are recorded by then, so nobody sends again and finds out anew."""
    gone, tired = receivers(Answer(status=410)), receivers(Answer(status=503))
    owed(a_webhook(url=gone.url, name="gone", format="standard-webhooks"), 1)
    owed(a_webhook(url=tired.url, name="tired"), 1)
    engine = Engine()
    original, failures = getattr(engine._queue, step), 3

    def away(given: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise OperationalError("gone")
        return original(given)

    setattr(engine._queue, step, away)
    run(engine)

    def treated() -> bool:
        return (
            Webhook.objects.get(name="gone").status == Webhook.Status.DISABLED
            and Webhook.objects.get(name="tired").hold_until is not None
        )

    wait_until(treated, what="both receivers to be treated", state=outcomes)
    assert failures == 0
    assert dict(Tally.objects.values_list("webhook__name", "attempts")) == {"gone": 1, "tired": 1}


@pytest.mark.parametrize("step", ["note", "hold"])
def test_a_conclusion_that_cannot_be_drawn_stops_no_delivery(receivers, run, step):
    tired, well = receivers(Answer(status=503)), receivers()
    owed(a_webhook(url=tired.url, name="tired"), 1)
    engine = Engine()
    asked = threading.Event()

    def broken(given: Any) -> Any:
        asked.set()
        raise ZeroDivisionError

    setattr(engine._queue, step, broken)  # for good
    run(engine)
    assert asked.wait(PATIENCE)
    owed(a_webhook(url=well.url, name="well"), 5)
    wait_settled(5)


def test_a_mail_server_that_hangs_holds_up_nobody(receivers, run, settings, django_user_model):
    """Its owner is to be told that a receiver is gone; others' events go out meanwhile."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = mute.getsockname()
        settings.EMAIL_TIMEOUT = PATIENCE
        owner = django_user_model.objects.create_user("ana", email="ana@example.com")
        gone, well = receivers(Answer(status=410)), receivers()
        owed(a_webhook(url=gone.url, format="standard-webhooks", owner=owner), 1)
        run()
        mute.settimeout(PATIENCE)
        conversation, _ = mute.accept()
        with conversation:
            owed(a_webhook(url=well.url, name="well", events=["teste.feito"]), 5)
            wait_settled(5)


def test_one_result_that_the_database_refuses_takes_no_other_with_it(receivers, monkeypatch):
    receiver = receivers()
    webhook = a_receiver_of("a", receiver)
    poisoned = {each.pk for each in owed(webhook, 10)[3:5]}
    attempt = delivery_module.attempt

    def poison(job: Any, *args: Any, **kwargs: Any) -> Any:
        result = attempt(job, *args, **kwargs)
        if job.delivery_id in poisoned:
            result.attempt["duration_ms"] = 10**30
        return result

    monkeypatch.setattr(delivery_module, "attempt", poison)
    monkeypatch.setattr(delivery_module, "pulses", lambda results: {})
    Engine().drain()
    assert Delivery.objects.filter(status=DELIVERED).count() == 10
    assert receiver.count == 10
    assert set(Attempt.objects.values_list("delivery", flat=True)).isdisjoint(poisoned)
    assert Attempt.objects.count() == 8


def test_of_an_answer_that_the_database_refuses_the_rest_of_the_attempt_is_kept(
    receivers, monkeypatch
):
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 3)
    attempt = delivery_module.attempt

    def poison(job: Any, *args: Any, **kwargs: Any) -> Any:
        result = attempt(job, *args, **kwargs)
        result.attempt["response_body"] = "\udcff"
        return result

    monkeypatch.setattr(delivery_module, "attempt", poison)
    Engine().drain()
    assert Delivery.objects.filter(status=DELIVERED).count() == 3
    assert set(Attempt.objects.values_list("response_body", "status_code")) == {("", 200)}


def test_a_stumble_is_logged_and_the_work_goes_on(receivers, run, caplog, monkeypatch):
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 3)
    engine = Engine()
    due, stumbles = engine._queue.due, 1

    def stumble() -> Any:
        nonlocal stumbles
        if stumbles:
            stumbles -= 1
            raise ZeroDivisionError
        return due()

    engine._queue.due = stumble  # type: ignore[method-assign]
    run(engine)
    wait_settled(3)
    assert "The engine stumbled" in caplog.text


def test_while_events_cannot_be_distributed_what_is_owed_is_sent(
    receivers, run, monkeypatch, caplog
):
    receiver = receivers()
    owed(a_receiver_of("a", receiver), 3)
    events.emit("teste.feito", data={"n": 1})
    broken = True

    def fail(*args: Any, **kwargs: Any) -> int:
        if broken:
            raise ZeroDivisionError
        return fan_out(*args, **kwargs)

    monkeypatch.setattr(intake, "fan_out", fail)
    run()
    wait_settled(3)
    assert "could not be given" in caplog.text
    broken = False
    wait_settled(4)


def test_an_observer_that_fails_changes_nothing(receivers):
    from webhooks.signals import delivery_succeeded

    seen = []

    def observe(**kwargs: Any) -> None:
        seen.append(kwargs["delivery_id"])
        raise ZeroDivisionError

    receiver = receivers()
    made = owed(a_receiver_of("a", receiver), 3)
    delivery_succeeded.connect(observe)
    try:
        Engine().drain()
    finally:
        delivery_succeeded.disconnect(observe)
    assert sorted(seen) == [each.pk for each in made]
    assert settled(3)()


# --- leases -----------------------------------------------------------------------------------


def test_what_waited_here_past_its_time_is_not_sent_since_another_may_have_it(receivers):
    receiver = receivers()
    [made] = owed(a_receiver_of("a", receiver), 1)
    engine = Engine()
    engine._directory.refresh()
    [job] = queue_on().claim(1, lease=60)
    engine._senders.put(Held(job, expires=time.monotonic() - 1))
    engine._senders.look(time.monotonic())
    engine._senders.dispatch(time.monotonic())
    assert not engine._senders.busy
    engine._senders.close()
    assert receiver.count == 0
    made.refresh_from_db()
    assert (made.status, made.fence) == (PENDING, 1)


def test_a_stale_workers_answer_does_not_undo_what_another_recorded(receivers, run):
    hold = threading.Event()

    def answer(request):
        if request.number == 1:
            hold.wait(2 * PATIENCE)
            return Answer(status=500)
        return Answer()

    receiver = receivers(answer)
    [made] = owed(a_receiver_of("a", receiver), 1)
    run()
    receiver.wait_for(1)
    Delivery.objects.update(next_attempt_at=timezone.now())  # as if its lease had ended
    run()
    wait_settled(1)
    hold.set()
    wait_until(lambda: Attempt.objects.count() == 2, what="the late attempt")
    made.refresh_from_db()
    assert (made.status, made.attempt_count) == (DELIVERED, 1)
    assert dict(Attempt.objects.values_list("status_code", "superseded")) == {
        200: False,
        500: True,
    }


# --- at once, by hand -------------------------------------------------------------------------


def test_one_delivery_can_be_sent_at_once_and_is_not_tried_again(receivers):
    receiver = receivers(Answer(status=500))
    webhook = a_receiver_of("a", receiver)
    made = a_delivery(webhook, an_event("teste.feito"), status=PENDING)
    attempt = direct.deliver_now(made)
    assert (attempt.status_code, attempt.delivery_id) == (500, made.pk)
    made.refresh_from_db()
    assert (made.status, made.attempt_count) == (Delivery.Status.FAILED, 1)
    with pytest.raises(LookupError, match="settled already"):
        direct.deliver_now(made)


def test_sending_by_hand_takes_the_delivery_from_the_worker_that_holds_it(receivers):
    receiver = receivers()
    [made] = owed(a_receiver_of("a", receiver), 1)
    queue = queue_on()
    [job] = queue.claim(1, lease=60)
    direct.deliver_now(made)
    assert queue.record([_tried(job)]) == set()
    made.refresh_from_db()
    assert (made.status, made.attempt_count) == (DELIVERED, 1)


def _tried(job: Any) -> Any:
    from tests.webhooks.test_queue import tried

    return tried(job)


def test_idling_costs_one_reading_statement_a_poll(receivers):
    a_receiver_of("a", receivers())
    engine = Engine()
    engine._turn(wait=0)
    while engine._upkeep.busy:  # it begins with a round of what it looks after beside
        engine._turn(wait=0)
    engine._intake.look_soon()
    with CaptureQueriesContext(connections["default"]) as asked:
        engine._turn(wait=0)
    engine._senders.close()
    assert [each["sql"].split()[0] for each in asked.captured_queries] == ["SELECT"]
