"""Tells a worker, soon after a commit, that there is something to do. A mere hint.

Saves only set a flag. One thread per process publishes, at most once per interval whatever the
number of saves, so that a slow or absent broker never delays a request; after a failure it keeps
still for a while. What a lost hint would have told, the workers' own look at the database finds.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable

from .conf import settings

logger = logging.getLogger("webhooks.wakeup")

# Set by apps.py: what recording an event imports knows no broker.
_publish: Callable[[], None] | None = None


def set_publisher(publish: Callable[[], None]) -> None:
    """:param publish: sends the hint; may raise, may take as long as the broker lets it."""
    global _publish  # noqa: PLW0603
    _publish = publish


class _Waker:
    def __init__(self) -> None:
        self._news = threading.Condition()
        self._asked = self._tried = self._published = 0  # requests, counted
        self._resting = False  # after a failure
        self._thread: threading.Thread | None = None

    def request(self) -> None:
        with self._news:
            self._asked += 1
            self._news.notify_all()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="webhooks-wakeup", daemon=True)
                thread.start()
                self._thread = thread

    def flush(self, timeout: float) -> bool:
        with self._news:
            asked = self._asked
            self._news.wait_for(lambda: self._tried >= asked or self._resting, timeout)
            return self._published >= asked

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._asked > self._tried)
                asked = self._asked
            published = self._try()
            with self._news:
                self._tried = asked
                if published:
                    self._published = asked
                self._resting = not published
                self._news.notify_all()
            time.sleep(
                settings.WAKEUP_INTERVAL_SECONDS if published else settings.WAKEUP_PAUSE_SECONDS
            )
            self._resting = False

    def _try(self) -> bool:
        try:
            if _publish is not None:
                _publish()
        except Exception as error:
            # The reason alone: a broker's address may carry a password.
            logger.warning("No worker could be woken (%s).", type(error).__name__)
            return False
        return True


_waker = _Waker()


def request() -> None:
    """Ask for a worker; returns at once and never raises."""
    if _publish is None:
        return
    try:
        _waker.request()
    except RuntimeError:  # no more threads, or the interpreter is ending
        logger.warning("No worker could be woken (no thread could be started).")


def flush(timeout: float | None = None) -> bool:
    """Wait until the requests so far were published: `timeout` seconds at most.

    :returns: False if they were not: the broker failed, or takes longer.
    """
    return _waker.flush(settings.WAKEUP_TIMEOUT_SECONDS if timeout is None else timeout)


def _after_fork() -> None:
    global _waker  # noqa: PLW0603
    _waker = _Waker()


os.register_at_fork(after_in_child=_after_fork)
# A command that saves and ends would take the hint with it.
atexit.register(flush)
