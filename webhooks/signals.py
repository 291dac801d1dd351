"""What an observer may listen to. Sent by the worker, after the outcome was recorded.

Unless said otherwise, signals are sent with `sender=None` and keyword arguments. A handler that
fails is logged and changes nothing. They run in the engine's thread: a slow one slows deliveries.

delivery_succeeded, delivery_failed
    `delivery_id` (int), `webhook_id` (UUID), `event_id` (UUID), `event_type` (str), `attempt`
    (dict: the columns of the Attempt). `delivery_failed` means for good: no try is left.
attempt_failed
    The same arguments; another try follows in `delay` seconds.
webhook_disabled
    `sender=Webhook`, `webhook` (Webhook), `reason` (str): the system switched it off.
worker_alive
    `sender=Engine`, about every ten seconds, when the worker's sign of life was written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.dispatch import Signal

if TYPE_CHECKING:
    from .queue import Result

logger = logging.getLogger("webhooks.signals")

delivery_succeeded = Signal()
delivery_failed = Signal()
attempt_failed = Signal()
webhook_disabled = Signal()
worker_alive = Signal()

_BY_STATUS = {
    "delivered": delivery_succeeded,
    "failed": delivery_failed,
    "pending": attempt_failed,
}


def tell_outcomes(results: Iterable[Result], accepted: set[int]) -> None:
    """Tell observers of the results that counted."""
    for result in results:
        signal = _BY_STATUS.get(result.status)
        if signal is None or not signal.receivers or result.job.delivery_id not in accepted:
            continue
        job = result.job
        extra = {"delay": result.delay} if signal is attempt_failed else {}
        signal.send_robust(
            sender=None,
            delivery_id=job.delivery_id,
            webhook_id=job.webhook_id,
            event_id=job.event_id,
            event_type=job.event_type,
            attempt=result.attempt,
            **extra,
        )
