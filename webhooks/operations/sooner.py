"""Trying at once what waits for a later try: the receiver was mended, and the next hour is far."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Least

from .. import audit, batches, clock, wakeup
from ..databases import writing
from ..models import Delivery, Webhook
from ..moving import waits
from ._batches import BATCH_SIZE

MOST_AT_ONCE = 5_000
"""Deliveries that one call of `try_now` brings forward."""


def hastenable(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Those of the deliveries that `try_now` would have sent at once."""
    using = deliveries.db
    held = Q(webhook__hold_until__gt=clock.at(using=using))
    return deliveries.filter(
        waits(using) | (_due(using) & held),
        webhook__status=Webhook.Status.ACTIVE,
        webhook__deleted_at=None,
    ).exclude(event__body="")


def try_now(deliveries: QuerySet[Delivery]) -> int:
    """Have those that wait for a later try, or until their receiver is held no longer, tried at
    once, `MOST_AT_ONCE` at most.

    They stay where they are in their schedule, and what is under way is left alone: asked twice,
    it sends once. Their receivers are no longer held, but a rate limit stays one.

    :returns: how many are tried because of this call.
    """
    waiting = hastenable(writing(deliveries)).order_by("id")
    found = list(waiting.values_list("id", "webhook_id")[:MOST_AT_ONCE])
    with audit.counted(audit.Action.HASTENED) as tally:
        for start in range(0, len(found), BATCH_SIZE):
            batch, sent = _bring_forward([id for id, _ in found[start : start + BATCH_SIZE]])
            tally.add(sent, (f"delivery_{id}" for id in batch))
    # Each by itself, in no transaction with deliveries: workers lock receivers first.
    for webhook_id in sorted({webhook_id for _, webhook_id in found}):
        writing(Webhook).filter(pk=webhook_id).update(hold_until=None)
    if tally.count:
        wakeup.request()
    return tally.count


def _due(using: str) -> Q:
    """What nobody holds: a lease would end later."""
    return Q(status=Delivery.Status.PENDING, next_attempt_at__lte=clock.at(using=using))


def _bring_forward(ids: list[int]) -> tuple[list[int], int]:
    using = writing(Delivery).db
    free = writing(Delivery).filter(waits(using) | _due(using))
    with transaction.atomic():
        # A row that is being claimed or recorded is passed over, never waited for.
        batch = list(batches.free(free.filter(id__in=ids)))
        sent = free.filter(id__in=batch).update(
            next_attempt_at=Least("next_attempt_at", clock.at(using=using))
        )
    return batch, sent
