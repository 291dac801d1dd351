"""A Redis of the tests' own; nothing is kept on disk, so that a restart forgets everything."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from .base import Service, wait_until


class Redis(Service):
    name = "redis"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        return [
            "/usr/bin/redis-server",
            *("--port", str(self.port)),
            *("--bind", "127.0.0.1"),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--appendonly", "no"),
        ]

    def is_ready(self) -> bool:
        return self._ask(b"PING\r\n") == b"+PONG\r\n"

    def flush(self) -> None:
        """Forget everything, as an operator's FLUSHALL would."""
        wait_until(lambda: self._ask(b"FLUSHALL\r\n") == b"+OK\r\n", what="Redis to be empty")

    def _ask(self, request: bytes) -> bytes:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection,
        ):
            connection.sendall(request)
            return connection.recv(100)
        return b""
