"""Whether a webhook is sent anything: paused, disabled, resumed, deleted."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import Case, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import audit, disabling, wakeup
from ..batches import update_in_batches
from ..models import Delivery, Webhook
from .sooner import waits

logger = logging.getLogger("webhooks.operations")

_STATE = ("status", "status_reason", "status_changed_at", "lane")

_STATUS_ACTIONS: dict[str, str] = {
    Webhook.Status.ACTIVE: audit.Action.RESUMED,
    Webhook.Status.PAUSED: audit.Action.PAUSED,
    Webhook.Status.DISABLED: audit.Action.DISABLED,
}


def pause(webhook: Webhook, reason: str = "") -> Webhook:
    """Send it nothing more, by a person's wish.

    Its pending deliveries are parked and go out when it is resumed. Events from now on make no
    delivery for it; `recover` makes up for them.
    """
    return _stop(webhook, Webhook.Status.PAUSED, reason)


def disable(webhook: Webhook, reason: str) -> Webhook:
    """The same by the system, which must say why; whom it concerns is told."""
    if not reason:
        raise ValueError("disable() needs a reason: it is all that its owner gets to read.")
    disabling.disable(webhook.pk, reason)
    return alive(webhook)


def resume(webhook: Webhook) -> Webhook:
    """Send to it again, first what was parked.

    What it failed before is forgotten: it has as long as any to prove itself, and what waits for
    a later try is tried at once.
    """
    webhook = _set_status(webhook, Webhook.Status.ACTIVE, "", webhook.home_lane)
    Webhook.objects.filter(pk=webhook.pk).update(
        failing_since=None, failure_count=0, hold_until=None, next_turn_at=None
    )
    now = timezone.now()
    unparked = update_in_batches(
        webhook.deliveries.filter(status=Delivery.Status.PENDING, lane=Webhook.Lane.PARKED).exclude(
            Delivery.TEST_UNDER_WAY
        ),
        {
            "lane": webhook.home_lane,
            "next_attempt_at": Case(When(waits(now), then=Value(now)), default="next_attempt_at"),
        },
    )
    wakeup.request()
    logger.info(
        "Webhook %s resumed; %d deliveries were waiting.",
        webhook.pk,
        unparked,
        extra={"webhook_id": str(webhook.pk)},
    )
    return webhook


def delete_webhook(webhook: Webhook) -> int:
    """Take a webhook out of use for good; its history stays until pruning.

    Its secrets and credentials are deleted at once, what was pending for it is cancelled.

    :returns: how many pending deliveries were cancelled.
    """
    mark_deleted(webhook)
    return cancel_owed(webhook)


def mark_deleted(webhook: Webhook) -> None:
    """The first half of `delete_webhook`, for whoever has a transaction open: it ends the sending.

    `cancel_owed` is for after the commit. Should it not come to that, a worker's mending does it.
    """
    with transaction.atomic():
        webhook = locked(webhook)
        webhook.status = Webhook.Status.PAUSED
        webhook.status_reason = _("deleted")
        webhook.lane = Webhook.Lane.PARKED
        webhook.deleted_at = webhook.status_changed_at = timezone.now()
        webhook.auth_secret = ""
        webhook.headers = {}
        webhook.save(update_fields=[*_STATE, "deleted_at", "auth_secret", "headers"])
        webhook.signing_keys.all().delete()
        audit.record(audit.Action.DELETED, subject=audit.of(webhook), detail=webhook.name)


def cancel_owed(webhook: Webhook) -> int:
    """The second half: cancel what is pending, in batches. :returns: how many deliveries."""
    cancelled = update_in_batches(
        webhook.deliveries.filter(status=Delivery.Status.PENDING),
        Delivery.settled(Delivery.Status.CANCELLED),
    )
    logger.info(
        "Webhook %s deleted; %d deliveries were cancelled.",
        webhook.pk,
        cancelled,
        extra={"webhook_id": str(webhook.pk)},
    )
    return cancelled


def _stop(webhook: Webhook, status: str, reason: str) -> Webhook:
    webhook = _set_status(webhook, status, reason, Webhook.Lane.PARKED)
    # After the commit: workers have stopped adding to it and may be told of the rest meanwhile.
    parked = update_in_batches(
        webhook.deliveries.filter(status=Delivery.Status.PENDING).exclude(lane=Webhook.Lane.PARKED),
        {"lane": Webhook.Lane.PARKED},
    )
    logger.info(
        "Webhook %s is %s; %d deliveries were parked.",
        webhook.pk,
        status,
        parked,
        extra={"webhook_id": str(webhook.pk)},
    )
    return webhook


def _set_status(webhook: Webhook, status: str, reason: str, lane: int) -> Webhook:
    with transaction.atomic():
        webhook = locked(webhook)
        if webhook.status != status:
            webhook.status_changed_at = timezone.now()
        webhook.status = status
        webhook.status_reason = reason.strip()[:300]
        webhook.lane = lane
        webhook.save(update_fields=_STATE)
        audit.record(_STATUS_ACTIONS[status], subject=audit.of(webhook))
    return webhook


def locked(webhook: Webhook) -> Webhook:
    """:raises Webhook.DoesNotExist: it was deleted meanwhile."""
    found: Webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
    return found


def alive(webhook: Webhook) -> Webhook:
    """:raises Webhook.DoesNotExist: it was deleted meanwhile."""
    found: Webhook = Webhook.objects.get(pk=webhook.pk)
    return found
