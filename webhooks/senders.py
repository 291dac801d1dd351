"""The threads that send, and the slots that they share. They never touch the database.

A sender that is done takes the next job itself, so that a slow statement in the engine's thread
idles no slot; the engine is told of results in batches.

Requests begin one by one: the next when the last to begin is over, or a moment old. Where receivers
answer at once, one thread does the work of many, which would wait for each other (Python's lock)
more than for the receivers. Where they do not, another thread *stands by* to begin the next.
"""

from __future__ import annotations

import enum
import queue as queues
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from . import delivery, shortage
from .directory import Directory, Receiver
from .models import Webhook
from .queue import Job, Result
from .slots import Slots
from .throttle import Throttle
from .transport import Transport

_ASIDE = 8  # jobs held for receivers that have a queue of their own, per slot
_MOMENT = 0.0005  # seconds: longer than an answer from nearby takes, and 2,000 a second at least


@dataclass(slots=True)
class Held:
    """A claimed job, in this process's memory."""

    job: Job
    expires: float
    """The moment (monotonic) after which it must not be sent any more: another may have it."""
    snapshot: str = "{}"


@dataclass(slots=True)
class _Sending:
    """A job that has a slot."""

    ticket: int
    held: Held
    receiver: Receiver


class _StandBy(enum.Enum):
    """A thread's task to begin the next request in a moment."""

    TASK = enum.auto()


_STAND_BY = _StandBy.TASK
_Task = _Sending | _StandBy


class Senders:
    """Public methods are for the engine's thread.

    :param tell: called by senders when the engine should look at the results.
    :param tell_at: results that are worth telling of at once.
    """

    def __init__(
        self,
        slots: Slots[UUID, Held],
        directory: Directory,
        transport: Transport,
        *,
        tell: Callable[[], None],
        tell_at: int,
    ) -> None:
        self._slots = slots
        self._directory = directory
        self._transport = transport
        self._tell = tell
        self._tell_at = tell_at
        self._lock = threading.Lock()  # guards all that follows
        self._throttle = Throttle(slots.total)
        self._aside: set[UUID] = set()
        self._results: list[Result] = []
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._tasks: queues.SimpleQueue[_Task | None] = queues.SimpleQueue()  # None: the end
        self._newest: int | None = None  # the ticket of the request that began last, if not over
        self._next_at = 0.0  # the moment from which the next may begin all the same
        self._standing_by = False  # whether a thread is
        self._closing = False

    @property
    def busy(self) -> bool:
        """Whether there are jobs here, or results that were not collected."""
        with self._lock:
            return bool(self._slots.in_flight or self._slots.waiting or self._results)

    @property
    def in_flight(self) -> int:
        """Requests that are being sent."""
        return self._slots.in_flight

    @property
    def waiting(self) -> int:
        """Jobs that wait for a slot."""
        return self._slots.waiting

    @property
    def wanted(self) -> int:
        """How many more jobs of receivers that are well it is worth to claim."""
        if self._throttle.is_pausing(time.monotonic()):
            return 0
        ready = self._slots.ready
        return 2 * self._slots.total - ready if ready < self._slots.total else 0

    @property
    def wanted_aside(self) -> int:
        """The same of all the others; what is held for them takes memory and no slot."""
        return max(0, _ASIDE * self._slots.total - (self._slots.waiting - self._slots.ready))

    @property
    def lacking(self) -> str:
        """What this machine is short of, so that it sends less at a time; see shortage.py."""
        return self._throttle.lacking

    @property
    def slowed(self) -> int:
        """How often it had to send less at a time."""
        return self._throttle.slowed

    @property
    def allowed(self) -> int:
        """How many requests may be in flight as things are."""
        return self._throttle.allowed

    @property
    def stuck(self) -> bool:
        """Whether slots are free, yet enough waits that may not use them."""
        pausing = self._throttle.is_pausing(time.monotonic())
        return not pausing and self.wanted == 0 and self._slots.in_flight < self._slots.total

    def crowd(self) -> dict[UUID, int]:
        """Where that is so: how many jobs each may keep, so that others' are claimed again."""
        with self._lock:
            waiting = self._slots.waiting_for()
            well = [key for key in waiting if self._is_well(key)]
        keep = max(self._slots.per_receiver, self._slots.total // (2 * max(1, len(well))))
        return dict.fromkeys(well, keep)

    def _is_well(self, key: UUID) -> bool:
        return key not in self._slots.suspects and key not in self._aside

    @property
    def per_receiver(self) -> int:
        return self._slots.per_receiver

    def put(self, held: Held) -> None:
        with self._lock:
            self._slots.put(held.job.webhook_id, held)

    def collect(self) -> list[Result]:
        """What came of jobs since the last call."""
        with self._lock:
            results, self._results = self._results, []
        return results

    def look(self, now: float) -> None:
        """Find out anew which receivers are suspects, or have a queue of their own."""
        self._aside = {each.id for each in self._directory if each.lane != Webhook.Lane.NORMAL}
        with self._lock:
            self._throttle.look(now)
            self._slots.resize(self._throttle.allowed)
            self._slots.look(now, self._aside)

    def forget(self) -> None:
        """Drop what is known of receivers that were deleted."""
        with self._lock:
            self._slots.forget({each.id for each in self._directory})

    def suspects(self) -> set[UUID]:
        """The receivers that share the suspects' slots, as of the last `look()`."""
        return set(self._slots.suspects)

    def room_for_suspects(self) -> int:
        return self._slots.room_for_suspects

    def is_slow(self, webhook_id: UUID) -> bool:
        return self._slots.is_slow(webhook_id)

    def waiting_for(self) -> dict[UUID, int]:
        """How many jobs wait, by receiver."""
        with self._lock:
            return self._slots.waiting_for()

    def take_back(self, keep: dict[UUID, int]) -> list[Job]:
        """Remove, of these receivers' waiting jobs, all but so many."""
        with self._lock:
            waiting = self._slots.waiting_for()
            return [
                held.job
                for key, count in keep.items()
                if waiting.get(key, 0) > count
                for held in self._slots.take_back(key, keep=count)
            ]

    def dispatch(self, now: float) -> None:
        """See to it that what may be sent is sent; senders take what follows by themselves."""
        with self._lock:
            if self._slots.has_turns and not self._has_a_thread(now):
                return
            sending, stand_by = self._begin(now)
            if sending is not None:
                self._give(sending)
            if stand_by:
                self._give(_STAND_BY)

    def _has_a_thread(self, now: float) -> bool:
        """Before anything is begun that nobody might do."""
        if self._threads or self._throttle.is_pausing(now):
            return bool(self._threads)
        if self._started_another():
            self._idle += 1
            return True
        self._run_short(shortage.note("threads: not one can be started"), now)
        return False

    def stop_taking(self) -> list[Job]:
        """Begin nothing more. :returns: the jobs that were not begun."""
        self._closing = True
        return self.take_back(dict.fromkeys(self.waiting_for(), 0))

    def close(self) -> None:
        """Let the threads end, each after what it is sending."""
        with self._lock:
            self._closing = True
            for _ in self._threads:
                self._tasks.put(None)
        self._transport.close()

    # --- in the senders' threads ------------------------------------------------------------

    def _work(self) -> None:
        """A thread's whole life."""
        while (task := self._tasks.get()) is not None:
            while task is not None:
                task = self._send(task) if isinstance(task, _Sending) else self._stand_by()

    def _send(self, sending: _Sending) -> _Task | None:
        """:returns: what the thread is to do next."""
        held = sending.held
        result = delivery.attempt(
            held.job, sending.receiver, self._transport, snapshot=held.snapshot
        )
        with self._lock:
            now = time.monotonic()
            if result.shortage:
                self._run_short(result.shortage, now)
            elif result.attempt is not None:
                self._throttle.go_well()
            slow = None if result.shortage else delivery.is_slow(result)
            self._slots.done(held.job.webhook_id, sending.ticket, slow=slow)
            if self._newest == sending.ticket:
                self._newest = None
            self._results.append(result)
            following = self._follow(now)
            worth_telling = (
                result.shortage
                or len(self._results) in {1, self._tell_at}
                or self._slots.in_flight == 0
                or self._slots.ready == self._slots.total - 1
            )
        if worth_telling:
            self._tell()
        return following

    def _stand_by(self) -> _Task | None:
        """Begin the next request once the last to begin is a moment old.

        :returns: what the thread is to do next.
        """
        while True:
            with self._lock:
                now = time.monotonic()
                if self._closing or not self._must_wait(now):
                    self._standing_by = False
                    return self._follow(now)
                wait = self._next_at - now
            time.sleep(min(wait, 0.01))  # however long a moment is, the end is heard of

    # --- in any thread, with the lock held --------------------------------------------------

    def _follow(self, now: float) -> _Task | None:
        """What a thread does that has nothing to do any more."""
        sending, stand_by = self._begin(now)
        if sending is None and not stand_by:
            self._idle += 1
            return None
        if sending is None:
            return _STAND_BY
        if stand_by:
            self._give(_STAND_BY)
        return sending

    def _give(self, task: _Task) -> None:
        """To a thread that is idle, or a new one, or else to the first that has nothing to do."""
        if self._idle > 0 or not self._started_another():
            self._idle -= 1  # below 0: tasks that wait for a thread
        self._tasks.put(task)

    def _started_another(self) -> bool:
        thread = threading.Thread(target=self._work, name="webhooks-sender", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more of them
            return False
        self._threads.append(thread)
        return True

    def _begin(self, now: float) -> tuple[_Sending | None, bool]:
        """The next job, if one may be sent now; and whether a thread is to stand by for more."""
        if self._closing or self._throttle.is_pausing(now):
            return None, False
        must_wait = self._must_wait(now)
        sending = None if must_wait else self._take(now)
        if sending is not None:
            self._newest, self._next_at = sending.ticket, now + _MOMENT
        # Where neither is so, what waits may not be sent for other reasons: `dispatch()` will see.
        more = (must_wait or sending is not None) and self._slots.has_turns
        stand_by = more and not self._standing_by
        self._standing_by |= stand_by
        return sending, stand_by

    def _run_short(self, what: str, now: float) -> None:
        self._throttle.run_short(what, now, under_way=self._slots.in_flight)
        self._slots.resize(self._throttle.allowed)

    def _must_wait(self, now: float) -> bool:
        return self._newest is not None and now < self._next_at

    def _take(self, now: float) -> _Sending | None:
        """The next job that its receiver, and what the others do, allow to be sent."""
        while (found := self._slots.next(now)) is not None:
            ticket, held = found
            key = held.job.webhook_id
            receiver = self._directory.get(key)
            if receiver is None or receiver.status != Webhook.Status.ACTIVE or now > held.expires:
                # Let the lease run out: whoever claims it next finds out what to do.
                self._slots.done(key, ticket, slow=None)
                continue
            if receiver.rate_limit:
                self._slots.not_before(key, now + 1 / receiver.rate_limit)
            return _Sending(ticket, held, receiver)
        return None
