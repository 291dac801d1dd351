"""Workers that are killed at the worst moments, stalled, and run beside one another."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from django.db.models.functions import Now

from tests.faults.catalogue import POSTGRESQL, REDIS, fault
from tests.faults.databases import pause_between_transactions, recording_blocked
from tests.faults.scene import LEASE, PACE, Scene, assert_invariant
from tests.services.base import PATIENCE, descendants
from webhooks.models import Attempt, Delivery
from webhooks.testing import Answer

# Of workers that die. The lease is waited for; their requests must not be over before the fault,
# on a machine that is busy. The check on the two wants these 5 s between them.
MORTAL = {"WEBHOOKS_TIMEOUT_SECONDS": "12", "WEBHOOKS_LEASE_SECONDS": "17"}
# A dead worker's deliveries are another's once their lease is over; and that one must start.
AFTER_A_LEASE = 17 + PACE


@fault(
    "Worker killed (SIGKILL) with deliveries claimed and not yet sent",
    promise="Sent by another worker once the lease is over",
)
def test_killed_before_sending(scene: Scene) -> None:
    _, receiver = scene.receiver(rate_limit=None)
    receiver.hold()
    worker = scene.worker(WEBHOOKS_RECEIVER_CONCURRENCY="2", **MORTAL)
    scene.roll_back(2)
    scene.save(12)
    receiver.server.wait_for(2)
    scene.wait_until_claimed(12)
    assert receiver.server.count == 2  # the other ten wait in the worker's memory

    worker.kill()
    assert not Attempt.objects.exists()
    scene.fault_is_over()
    receiver.let_go()
    scene.worker()

    assert_invariant(scene, pace=AFTER_A_LEASE)
    assert scene.outcome.duplicates == 2  # those that were on their way


@fault(
    "Worker killed (SIGKILL) after the answer, before it is recorded",
    promise="Sent again once the lease is over, with the same id",
)
def test_killed_before_recording(scene: Scene) -> None:
    _, receiver = scene.receiver()
    receiver.hold()
    worker = scene.worker(**MORTAL)
    scene.roll_back()
    scene.save(4)
    receiver.server.wait_for(4)
    with recording_blocked():
        receiver.let_go()
        scene.wait_until(lambda: len(receiver.accepted) == 4, "the answers")
        worker.kill()
    assert not Attempt.objects.exists()
    scene.fault_is_over()
    scene.worker()

    assert_invariant(scene)
    assert scene.outcome.duplicates == 4


@fault(
    "A pool process of the worker killed (SIGKILL), as the kernel does when memory is short",
    promise="Celery starts another; it sends once the lease is over",
    databases=(POSTGRESQL,),
)
def test_pool_process_killed(scene: Scene) -> None:
    _, receiver = scene.receiver()
    receiver.hold()
    worker = scene.worker(WEBHOOKS_RECEIVER_CONCURRENCY="2", **MORTAL)
    scene.save(6)
    receiver.server.wait_for(2)
    scene.wait_until_claimed(6)

    [child] = descendants(worker.pid)
    os.kill(child, signal.SIGKILL)
    scene.fault_is_over()
    receiver.let_go()
    assert_invariant(scene, pace=AFTER_A_LEASE)
    assert scene.outcome.duplicates == 2
    assert worker.returncode is None


@fault(
    "Worker asked to end (SIGTERM) with deliveries in flight and in its memory",
    promise="What is on its way ends and is recorded; the rest is handed back at once",
    databases=(POSTGRESQL,),
)
def test_worker_asked_to_end(scene: Scene) -> None:
    _, receiver = scene.receiver()
    receiver.hold()
    worker = scene.worker(WEBHOOKS_RECEIVER_CONCURRENCY="2")
    scene.save(12)
    receiver.server.wait_for(2)
    scene.wait_until_claimed(12)

    worker.terminate()
    due = Delivery.objects.filter(next_attempt_at__lte=Now())
    scene.wait_until(lambda: due.count() == 10, "ten to be handed back")
    receiver.let_go()
    assert worker.wait() == 0
    assert Attempt.objects.count() == receiver.server.count == 2
    scene.fault_is_over()
    scene.worker()

    assert_invariant(scene, pace=LEASE / 2)
    assert scene.outcome.duplicates == 0


SAVE = """
import django
django.setup()
from clientes.models import Cliente
Cliente.objects.create(nome="Cliente 1")
print("committed", flush=True)
from webhooks import wakeup
wakeup.flush(60)
"""


@fault(
    "Process killed (SIGKILL) between its commit and the wake-up",
    promise="Found by the worker's own look at the database",
)
def test_killed_between_commit_and_wakeup(scene: Scene) -> None:
    scene.receiver()
    scene.worker()
    # A broker that takes the connection and says nothing: the wake-up is under way for ever.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        saver = scene.process("-c", SAVE, CELERY_BROKER_URL=url)
        silent.settimeout(PATIENCE)
        connection, _ = silent.accept()
        saver.wait_for("committed")
        with connection:
            saver.kill()
    scene.adopt()
    assert list(scene.committed) == ["Cliente 1"]
    scene.fault_is_over()

    assert_invariant(scene)
    assert scene.outcome.duplicates == 0


@fault(
    "Lease ends while its slow holder still sends (SIGSTOP, SIGCONT)",
    promise="Another worker sends; the late result changes nothing and is kept as superseded",
)
def test_lease_ends_while_its_holder_still_sends(scene: Scene) -> None:
    _, receiver = scene.receiver()
    receiver.hold()
    slow = scene.worker(WEBHOOKS_RECEIVER_CONCURRENCY="2", **MORTAL)
    scene.save(5)
    receiver.server.wait_for(2)
    scene.wait_until_claimed(5)
    pause_between_transactions(slow)
    receiver.let_go()
    scene.worker()
    scene.settle()
    before = receiver.server.count

    scene.fault_is_over()
    slow.resume()  # its two answers wait for it; the three that it holds it must not send
    late = Attempt.objects.filter(superseded=True)
    scene.wait_until(lambda: late.count() == 2, "the late results")
    assert_invariant(scene, pace=AFTER_A_LEASE)
    assert receiver.server.count == before == 7
    assert scene.outcome.duplicates == 2


@fault(
    "Two workers with two processes each race for the same deliveries",
    promise="Each delivery is sent once",
)
def test_two_workers_race(scene: Scene) -> None:
    for name in ("one", "two", "three"):
        scene.receiver(name)
    for number in (1, 2):
        scene.worker("--concurrency=2", f"--hostname=celery@racer{number}")
    scene.roll_back(5)
    scene.save(100)

    assert_invariant(scene)
    assert scene.outcome.duplicates == 0
    assert not Attempt.objects.filter(superseded=True).exists()
    assert Attempt.objects.count() == 300


@fault(
    "Two beats at the same time",
    promise="Each delivery is sent once",
    databases=(POSTGRESQL,),
)
def test_two_beats(scene: Scene, tmp_path: Path) -> None:
    scene.receiver()
    scene.worker()
    beats = [
        scene.process(
            *("-m", "celery", "-A", "crm_project", "beat", "--loglevel=INFO"),
            *("--schedule", str(tmp_path / f"beat-{number}"), "--pidfile="),
            DJANGO_SETTINGS_MODULE="tests.faults.settings_beat",
        )
        for number in (1, 2)
    ]
    for beat in beats:
        beat.wait_for("Sending due task webhooks-deliver")
    scene.save(20, every=0.05)
    for beat in beats:
        beat.wait_for("Sending due task webhooks-deliver", after=len(beat.lines))
    assert_invariant(scene)
    assert scene.outcome.duplicates == 0


@fault(
    "No beat, and no broker either, when a retry falls due",
    promise="The worker sends it by itself, in time",
    databases=(POSTGRESQL,),
    brokers=(REDIS,),
)
def test_no_beat(scene: Scene) -> None:
    _, receiver = scene.receiver()
    scene.worker()
    assert scene.broker.server is not None
    scene.broker.server.kill()
    receiver.server.script(Answer(status=500))
    scene.save()
    assert_invariant(scene)
    assert len(receiver.refused) == 1
    first, second = receiver.requests
    late = second.received_at - first.received_at - 1
    assert 0 <= late < PACE  # the schedule says 1 s
    scene.outcome.note = f"the retry was {late * 1000:.0f} ms late"
