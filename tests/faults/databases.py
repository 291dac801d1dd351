"""Getting in the way of a database, on purpose, from outside of the worker."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection, connections

from tests.processes import Process
from tests.services import Postgres
from tests.services.base import PATIENCE, wait_until


def another_session() -> psycopg.Connection[Any]:
    """A connection to the tests' PostgreSQL database that is none of Django's."""
    settings = connection.settings_dict
    return psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        dbname=settings["NAME"],
    )


@contextmanager
def recording_blocked() -> Iterator[None]:
    """No attempt can be written within; at the end the sessions that tried to are ended.

    For workers that are dead by then: PostgreSQL would finish what their sessions wait for.
    """
    if connection.vendor == "sqlite":
        with write_lock():
            yield
        return
    with another_session() as session:
        session.execute("LOCK TABLE webhooks_attempt IN SHARE ROW EXCLUSIVE MODE")
        yield
        waiting = (
            "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        session.execute(f"SELECT pg_terminate_backend(pid) {waiting}")
        wait_until(
            lambda: session.execute(f"SELECT count(*) {waiting}").fetchone() == (0,),
            what="the dead workers' sessions to end",
        )


def pause_between_transactions(worker: Process) -> None:
    """Stop it where it holds no lock, since it would hold it for as long as it is stopped."""

    def paused() -> bool:
        worker.pause()
        if not _is_in_transaction():
            return True
        worker.resume()
        return False

    wait_until(paused, what="a moment at which the worker holds no lock")


def _is_in_transaction() -> bool:
    """Whether anybody but this test may hold locks."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as session:
            try:
                session.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False
    with another_session() as session:
        held = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND xact_start IS NOT NULL "
            "AND pid <> pg_backend_pid()"
        )
        return held.fetchone() != (0,)


@contextmanager
def write_lock() -> Iterator[None]:
    """SQLite's one lock on writing, held."""
    name = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(name, timeout=PATIENCE)) as holder:
        holder.isolation_level = None
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


@contextmanager
def on_a_small_disk(server: Postgres) -> Iterator[Path]:
    """The attempts' table on a file system of a few megabytes, in memory, within the server's own
    mount namespace.

    :returns: its folder, as seen from here; a file put there takes space.
    """
    folder = server.folder / "small"
    folder.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o size=4m,mode=777 none {folder} && exec "$@"'
    command = server.command
    server.stop()
    server.command = lambda: ["/usr/bin/unshare", "--mount", "sh", "-c", mount, "sh", *command()]  # type: ignore[method-assign]
    server.start()
    connections.close_all()
    seen = Path(f"/proc/{server.pid}/root{folder}")
    (seen / "space").mkdir()
    shutil.chown(seen / "space", "postgres")
    try:
        _execute(f"CREATE TABLESPACE small LOCATION '{folder}/space'")
        _execute("ALTER TABLE webhooks_attempt SET TABLESPACE small")
        yield seen
    finally:
        _execute("ALTER TABLE webhooks_attempt SET TABLESPACE pg_default")
        _execute("DROP TABLESPACE small")
        server.stop()
        del server.command
        server.start()
        connections.close_all()


def may_mount() -> bool:
    probe = ["/usr/bin/unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _execute(statement: str) -> None:
    with another_session() as session:
        session.autocommit = True
        session.execute(statement)


def fill(folder: Path) -> Path:
    """Leave no space on the file system of `folder`. :returns: the file that takes it all."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler
