"""What the engine does with results: records them in batches, and draws its conclusions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError

from . import breaker, delivery, disabling, reasons, signals
from .directory import Directory
from .logs import about
from .models import Delivery, Webhook
from .queue import Failing, Job, Queue, Result

logger = logging.getLogger("webhooks.engine")

# What is left out of an attempt that the database refuses to keep.
_REFUSED: dict[str, Any] = {
    "request_headers": {},
    "request_body": None,
    "response_headers": {},
    "response_body": "",
    "response_truncated": True,
    "error_detail": "",
}


class Recorder:
    """Of the engine's thread.

    :param hold_back: called with the receivers that are to be sent nothing for a while.
    """

    def __init__(
        self, queue: Queue, directory: Directory, *, hold_back: Callable[[Iterable[UUID]], None]
    ) -> None:
        self._queue = queue
        self._directory = directory
        self._hold_back = hold_back
        # Conclusions that are not in the database yet: seconds by receiver, and who is gone.
        self._pauses: dict[UUID, float] = {}
        self._gone: set[UUID] = set()

    @property
    def undecided(self) -> bool:
        """Whether there are conclusions left to act upon."""
        return bool(self._pauses or self._gone)

    def forget(self) -> None:
        """Let go of the conclusions that are left to act upon."""
        self._pauses, self._gone = {}, set()

    def record(self, results: Sequence[Result]) -> None:
        """Write the results down, tell observers, and treat each receiver as it deserves.

        What could not be sent for want of something of this machine's own is handed back instead:
        it counts as no attempt, and for no receiver.

        :raises OperationalError, InterfaceError: the database is away; give the same results again.
        """
        self.hand_back([result.job for result in results if result.shortage])
        results = [result for result in results if not result.shortage]
        self._queue.trouble(
            {
                result.job.webhook_id
                for result in results
                if delivery.is_slow(result) and self._is_normal(result.job.webhook_id)
            }
        )
        try:
            accepted = self._queue.record(results)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("A batch of results was refused; recording them one by one.")
            accepted = self._record_one_by_one(results)
        signals.tell_outcomes(results, accepted)
        _log(results, accepted)

    def hand_back(self, jobs: Collection[Job]) -> None:
        """Into the lanes that they were claimed from, due at once, for whoever has room."""
        for lane in {job.lane for job in jobs}:
            self._queue.hand_back([job for job in jobs if job.lane == lane], lane=lane)

    def judge(self, results: Collection[Result]) -> None:
        """Draw from recorded results how each receiver is to be treated; `act()` does it.

        :raises OperationalError, InterfaceError: nothing was counted; give the same results again.
        """
        pulses = delivery.pulses([result for result in results if not result.shortage])
        failing = {each.webhook_id: each for each in self._queue.note(list(pulses.values()))}
        for webhook_id, pulse in pulses.items():
            # One that takes some requests and says of others that it is too much is failing not.
            found = failing.get(webhook_id) or Failing(webhook_id, failures=1, seconds=0.0)
            pause = breaker.pause_after(
                failures=found.failures,
                failing_for=found.seconds,
                overloaded=pulse.overloaded,
                retry_after=pulse.retry_after,
            )
            if pause:
                self._pauses[webhook_id] = max(pause, self._pauses.get(webhook_id, 0.0))
        self._gone |= {result.job.webhook_id for result in results if result.gone}

    def act(self) -> None:
        """Treat receivers as was found right; while some are `undecided`, call it again.

        :raises OperationalError, InterfaceError: the rest is done by the next call.
        """
        if self._pauses:
            self._queue.trouble(self._pauses)
            self._queue.hold(self._pauses)
            self._hold_back(self._pauses)
            self._pauses = {}
        if self._gone:  # one a turn: what waits for it is parked, and its owner is written to
            webhook_id = next(iter(self._gone))
            disabling.disable(
                webhook_id,
                reasons.known("gone"),
                at_once=disabling.IN_THE_ENGINE,
                using=self._queue.using,
            )
            self._gone.remove(webhook_id)

    def _is_normal(self, webhook_id: UUID) -> bool:
        receiver = self._directory.get(webhook_id)
        return receiver is None or receiver.lane == Webhook.Lane.NORMAL

    def _record_one_by_one(self, results: Iterable[Result]) -> set[int]:
        """So that one result which the database refuses takes none of the others with it.

        Of that one is kept what can be: without what the receiver wrote, or its outcome alone.
        Were it not recorded at all, it would be sent again, and refused again, without end.
        """
        accepted: set[int] = set()
        for result in results:
            stripped = result
            if result.attempt is not None:
                stripped = replace(result, attempt=result.attempt | _REFUSED)
            for version in (result, stripped, replace(result, attempt=None)):
                try:
                    accepted |= self._queue.record([version])
                    result.status = version.status
                    break
                except (OperationalError, InterfaceError):
                    raise
                except Exception:
                    logger.exception(
                        "The answer to delivery %s cannot be kept.",
                        result.job.delivery_id,
                        extra=about(result.job),
                    )
        return accepted


def _log(results: Iterable[Result], accepted: set[int]) -> None:
    """What came of each attempt, by how much it matters."""
    for result in results:
        if result.attempt is None:
            continue
        level, text = _LINES.get(result.status, _CANCELLED)
        if result.job.delivery_id not in accepted:
            level, text = _LATE
        if logger.isEnabledFor(level):
            job = result.job
            logger.log(
                level, text, job.attempt_count + 1, job.delivery_id, extra=about(job, result)
            )


_LINES: dict[str, tuple[int, str]] = {
    Delivery.Status.DELIVERED: (logging.DEBUG, "Attempt %d of delivery %d succeeded."),
    Delivery.Status.PENDING: (logging.INFO, "Attempt %d of delivery %d failed; it is tried again."),
    Delivery.Status.FAILED: (logging.WARNING, "Attempt %d of delivery %d failed, the last one."),
}
_CANCELLED = (logging.INFO, "Attempt %d of delivery %d counts no more: it was cancelled.")
_LATE = (logging.INFO, "Attempt %d of delivery %d counts no more: its lease had ended.")
