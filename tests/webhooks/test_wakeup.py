"""The hint to a worker: soon, seldom, never in the way of a save, and harmless to lose."""

from __future__ import annotations

import itertools
import statistics
import threading
import time

import pytest
from django.db import transaction

from tests.crm import make_cliente
from tests.services.base import PATIENCE, wait_until
from webhooks import wakeup
from webhooks.wakeup import _Waker


@pytest.fixture
def tune(settings):
    def change(**values):
        settings.WEBHOOKS = {**settings.WEBHOOKS, **values}

    change(WAKEUP_INTERVAL_SECONDS=0.05, WAKEUP_PAUSE_SECONDS=0.3, WAKEUP_TIMEOUT_SECONDS=5.0)
    return change


@pytest.fixture
def publisher(monkeypatch, tune):
    """`publisher(function)`: what sends the hints of this test, through a thread of its own."""
    waker = _Waker()
    monkeypatch.setattr(wakeup, "_waker", waker)

    def use(function):
        monkeypatch.setattr(wakeup, "_publish", function)

    return use


class Calls:
    def __init__(self, *, fail=False, hang=None):
        self.moments = []
        self.fail = fail
        self.hang = hang

    def __call__(self):
        self.moments.append(time.monotonic())
        if self.hang is not None:
            self.hang.wait(4 * PATIENCE)
        if self.fail:
            raise ConnectionRefusedError("amqp://user:password@broker")

    @property
    def count(self):
        return len(self.moments)

    @property
    def waits(self):
        return [b - a for a, b in itertools.pairwise(self.moments)]


def test_a_request_is_published_at_once(publisher):
    calls = Calls()
    publisher(calls)
    wakeup.request()
    assert wakeup.flush(PATIENCE)
    assert calls.count == 1


def test_many_requests_are_one_hint_an_interval(publisher, tune):
    tune(WAKEUP_INTERVAL_SECONDS=0.2)
    calls = Calls()
    publisher(calls)
    while calls.count < 6:
        for _ in range(100):
            wakeup.request()
        time.sleep(0.005)
    assert statistics.median(calls.waits) >= 0.19  # one may be noted late, and the next early


def test_nothing_is_published_without_a_request(publisher):
    calls = Calls()
    publisher(calls)
    wakeup.request()
    assert wakeup.flush(PATIENCE)
    time.sleep(0.2)
    assert calls.count == 1


def test_a_hanging_broker_delays_no_request_and_a_flush_only_so_long(publisher):
    hang = threading.Event()
    calls = Calls(hang=hang)
    publisher(calls)
    try:
        began = time.monotonic()
        for _ in range(1_000):
            wakeup.request()
        assert not wakeup.flush(0.2)
        assert 0.15 < time.monotonic() - began < PATIENCE
        assert calls.count == 1
    finally:
        hang.set()
    assert wakeup.flush(PATIENCE)


def test_a_failing_broker_is_left_alone_for_a_while_and_then_tried_again(publisher, caplog):
    calls = Calls(fail=True)
    publisher(calls)
    while calls.count < 6:
        wakeup.request()
        time.sleep(0.01)
    assert statistics.median(calls.waits) >= 0.29  # one may be noted late, and the next early
    assert "ConnectionRefusedError" in caplog.text
    assert "password" not in caplog.text
    calls.fail = False
    wakeup.request()
    wait_until(lambda: wakeup.flush(0.1), what="the next try")


def test_a_flush_does_not_wait_for_a_broker_that_has_just_failed(publisher, tune):
    tune(WAKEUP_PAUSE_SECONDS=4 * PATIENCE)
    calls = Calls(fail=True)
    publisher(calls)
    wakeup.request()
    assert not wakeup.flush(PATIENCE)
    wakeup.request()
    began = time.monotonic()
    assert not wakeup.flush(3 * PATIENCE)
    assert time.monotonic() - began < PATIENCE


def test_a_flush_returns_only_when_what_was_asked_before_it_was_told(publisher, tune):
    """However requests and publishing interleave."""
    tune(WAKEUP_INTERVAL_SECONDS=0.0005)
    asked: set[int] = set()
    told: set[int] = set()

    def publish():
        told.update(asked.copy())

    publisher(publish)
    wrong, lock = [], threading.Lock()

    def ask(first):
        for number in range(first, first + 200):
            with lock:
                asked.add(number)
            wakeup.request()
            if not (wakeup.flush(PATIENCE) and number in told):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=[first]) for first in range(0, 1_000, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_without_a_publisher_nothing_happens(publisher):
    publisher(None)
    wakeup.request()
    assert wakeup.flush(0.1)


def test_no_thread_to_be_had_is_no_error_of_the_saves(publisher, monkeypatch, caplog):
    def none_left(self):
        raise RuntimeError("can't start new thread")

    calls = Calls()
    publisher(calls)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        wakeup.request()
    assert "No worker could be woken" in caplog.text
    wakeup.request()  # and later there is one
    assert wakeup.flush(PATIENCE)
    assert calls.count == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_woken_by_a_commit_and_only_by_that(publisher):
    assert wakeup.flush(PATIENCE)  # what others asked for before
    calls = Calls()
    publisher(calls)
    with transaction.atomic():
        make_cliente()
        time.sleep(0.1)
        assert calls.count == 0
    assert wakeup.flush(PATIENCE)
    assert calls.count == 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_cliente()
        raise ZeroDivisionError
    time.sleep(0.2)
    assert calls.count == 1


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_fails_or_hangs_is_no_matter_of_whoever_saves(publisher):
    hang = threading.Event()
    publisher(Calls(fail=True, hang=hang))
    try:
        began = time.monotonic()
        for _ in range(20):
            make_cliente()
        assert time.monotonic() - began < PATIENCE
    finally:
        hang.set()


# --- real processes ---------------------------------------------------------------------------

SETUP = """
import os, sys, time
import django
django.setup()
from webhooks import wakeup
def publish():
    time.sleep({takes})
    print("published by", os.getpid(), flush=True)
wakeup.set_publisher(publish)
"""

SAVE_AND_END = """
from clientes.models import Cliente
Cliente.objects.create(nome="João")
print("committed", flush=True)
"""

FORK = """
wakeup.request()
assert wakeup.flush(60)
child = os.fork()
if not child:
    wakeup.request()
    assert wakeup.flush(60)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("child", child, flush=True)
"""


def test_a_command_that_saves_and_ends_at_once_still_wakes_a_worker(start):
    process = start(
        "-c", SETUP.format(takes=0.3) + SAVE_AND_END, WEBHOOKS_WAKEUP_TIMEOUT_SECONDS="10"
    )
    assert process.wait() == 0, process.output
    assert process.output.index("committed") < process.output.index("published by")


def test_a_broker_that_hangs_does_not_keep_a_command_from_ending(start):
    process = start(
        "-c", SETUP.format(takes=600) + SAVE_AND_END, WEBHOOKS_WAKEUP_TIMEOUT_SECONDS="0.5"
    )
    process.wait_for("committed")
    assert process.wait() == 0, process.output
    assert "published" not in process.output


def test_a_process_that_was_forked_wakes_workers_by_itself(start):
    process = start("-c", SETUP.format(takes=0) + FORK)
    assert process.wait() == 0, process.output
    child = process.output.rsplit(maxsplit=1)[-1]
    assert f"published by {process.pid}" in process.output
    assert f"published by {child}" in process.output
