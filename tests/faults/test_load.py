"""A great backlog, and what is asked of the same rows at the same time."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from django.utils import timezone

from tests.faults.catalogue import POSTGRESQL, fault
from tests.faults.scene import Scene, assert_invariant
from tests.faults.sink import Sink
from tests.processes import Process
from tests.services.base import descendants
from tests.webhooks.makers import SECRET, a_delivery, a_webhook, ago, an_attempt, an_event
from webhooks.models import Delivery, Event
from webhooks.testing import Receiver

# Fewer show the same, while something is being worked on.
BACKLOG = int(os.environ.get("FAULTS_BACKLOG", "100000"))
TYPES = [f"carga.tipo_{number}" for number in range(8)]


def _commit_backlog() -> None:
    now = timezone.now()
    for start in range(0, BACKLOG, 5000):
        Event.objects.bulk_create(
            Event(
                type=TYPES[number % len(TYPES)],
                subject=f"carga_{number}",
                sequence=1,
                occurred_at=now,
                body=json.dumps({"event": "carga", "data": {"id": number, "texto": "x" * 300}}),
            )
            for number in range(start, min(start + 5000, BACKLOG))
        )


def _memory(process: Process) -> float:
    """Megabytes that the worker and its processes hold, all together."""
    total = 0
    for pid in (process.pid, *descendants(process.pid)):
        status = Path(f"/proc/{pid}/status")
        found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
        total += int(found[1]) if found else 0
    return total / 1024


@fault(
    "A backlog of 100,000 events",
    promise="Drained with flat memory; who is not part of it keeps its pace",
    databases=(POSTGRESQL,),
)
@pytest.mark.timeout(900)
def test_backlog(scene: Scene) -> None:
    with Sink() as sink:
        for type in TYPES:
            a_webhook(name=type, url=sink.url(type), events=[type])
        _commit_backlog()
        scene.receiver()
        worker = scene.worker(WEBHOOKS_POLL_SECONDS="1")
        began = time.monotonic()
        samples: list[tuple[int, float]] = []
        while len(sink.ids) < BACKLOG:
            assert time.monotonic() - began < BACKLOG / 100 + 60, f"{len(sink.ids)} of {BACKLOG}"
            samples.append((len(sink.ids), _memory(worker)))
            scene.save(every=0.5)
        took = time.monotonic() - began
        scene.fault_is_over()
        assert_invariant(scene)
        duplicates = sum(sink.ids.values()) - BACKLOG
    early = max(memory for count, memory in samples if count <= BACKLOG / 4)
    late = max(memory for count, memory in samples)
    assert late - early < 25, samples
    assert duplicates == 0
    assert Delivery.objects.filter(status=Delivery.Status.DELIVERED).count() == (
        BACKLOG + len(scene.committed)
    )
    scene.outcome.events = BACKLOG + len(scene.committed)
    scene.outcome.duplicates = duplicates
    scene.outcome.recovery = took
    scene.outcome.note = (
        f"{BACKLOG / took:.0f} events/s; the worker's memory {early:.0f} MB in the first quarter, "
        f"{late:.0f} MB at most"
    )


_AGAIN = """
import sys, time
import django
django.setup()
from django.core.management import call_command
until = time.monotonic() + 200
while time.monotonic() < until:
    call_command(*sys.argv[1:])
    print("round", flush=True)
"""


@fault(
    "Pruning races replays of the same deliveries",
    promise="Each is replayed whole or pruned whole; nothing is sent without its body",
)
def test_prune_races_replay(scene: Scene) -> None:
    old = ago(days=10)
    with Receiver(secrets=[SECRET]) as receiver:
        webhook = a_webhook(name="old", url=receiver.url, events=["antigo.*"])
        for number in range(120):
            event = an_event("antigo.tipo", subject=f"antigo_{number}", occurred_at=old)
            an_attempt(a_delivery(webhook, event, at=old))
        known = {event.public_id for event in Event.objects.all()}
        scene.receiver()
        scene.worker()
        batches = ("--batch-size", "7")
        replay = scene.process(
            *("-c", _AGAIN, "webhooks_replay", "--webhook=old", "--status=all", "--yes", *batches)
        )
        receiver.wait_for(50)
        prune = scene.process("-c", _AGAIN, "webhooks_prune", "--older-than=1d", *batches)
        scene.save(20, every=0.1)
        scene.wait_until(
            lambda: not Event.objects.filter(type="antigo.tipo").exists(),
            "all that is old to be pruned",
        )
        for process in (replay, prune):
            process.wait_for("round", after=len(process.lines))  # it did not stumble
            process.kill()
            assert "Traceback" not in process.output
        assert_invariant(scene)
        assert {request.id for request in receiver.requests} <= known
        assert all(request.verified and request.json() for request in receiver.requests)
        scene.outcome.note = f"120 replayed {receiver.count} times before all were pruned"
