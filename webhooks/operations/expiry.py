"""Ending what waits for a webhook that was paused or disabled, and forgotten.

Nothing that is owed is pruned. Without an end, such a webhook would keep payloads for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from django.db.models import QuerySet

from .. import audit
from ..batches import update_in_batches
from ..models import Delivery, Webhook
from .prune import never, retention_limits

logger = logging.getLogger("webhooks.operations")

AT_ONCE = 5000  # deliveries between two questions whether to stop


def expired(now: datetime | None = None) -> QuerySet[Delivery]:
    """What waits for a stopped webhook, of events older than the retention of payloads."""
    limit = retention_limits(now).get("payload")
    if limit is None:
        return Delivery.objects.none()
    return Delivery.objects.filter(
        status=Delivery.Status.PENDING,
        lane=Webhook.Lane.PARKED,
        event__occurred_at__lt=limit,
        webhook__deleted_at=None,
    ).exclude(webhook__status=Webhook.Status.ACTIVE)  # it was resumed: mending unparks it


def cancel_expired(*, stop: Callable[[], bool] = never) -> int:
    """Cancel it, so that pruning takes the payloads.

    :param stop: asked before each slice; where it says so, the rest is left for another time.
    :returns: how many deliveries were cancelled.
    """
    total = 0
    while not stop():
        changed = update_in_batches(
            expired(), Delivery.settled(Delivery.Status.CANCELLED), most=AT_ONCE, passes=1
        )
        total += changed
        if changed < AT_ONCE:
            break
    if total:
        audit.record(audit.Action.PRUNED, count=total, detail="deliveries expired while paused")
        logger.warning("%d deliveries waited too long for a stopped webhook: cancelled.", total)
    return total
