"""A clock that a test turns, for other processes. The wall clock alone: a machine's monotonic clock
does not step either.

PostgreSQL's is turned by libfaketime, of Debian's package of that name. Python's `sleep` fails
under that library (its 0.9.10 gets `clock_nanosleep` wrong): a worker's is turned by its settings.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.db import connections

from tests.faults.databases import another_session
from tests.services import Postgres
from tests.services.base import ServiceFailed
from tests.services.postgres import binaries

HOUR = 3600


class Clock:
    """:param file: where the processes read by how much their clock differs; in a folder of its
    own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.chmod(0o755)  # PostgreSQL may run as another user
        self.turn(0)

    def turn(self, seconds: int) -> None:
        """From now on the clock shows so many seconds more, or less, than the machine's."""
        partial = self._file.with_suffix(".new")
        partial.write_text(f"{seconds:+d}\n")
        partial.chmod(0o644)
        partial.replace(self._file)

    @property
    def for_workers(self) -> Mapping[str, str]:
        """What makes a worker go by this clock: see settings_clock.py."""
        return {
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings_clock",
            "CLOCK": str(self._file),
        }

    @property
    def for_servers(self) -> Mapping[str, str]:
        """What makes a server go by this clock, by libfaketime.

        :raises ServiceFailed: it is not installed.
        """
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            raise ServiceFailed("libfaketime is not installed: apt-get install libfaketime")
        return {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@contextmanager
def going_by(clock: Clock, server: Postgres) -> Iterator[None]:
    """The server goes by that clock within."""
    words = [str(word) for word in server.command()]
    program = words.index(str(binaries() / "postgres"))
    variables = [f"{name}={value}" for name, value in clock.for_servers.items()]
    server.stop()
    server.command = (
        lambda: [  # type: ignore[method-assign]
            *words[:program],
            "/usr/bin/env",
            *variables,
            *words[program:],
        ]
    )
    server.start()
    connections.close_all()
    clock.turn(HOUR)
    try:
        with another_session() as session:
            there = session.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
        assert there is not None
        assert abs(float(there[0]) - time.time() - HOUR) < 60, "the server's clock does not turn"
        clock.turn(0)
        yield
    finally:
        server.stop()
        del server.command
        server.start()
        connections.close_all()
