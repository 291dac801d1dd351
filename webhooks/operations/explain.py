"""Why something was not sent, and why something waits: for whoever asks “did it arrive?”."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from .. import audit, breaker, formats, patterns, retry
from ..conf import settings
from ..models import Attempt, AuditEntry, Delivery, Event, Webhook

_LATELY = timedelta(days=30)
_MOST_ENTRIES = 2000
_LAST_ATTEMPT = "_webhooks_last_attempt"
_STATES: dict[str, Webhook.Status] = {
    audit.Action.PAUSED: Webhook.Status.PAUSED,
    audit.Action.DISABLED: Webhook.Status.DISABLED,
}


@dataclass(frozen=True, kw_only=True)
class NotSent:
    """A webhook that an event did not go to."""

    webhook: Webhook
    reason: str
    """A translated sentence."""


def not_sent(event: Event, *, limit: int = 200) -> list[NotSent]:
    """For each webhook (`limit` at most) without a delivery of this event: why.

    As well as can be told: past states are read from the audit trail, past subscriptions are not
    kept. Of the deleted ones, those that were there when it happened, or until shortly before.
    """
    lately = event.occurred_at - _LATELY
    others = list(
        Webhook.all_objects.exclude(deliveries__event=event)
        .filter(Q(deleted_at=None) | Q(deleted_at__gte=lately, created_at__lte=event.occurred_at))
        .order_by(F("deleted_at").asc(nulls_first=True), "name")[:limit]
    )
    moments = event.deliveries.order_by("id").values_list("created_at", flat=True)
    distributed_at = moments.first() or event.occurred_at
    pasts = _pasts(others)
    return [
        NotSent(webhook=webhook, reason=_why_not(event, webhook, distributed_at, pasts[webhook.pk]))
        for webhook in others
    ]


def waiting(delivery: Delivery, now: datetime | None = None) -> str:
    """What a delivery waits for, translated; empty when it waits for nothing."""
    now = now or timezone.now()
    if delivery.status != Delivery.Status.PENDING:
        return ""
    if delivery.lane == Webhook.Lane.PARKED:
        return _("It waits for its webhook to be resumed.")
    due_at = delivery.next_attempt_at or now
    first_wait = not delivery.fence  # nobody has claimed it yet
    if due_at > now and not delivery.schedule_position and not first_wait:
        return _("A worker is sending it now.")
    holds = (delivery.webhook.hold_until, delivery.webhook.next_turn_at)
    held_until = max((each for each in holds if each is not None), default=now)
    if held_until > max(due_at, now):
        return f"{_why_held(delivery.webhook, now)} {_then(delivery, held_until)}"
    if due_at <= now:
        return _("It is due and will be sent as soon as a worker is free.")
    return f"{_then(delivery, due_at)} {_why_then(delivery)}"


def read_last_attempts(deliveries: Iterable[Delivery]) -> None:
    """Read beforehand what `waiting` says of many deliveries. One query, or none."""
    retried = {
        delivery.pk: delivery
        for delivery in deliveries
        if delivery.status == Delivery.Status.PENDING and delivery.schedule_position
    }
    if not retried:
        return
    newest = Attempt.objects.filter(delivery__in=list(retried)).values("delivery")
    found = Attempt.objects.filter(pk__in=newest.annotate(last=Max("pk")).values("last")).only(
        "delivery_id", "started_at", "duration_ms", "response_headers"
    )
    last = {attempt.delivery_id: attempt for attempt in found}
    for pk, delivery in retried.items():
        delivery.__dict__[_LAST_ATTEMPT] = last.get(pk)


def _last_attempt(delivery: Delivery) -> Attempt | None:
    if _LAST_ATTEMPT not in delivery.__dict__:
        read_last_attempts([delivery])
    found: Attempt | None = delivery.__dict__.get(_LAST_ATTEMPT)
    return found


def _then(delivery: Delivery, at: datetime) -> str:
    schedule = delivery.webhook.retry_schedule or settings.RETRY_SCHEDULE_SECONDS
    return _("Attempt %(number)d of %(total)d follows at %(at)s.") % {
        "number": delivery.schedule_position + 1,
        "total": len(schedule),
        "at": _moment(at),
    }


def _why_held(webhook: Webhook, now: datetime) -> str:
    if webhook.hold_until is None or webhook.hold_until <= now:
        return _("The receiver is sent no more than its rate limit allows.")
    since = webhook.failing_since
    failing_for = (now - since).total_seconds() if since is not None else 0.0
    if breaker.pause_after(failures=webhook.failure_count, failing_for=failing_for):
        return _("The receiver goes on failing, so it is tried less often.")
    return _("The receiver asked for time.")


def _why_then(delivery: Delivery) -> str:
    if not delivery.schedule_position:
        return _("That is what the schedule says.")
    last = _last_attempt(delivery)
    asked = None if last is None else _asked(last)
    if asked is not None:
        return _("The receiver asked for %(wait)s.") % {"wait": _lasting(asked)}
    schedule = delivery.webhook.retry_schedule or settings.RETRY_SCHEDULE_SECONDS
    wait = schedule[min(delivery.schedule_position, len(schedule) - 1)]
    return _("The one before failed, and the schedule waits %(wait)s.") % {"wait": _lasting(wait)}


def _lasting(seconds: float) -> str:
    """A wait as one says it: `90 s`, `5 min`, `1 h 30 min`."""
    if seconds < 120:
        return f"{seconds:g} s"
    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def cancelled(delivery: Delivery) -> str:
    """Why a delivery was cancelled, translated; empty where it was not."""
    if delivery.status != Delivery.Status.CANCELLED:
        return ""
    if delivery.event.erased_at is not None:
        return _("It was cancelled: what it told was erased.")
    if delivery.webhook.deleted_at is not None:
        return _("It was cancelled: its webhook was deleted.")
    if delivery.lane == Webhook.Lane.PARKED:
        return _(
            "It expired: its webhook was not resumed for as long as payloads are kept, and what "
            "it told had to be forgotten."
        )
    return _("It was not sent: its webhook is limited to other events of this type.")


def _asked(attempt: Attempt) -> float | None:
    """The seconds that its receiver asked for. Not its own words: not all may read those."""
    headers = {name.lower(): value for name, value in attempt.response_headers.items()}
    ended_at = attempt.started_at + timedelta(milliseconds=attempt.duration_ms)
    return retry.parse_retry_after(headers.get("retry-after"), ended_at)


def _pasts(webhooks: Sequence[Webhook]) -> dict[UUID, list[AuditEntry]]:
    """When each was paused, disabled, resumed and changed, the newest last. One query."""
    subjects = {audit.of(webhook): webhook.pk for webhook in webhooks}
    found: dict[UUID, list[AuditEntry]] = {webhook.pk: [] for webhook in webhooks}
    entries = AuditEntry.objects.filter(
        subject__in=subjects, action__in=(*_STATES, audit.Action.RESUMED, audit.Action.CHANGED)
    )
    for entry in reversed(entries.order_by("-id")[:_MOST_ENTRIES]):
        found[subjects[entry.subject]].append(entry)
    return found


def _why_not(
    event: Event, webhook: Webhook, distributed_at: datetime, past: list[AuditEntry]
) -> str:
    if event.only_webhook_id is not None:
        return _("The event was sent to one webhook on purpose, not to this.")
    if not event.fanned_out:
        return _("The event was not distributed yet: a worker will do that.")
    return (
        _was_stopped(webhook, distributed_at, past)
        or _why_never(event, webhook)
        or _why_not_then(event, webhook, distributed_at, past)
    )


def _was_stopped(webhook: Webhook, then: datetime, past: list[AuditEntry]) -> str:
    """What state kept it from being sent anything at that moment, if one did."""
    if webhook.deleted_at is not None and webhook.deleted_at <= then:
        return _("It was deleted at %(at)s.") % {"at": _moment(webhook.deleted_at)}
    if webhook.status != Webhook.Status.ACTIVE and webhook.status_changed_at <= then:
        return _("It was %(status)s since %(at)s.") % {
            "status": webhook.get_status_display(),
            "at": _moment(webhook.status_changed_at),
        }
    changes = [entry for entry in past if entry.action != audit.Action.CHANGED]
    before = [entry for entry in changes if entry.at <= then]
    if not before or before[-1].action not in _STATES:
        return ""
    resumed = [
        entry for entry in changes if entry.at > then and entry.action == audit.Action.RESUMED
    ]
    if not resumed:
        return ""
    return _("It was %(status)s from %(since)s until %(until)s.") % {
        "status": _STATES[before[-1].action].label,
        "since": _moment(before[-1].at),
        "until": _moment(resumed[0].at),
    }


def _why_never(event: Event, webhook: Webhook) -> str:
    """What keeps all events of the type from the webhook, if anything does."""
    if not patterns.wants(webhook.events, event.type):
        return _("Its events (%(patterns)s) do not cover %(type)s.") % {
            "patterns": ", ".join(webhook.events) or "—",
            "type": event.type,
        }
    format = formats.get_or_missing(webhook.format)
    if not format.tells(event.type):
        values = {"format": format.label, "type": event.type}
        return _("No equivalent: the format %(format)s has nothing like %(type)s.") % values
    return ""


def _why_not_then(event: Event, webhook: Webhook, then: datetime, past: list[AuditEntry]) -> str:
    if webhook.created_at > event.occurred_at:
        return _("The webhook was created later, at %(at)s.") % {"at": _moment(webhook.created_at)}
    for entry in past:
        subscription = {"events", "format"} & set(entry.detail.split(", "))
        if entry.action == audit.Action.CHANGED and entry.at > then and subscription:
            return _("What it subscribes to was changed at %(at)s, after this event.") % {
                "at": _moment(entry.at)
            }
    if event.erased_at is not None:
        return _("What it told was erased at %(at)s.") % {"at": _moment(event.erased_at)}
    return _("It was paused then, or did not cover this event at that time.")


def _moment(moment: datetime) -> str:
    """To the minute and with its zone: whoever asks the API may be in another."""
    local = timezone.localtime(moment)
    # Not SHORT_DATETIME_FORMAT: English has “a.m.”, whose full stop would meet the sentence's.
    words = date_format(local, pgettext("a moment within a sentence", "Y-m-d H:i"))
    return f"{words} (UTC{local.isoformat()[-6:]})"
