"""Ends the calls that their sockets' timeouts do not.

Timeouts bound each wait. They do not bound OpenSSL, which goes on reading within one call of
`recv` for as long as a peer sends it records that carry no data.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .channel import Call

TICK_SECONDS = 0.25
_IDLE_TICKS = 160  # without any call, before the thread ends: longer than idle connections live


class Watchdog:
    """One thread, however many calls; it runs while there are any, and a little longer."""

    def __init__(self, on_tick: Callable[[], None]) -> None:
        """:param on_tick: called four times a second, also a while after the last call."""
        self._on_tick = on_tick
        self._lock = threading.Lock()
        self._calls: dict[Call, None] = {}
        self._thread: threading.Thread | None = None

    def watch(self, call: Call) -> None:
        self._calls[call] = None
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._start()

    def forget(self, call: Call) -> None:
        self._calls.pop(call, None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="webhooks-watchdog", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        idle_ticks = 0
        me = threading.current_thread()
        while True:
            time.sleep(TICK_SECONDS)
            now = time.monotonic()
            for call in list(self._calls):
                if call.deadline <= now:
                    self.forget(call)
                    call.overdue = True
                    channel = call.channel
                    if channel is not None:
                        channel.kill(call)
            self._on_tick()
            idle_ticks = 0 if self._calls else idle_ticks + 1
            if idle_ticks > _IDLE_TICKS:
                with self._lock:
                    self._thread = None
                    # Whoever adds a call first adds it and then looks for the thread.
                    if not self._calls:
                        return
                    self._thread = me
