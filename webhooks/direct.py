"""One delivery, sent at once in the caller's thread: for tests that people send."""

from __future__ import annotations

from dataclasses import replace

from django.db import DEFAULT_DB_ALIAS

from . import delivery, egress
from .conf import settings
from .directory import receiver_of
from .models import Attempt, Delivery
from .queue import queue_on


def deliver_now(owed: Delivery, *, at_most_seconds: float | None = None) -> Attempt:
    """Send one delivery in this thread, due or not, and record what came of it; no retry follows.

    It waits for the answer, so call it outside of transactions.

    :param at_most_seconds: the time it has, where that is less than the webhook's timeout.
    :raises LookupError: the delivery is settled, or its webhook was deleted.
    """
    using = owed._state.db or DEFAULT_DB_ALIAS
    queue = queue_on(using)
    job = queue.claim_one(owed.pk, lease=settings.LEASE_SECONDS)
    if job is None or owed.webhook.deleted_at is not None:
        raise LookupError(f"Delivery {owed.pk} is settled already, or its webhook was deleted.")
    receiver = receiver_of(owed.webhook)
    if at_most_seconds is not None:
        receiver = replace(receiver, timeout=min(receiver.timeout, at_most_seconds))
    snapshot = queue.snapshots([job.event_id])[job.event_id]
    transport = egress.transport()
    try:
        result = delivery.attempt(job, receiver, transport, snapshot=snapshot)
    finally:
        transport.close()
    if result.status == Delivery.Status.PENDING:
        result.status = Delivery.Status.FAILED
    queue.record([result])
    attempts = Attempt.objects.using(using).select_related("delivery__event", "delivery__webhook")
    return attempts.filter(delivery=owed).latest("pk")
