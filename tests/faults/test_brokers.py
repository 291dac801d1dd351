"""A broker is a mere hint: whatever befalls it, saves stay fast and deliveries arrive."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from tests.faults.catalogue import FILES, POSTGRESQL, RABBITMQ, REDIS, SQLITE, fault
from tests.faults.scene import LEASE, Scene, assert_invariant
from tests.services.base import descendants, wait_until
from tests.services.redis import Redis

BROKERS = (REDIS, RABBITMQ)
PROMISE = "No save waits for it; the worker finds what is due by itself"


@fault("Broker refuses connections", promise=PROMISE, databases=(POSTGRESQL,), brokers=BROKERS)
def test_broker_refuses(scene: Scene) -> None:
    scene.receiver()
    scene.worker()
    assert scene.broker.server is not None
    scene.broker.server.kill()
    scene.roll_back(2)
    scene.save(20, every=0.1)  # longer than it takes to try the broker, and again
    assert_invariant(scene)
    assert scene.outcome.duplicates == 0


@fault("Broker hangs (SIGSTOP)", promise=PROMISE, databases=(POSTGRESQL,), brokers=BROKERS)
def test_broker_hangs(scene: Scene) -> None:
    scene.receiver()
    scene.worker()
    assert scene.broker.server is not None
    scene.broker.server.pause()
    scene.roll_back(2)
    scene.save(20, every=0.1)  # longer than it takes to try the broker, and again
    assert_invariant(scene)
    assert scene.outcome.duplicates == 0


@fault(
    "Broker flushed with wake-ups in it and no worker running",
    promise="A worker sends at its start what was owed",
    databases=(POSTGRESQL,),
    brokers=(REDIS,),
)
def test_broker_flushed(scene: Scene) -> None:
    from webhooks import wakeup

    scene.receiver()
    scene.save(20)
    # After an earlier fault it may still be resting.
    wait_until(lambda: wakeup.flush(5), what="the wake-ups to be published")
    assert isinstance(scene.broker.server, Redis)
    scene.broker.server.flush()
    scene.fault_is_over()
    scene.worker()
    assert_invariant(scene, pace=LEASE / 2)
    assert scene.outcome.duplicates == 0


@fault(
    "Broker restarted, empty, with a wake-up in a worker's hands",
    promise=PROMISE,
    databases=(POSTGRESQL,),
    brokers=(REDIS,),
)
def test_broker_restarts(scene: Scene) -> None:
    scene.receiver()
    worker = scene.worker()
    scene.save(5)
    scene.settle()
    # What Celery has taken and not yet begun, it would like to put back when it loses Redis.
    [child] = descendants(worker.pid)
    os.kill(child, signal.SIGSTOP)
    so_far = len(worker.lines)
    scene.save(5)
    worker.wait_for("Task webhooks.deliver.* received", after=so_far)
    assert scene.broker.server is not None
    scene.broker.server.kill()
    scene.save(5)
    worker.wait_for("Connection to broker lost")
    os.kill(child, signal.SIGCONT)
    scene.broker.server.start()
    scene.fault_is_over()
    scene.save(5)
    assert_invariant(scene, pace=LEASE / 2)
    assert scene.outcome.duplicates == 0
    assert worker.returncode is None


@fault(
    "Broker's folder is gone",
    promise="No save fails. Celery ends the worker; started again, it sends what is owed",
    databases=(SQLITE,),
    brokers=(FILES,),
)
def test_broker_of_files_is_gone(scene: Scene, tmp_path: Path) -> None:
    scene.receiver()
    worker = scene.worker()
    shutil.rmtree(tmp_path / "var" / "broker")
    scene.roll_back(2)
    scene.save(20, every=0.1)
    assert worker.wait() != 0
    scene.fault_is_over()
    scene.worker()
    assert_invariant(scene, pace=LEASE / 2)
    assert scene.outcome.duplicates == 0


SAVE_AND_END = """
import django
django.setup()
from clientes.models import Cliente
Cliente.objects.create(nome="Cliente 1")
"""


@fault(
    "Command saves and ends while the broker hangs (SIGSTOP)",
    promise="It ends all the same, about a second after its last line",
    databases=(POSTGRESQL,),
    brokers=BROKERS,
)
def test_command_ends_while_the_broker_hangs(scene: Scene) -> None:
    scene.receiver()
    scene.worker()
    assert scene.broker.server is not None
    scene.broker.server.pause()
    command = scene.process("-c", SAVE_AND_END + "print('done', flush=True)")
    command.wait_for("done")
    done = time.monotonic()
    assert command.wait() == 0
    scene.outcome.note = f"ended after {time.monotonic() - done:.1f} s"
    scene.adopt()
    assert_invariant(scene)
    assert scene.outcome.duplicates == 0


@fault(
    "Worker started while there is no broker",
    promise="It delivers all the same",
    databases=(POSTGRESQL,),
    brokers=(REDIS,),
)
def test_worker_without_broker(scene: Scene) -> None:
    scene.receiver()
    assert scene.broker.server is not None
    scene.broker.server.kill()
    scene.save(5)
    worker = scene.process(
        *("-m", "celery", "-A", "crm_project", "worker", "--loglevel=INFO", "--concurrency=1")
    )
    worker.wait_for("Trying to reconnect|Cannot connect")
    scene.save(5)
    assert_invariant(scene, pace=LEASE / 2)
    assert scene.outcome.duplicates == 0
