"""Whether a webhook is sent anything: paused, disabled, resumed, deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import audit, disabling, moving, wakeup
from ..databases import writing
from ..models import BulkJob, Webhook

logger = logging.getLogger("webhooks.operations")

_STATE = ("status", "status_reason", "status_changed_at", "lane")

_STATUS_ACTIONS: dict[str, str] = {
    Webhook.Status.ACTIVE: audit.Action.RESUMED,
    Webhook.Status.PAUSED: audit.Action.PAUSED,
    Webhook.Status.DISABLED: audit.Action.DISABLED,
}


def pause(webhook: Webhook, reason: str = "", *, at_once: int = moving.AT_ONCE) -> Webhook:
    """Send it nothing more, by a person's wish.

    Its pending deliveries are parked and go out when it is resumed. Events from now on make no
    delivery for it; `recover` makes up for them.

    :param at_once: pending deliveries that this call goes through; the rest is a job that workers
        do (`job_of`), while nothing is sent any more.
    """
    webhook, job = _set_status(webhook, Webhook.Status.PAUSED, reason, BulkJob.Kind.PARK)
    _log("is paused", webhook, moving.at_once(job, most=at_once))
    return webhook


def disable(webhook: Webhook, reason: str, *, at_once: int = moving.AT_ONCE) -> Webhook:
    """The same by the system, which must say why; whom it concerns is told.

    :param at_once: as of `pause`.
    """
    if not reason:
        raise ValueError("disable() needs a reason: it is all that its owner gets to read.")
    disabling.disable(webhook.pk, reason, at_once=at_once, using=writing(Webhook).db)
    return alive(webhook)


def resume(webhook: Webhook, *, at_once: int = moving.AT_ONCE) -> Webhook:
    """Send to it again, first what was parked.

    What it failed before is forgotten: it has as long as any to prove itself, and what waits for
    a later try is tried at once.

    :param at_once: as of `pause`.
    """
    webhook, job = _set_status(webhook, Webhook.Status.ACTIVE, "", BulkJob.Kind.RELEASE)
    _log("is resumed", webhook, moving.at_once(job, most=at_once))
    wakeup.request()
    return webhook


def delete_webhook(webhook: Webhook) -> int:
    """Take a webhook out of use for good; its history stays until pruning.

    Its secrets and credentials are deleted at once, what was pending for it is cancelled: the first
    of it at once, the rest by a job that workers do.

    :returns: how many pending deliveries were cancelled at once.
    """
    return cancel_owed(mark_deleted(webhook))


def mark_deleted(webhook: Webhook) -> BulkJob:
    """The first half of `delete_webhook`, for whoever has a transaction open: it ends the sending.

    :returns: the job that cancels what is pending; `cancel_owed` is for after the commit. Should it
        not come to that, workers do it.
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
        writing(webhook.signing_keys).delete()
        audit.record(audit.Action.DELETED, subject=audit.of(webhook), detail=webhook.name)
        return moving.begin(webhook, BulkJob.Kind.CANCEL, using=writing(BulkJob).db)


def cancel_owed(job: BulkJob, *, at_once: int = moving.AT_ONCE) -> int:
    """The second half: the first of that job. :returns: how many deliveries were cancelled."""
    return moving.at_once(job, most=at_once)


def job_of(webhook: Webhook) -> BulkJob | None:
    """The job that is still moving what the webhook has pending after its last change of state."""
    return jobs_of([webhook]).get(webhook.pk)


def jobs_of(webhooks: Iterable[Webhook]) -> dict[UUID, BulkJob]:
    """The same of several, by id. One query."""
    running = writing(BulkJob).filter(
        webhook__in=[webhook.pk for webhook in webhooks], state=BulkJob.State.RUNNING
    )
    return {job.webhook_id: job for job in running}


def _log(what: str, webhook: Webhook, moved: int) -> None:
    text = "Webhook %s %s; %d deliveries were moved at once."
    logger.info(text, webhook.pk, what, moved, extra={"webhook_id": str(webhook.pk)})


def _set_status(webhook: Webhook, status: str, reason: str, kind: str) -> tuple[Webhook, BulkJob]:
    with transaction.atomic():
        webhook = locked(webhook)
        if webhook.status != status:
            webhook.status_changed_at = timezone.now()
        webhook.status = status
        webhook.status_reason = reason.strip()[:300]
        webhook.lane = webhook.home_lane if kind == BulkJob.Kind.RELEASE else Webhook.Lane.PARKED
        changed = [*_STATE]
        if kind == BulkJob.Kind.RELEASE:
            webhook.failing_since = webhook.hold_until = webhook.next_turn_at = None
            webhook.failure_count = 0
            changed += ["failing_since", "hold_until", "next_turn_at", "failure_count"]
        webhook.save(update_fields=changed)
        audit.record(_STATUS_ACTIONS[status], subject=audit.of(webhook))
        return webhook, moving.begin(webhook, kind, using=writing(BulkJob).db)


def locked(webhook: Webhook) -> Webhook:
    """:raises Webhook.DoesNotExist: it was deleted meanwhile."""
    found: Webhook = writing(Webhook).select_for_update().get(pk=webhook.pk)
    return found


def alive(webhook: Webhook) -> Webhook:
    """:raises Webhook.DoesNotExist: it was deleted meanwhile."""
    found: Webhook = writing(Webhook).get(pk=webhook.pk)
    return found
