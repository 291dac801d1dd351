"""Who may send now: shares one worker's slots fairly among receivers. Pure: no threads, no clock.

Receivers take turns. None has more than `per_receiver` requests in flight. A *suspect*, a receiver
whose answer has been outstanding for more than `suspect_after` seconds or whose last one was that
slow, shares a part of the slots with the other suspects: however many of them hang, the rest of the
slots stay free for those that answer.

Of receivers that were not tried yet nothing is known: until its first request is over, each has an
equal part of the slots that they and the suspects may have together, which leave some to those that
answer. So many that hang at once, at a start or because they are new, do not take all.

`ready` counts the jobs that wait for receivers that are well: what is held for suspects, and for
those that the caller sets aside, is no reason not to fetch more for the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
JobT = TypeVar("JobT")


@dataclass
class _Receiver(Generic[JobT]):
    waiting: deque[JobT] = field(default_factory=deque)
    started: dict[int, float] = field(default_factory=dict)  # ticket → when, the oldest first
    slow: bool = False  # its last answer was
    not_before: float = 0.0  # its rate limit
    in_turn: bool = False


class Slots(Generic[KeyT, JobT]):
    """Times are seconds of any clock that only goes forward."""

    def __init__(
        self, total: int, *, per_receiver: int, suspect_share: float, suspect_after: float
    ) -> None:
        self.per_receiver = per_receiver
        self.suspect_share = suspect_share
        self.resize(total)
        self.suspect_after = suspect_after
        self.in_flight = 0
        self.waiting = 0
        self.ready = 0
        self.suspects: set[KeyT] = set()
        self._aside: Collection[KeyT] = ()
        self._suspects_waiting = 0
        self._suspects_in_flight = 0
        self._tried: set[KeyT] = set()
        self._untried: set[KeyT] = set()  # of the receivers that have jobs
        self._first_in_flight = 0  # requests of receivers that were not tried yet, nor are suspects
        self._receivers: dict[KeyT, _Receiver[JobT]] = {}
        self._turns: deque[KeyT] = deque()
        self._tickets = 0

    def resize(self, total: int) -> None:
        """Have so many slots from now on; what is in flight beyond them ends as it would."""
        self.total = total
        self.suspect_slots = max(1, int(total * self.suspect_share))
        # Of suspects and of those not tried yet, together.
        self.doubtful_slots = max(self.suspect_slots, total - self.suspect_slots)

    def put(self, key: KeyT, job: JobT) -> None:
        """A job for that receiver waits for its turn."""
        receiver = self._receivers.setdefault(key, _Receiver())
        receiver.waiting.append(job)
        if key not in self._tried:
            self._untried.add(key)
        self._count_waiting(key, 1)
        self._take_turn(key, receiver)

    def look(self, now: float, aside: Collection[KeyT] = ()) -> None:
        """Find out who is a suspect; once before a series of `next()`.

        :param aside: receivers whose jobs do not count as `ready`.
        """
        self.suspects = set()
        self._aside = aside
        self.ready = self._suspects_waiting = self._suspects_in_flight = 0
        self._first_in_flight = 0
        forgotten = []
        for key, receiver in self._receivers.items():
            oldest = next(iter(receiver.started.values()), now)
            if receiver.slow or now - oldest > self.suspect_after:
                self.suspects.add(key)
                self._suspects_waiting += len(receiver.waiting)
                self._suspects_in_flight += len(receiver.started)
            else:
                if key not in aside:
                    self.ready += len(receiver.waiting)
                if key in self._untried:
                    self._first_in_flight += len(receiver.started)
            if receiver.not_before <= now:
                receiver.not_before = 0.0
                forgotten.append((key, receiver))
        for key, receiver in forgotten:
            self._forget_if_idle(key, receiver)

    @property
    def has_turns(self) -> bool:
        """Whether `next()` might find a job. Where it did not, it will once something changes."""
        return bool(self._turns) and self.in_flight < self.total

    @property
    def room_for_suspects(self) -> int:
        """How many more of the suspects' jobs could be sent."""
        return max(0, self.suspect_slots - self._suspects_in_flight - self._suspects_waiting)

    def next(self, now: float) -> tuple[int, JobT] | None:
        """The next job that may start, with the ticket to give to `done()`; None if none may."""
        if self.in_flight >= self.total:
            return None
        for _ in range(len(self._turns)):
            key = self._turns.popleft()
            receiver = self._receivers[key]
            receiver.in_turn = False
            if not receiver.waiting:
                self._forget_if_idle(key, receiver)
                continue
            suspect = key in self.suspects
            first = key in self._untried and not suspect
            doubtful = self._suspects_in_flight + self._first_in_flight
            if (
                receiver.not_before > now
                or (suspect and self._suspects_in_flight >= self.suspect_slots)
                or (first and doubtful >= self.doubtful_slots)
                or len(receiver.started) >= self._most_of(key)
            ):
                self._take_turn(key, receiver)
                continue
            job = receiver.waiting.popleft()
            self._count_waiting(key, -1)
            self._tickets += 1
            receiver.started[self._tickets] = now
            self.in_flight += 1
            self._suspects_in_flight += suspect
            self._first_in_flight += first
            self._take_turn(key, receiver)
            return self._tickets, job
        return None

    def not_before(self, key: KeyT, moment: float) -> None:
        """The receiver's rate limit allows no request before that moment."""
        self._receivers.setdefault(key, _Receiver()).not_before = moment

    def done(self, key: KeyT, ticket: int, *, slow: bool | None) -> None:
        """A job that `next()` gave is over.

        :param slow: whether the receiver is a suspect from now on; None: it was not even asked.
        """
        receiver = self._receivers[key]
        del receiver.started[ticket]
        self.in_flight -= 1
        if key in self.suspects:
            self._suspects_in_flight -= 1
        elif key in self._untried:
            self._first_in_flight -= 1
        if slow is not None:
            receiver.slow = slow
            if key in self._untried:
                self._untried.remove(key)
                self._tried.add(key)
                if key not in self.suspects:
                    self._first_in_flight -= len(receiver.started)
        if slow and key not in self.suspects:
            # At once, not at the next look: its other jobs must not take the slots of the rest.
            self._count_waiting(key, -len(receiver.waiting))
            self.suspects.add(key)
            self._count_waiting(key, len(receiver.waiting))
            self._suspects_in_flight += len(receiver.started)
        self._take_turn(key, receiver)
        self._forget_if_idle(key, receiver)

    def is_slow(self, key: KeyT) -> bool:
        """Whether the receiver's last answer was slow, or had to be given up."""
        receiver = self._receivers.get(key)
        return receiver is not None and receiver.slow

    def waiting_for(self) -> dict[KeyT, int]:
        """How many jobs wait, by receiver."""
        return {key: len(each.waiting) for key, each in self._receivers.items() if each.waiting}

    def take_back(self, key: KeyT, *, keep: int = 0) -> list[JobT]:
        """Remove all but `keep` of the receiver's waiting jobs, the last ones first."""
        receiver = self._receivers[key]
        back = [receiver.waiting.pop() for _ in range(len(receiver.waiting) - keep)]
        self._count_waiting(key, -len(back))
        self._forget_if_idle(key, receiver)
        return back

    def forget(self, keep: Collection[KeyT]) -> None:
        """Drop what is known of receivers that are no more; their jobs stay."""
        self._tried.intersection_update(keep)
        for key in [key for key in self._receivers if key not in keep]:
            receiver = self._receivers[key]
            receiver.slow, receiver.not_before = False, 0.0
            self._forget_if_idle(key, receiver)

    def _most_of(self, key: KeyT) -> int:
        """How many requests to that receiver may be in flight as things are."""
        if key not in self._untried:
            return self.per_receiver
        return min(self.per_receiver, max(1, self.doubtful_slots // len(self._untried)))

    def _count_waiting(self, key: KeyT, change: int) -> None:
        self.waiting += change
        if key in self.suspects:
            self._suspects_waiting += change
        elif key not in self._aside:
            self.ready += change

    def _take_turn(self, key: KeyT, receiver: _Receiver[JobT]) -> None:
        if len(receiver.started) >= self.per_receiver:
            return  # it takes a turn again when one of its requests is done
        if receiver.waiting and not receiver.in_turn:
            receiver.in_turn = True
            self._turns.append(key)

    def _forget_if_idle(self, key: KeyT, receiver: _Receiver[JobT]) -> None:
        if receiver.waiting or receiver.started:
            return
        self._untried.discard(key)
        if not (receiver.in_turn or receiver.slow or receiver.not_before):
            self._receivers.pop(key, None)
