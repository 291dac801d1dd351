"""Changing many rows without holding many locks: small batches, each its own transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from ..models import Delivery

BATCH_SIZE = 500
MAX_PASSES = 20

STOP = object()
Progress = Callable[[int], object]
"""Told, after each batch, how many rows it went through; it may answer STOP."""


def no_progress(count: int) -> None:
    """For callers that watch nothing."""


def update_in_batches(
    deliveries: QuerySet[Delivery], changes: dict[str, Any], *, batch_size: int = BATCH_SIZE
) -> int:
    """Update all of `deliveries`, a batch a transaction; the changes must take rows out of them.

    A row that a worker is claiming or recording at that moment is passed over and taken in the
    next pass, never waited for: two sides that wait for each other's rows are a deadlock.

    :returns: how many rows were changed.
    """
    total = 0
    for _pass in range(MAX_PASSES):
        changed = _one_pass(deliveries, changes, batch_size)
        total += changed
        if not changed:
            break
    return total


def _one_pass(deliveries: QuerySet[Delivery], changes: dict[str, Any], batch_size: int) -> int:
    last_id = changed = 0
    while True:
        with transaction.atomic():
            ids = [
                row.pk
                for row in deliveries.filter(id__gt=last_id)
                .order_by("id")
                .select_for_update(skip_locked=True, of=("self",))
                .only("id")[:batch_size]
            ]
            changed += deliveries.filter(id__in=ids).update(**changes)
        if len(ids) < batch_size:
            return changed
        last_id = ids[-1]
