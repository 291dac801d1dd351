"""Real Celery workers: they deliver what is owed while they live, and drop nothing as they end."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from tests.crm import make_cliente
from tests.services.base import PATIENCE, descendants, wait_until
from tests.webhooks.makers import SECRET, a_webhook
from webhooks import worker
from webhooks.models import Attempt, Delivery, Event
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
