"""Erasing a person's data at their request (LGPD, Art. 18, VI), and who else was given it.

What was told is erased from events and attempts; the rows stay, with ids, types, times and
statuses, so that what was sent and when can still be shown. The CRM's own rows are not touched:
erase those where they are kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from .. import audit, clock
from ..batches import free
from ..databases import writing
from ..models import Attempt, Delivery, Event, Webhook
from ._batches import Progress, no_progress

BATCH_SIZE = 100  # events, each with all its deliveries and attempts
MAX_PASSES = 20
PAUSE_SECONDS = 0.1  # between passes: workers hold a delivery's row for a moment only
LATE = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """How much was, or would be, erased."""

    events: int = 0
    """Events whose payload was erased."""
    attempts: int = 0
    """Attempts whose request, answer and detail of failure were erased."""
    cancelled: int = 0
    """Pending deliveries that were cancelled: what they would have told is gone."""
    busy: int = 0
    """Events that workers would not let go of; ask again."""


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A webhook that was sent data of the person (LGPD, Art. 18, § 6: tell it to erase them)."""

    webhook: Webhook
    """Deleted ones included: their receiver had the data all the same."""
    deliveries: int
    last_at: datetime | None


def clean_subject(subject: str) -> str:
    """:raises ValidationError: it can be no data subject's id."""
    subject = subject.strip()
    if not subject or len(subject) > 100 or not subject.isprintable():
        raise ValidationError(_("Give the id of a data subject, such as cliente_123."))
    return subject


def count_forgettable(subject: str) -> Forgotten:
    """What `forget(subject)` would find now. Changes nothing.

    :raises ValidationError: the subject can be no id.
    """
    about = writing(_about(clean_subject(subject)))
    deliveries = writing(Delivery).filter(event__in=about.filter(erased_at=None))
    return Forgotten(
        events=about.filter(erased_at=None).count(),
        attempts=_telling(writing(Attempt).filter(delivery__event__in=about)).count(),
        cancelled=deliveries.filter(status=Delivery.Status.PENDING).count(),
    )


def recipients(subject: str) -> list[Recipient]:
    """Who was sent something about the person, as far as metadata still tells.

    :raises ValidationError: the subject can be no id.
    """
    answered = Attempt.objects.filter(delivery=OuterRef("pk"), status_code__isnull=False)
    rows = (
        writing(Delivery)
        .filter(Exists(answered), event__in=_about(clean_subject(subject)))
        .order_by()
        .values("webhook_id")
        .annotate(deliveries=Count("id"), last_at=Max("finished_at"))
    )
    found = {row["webhook_id"]: row for row in rows}
    webhooks = writing(Webhook.all_objects).in_bulk(list(found)).values()
    return [
        Recipient(
            webhook=webhook,
            deliveries=found[webhook.pk]["deliveries"],
            last_at=found[webhook.pk]["last_at"],
        )
        for webhook in sorted(webhooks, key=lambda webhook: webhook.name)
    ]


def forget(
    subject: str,
    *,
    user: Any = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Forgotten:
    """Erase what events and attempts tell of a person.

    Of every event about them (`data_subject`, `subject`) the payload is erased, of its deliveries'
    attempts what was sent and answered; what is still pending is cancelled. In batches, each its
    own transaction: it can be stopped at any point and asked again.

    A request that a worker has begun cannot be called back; one that it has claimed goes out
    within WEBHOOKS["LEASE_SECONDS"] or never. What is recorded of it afterwards holds no data.

    :param user: who asked for it; None: whoever acts by `webhooks.context`.
    :param progress: told after each batch how many events it went through.
    :raises ValidationError: the subject can be no id.
    """
    subject = clean_subject(subject)
    done = _Done()
    try:
        for number in range(MAX_PASSES):
            if number:
                time.sleep(PAUSE_SECONDS)
            done.busy = 0
            for ids in _batches(subject, batch_size):
                done.add(_erase(ids))
                progress(len(ids))
            if not done.busy:
                break
        # What was recorded while its event was being erased.
        done.attempts += _scrub(writing(_about(subject)).exclude(erased_at=None))
    finally:
        audit.record(
            audit.Action.FORGOT,
            user=user,
            subject=subject,
            count=done.events,
            detail=f"attempts: {done.attempts}, cancelled: {done.cancelled}, busy: {done.busy}",
        )
    return Forgotten(**vars(done))


def erase_late(now: datetime | None = None) -> int:
    """Erase what attempts of events erased of late hold after all.

    Nothing, unless the process that recorded an attempt, or the one that erased its event, was
    killed at that very moment.

    :returns: of how many attempts.
    """
    events = writing(Event)
    since = (now or clock.now(using=events.db)) - LATE
    return _scrub(events.filter(erased_at__gte=since))


@dataclass
class _Done:
    events: int = 0
    attempts: int = 0
    cancelled: int = 0
    busy: int = 0

    def add(self, other: _Done) -> None:
        self.events += other.events
        self.attempts += other.attempts
        self.cancelled += other.cancelled
        self.busy += other.busy


def _about(subject: str) -> QuerySet[Event]:
    return Event.objects.filter(Q(data_subject=subject, data_subject__gt="") | Q(subject=subject))


def _batches(subject: str, size: int) -> Iterator[list[UUID]]:
    """The person's events that are not erased yet, along one index and then along the other."""
    for field, order in (("data_subject", "id"), ("subject", "sequence")):
        events = writing(Event).filter(**{field: subject, f"{field}__gt": ""}, erased_at=None)
        reached: Any = None
        while True:
            rest = events if reached is None else events.filter(**{f"{order}__gt": reached})
            batch = list(rest.order_by(order).values_list("id", order)[:size])
            if batch:
                yield [id for id, _order in batch]
            if len(batch) < size:
                break
            reached = batch[-1][1]


def _erase(ids: list[UUID]) -> _Done:
    """Events first, their deliveries then: nobody who holds a delivery waits for an event."""
    with transaction.atomic():
        events = set(
            writing(Event)
            .filter(id__in=ids, erased_at=None)
            .order_by("id")
            .select_for_update(no_key=True, of=("self",))
            .values_list("id", flat=True)
        )
        cancelled, busy = _cancel(events)
        # An erased event has nothing pending: nothing would be left to send.
        events -= busy
        erased = writing(Event).filter(id__in=events)
        attempts = _scrub(erased)
        erased.update(**Event.EMPTY, erased_at=clock.at(using=erased.db), fanned_out=True)
    return _Done(len(events), attempts, cancelled, len(busy))


def _cancel(events: set[UUID]) -> tuple[int, set[UUID]]:
    """:returns: how many deliveries, and the events of those that a worker is at just now."""
    pending = writing(Delivery).filter(event__in=events, status=Delivery.Status.PENDING)
    # Never waited for: two sides that wait for each other's rows are a deadlock.
    held = list(free(pending))
    cancelled = Delivery.objects.filter(id__in=held).update(
        **Delivery.settled(Delivery.Status.CANCELLED)
    )
    return cancelled, set(pending.values_list("event_id", flat=True))


def _scrub(events: QuerySet[Event]) -> int:
    attempts = _telling(writing(Attempt).filter(delivery__event__in=events))
    return attempts.update(**Attempt.EMPTY)


def _telling(attempts: QuerySet[Attempt]) -> QuerySet[Attempt]:
    return attempts.exclude(**Attempt.EMPTY)
