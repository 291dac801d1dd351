"""A database that goes away, is locked or full while deliveries are under way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection, connections

from tests.faults.catalogue import POSTGRESQL, SQLITE, fault
from tests.faults.databases import fill, may_mount, on_a_small_disk, write_lock
from tests.faults.scene import PACE, Scene, Watched, assert_invariant
from tests.processes import Process
from tests.services import Postgres
from webhooks.models import Attempt
from webhooks.testing import Answer

AWAY = "The database is away"
# A worker tries again after 5 s at the latest.
WORST_PAUSE = 5.0


def _halfway(scene: Scene, **changes: str) -> tuple[Process, Watched]:
    """A batch of which some wait for their answer, and the rest in the worker's memory."""
    _, receiver = scene.receiver()
    worker = scene.worker(**changes)
    scene.save(3)
    scene.settle()
    receiver.hold()
    scene.save(20)
    receiver.server.wait_for(3 + 4)
    scene.wait_until_claimed(23)
    return worker, receiver


@fault(
    "PostgreSQL {case} in the middle of a batch",
    promise="The worker connects again and goes on; nothing is sent twice",
    databases=(POSTGRESQL,),
    cases={"restarted": Postgres.restart, "killed (SIGKILL) and started": None},
)
def test_postgresql_restarts(
    scene: Scene, postgres: Postgres, case: Callable[[Postgres], None] | None
) -> None:
    _, receiver = _halfway(scene)
    if case is None:
        postgres.kill()
        postgres.start()
    else:
        case(postgres)
    connections.close_all()
    scene.fault_is_over()
    receiver.let_go()
    scene.roll_back()
    scene.save(5)
    assert_invariant(scene, pace=PACE + WORST_PAUSE)
    assert scene.outcome.duplicates == 0


@fault(
    "PostgreSQL gone when answers are to be recorded",
    promise="The worker keeps them until it is back; nothing is sent twice",
    databases=(POSTGRESQL,),
)
def test_postgresql_gone_at_recording(scene: Scene, postgres: Postgres) -> None:
    worker, receiver = _halfway(scene)
    postgres.kill()
    receiver.let_go()
    scene.wait_until(lambda: len(receiver.accepted) == 23, "every answer")
    worker.wait_for(AWAY)
    postgres.start()
    connections.close_all()
    scene.fault_is_over()
    assert_invariant(scene, pace=PACE + WORST_PAUSE)
    assert scene.outcome.duplicates == 0


@fault(
    "SQLite held by a writer for longer than the worker waits",
    promise="The worker keeps the answers until it can write; nothing is sent twice",
    databases=(SQLITE,),
)
def test_sqlite_is_held(scene: Scene) -> None:
    worker, receiver = _halfway(scene, DJANGO_SETTINGS_MODULE="tests.faults.settings_impatient")
    with write_lock():
        receiver.let_go()
        scene.wait_until(lambda: len(receiver.accepted) == 23, "every answer")
        worker.wait_for(rf"{AWAY}.*: database is locked\)")
        assert Attempt.objects.count() == 3
    scene.fault_is_over()
    scene.save(5)
    assert_invariant(scene, pace=PACE + WORST_PAUSE)
    assert scene.outcome.duplicates == 0


Free = Callable[[], None]


@contextmanager
def _full_file(mark: Path) -> Iterator[Callable[[], Free]]:
    # Pages that earlier tests left free would be room enough.
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")

    def fill_up() -> Free:
        mark.touch()
        return mark.unlink

    yield fill_up


@contextmanager
def _full_tablespace(server: Postgres) -> Iterator[Callable[[], Free]]:
    with on_a_small_disk(server) as folder:
        yield lambda: fill(folder).unlink


@fault(
    "Disk full when answers are to be recorded",
    promise="The worker keeps them until there is space; nothing is sent twice",
)
def test_disk_full_at_recording(
    scene: Scene, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    changes: dict[str, str] = {}
    if connections["default"].vendor == "sqlite":
        mark = tmp_path / "full"
        disk = _full_file(mark)
        changes["DJANGO_SETTINGS_MODULE"] = "tests.faults.settings_full_disk"
        changes["DISK_IS_FULL"] = str(mark)
    elif may_mount():
        disk = _full_tablespace(request.getfixturevalue("postgres"))
    else:
        pytest.skip("PostgreSQL's disk is a small file system: needs the right to mount one")
    with disk as fill_up:
        worker, receiver = _halfway(scene, **changes)
        # What cannot be compressed needs new pages.
        receiver.answer = Answer(body=os.urandom(12_000).hex().encode())
        free = fill_up()
        receiver.let_go()
        scene.wait_until(lambda: len(receiver.accepted) == 23, "every answer")
        worker.wait_for(rf"{AWAY}.*(disk is full|No space left)")
        assert Attempt.objects.count() == 3
        free()
        scene.fault_is_over()
        scene.save(5)
        assert_invariant(scene, pace=PACE + WORST_PAUSE)
        assert scene.outcome.duplicates == 0
        worker.kill()
