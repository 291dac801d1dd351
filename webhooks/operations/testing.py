"""A test event to one webhook, with its result at once."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import audit, clock, direct, gate, outbox
from ..conf import settings
from ..databases import writing
from ..eventos import TEST_EVENT
from ..modelevents import Draft
from ..models import Attempt, Delivery, Event, Webhook


def send_test(webhook: Webhook, *, request: Any = None) -> Attempt:
    """Send `webhook.teste` now, signed and recorded like any other event, paused or not.

    It waits for the answer (the webhook's timeout at most), so call it outside of transactions.
    A test is never tried again: what it tells is how things are now.

    :param request: the web request that waits for it. It passes the gate, and has
        TEST_TIMEOUT_SECONDS at most.
    :returns: the attempt; `succeeded` says how it went.
    :raises gate.Busy: too many requests wait already; nothing was sent or recorded.
    """
    if request is None:
        return _send_test(webhook, None)
    most: float = settings.TEST_TIMEOUT_SECONDS
    alone = not request.META.get("wsgi.multithread", True)
    with gate.passing(min(most, webhook.timeout_seconds or settings.TIMEOUT_SECONDS), alone=alone):
        return _send_test(webhook, most)


def _send_test(webhook: Webhook, at_most_seconds: float | None) -> Attempt:
    webhook = writing(Webhook.all_objects).get(pk=webhook.pk)
    with transaction.atomic():
        data = {
            "webhookId": str(webhook.pk),
            "mensagem": _("If you can read this, the webhook works."),
        }
        draft = Draft(TEST_EVENT.name, "", data, timezone.now(), data)
        [event_id] = outbox.record([draft], only_webhook=webhook.pk)
        writing(Event).filter(pk=event_id).update(fanned_out=True)
        deliveries = writing(Delivery)
        delivery = deliveries.create(
            event_id=event_id,
            webhook=webhook,
            # No worker claims from this lane, so the attempt is this call's own. Should this call
            # be killed, a worker's mending ends it once the lease is over.
            lane=Webhook.Lane.PARKED,
            next_attempt_at=clock.at(settings.LEASE_SECONDS, using=deliveries.db),
            created_at=clock.at(using=deliveries.db),
        )
        audit.record(audit.Action.TESTED, subject=audit.of(webhook))
    try:
        return direct.deliver_now(delivery, at_most_seconds=at_most_seconds)
    finally:
        deliveries.filter(pk=delivery.pk, status=Delivery.Status.PENDING).update(
            **Delivery.settled(Delivery.Status.FAILED)
        )
