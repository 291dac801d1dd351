"""How it goes: the backlog as a whole, and each webhook by itself. Reads only.

The number of queries does not depend on the number of webhooks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, IntegerField, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from .. import failures
from ..conf import settings
from ..models import Attempt, Delivery, Event, Webhook, stored
from . import counts
from .counts import Span

COUNTED_AT_MOST = 100_000
COUNTED_OF_EACH = 10_000
"""Rows of a backlog, of all webhooks and of each: a count that comes so far means “or more”."""

LOOKED_THROUGH = 1_000
"""Failed attempts, the newest of all webhooks, among which the last failures are looked for."""


class _CountOf(Subquery):
    """How many rows a subquery has, which a LIMIT of its own keeps bounded."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is still to be done, of all webhooks; each counted up to `COUNTED_AT_MOST`."""

    undistributed: int
    """Events for which no deliveries have been made yet."""
    pending: int
    """Deliveries on their way, those that wait for their next attempt included."""
    due: int
    """Of these: to be sent now."""
    held: int
    """Of these: due by their time, but their receiver is left alone for a while."""
    parked: int
    """Deliveries that wait for their webhook to be resumed; not among the pending."""
    oldest_due_at: datetime | None
    """Since when the longest waiting event or delivery should have been dealt with; of what is held
    nothing should."""

    def age_seconds(self, now: datetime) -> float:
        """How long the longest waiting has waited; 0 when nothing is due."""
        return max(0.0, (now - self.oldest_due_at).total_seconds()) if self.oldest_due_at else 0.0


@dataclass(frozen=True, kw_only=True)
class LastFailure:
    """The newest failed attempt of a webhook's deliveries that are failed or still pending."""

    at: datetime
    delivery_id: int
    sentence: str
    """What happened and what to do, translated."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """How one webhook fares."""

    pending: int
    """Deliveries waiting for it, parked ones included, counted up to `COUNTED_OF_EACH`."""
    day: Span
    """Its attempts of the last 24 hours."""
    last_failure: LastFailure | None


def backlog(now: datetime | None = None) -> Backlog:
    """The state of the whole queue."""
    now = now or timezone.now()
    waiting = Delivery.objects.filter(status=Delivery.Status.PENDING)
    pending = waiting.filter(lane__in=(Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED))
    due = pending.filter(next_attempt_at__lte=now).order_by()[:COUNTED_AT_MOST]
    counted = due.aggregate(
        due=Count("id"), held=Count("id", filter=Q(webhook__hold_until__gt=now))
    )
    oldest = [oldest_due(now, lanes=[Webhook.Lane.NORMAL]), _oldest_of_the_troubled(now)]
    return Backlog(
        undistributed=_bounded(Event.objects.filter(fanned_out=False)),
        pending=_bounded(pending),
        due=counted["due"] - counted["held"],
        held=counted["held"],
        parked=_bounded(waiting.filter(lane=Webhook.Lane.PARKED)),
        oldest_due_at=min(map(stored.moment, filter(None, oldest)), default=None),
    )


def _oldest_of_the_troubled(now: datetime) -> datetime | None:
    """Since when the longest waiting of a receiver in trouble is due that may be sent to now."""
    due = Delivery.objects.filter(
        webhook=OuterRef("pk"),
        status=Delivery.Status.PENDING,
        lane=Webhook.Lane.TROUBLED,
        next_attempt_at__lte=now,
    )
    first = due.order_by("next_attempt_at").values("next_attempt_at")[:1]
    served = Webhook.objects.filter(lane=Webhook.Lane.TROUBLED).exclude(hold_until__gt=now)
    found: datetime | None = served.annotate(first=Subquery(first)).aggregate(at=Min("first"))["at"]
    return found


def _bounded(rows: QuerySet[Any]) -> int:
    return rows.order_by()[:COUNTED_AT_MOST].count()


def oldest_due(
    now: datetime,
    *,
    lanes: Iterable[int] = (Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED),
    events: bool = True,
) -> datetime | None:
    """Since when the longest waiting event or delivery should have been dealt with.

    A look at the beginning of an index for each lane, and one for the events.

    :param events: whether those that were not distributed yet count too.
    """
    pending = Delivery.objects.filter(status=Delivery.Status.PENDING)
    moments = [
        pending.filter(lane=lane, next_attempt_at__lte=now)
        .order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)
        .first()
        for lane in lanes
    ]
    if events:
        undistributed = Event.objects.filter(fanned_out=False)
        moments.append(undistributed.order_by("id").values_list("occurred_at", flat=True).first())
    return min((stored.moment(each) for each in moments if each is not None), default=None)


def health(webhooks: Iterable[Webhook], now: datetime | None = None) -> dict[UUID, Health]:
    """The state of each of these webhooks, by id."""
    now = now or timezone.now()
    ids = [webhook.pk for webhook in webhooks]
    waiting = Delivery.objects.filter(webhook=OuterRef("pk"), status=Delivery.Status.PENDING)
    pending = dict(
        Webhook.all_objects.filter(pk__in=ids)
        .annotate(waiting=_CountOf(waiting.order_by().values("pk")[:COUNTED_OF_EACH]))
        .values_list("pk", "waiting")
    )
    failed = last_failures(ids)
    days = counts.of_each(ids, now)
    return {
        id: Health(pending=pending.get(id, 0), day=days[id], last_failure=failed.get(id))
        for id in ids
    }


def last_failures(webhook_ids: Iterable[UUID]) -> dict[UUID, LastFailure]:
    """The newest failure of each webhook that has one.

    Attempts do not know their webhook. So the newest failures of all webhooks are looked through;
    of one that has none among these, its newest delivery that failed is told.
    """
    ids = set(webhook_ids)
    newest = _newest_failures(ids)
    wanted = Q(id__in=newest.values()) | Q(delivery__in=_failed_before(ids - newest.keys()))
    attempts = (
        Attempt.objects.filter(wanted, superseded=False)
        .exclude(error="")
        .order_by("id")
        .values_list(
            "delivery__webhook_id",
            "delivery_id",
            "started_at",
            "duration_ms",
            "error",
            "error_detail",
            "status_code",
            "delivery__webhook__timeout_seconds",
        )
    )
    return {
        webhook_id: LastFailure(
            at=stored.moment(started_at),
            delivery_id=delivery_id,
            sentence=failures.sentence(
                error,
                detail=detail,
                status=status,
                timeout=failures.had(stored.positive(timeout) or settings.TIMEOUT_SECONDS, took),
            ),
        )
        for webhook_id, delivery_id, started_at, took, error, detail, status, timeout in attempts
    }


def _newest_failures(webhook_ids: set[UUID]) -> dict[UUID, int]:
    """The newest attempt of each webhook, if it is among the newest failed ones of all."""
    # Told apart here: a condition on deliveries would have the limit count only what fits it.
    lately = (
        Attempt.objects.exclude(error="")
        .order_by("-id")
        .values_list("id", "superseded", "delivery__webhook_id", "delivery__status")
    )
    newest: dict[UUID, int] = {}
    for id, superseded, webhook_id, status in lately[:LOOKED_THROUGH] if webhook_ids else ():
        unmended = status in (Delivery.Status.FAILED, Delivery.Status.PENDING)
        if unmended and not superseded and webhook_id in webhook_ids:
            newest.setdefault(webhook_id, id)
    return newest


def _failed_before(webhook_ids: set[UUID]) -> list[int]:
    """Of each webhook, the newest delivery that failed and the newest that is being retried."""
    if not webhook_ids:
        return []
    deliveries = Delivery.objects.filter(webhook=OuterRef("pk")).order_by("-id").values("id")
    retried = deliveries.filter(status=Delivery.Status.PENDING).exclude(last_error="")
    rows = (
        Webhook.all_objects.filter(pk__in=webhook_ids)
        .annotate(
            failed=Subquery(deliveries.filter(status=Delivery.Status.FAILED)[:1]),
            retried=Subquery(retried[:1]),
        )
        .values_list("failed", "retried")
    )
    return [id for pair in rows for id in pair if id is not None]
