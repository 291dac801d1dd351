"""Sending again what was settled, and making up for what a paused webhook was never sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, Min, OuterRef, QuerySet

from .. import audit, clock, fanout, formats, wakeup
from ..databases import writing
from ..models import Delivery, Event, Webhook, event_public_id, stored
from ._batches import BATCH_SIZE, STOP, Progress, no_progress
from .choosing import DeliveryFilter, matching, wanted

SETTLED = (Delivery.Status.DELIVERED, Delivery.Status.FAILED, Delivery.Status.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class ReplayFilter(DeliveryFilter):
    """Which settled deliveries to send again. All conditions together; the default: what failed."""

    statuses: tuple[str, ...] = (Delivery.Status.FAILED,)
    """Of `Delivery.Status`, “pending” excepted: what is on its way is not sent twice."""


@dataclass(frozen=True, kw_only=True)
class ReplayCount:
    """What a replay would send to one webhook."""

    webhook: Webhook
    deliveries: int
    first_at: datetime | None
    """When the earliest of them was settled."""


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What `recover` did, or with `dry_run` would do."""

    missing: int
    """Events for which the webhook had no delivery; now it has."""
    failed: int
    """Failed deliveries that are sent again."""
    types: dict[str, int] = field(default_factory=dict)
    """Of the missing: how many of each type."""
    gone: int = 0
    """What cannot be sent any more, since its payload was erased or pruned."""

    @property
    def total(self) -> int:
        return self.missing + self.failed


def replayable(filters: ReplayFilter | None = None) -> QuerySet[Delivery]:
    """The deliveries that fit and can be sent: webhook not deleted, payload still kept."""
    return _chosen(filters or ReplayFilter()).exclude(event__body="")


def count_gone(filters: ReplayFilter | None = None) -> int:
    """How many deliveries fit that cannot be sent: their payload was erased or pruned."""
    chosen = writing(_chosen(filters or ReplayFilter()))
    return int(chosen.filter(event__body="").count())


def _chosen(filters: ReplayFilter) -> QuerySet[Delivery]:
    unfit = set(filters.statuses) - set(SETTLED)
    if unfit:
        raise ValueError(f"Only settled deliveries are replayed, not: {', '.join(sorted(unfit))}.")
    if not filters.statuses:
        return Delivery.objects.none()
    deliveries = matching(filters).filter(webhook__deleted_at=None)
    # Tests sent on purpose are sent again on purpose.
    return deliveries if filters.ids else deliveries.filter(event__only_webhook=None)


def count_replay(deliveries: QuerySet[Delivery], *, most: int | None = None) -> list[ReplayCount]:
    """What `replay(deliveries)` would send, per webhook, the most first. One query for the counts.

    Sends and changes nothing.

    :param most: count no more than so many, since who asks would rather not wait.
    """
    if most is not None:
        some = deliveries.order_by().values("pk")[:most]
        deliveries = Delivery.objects.using(deliveries.db).filter(pk__in=some)
    rows = list(
        deliveries.order_by()
        .values("webhook_id")
        .annotate(deliveries=Count("id"), first_at=Min("finished_at"))
    )
    webhooks = Webhook.all_objects.using(deliveries.db).in_bulk([row["webhook_id"] for row in rows])
    counts = [
        ReplayCount(
            webhook=webhooks[row["webhook_id"]],
            deliveries=row["deliveries"],
            first_at=row["first_at"] and stored.moment(row["first_at"]),
        )
        for row in rows
    ]
    return sorted(counts, key=lambda count: (-count.deliveries, count.webhook.name))


def replay(
    deliveries: QuerySet[Delivery],
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> int:
    """Send these deliveries again, from the start of the schedule, with the same event ids.

    Works in batches, each its own transaction, so that it can be stopped at any point and asked
    again: what is already on its way (pending) is left alone, and so is what has no payload any
    more (`count_gone`). What belongs to a paused webhook is sent when that is resumed.

    :returns: how many deliveries are on their way because of this call.
    """
    with audit.counted(audit.Action.REPLAYED) as tally:
        _replay(deliveries, tally, batch_size, progress)
    return tally.count


def _replay(
    deliveries: QuerySet[Delivery], tally: audit.Tally, batch_size: int, progress: Progress
) -> None:
    last_id = 0
    while True:
        with transaction.atomic():
            batch = replay_batch(deliveries, last_id, batch_size)
        tally.add(len(batch.sent), (f"delivery_{id}" for id in batch.sent))
        if progress(batch.through) is STOP or batch.through < batch_size:
            return
        last_id = batch.last_id


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What `replay_batch` did."""

    last_id: int
    """Of the last delivery that it went through."""
    through: int
    """How many it went through; at the end, fewer than it was asked to."""
    sent: list[int]
    """The ids of those on their way by it. The others were sent by somebody else meanwhile, or
    pruned."""


def replay_batch(deliveries: QuerySet[Delivery], after_id: int, size: int) -> Batch:
    """Send the next of these deliveries again, in the transaction that is open.

    :param after_id: the id of the last that was gone through; 0 at first.
    """
    chosen = writing(deliveries).exclude(event__body="").order_by("id")
    rows = list(chosen.filter(id__gt=after_id).values_list("id", "event")[:size])
    if not rows:
        return Batch(last_id=after_id, through=0, sent=[])
    # Events first, their deliveries then, each in order: nobody who holds a delivery waits for an
    # event. Pruning, which takes them too, cannot take a body meanwhile; what it has locked
    # already, or another replay, is waited for and not left out.
    events = list(
        writing(Event)
        .filter(pk__in={event for _id, event in rows})
        .order_by("id")
        .select_for_update(no_key=True, of=("self",))
        .values_list("id", flat=True)
    )
    batch = list(
        chosen.filter(id__in=[id for id, _event in rows], event__in=events, status__in=SETTLED)
        .select_for_update(of=("self",))
        .values_list("id", "webhook")
    )
    free = writing(Delivery)
    for lane, ids in _by_lane(batch).items():
        free.filter(id__in=ids).update(
            status=Delivery.Status.PENDING,
            lane=lane,
            next_attempt_at=clock.at(using=free.db),
            schedule_position=0,
            finished_at=None,
        )
    if batch:
        transaction.on_commit(wakeup.request, robust=True)
    return Batch(last_id=rows[-1][0], through=len(rows), sent=[id for id, _webhook in batch])


def recover(
    webhook: Webhook,
    since: datetime,
    *,
    until: datetime | None = None,
    dry_run: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Recovery:
    """Everything the webhook has missed since a moment: what never was sent to it, what failed.

    Events of that time that its patterns cover and for which it has no delivery (it was paused,
    or is newer than they) get one; its failed deliveries of that time are sent again. Asked twice,
    the second call finds nothing to do.

    :param since: of the event (what is missing) or of the failure, inclusive; aware.
    :param until: exclusive; None means no end.
    """
    missing = writing(missing_events(webhook, since, until))
    types = dict(
        missing.order_by().values("type").annotate(count=Count("id")).values_list("type", "count")
    )
    chosen = ReplayFilter(webhook=webhook, since=since, until=until)
    failed = replayable(chosen)
    gone = count_gone(chosen)
    gone += writing(missing_events(webhook, since, until, kept=False)).count()
    if dry_run:
        failures = writing(failed).count()
        return Recovery(missing=sum(types.values()), failed=failures, types=types, gone=gone)
    with audit.counted(audit.Action.RECOVERED, subject=audit.of(webhook)) as tally:
        _replay(failed, tally, batch_size, progress)
        replayed = tally.count
        _create_missing(webhook, missing, tally, batch_size, progress)
    return Recovery(missing=tally.count - replayed, failed=replayed, types=types, gone=gone)


def missing_events(
    webhook: Webhook, since: datetime, until: datetime | None, *, kept: bool = True
) -> QuerySet[Event]:
    """Events of a time that its patterns cover and for which it has no delivery.

    :param kept: whether their payload is.
    """
    # What is not fanned out yet will reach the webhook by itself.
    events = Event.objects.filter(occurred_at__gte=since, only_webhook=None, fanned_out=True)
    events = events.exclude(body="") if kept else events.filter(body="")
    if until is not None:
        events = events.filter(occurred_at__lt=until)
    types = writing(events).order_by().values_list("type", flat=True).distinct()
    format = formats.get_or_missing(webhook.format)
    told = [name for name in wanted(webhook.events, types) if format.tells(name)]
    return events.filter(type__in=told).exclude(
        Exists(Delivery.objects.filter(event=OuterRef("pk"), webhook=webhook))
    )


def _create_missing(
    webhook: Webhook,
    events: QuerySet[Event],
    tally: audit.Tally,
    batch_size: int,
    progress: Progress,
) -> None:
    last_id = None
    while True:
        with transaction.atomic():
            batch, made = create_batch(webhook, events, last_id, batch_size)
        tally.add(made, map(event_public_id, batch))
        if progress(len(batch)) is STOP or len(batch) < batch_size:
            return
        last_id = batch[-1]


def create_batch(
    webhook: Webhook, events: QuerySet[Event], after_id: UUID | None, size: int
) -> tuple[list[UUID], int]:
    """Make the deliveries of the next of these events, in the transaction that is open.

    :returns: the events' ids, at the end fewer than asked for; how many deliveries were made.
    """
    remaining = events if after_id is None else events.filter(id__gt=after_id)
    # What another recovery or pruning has locked is waited for and not left out.
    batch = list(
        remaining.order_by("id")
        .select_for_update(no_key=True, of=("self",))
        .values_list("id", flat=True)[:size]
    )
    if not batch:
        return [], 0
    lane = sending_lane(writing(Webhook).get(pk=webhook.pk))
    made = fanout.owe(fanout.Owed(id, webhook.pk, lane) for id in batch)
    transaction.on_commit(wakeup.request, robust=True)
    return batch, made


def sending_lane(webhook: Webhook) -> int:
    """The lane of a delivery that is due to this webhook."""
    if webhook.status != Webhook.Status.ACTIVE:
        return Webhook.Lane.PARKED
    # A webhook that was just resumed may not have been told its lane yet.
    return webhook.home_lane if webhook.lane == Webhook.Lane.PARKED else webhook.lane


def _by_lane(batch: Collection[tuple[int, UUID]]) -> dict[int, list[int]]:
    """:param batch: the ids of deliveries and of their webhooks."""
    lanes: dict[int, list[int]] = {}
    webhooks = writing(Webhook.all_objects).in_bulk({webhook for _id, webhook in batch})
    for id, webhook in batch:
        lanes.setdefault(sending_lane(webhooks[webhook]), []).append(id)
    return lanes
