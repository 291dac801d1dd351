"""Switching off a webhook that fails for long, or that is gone: and telling people.

Its owner is told by e-mail, the code by `signals.webhook_disabled`, other systems by the event
`webhook.desativado`. What was pending for it is parked, and goes out when it is resumed.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from uuid import UUID

from django.conf import settings as django_settings
from django.core.mail import send_mail
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import F, Min, Sum
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from . import audit, moving, outbox, reasons, signals
from .conf import settings
from .context import acting
from .eventos import DISABLED_EVENT
from .modelevents import Draft
from .models import BulkJob, Tally, Webhook
from .values import instant

logger = logging.getLogger("webhooks.disabling")

IN_THE_ENGINE = 100
"""Deliveries that are parked at once where the engine's thread waits for it."""
_REVIEWED_AT_ONCE = 20  # webhooks


def disable(
    webhook_id: UUID,
    reason: str,
    *,
    at_once: int = moving.AT_ONCE,
    using: str = DEFAULT_DB_ALIAS,
) -> bool:
    """Disable an active webhook.

    :param reason: what its owner gets to read, or one of `reasons.known`.
    :param at_once: pending deliveries that this call parks; workers park the rest.
    :returns: False if it was not active any more: somebody else did it, or it was paused.
    """
    now = timezone.now()
    reason = reason[:300]
    with transaction.atomic(using=using), acting("system"):
        changed = (
            Webhook.objects.using(using)
            .filter(pk=webhook_id, status=Webhook.Status.ACTIVE)
            .update(
                status=Webhook.Status.DISABLED,
                status_reason=reason,
                status_changed_at=now,
                lane=Webhook.Lane.PARKED,
                version=F("version") + 1,
            )
        )
        if not changed:
            return False
        webhook = Webhook.objects.using(using).select_related("owner").get(pk=webhook_id)
        with translation.override(django_settings.LANGUAGE_CODE):
            told = webhook.reason
        data = {
            "webhookId": str(webhook.pk),
            "nome": webhook.name,
            "motivo": told,
            "desativadoEm": instant(now),
        }
        draft = Draft(DISABLED_EVENT.name, f"webhook_{webhook.pk}", data, now, data)
        outbox.record([draft], using=using)
        audit.record(audit.Action.DISABLED, subject=audit.of(webhook))
        job = moving.begin(webhook, BulkJob.Kind.PARK, using=using)
        transaction.on_commit(lambda: moving.at_once(job, most=at_once), using=using, robust=True)
        transaction.on_commit(lambda: _tell(webhook), using=using, robust=True)
    return True


def review(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Disable the webhooks that have failed for too long. Harmless when run by many at once.

    :returns: how many were disabled.
    """
    total, reached = review_next(None, using=using)
    while reached is not None:
        disabled, reached = review_next(reached, using=using)
        total += disabled
    return total


def review_next(after: UUID | None, *, using: str = DEFAULT_DB_ALIAS) -> tuple[int, UUID | None]:
    """Look at the next few of those that fail, and disable one at most of them.

    The time counts from when a webhook was last resumed, so that one that was switched on again
    has as long as any to recover.

    :param after: what the call before returned; None at first.
    :returns: how many were disabled, and how far it came; None: it has seen them all.
    """
    days, share = settings.DISABLE_AFTER_DAYS, settings.DISABLE_FAILURE_SHARE
    if not days:
        return 0, None
    now = timezone.now()
    window = now - dt.timedelta(days=days)
    # Only one that has not succeeded since can have failed all the while.
    suspects = (
        Webhook.objects.using(using)
        .active()
        .exclude(failing_since=None)
        .filter(status_changed_at__lte=window, created_at__lte=window)
    )
    if after is not None:
        suspects = suspects.filter(pk__gt=after)
    ids = list(suspects.order_by("pk").values_list("pk", flat=True)[:_REVIEWED_AT_ONCE])
    if not ids:
        return 0, None
    tallies = (
        Tally.objects.using(using)
        .filter(webhook__in=ids, hour__gte=window - dt.timedelta(hours=1))
        .order_by("webhook")
        .values("webhook")
        .annotate(
            tried=Sum("attempts", default=0), failed=Sum("failures", default=0), first=Min("hour")
        )
    )
    for found in tallies:
        if (
            # An hour's tally may have begun up to an hour before its first failure.
            found["first"] <= window + dt.timedelta(hours=1)
            and found["tried"] >= settings.DISABLE_MIN_ATTEMPTS
            and found["failed"] >= share * found["tried"]
        ):
            reason = reasons.known(
                "failing", failures=found["failed"], attempts=found["tried"], days=days
            )
            if disable(found["webhook"], reason, at_once=IN_THE_ENGINE, using=using):
                return 1, found["webhook"]
    return 0, ids[-1] if len(ids) == _REVIEWED_AT_ONCE else None


def _tell(webhook: Webhook) -> None:
    """Those whom it concerns, in the project's language; nothing here may undo what was done."""
    extra = {"webhook_id": str(webhook.pk)}
    with translation.override(django_settings.LANGUAGE_CODE):
        reason = webhook.reason
        logger.warning("Webhook %s was disabled: %s", webhook.pk, reason, extra=extra)
        signals.webhook_disabled.send_robust(sender=Webhook, webhook=webhook, reason=reason)
    if email := getattr(webhook.owner, "email", ""):
        # Whoever disables may be the one that delivers to all: a mail server that hangs must not
        # stop that.
        threading.Thread(
            target=_write_to, args=(email, webhook), name="webhooks-mail", daemon=True
        ).start()


def _write_to(email: str, webhook: Webhook) -> None:
    name = " ".join(webhook.name.split())  # a line break in a subject is refused, not sent
    try:
        with translation.override(django_settings.LANGUAGE_CODE):
            subject = _("The webhook “%(name)s” was disabled") % {"name": name}
            text = _(
                "The webhook “%(name)s” (%(id)s) is sent nothing any more.\n\n%(reason)s\n\n"
                "What was pending for it waits. Mend the receiver, then resume the webhook; events "
                "that occur meanwhile can be recovered."
            ) % {"name": name, "id": webhook.pk, "reason": webhook.reason}
        send_mail(subject, text, None, [email])
    except Exception:
        logger.exception(
            "The owner of webhook %s could not be told by e-mail.",
            webhook.pk,
            extra={"webhook_id": str(webhook.pk)},
        )
