"""Trying at once what waits for a later try: the receiver was mended, and the next hour is far."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Least
from django.utils import timezone

from .. import audit, wakeup
from ..conf import settings
from ..models import Delivery, Webhook
from ._batches import BATCH_SIZE

MOST_AT_ONCE = 5_000
"""Deliveries that one call of `try_now` brings forward."""

_CLOCKS_DIFFER = timedelta(minutes=1)  # at most, those of this machine and of the database


def waits(now: datetime) -> Q:
    """What waits for a later try and is surely in no worker's hands.

    `next_attempt_at` alone does not tell: of a claimed delivery it is the end of the lease. But a
    claim raises the fence, and so does the record of what came of it; only such a record counts an
    attempt. Twice as high as the attempts are many, the fence says that every claim was recorded.
    Higher, a claim was given back or died some time; then what is due later than any lease could
    end is not held. Whoever claims at the same moment wins: an UPDATE looks at this again once it
    has the row.
    """
    lease = timedelta(seconds=settings.LEASE_SECONDS) + _CLOCKS_DIFFER
    recorded = Q(fence=2 * F("attempt_count")) | Q(next_attempt_at__gt=now + lease)
    return recorded & Q(
        status=Delivery.Status.PENDING, attempt_count__gt=0, next_attempt_at__gt=now
    )


def hastenable(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Those of the deliveries that `try_now` would have sent at once."""
    now = timezone.now()
    held = Q(webhook__hold_until__gt=now)
    return deliveries.filter(
        waits(now) | (_due(now) & held),
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
    waiting = hastenable(deliveries).order_by("id")
    found = list(waiting.values_list("id", "webhook_id")[:MOST_AT_ONCE])
    with audit.counted(audit.Action.HASTENED) as tally:
        for start in range(0, len(found), BATCH_SIZE):
            batch, sent = _bring_forward([id for id, _ in found[start : start + BATCH_SIZE]])
            tally.add(sent, map(audit.of, batch))
    # Each by itself, in no transaction with deliveries: workers lock receivers first.
    for webhook_id in sorted({webhook_id for _, webhook_id in found}):
        Webhook.objects.filter(pk=webhook_id).update(hold_until=None)
    if tally.count:
        wakeup.request()
    return tally.count


def _due(now: datetime) -> Q:
    """What nobody holds: a lease would end later."""
    return Q(status=Delivery.Status.PENDING, next_attempt_at__lte=now)


def _bring_forward(ids: list[int]) -> tuple[list[Delivery], int]:
    now = timezone.now()
    free = Delivery.objects.filter(waits(now) | _due(now))
    with transaction.atomic():
        # A row that is being claimed or recorded is passed over, never waited for.
        batch = list(
            free.filter(id__in=ids)
            .order_by("id")
            .only("id")
            .select_for_update(skip_locked=True, of=("self",))
        )
        sent = free.filter(id__in=[delivery.pk for delivery in batch]).update(
            next_attempt_at=Least("next_attempt_at", Value(now))
        )
    return batch, sent
