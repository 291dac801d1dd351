"""The threads that send, and the slots that they share. They never touch the database.

A sender that is done takes the next job itself, so that a slow statement in the engine's thread
idles no slot; the engine is told of results in batches.
"""

from __future__ import annotations

import queue as queues
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from . import delivery
from .directory import Directory, Receiver
from .models import Webhook
from .queue import Job, Result
from .slots import Slots
from .transport import Transport

_ASIDE = 8  # jobs held for receivers that have a queue of their own, per slot


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
        self._lock = threading.Lock()  # guards the slots, the results and the count of idlers
        self._aside: set[UUID] = set()
        self._results: list[Result] = []
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._ready: queues.SimpleQueue[_Sending | None] = queues.SimpleQueue()
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
        ready = self._slots.ready
        return 2 * self._slots.total - ready if ready < self._slots.total else 0

    @property
    def wanted_aside(self) -> int:
        """The same of all the others; what is held for them takes memory and no slot."""
        return max(0, _ASIDE * self._slots.total - (self._slots.waiting - self._slots.ready))

    @property
    def stuck(self) -> bool:
        """Whether slots are free, yet enough waits that may not use them."""
        return self.wanted == 0 and self._slots.in_flight < self._slots.total

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
        """Give jobs to threads that have none; busy ones take their next by themselves."""
        with self._lock:
            found = []
            while (sending := self._take(now)) is not None:
                found.append(sending)
            missing = max(0, len(found) - self._idle)
            self._idle -= len(found) - missing
        for _ in range(missing):
            thread = threading.Thread(target=self._send, name="webhooks-sender", daemon=True)
            self._threads.append(thread)
            thread.start()
        for sending in found:
            self._ready.put(sending)

    def stop_taking(self) -> list[Job]:
        """Begin nothing more. :returns: the jobs that were not begun."""
        self._closing = True
        return self.take_back(dict.fromkeys(self.waiting_for(), 0))

    def close(self) -> None:
        """Let the threads end, each after what it is sending."""
        self._closing = True
        for _ in self._threads:
            self._ready.put(None)
        self._transport.close()

    # --- in the senders' threads ------------------------------------------------------------

    def _send(self) -> None:
        """A thread's whole life."""
        while (sending := self._ready.get()) is not None:
            while sending is not None:
                held = sending.held
                result = delivery.attempt(
                    held.job, sending.receiver, self._transport, snapshot=held.snapshot
                )
                with self._lock:
                    self._slots.done(
                        held.job.webhook_id, sending.ticket, slow=delivery.is_slow(result)
                    )
                    sending = None if self._closing else self._take(time.monotonic())
                    self._idle += sending is None
                    self._results.append(result)
                    worth_telling = (
                        len(self._results) in {1, self._tell_at}
                        or self._slots.in_flight == 0
                        or self._slots.ready == self._slots.total - 1
                    )
                if worth_telling:
                    self._tell()

    def _take(self, now: float) -> _Sending | None:
        """The next job that may be sent now. Call it with the lock held."""
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
