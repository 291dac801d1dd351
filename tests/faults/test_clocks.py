"""Clocks that step: on PostgreSQL the database's and the worker's, on SQLite the worker's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.db import connection

from tests.faults.catalogue import fault
from tests.faults.clocks import HOUR, Clock, going_by
from tests.faults.scene import PACE, Scene, assert_invariant
from tests.services.base import workspace
from webhooks.models import Delivery
from webhooks.testing import Answer

# As short as the check allows: where the clock is turned back, what is held waits for it.
LEASE = 7
BRIEF = {"WEBHOOKS_TIMEOUT_SECONDS": "2", "WEBHOOKS_LEASE_SECONDS": f"{LEASE}"}


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Iterator[Clock]:
    made = Clock(workspace("clock") / "offset")
    with ExitStack() as stack:
        if connection.vendor == "postgresql":
            stack.enter_context(going_by(made, request.getfixturevalue("postgres")))
        yield made


@fault(
    "Clock steps an hour {case}, with deliveries in flight, waiting and to be retried",
    promise="What is due soon is sent soon; where leases seem over, it may be sent twice",
    cases={"forward": HOUR, "back": -HOUR},
)
def test_clock_steps(scene: Scene, clock: Clock, case: int) -> None:
    # On a machine that is busy its requests may be over before the clock turns.
    _, receiver = scene.receiver(retry_schedule=[0, *[1] * 20])
    limited, _ = scene.receiver("limited", rate_limit=20, timeout_seconds=PACE)
    # Their retries are not due before.
    retried, troubled = scene.receiver("to be retried", retry_schedule=[0, 300])
    # One that looks at the signature's time refuses a sender whose clock is wrong, and is right.
    for watched in scene.receivers.values():
        watched.server.secrets = ()
    scene.worker(
        WEBHOOKS_RECEIVER_CONCURRENCY="2",
        **BRIEF,
        **clock.for_workers,
    )
    troubled.answer = Answer(status=500)
    receiver.hold()
    scene.save(6)
    receiver.server.wait_for(2)
    scene.wait_until_claimed(18)
    scene.wait_until(
        lambda: Delivery.objects.filter(last_error="status").count() == 6, "retries to be due"
    )
    clock.turn(case)
    troubled.answer = Answer()
    receiver.let_go()
    scene.fault_is_over()
    scene.save(4)
    assert_invariant(scene, pace=LEASE + PACE, unpaced=[limited, retried])
