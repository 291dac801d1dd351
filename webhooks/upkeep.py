"""What a worker looks after beside delivering: strays, lanes, receivers that are hopeless.

All of it is done in the engine's thread, which meanwhile neither claims nor records. So it is cut
into slices of milliseconds, and a turn of the engine does one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from uuid import UUID

from . import disabling
from .directory import Directory
from .models import Webhook
from .queue import Queue
from .senders import Senders

EVERY_SECONDS = 15.0
_LOOKS = 50  # slices of what is pending in which a round looks for strays
_CALMED = 100  # receivers that a slice takes out of the lane of those in trouble

Step = Callable[[], bool]
"""A slice. :returns: whether it is to be done once more in this round."""


class Upkeep:
    """Of the engine's thread. Moments are seconds of `time.monotonic()`."""

    def __init__(
        self, queue: Queue, directory: Directory, senders: Senders, *, lease: float
    ) -> None:
        self._queue = queue
        self._directory = directory
        self._senders = senders
        self._lease = lease
        self._next_round = 0.0
        self._looks = 0
        self._reviewed: UUID | None = None
        self._steps: deque[Step] = deque()

    @property
    def busy(self) -> bool:
        """Whether a round is under way."""
        return bool(self._steps)

    def turn(self, now: float) -> None:
        """One slice of a round that is under way, or that it is time for."""
        if not self._steps and now >= self._next_round:
            self._next_round = now + EVERY_SECONDS
            self._begin()
        if self._steps:
            # Before it is done: what fails is left to the next round.
            step = self._steps.popleft()
            if step():
                self._steps.append(step)  # the others take their turns meanwhile

    def _begin(self) -> None:
        self._looks, self._reviewed = _LOOKS, None
        self._steps.extend((self._lanes, self._deleted, self._stopped, self._parked, self._times))
        well = [
            receiver.id
            for receiver in self._directory
            if receiver.lane == Webhook.Lane.TROUBLED and not self._senders.is_slow(receiver.id)
        ]
        for start in range(0, len(well), _CALMED):
            self._steps.append(partial(self._calm, well[start : start + _CALMED]))
        self._steps.extend((self._forget, self._review))

    def _lanes(self) -> bool:
        self._queue.mend_lanes()
        return False

    def _deleted(self) -> bool:
        return self._queue.mend_deleted() > 0

    def _stopped(self) -> bool:
        return self._queue.mend_stopped() > 0

    def _parked(self) -> bool:
        self._looks -= 1
        found = self._queue.mend_parked()
        return found > 0 or (self._queue.halfway and self._looks > 0)

    def _times(self) -> bool:
        return self._queue.mend_times(lease=self._lease)

    def _calm(self, webhook_ids: list[UUID]) -> bool:
        self._queue.calm(webhook_ids)
        return False

    def _forget(self) -> bool:
        self._senders.forget()
        return False

    def _review(self) -> bool:
        _count, self._reviewed = disabling.review_next(self._reviewed, using=self._queue.using)
        return self._reviewed is not None
