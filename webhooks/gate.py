"""The one gate of web requests to other machines: few at a time in a process, and not for long.

A request that waits for a receiver or a name server holds a thread of the web server, and whoever
may send tests could hold them all. So a process lets TEST_CONCURRENCY requests wait at one time,
and turns the others away at once. Where the server gives a process one thread, each wait stops the
whole process: after one that ran out of time the gate stays shut for as long as it took, so that
others are served in between.

A command is a process of its own, and waits as it likes.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator

from .conf import settings


class Busy(Exception):
    """Too many requests of this process wait already; `retry_after`: seconds, at least 1."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests wait for other machines; again in {retry_after} s")
        self.retry_after = retry_after


class _Gate:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: dict[object, float] = {}  # until when each may wait
        self._shut_until = 0.0

    def enter(self, seconds: float) -> object:
        now = time.monotonic()
        with self._lock:
            if now < self._shut_until:
                raise Busy(math.ceil(self._shut_until - now))
            if len(self._inside) >= settings.TEST_CONCURRENCY:
                raise Busy(max(1, math.ceil(min(self._inside.values()) - now)))
            permit = object()
            self._inside[permit] = now + seconds
        return permit

    def leave(self, permit: object, *, shut_seconds: float = 0.0) -> None:
        with self._lock:
            del self._inside[permit]
            self._shut_until = time.monotonic() + shut_seconds


_gate = _Gate()


@contextlib.contextmanager
def passing(seconds: float, *, alone: bool = False) -> Iterator[None]:
    """Wait inside for another machine, `seconds` at most.

    :param alone: the web server gives this process one thread.
    :raises Busy: at once; nothing was done.
    """
    gate = _gate
    permit = gate.enter(seconds)
    began = time.monotonic()
    try:
        yield
    finally:
        took = time.monotonic() - began
        gate.leave(permit, shut_seconds=took if alone and took >= seconds else 0.0)


def reset() -> None:
    """Nobody is inside: in a new process, or for a test."""
    global _gate  # noqa: PLW0603
    _gate = _Gate()


os.register_at_fork(after_in_child=reset)
