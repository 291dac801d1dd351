"""The runner in a worker process: claims (intake.py), sends, records in batches (recording.py), and
looks after what was left behind (upkeep.py).

Its thread alone owns a database connection; the senders' threads never touch it.

    engine's thread                     slots (senders.py)              senders' threads
    fan out, claim ───── put ─────────▶ waiting, by receiver ── take ─▶ attempt (delivery.py)
    record, judge ◀───── collect ────── results ◀────────────────────── │
       ▲ kick(), stop()

No transaction is open and no row is locked while a request is under way.
"""

from __future__ import annotations

import contextlib
import logging
import queue as queues
import threading
import time
from collections.abc import Callable, Iterable
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections

from . import egress, shortage, signals
from .conf import settings
from .directory import Directory
from .heartbeat import Heart
from .intake import Intake
from .logs import cause
from .models import Webhook
from .queue import Job, Result, queue_on
from .recording import Recorder
from .senders import Senders
from .slots import Slots
from .transport import Transport
from .upkeep import Upkeep

logger = logging.getLogger("webhooks.engine")

_RECORD_WITHIN = 0.05  # seconds that a result may wait for others to be recorded with it
_RECORD_AT = 64  # results that are recorded without waiting for more
_BETWEEN_SLICES = 0.01  # seconds in which results may come in, and the database serves others
_MARGIN = 2.0  # seconds to record in, at the end, what took its whole time
_ALARM_EVERY = 60.0  # seconds between lines in the log about a shortage
_WORST_PAUSE = 5.0  # seconds between tries while the database is away


class Engine:
    """One per process. `run()` is its thread's whole life; `kick()` and `stop()` are for others."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS, transport: Transport | None = None) -> None:
        self._using = using
        self._queue = queue_on(using)
        self._heart = Heart(using)
        self._directory = Directory(using)
        self._inbox: queues.SimpleQueue[bool] = queues.SimpleQueue()  # True: kicked
        self._senders = Senders(
            Slots(
                settings.SENDER_THREADS,
                per_receiver=settings.RECEIVER_CONCURRENCY,
                suspect_share=settings.SUSPECT_SHARE,
                suspect_after=settings.SUSPECT_AFTER_SECONDS,
            ),
            self._directory,
            transport or egress.transport(),
            tell=lambda: self._inbox.put(False),
            tell_at=_RECORD_AT,
        )
        self._recorder = Recorder(self._queue, self._directory, hold_back=self._hold_back)
        self._intake = Intake(self._queue, self._directory, self._senders)
        self._upkeep = Upkeep(
            self._queue, self._directory, self._senders, lease=float(settings.LEASE_SECONDS)
        )
        self._stopping = threading.Event()
        self._unrecorded: list[Result] = []
        self._unjudged: list[Result] = []
        self._returned: list[Job] = []  # to be handed back
        self._record_at = 0.0
        self._alarm_at = 0.0
        self._slowed = 0
        self._pause = 0.0

    # --- from other threads -----------------------------------------------------------------

    def kick(self) -> None:
        """There may be something to do: look now. Costs next to nothing."""
        self._inbox.put(True)

    def stop(self) -> None:
        """Claim no more; finish what is being sent, hand back the rest, then `run()` returns."""
        self._stopping.set()
        self._inbox.put(True)

    # --- the engine's own thread ------------------------------------------------------------

    def run(self) -> None:
        """Work until `stop()`. A database that is away is waited for; nothing known is dropped."""
        try:
            while not self._stopping.is_set():
                self._guarded(self._live)
            self._finish()
        finally:
            self._senders.close()
            connections[self._using].close()

    def drain(self, *, timeout: float = 60.0) -> None:
        """Work in this thread until nothing is due any more. For tests and commands.

        :raises TimeoutError: there still was, after `timeout` seconds.
        """
        until = time.monotonic() + timeout
        try:
            while True:
                self._intake.look_soon()
                self._turn(wait=0.01 if self._busy() else 0)
                if not (self._busy() or self._upkeep.busy or self._queue.due()):
                    return
                if time.monotonic() > until:
                    raise TimeoutError(f"Deliveries were still due after {timeout} seconds.")
        finally:
            self._senders.close()

    def _busy(self) -> bool:
        return self._senders.busy or bool(
            self._unrecorded or self._unjudged or self._returned or self._recorder.undecided
        )

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
            self._pause = 0.0
        except (OperationalError, InterfaceError) as error:
            self._pause = min(_WORST_PAUSE, self._pause * 2 or 0.1)
            connection = connections[self._using]
            logger.warning(
                "The database is away or refuses (%s); trying again in %.1f s.",
                cause(error, str(connection.settings_dict.get("PASSWORD") or "")),
                self._pause,
            )
            connection.close()
            self._stopping.wait(self._pause)
        except Exception as error:
            lacking = shortage.of(error)
            self._pause = min(_WORST_PAUSE, self._pause * 2 or 0.1) if lacking else 1.0
            if lacking:
                self._alarm(lacking)
            else:
                logger.exception("The engine stumbled; going on.")
            connections[self._using].close()
            self._stopping.wait(self._pause)

    def _live(self) -> None:
        if self._heart.beat(self._senders.in_flight, self._senders.lacking):
            signals.worker_alive.send_robust(type(self))
        self._turn()

    def _turn(self, wait: float | None = None) -> None:
        kicked = self._receive(self._patience() if wait is None else wait)
        now = time.monotonic()
        if self._slowed != self._senders.slowed:
            self._slow_down()
        if self._returned:
            self._recorder.hand_back(self._returned)
            self._returned = []
        if self._unrecorded and (
            now >= self._record_at
            or len(self._unrecorded) >= _RECORD_AT
            or not self._senders.in_flight
        ):
            self._record()
        self._judge()
        if kicked:
            self._intake.look_soon()
        self._intake.turn(now)
        self._senders.dispatch(now)
        self._upkeep.turn(now)

    def _patience(self) -> float:
        """Seconds until the engine has something to do of its own accord."""
        now = time.monotonic()
        wait = self._intake.patience(now)
        if self._upkeep.busy or self._recorder.undecided:
            wait = min(wait, _BETWEEN_SLICES)
        if self._unrecorded:
            wait = min(wait, max(0.0, self._record_at - now))
        return wait

    def _receive(self, wait: float) -> bool:
        """Wait for a signal and take in the results. :returns: whether somebody kicked."""
        kicked = False
        try:
            kicked = self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()
            while True:
                kicked |= self._inbox.get_nowait()
        except queues.Empty:
            pass
        results = self._senders.collect()
        if results and not self._unrecorded:
            self._record_at = time.monotonic() + _RECORD_WITHIN
        self._unrecorded += results
        return kicked

    def _record(self) -> None:
        self._recorder.record(self._unrecorded)
        self._unjudged += self._unrecorded
        self._unrecorded = []

    def _slow_down(self) -> None:
        """This machine is short of something: others may have it, and get what waits here."""
        self._slowed = self._senders.slowed
        self._alarm(self._senders.lacking)
        waiting = self._senders.waiting_for()
        self._returned += self._senders.take_back(dict.fromkeys(waiting, 0))

    def _alarm(self, lacking: str) -> None:
        """Now and then: a shortage fails many requests at the same moment."""
        now = time.monotonic()
        if now >= self._alarm_at:
            self._alarm_at = now + _ALARM_EVERY
            logger.error(
                "This worker's machine is short (%s). What it could not send is handed back "
                "untried; it sends at most %d requests at a time until that is over.",
                lacking,
                self._senders.allowed,
            )

    def _judge(self) -> None:
        try:
            if self._unjudged:
                self._recorder.judge(self._unjudged)
                self._unjudged = []
            if self._recorder.undecided:
                self._recorder.act()
        except (OperationalError, InterfaceError):
            raise  # it is done when the database is back
        except Exception:
            # Tried again, it would fail again, and all else would wait.
            self._unjudged = []
            self._recorder.forget()
            raise

    def _hold_back(self, webhook_ids: Iterable[UUID]) -> None:
        """What waits here for these receivers is to wait in the database."""
        jobs = self._senders.take_back(dict.fromkeys(webhook_ids, 0))
        if jobs:
            self._queue.hand_back(jobs, lane=Webhook.Lane.TROUBLED)

    # --- the end ----------------------------------------------------------------------------

    def _finish(self) -> None:
        """Hand back what was not begun; wait for what was, and record it."""
        self._returned += self._senders.stop_taking()
        timeouts = [receiver.timeout for receiver in self._directory]
        until = time.monotonic() + max(timeouts, default=0.0) + _MARGIN
        while self._busy() and time.monotonic() < until:
            try:
                self._recorder.hand_back(self._returned)
                self._returned = []
                self._receive(0.05)
                if self._unrecorded:
                    self._record()
                self._judge()
            except (OperationalError, InterfaceError):
                connections[self._using].close()
                time.sleep(0.1)
        with contextlib.suppress(DatabaseError, InterfaceError):
            self._heart.stop()
