"""Where idle connections wait for another call: one bounded place for all receivers.

urllib3 keeps a queue for each receiver, and what lies there until its process ends; with a
thousand receivers that is more file descriptors than a process usually has.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

IDLE_SECONDS = 30.0  # longer, and a firewall or the receiver may have dropped it unseen
AGE_SECONDS = 300.0  # so that a receiver that moved is found at its new address

Key = tuple[str, str, int]  # scheme, host, port


class Shelf:
    """Idle connections: a receiver's freshest is taken first, the oldest of all thrown out.

    :param per_receiver: kept at most for one receiver.
    :param total: kept at most for all: each holds a file descriptor.
    """

    def __init__(self, per_receiver: int, total: int) -> None:
        self._per_receiver = per_receiver
        self._total = total
        self._lock = threading.Lock()
        self._by_key: dict[Key, list[Any]] = {}
        self._since: OrderedDict[Any, tuple[float, Key]] = OrderedDict()
        self._open = True

    def take(self, key: Key) -> Any:
        """A connection that is still open as far as can be seen, or None."""
        while True:
            with self._lock:
                connections = self._by_key.get(key)
                if not connections:
                    return None
                connection = connections[-1]
                since, _ = self._since[connection]
                self._remove(connection, key)
            now = time.monotonic()
            if (
                now - since < IDLE_SECONDS
                and now - connection.sock.opened_at < AGE_SECONDS
                and connection.is_connected  # nothing to read: neither its end nor an answer
            ):
                return connection
            connection.close()

    def put(self, key: Key, connection: Any) -> bool:
        """Keep it; False: no room, the caller closes it."""
        now = time.monotonic()
        with self._lock:
            if not self._open or len(self._by_key.get(key, ())) >= self._per_receiver:
                return False
            self._by_key.setdefault(key, []).append(connection)
            self._since[connection] = (now, key)
            stale = self._older_than(now - IDLE_SECONDS)
        _close_all(stale)
        return True

    def sweep(self) -> None:
        """Close what has been idle for too long."""
        with self._lock:
            stale = self._older_than(time.monotonic() - IDLE_SECONDS)
        _close_all(stale)

    def clear(self, *, for_good: bool = False) -> int:
        """:returns: how many connections it closed."""
        with self._lock:
            connections = list(self._since)
            self._since.clear()
            self._by_key.clear()
            self._open = self._open and not for_good
        _close_all(connections)
        return len(connections)

    def __len__(self) -> int:
        return len(self._since)

    def _older_than(self, moment: float) -> list[Any]:
        """Remove and return what was put here before `moment`, or is one too many."""
        found = []
        while self._since:
            connection, (since, key) = next(iter(self._since.items()))
            if since >= moment and len(self._since) <= self._total:
                break
            self._remove(connection, key)
            found.append(connection)
        return found

    def _remove(self, connection: Any, key: Key) -> None:
        del self._since[connection]
        connections = self._by_key[key]
        connections.remove(connection)
        if not connections:
            del self._by_key[key]


def _close_all(connections: Iterable[Any]) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.close()
