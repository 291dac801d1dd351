"""Changing many deliveries without holding many locks: small batches, each its own transaction."""

from __future__ import annotations

import time
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from .databases import writing
from .models import Delivery

BATCH_SIZE = 500
MAX_PASSES = 20
PAUSE_SECONDS = 0.05  # between passes: workers lock for moments


def free(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery, int]:
    """The ids of those that nobody holds, in their order; reading them locks them until the end of
    the transaction that is open.

    No objects: of a webhook's own deliveries each would be read again, one by one, to find the
    webhook that they have in common.
    """
    unlocked = deliveries.order_by("id").select_for_update(skip_locked=True, of=("self",))
    return unlocked.values_list("id", flat=True)


def update_in_batches(
    deliveries: QuerySet[Delivery],
    changes: dict[str, Any],
    *,
    batch_size: int = BATCH_SIZE,
    most: int | None = None,
    passes: int = MAX_PASSES,
) -> int:
    """Update all of `deliveries`, a batch a transaction; the changes must take rows out of them.

    A row that a worker is claiming or recording at that moment is passed over and taken in a later
    pass, never waited for: two sides that wait for each other's rows are a deadlock. What stays
    locked for all passes is left, and so is what is found after `most`: mending finds it.

    :returns: how many rows were changed.
    """
    deliveries = writing(deliveries)
    total = 0
    for number in range(passes):
        if number:
            time.sleep(PAUSE_SECONDS)
        total += _one_pass(deliveries, changes, batch_size, most and most - total)
        if total == most or not deliveries.exists():
            break
    return total


def _one_pass(
    deliveries: QuerySet[Delivery], changes: dict[str, Any], batch_size: int, most: int | None
) -> int:
    last_id = changed = 0
    while most is None or changed < most:
        size = batch_size if most is None else min(batch_size, most - changed)
        with transaction.atomic(using=deliveries.db):
            ids = list(free(deliveries.filter(id__gt=last_id))[:size])
            changed += deliveries.filter(id__in=ids).update(**changes)
        if len(ids) < size:
            break
        last_id = ids[-1]
    return changed
