"""Which deliveries: the conditions by which they are sent again and exported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from .. import patterns
from ..databases import writing
from ..models import Delivery, Webhook


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """Some deliveries: those that fit all conditions. Without conditions, all."""

    statuses: tuple[str, ...] = ()
    """Of `Delivery.Status`."""
    webhook: Webhook | None = None
    event_patterns: tuple[str, ...] = ()
    """As in a subscription: `cliente.criado`, `cliente.*`, `*.criado`."""
    since: datetime | None = None
    """Settled (delivered, failed) at that moment or later."""
    until: datetime | None = None
    """Settled before that moment."""
    ids: tuple[int, ...] = ()
    """Ids of deliveries."""
    event_ids: tuple[Any, ...] = ()
    """UUIDs of events."""
    subject: str = ""
    """The object that the events are about, such as “cliente_123”."""
    errors: tuple[str, ...] = ()
    """Kinds of the last failure, of `Attempt.Error`."""
    status_codes: tuple[int, ...] = ()
    """Last HTTP statuses."""
    created_since: datetime | None = None
    """Made at that moment or later."""
    created_until: datetime | None = None
    """Made before that moment."""


def matching(filters: DeliveryFilter) -> QuerySet[Delivery]:
    """The deliveries that fit, the oldest first."""
    conditions = {
        "status__in": filters.statuses,
        "webhook": filters.webhook,
        "finished_at__gte": filters.since,
        "finished_at__lt": filters.until,
        "id__in": filters.ids,
        "event_id__in": filters.event_ids,
        "event__subject": filters.subject,
        "last_error__in": filters.errors,
        "last_status_code__in": filters.status_codes,
        "created_at__gte": filters.created_since,
        "created_at__lt": filters.created_until,
    }
    deliveries = Delivery.objects.filter(
        **{lookup: value for lookup, value in conditions.items() if value not in (None, "", ())}
    )
    if filters.until is not None:
        # What was settled before a moment was created before it, and that has an index.
        deliveries = deliveries.filter(created_at__lt=filters.until)
    if filters.event_patterns and not any("*" in pattern for pattern in filters.event_patterns):
        deliveries = deliveries.filter(event__type__in=filters.event_patterns)
    elif filters.event_patterns:
        # From where is written: a replay may be chosen by what a replica has not heard of.
        types = writing(deliveries).order_by().values_list("event__type", flat=True).distinct()
        deliveries = deliveries.filter(event__type__in=wanted(filters.event_patterns, types))
    return deliveries.order_by("id")


def wanted(event_patterns: Iterable[str], types: Iterable[str]) -> list[str]:
    """Those of the types that some pattern covers."""
    event_patterns = tuple(event_patterns)
    return [name for name in types if patterns.wants(event_patterns, name)]
