"""Real Celery workers: they deliver what is owed while they live, and drop nothing as they end."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from tests.crm import make_cliente
from tests.services.base import PATIENCE, descendants, wait_until
from tests.webhooks.makers import SECRET, a_webhook
from webhooks import worker
from webhooks.models import Attempt, Delivery, Event, Tally, Webhook, Worker
from webhooks.testing import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

ALONE = ("--concurrency=1", "--without-gossip", "--without-mingle")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(secrets=[SECRET]) as receiver:
        yield receiver


def owe(receiver: Receiver, count: int) -> None:
    a_webhook(url=receiver.url, events=["cliente.criado"])
    for number in range(count):
        make_cliente(nome=f"Cliente {number}")


def delivered(count: int) -> None:
    wait_until(
        lambda: Delivery.objects.filter(status=Delivery.Status.DELIVERED).count() == count,
        what=f"{count} to be delivered",
    )


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_what_was_owed_before_a_worker_starts_is_delivered_without_a_wake_up(
    receiver, start_worker, pool
):
    owe(receiver, 5)
    # Its broker has never heard of any of it, and it is asked nothing.
    process = start_worker(*ALONE, f"--pool={pool}")
    receiver.wait_for(5)
    delivered(5)
    make_cliente()  # and goes on looking
    receiver.wait_for(6)
    assert process.stop() == 0, process.output
    assert "Traceback" not in process.output


def test_a_worker_that_is_told_to_stop_finishes_what_it_began_and_releases_the_rest(
    receiver, start_worker
):
    hold = threading.Event()

    def answer(request: Any) -> Answer:
        hold.wait(2 * PATIENCE)
        return Answer()

    receiver.answer = answer
    owe(receiver, 30)
    process = start_worker(*ALONE)
    receiver.wait_for(4)
    wait_until(lambda: Delivery.objects.filter(fence__gt=0).count() == 30, what="claims")
    process.terminate()
    wait_until(
        lambda: (
            Delivery.objects.filter(fence__gt=0, next_attempt_at__lte=timezone.now()).count() == 26
        ),
        what="26 to be released",
    )
    assert process.returncode is None  # it waits for its answers
    hold.set()
    assert process.wait() == 0, process.output
    assert Delivery.objects.filter(status=Delivery.Status.DELIVERED).count() == 4
    assert Attempt.objects.count() == 4
    assert "Traceback" not in process.output
    # Another sends the rest at once, not after a lease.
    start_worker(*ALONE)
    delivered(30)
    assert receiver.count == 30


def test_two_workers_share_what_there_is_and_send_each_once(receiver, start_worker):
    owe(receiver, 0)
    for name in ("one", "two"):
        start_worker("--concurrency=2", "--hostname", f"celery@{name}", WEBHOOKS_POLL_SECONDS="0.1")
    for number in range(200):
        make_cliente(nome=f"Cliente {number}")
    delivered(200)
    assert receiver.count == 200
    assert set(Counter(request.id for request in receiver.requests).values()) == {1}


def test_a_worker_of_other_queues_delivers_nothing(receiver, start_worker):
    owe(receiver, 3)
    other = start_worker(*ALONE, "-Q", "other", WEBHOOKS_POLL_SECONDS="0.1")
    # One of ours, started after it, has delivered all by itself.
    start_worker(*ALONE, "--hostname", "celery@ours")
    delivered(3)
    assert "webhooks" not in other.output.split("ready.")[-1]
    assert other.stop() == 0


def test_the_queue_of_the_wake_ups_can_be_chosen(receiver, start_worker, start, redis):
    names = {
        "CELERY_BROKER_URL": redis.url,
        "WEBHOOKS_QUEUE": "webhooks",
        "WEBHOOKS_WAKEUP_TIMEOUT_SECONDS": "10",
    }
    a_webhook(url=receiver.url, events=["cliente.criado"])
    usual = start_worker(*ALONE, "--hostname", "celery@usual", **names)
    ours = start_worker(
        *ALONE, "--hostname", "celery@ours", "-Q", "webhooks", WEBHOOKS_POLL_SECONDS="60", **names
    )
    code = "from clientes.models import Cliente; Cliente.objects.create(nome='João')"
    assert start("manage.py", "shell", "-c", code, **names).wait() == 0
    # Sooner than its next look: the wake-up went to the queue that only this one reads.
    receiver.wait_for(1)
    ours.wait_for(r"Task webhooks\.deliver")
    assert "Task webhooks.deliver" not in usual.output


def test_a_pools_process_that_dies_is_replaced_by_one_that_delivers(receiver, start_worker):
    owe(receiver, 1)
    process = start_worker(*ALONE)
    receiver.wait_for(1)
    delivered(1)
    for child in descendants(process.pid):
        os.kill(child, signal.SIGKILL)
    make_cliente()
    receiver.wait_for(2)
    delivered(2)


def limit_files(pid: int, more: int) -> tuple[int, int]:
    """Let a process open so many files more than it has open. :returns: its limits before."""
    few = len(os.listdir(f"/proc/{pid}/fd")) + more
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, before[1])) and before


@pytest.mark.parametrize("more", [0, 5])
def test_a_worker_that_runs_out_of_files_spends_no_attempt_on_it(start_worker, start, more):
    """With some, it goes on with less at a time; with none, it waits for them."""
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(Receiver(answer=slowly)) for _ in range(8)]
        process = start_worker(*ALONE)
        wait_until(Worker.objects.exists, what="the worker's sign of life")
        [child] = descendants(process.pid)
        before = limit_files(child, more)
        for number, receiver in enumerate(receivers):
            a_webhook(name=str(number), url=receiver.url, events=["cliente.criado"])
        for number in range(25):
            make_cliente(nome=f"Cliente {number}")
        short = Worker.objects.exclude(shortage=None)
        wait_until(short.exists, what="the shortage to be told", state=lambda: process.output)
        assert short.get().shortage.startswith("sockets: ")
        process.wait_for(r"machine is short \(sockets: ")
        assert not Attempt.objects.exclude(error="").exists()
        if more == 0:
            resource.prlimit(child, resource.RLIMIT_NOFILE, before)
        delivered(200)
        assert sum(receiver.count for receiver in receivers) == 200
    # None counts as an attempt, or as any receiver's failure.
    assert set(Attempt.objects.values_list("number", "error", "superseded")) == {(1, "", False)}
    assert set(Delivery.objects.values_list("attempt_count", "last_error")) == {(1, "")}
    assert set(Webhook.objects.values_list("failing_since", "failure_count")) == {(None, 0)}
    assert not Tally.objects.filter(failures__gt=0).exists()
    status = start("manage.py", "webhooks_status", "--json")
    assert status.wait() == 0
    if more:
        report = json.loads(status.output[status.output.index("{") :])
        assert report["workers"][0]["shortage"].startswith("sockets: ")


def slowly(request: Any) -> Answer:
    time.sleep(0.05)  # so that many are under way
    return Answer()


def test_a_wake_up_is_what_makes_it_soon(receiver, start_worker, redis, use_broker):
    use_broker(redis.url)
    a_webhook(url=receiver.url, events=["cliente.criado"])
    start_worker(*ALONE, CELERY_BROKER_URL=redis.url, WEBHOOKS_POLL_SECONDS="60")
    for number in range(1, 4):
        make_cliente()
        receiver.wait_for(number)


def test_a_wake_up_that_strays_to_a_worker_of_other_queues_starts_no_engine(monkeypatch):
    monkeypatch.setattr(worker, "_engine", None)
    worker.kick()
    assert worker._engine is None


def test_starting_twice_makes_one_engine_and_stopping_ends_it(monkeypatch, receiver):
    monkeypatch.setattr(worker, "_engine", None)
    worker.stop()  # there is none: no error
    owe(receiver, 2)
    worker.start()
    first = worker._engine
    worker.start()
    worker.kick()
    assert worker._engine is first
    receiver.wait_for(2)
    delivered(2)
    worker.stop()
    assert not first[1].is_alive()
    make_cliente()
    worker.kick()  # and is started again by the next wake-up
    receiver.wait_for(3)
    delivered(3)
    worker.stop()
    assert not Event.objects.filter(fanned_out=False).exists()
