"""How much a process sends at a time while its machine is short of something. Pure: no clock.

The first shortage halves what may be under way, and pauses. While it lasts, the pauses grow; once
it has been over for some seconds, what may be under way grows again, a little each second.
"""

from __future__ import annotations

_SHORTEST, _LONGEST = 0.25, 10.0  # seconds of a pause
_QUIET = 5.0  # seconds without a shortage before more is tried
_STEP_SECONDS = 1.0
_STEPS = 16  # from nothing to all


class Throttle:
    """Moments are seconds of any clock that only goes forward."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = most
        self.lacking = ""
        """The shortage that it slows down for."""
        self.slowed = 0
        """How often it has slowed down."""
        self._pause = 0.0
        self._until = 0.0
        self._grows_at = 0.0

    def run_short(self, what: str, now: float, *, under_way: int) -> None:
        """A request could not be made for want of something.

        :param under_way: how many were, this one included.
        """
        self.lacking = what
        self._grows_at = now + _QUIET
        if now < self._until:
            return  # of the same moment as the one before
        self.slowed += 1
        self.allowed = max(1, min(self.allowed, under_way) // 2)
        self._pause = min(_LONGEST, self._pause * 2 or _SHORTEST)
        self._until = now + self._pause

    def go_well(self) -> None:
        """A request was made."""
        self._pause = 0.0

    def is_pausing(self, now: float) -> bool:
        return now < self._until

    def look(self, now: float) -> None:
        """Allow more, if it is time to."""
        if self.lacking and now >= self._grows_at:
            self._grows_at = now + _STEP_SECONDS
            self.allowed = min(self.most, self.allowed + max(1, self.most // _STEPS))
            if self.allowed == self.most:
                self.lacking = ""
                self._pause = 0.0
