"""Forgetting what is old, by kind, and never what is still owed.

Owed is an event that was not distributed yet, and whatever has a delivery pending. Each batch
locks its events before it looks for pending deliveries, and a replay locks them too: of the two,
whoever comes second sees what the first has done. What another pruning is at is passed over, so
that any number of them may run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Left, StrIndex

from .. import audit, clock
from ..conf import DEFAULTS, settings
from ..databases import writing
from ..models import Attempt, Delivery, Event, Tally, Webhook
from . import partitions
from ._batches import BATCH_SIZE, Progress, no_progress

Kind = Literal["payload", "response", "metadata"]
KINDS: tuple[Kind, ...] = ("payload", "response", "metadata")
Limits = Mapping[Kind, datetime]
"""By kind, the moment before which it is forgotten; what is not named is kept."""


@dataclass(kw_only=True)
class Pruned:
    """How much was, or would be, forgotten."""

    payloads: int = 0
    """Events whose body was emptied: they can be seen, and not be sent again."""
    responses: int = 0
    """Attempts whose answer (headers, body, the words of a failure) was emptied."""
    events: int = 0
    """Events deleted, each with its deliveries and attempts."""
    webhooks: int = 0
    """Webhooks that had been deleted and of which nothing else is left."""
    partitions: int = 0
    """Months of attempts dropped whole; see partitions.py."""

    @property
    def total(self) -> int:
        return self.payloads + self.responses + self.events + self.webhooks + self.partitions


def retention_limits(now: datetime | None = None) -> Limits:
    """What WEBHOOKS["RETENTION_DAYS"] lets be forgotten by now."""
    now = now or clock.now(using=writing(Event).db)
    days = {**DEFAULTS["RETENTION_DAYS"], **settings.RETENTION_DAYS}
    return {kind: now - timedelta(days=days[kind]) for kind in KINDS if days[kind] is not None}


def never() -> bool:
    """For callers with all the time in the world."""
    return False


def count_prunable(
    older_than: datetime | Limits | None = None, kinds: Collection[Kind] = KINDS
) -> Pruned:
    """What `prune` with the same arguments would find now. Changes nothing."""
    limits = _limits(older_than, kinds)
    found = Pruned()
    if "metadata" in limits:
        found.partitions = len(partitions.expired(limits["metadata"]))
        found.events = writing(_settled(limits["metadata"])).count()
        found.webhooks = writing(_leftovers(limits["metadata"])).count()
    if "payload" in limits:
        payloads = _payloads(limits["payload"])
        if "metadata" in limits:  # what is deleted whole is not emptied before
            payloads = payloads.filter(occurred_at__gte=limits["metadata"])
        found.payloads = writing(payloads).count()
    if "response" in limits:
        found.responses = writing(_responses(limits["response"])).count()
    return found


def prune(
    older_than: datetime | Limits | None = None,
    kinds: Collection[Kind] = KINDS,
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
    stop: Callable[[], bool] = never,
) -> Pruned:
    """Forget what happened before a moment.

    :param older_than: of the event's `occurred_at`, or for responses of the attempt; aware. One
        moment, or one for each kind; None: the retention of the settings.
    :param kinds: “payload” empties the events' bodies, “response” the receivers' answers,
        “metadata” deletes events, deliveries and attempts whole. A failure's words go with the
        answer; where nothing was answered that could be read, with the payload.
    :param progress: told after each batch how many events or attempts it dealt with.
    :param stop: asked before each batch; where it says so, the rest is left for another time.
    """
    limits = _limits(older_than, kinds)
    pruned = Pruned()
    pace = _Pace(batch_size, progress, stop)
    try:
        if "metadata" in limits:
            pruned.partitions = partitions.drop_expired(limits["metadata"], stop=stop)
            for count in pace.events(_settled(limits["metadata"]), _delete):
                pruned.events += count
            pruned.webhooks += _delete_leftovers(limits["metadata"])
            _delete_tallies(limits["metadata"])
        if "payload" in limits:
            for count in pace.events(_payloads(limits["payload"]), _empty):
                pruned.payloads += count
        if "response" in limits:
            for count in pace.attempts(_responses(limits["response"])):
                pruned.responses += count
    finally:
        if pruned.total:
            audit.record(
                audit.Action.PRUNED,
                count=pruned.total,
                detail=f"events: {pruned.events}, payloads: {pruned.payloads}, "
                f"responses: {pruned.responses}, webhooks: {pruned.webhooks}, "
                f"partitions: {pruned.partitions}",
            )
    return pruned


def _limits(older_than: datetime | Limits | None, kinds: Collection[Kind]) -> Limits:
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"Unknown kinds: {', '.join(sorted(unknown))}. Known: {', '.join(KINDS)}.")
    if older_than is None:
        older_than = retention_limits()
    if isinstance(older_than, datetime):
        older_than = dict.fromkeys(KINDS, older_than)
    if any(moment.tzinfo is None for moment in older_than.values()):
        raise ValueError("older_than must be an aware datetime.")
    return {kind: moment for kind, moment in older_than.items() if kind in kinds}


def _settled(older_than: datetime) -> QuerySet[Event]:
    """Old events of which nothing is owed."""
    pending = Delivery.objects.filter(event=OuterRef("pk"), status=Delivery.Status.PENDING)
    return Event.objects.filter(occurred_at__lt=older_than, fanned_out=True).exclude(
        Exists(pending)
    )


def _payloads(older_than: datetime) -> QuerySet[Event]:
    return _settled(older_than).exclude(body="")


def _responses(older_than: datetime) -> QuerySet[Attempt]:
    return Attempt.objects.filter(started_at__lt=older_than).exclude(
        response_body="", response_headers={}
    )


def _leftovers(older_than: datetime) -> QuerySet[Webhook]:
    return Webhook.all_objects.filter(deleted_at__lt=older_than).exclude(
        Exists(Delivery.objects.filter(webhook=OuterRef("pk")))
    )


# Of a failure's words (`code: words`), which may be a receiver's own, the code is left. What could
# not be built is told in ours.
_IN_WORDS = Q(error_detail__contains=":") & ~Q(error=Attempt.Error.FORMAT)
_CODE = Case(
    When(_IN_WORDS, then=Left("error_detail", StrIndex("error_detail", Value(":")) - 1)),
    default=F("error_detail"),
)


@dataclass(frozen=True)
class _Pace:
    """Walks what is old, from the oldest, along indexes that hold only what is left to do."""

    batch_size: int
    progress: Progress
    stop: Callable[[], bool]

    def events(
        self, candidates: QuerySet[Event], forget: Callable[[list[UUID]], int]
    ) -> Iterator[int]:
        """:returns: of each batch, of how many events something was forgotten."""
        reached: tuple[UUID, datetime] | None = None
        while not self.stop():
            events = candidates
            if reached is not None:
                id, moment = reached
                events = events.filter(
                    Q(occurred_at__gt=moment) | Q(id__gt=id), occurred_at__gte=moment
                )
            with transaction.atomic():
                batch = list(
                    events.order_by("occurred_at", "id")
                    .select_for_update(skip_locked=True, of=("self",))
                    .values_list("id", "occurred_at")[: self.batch_size]
                )
                forgotten = forget([id for id, _moment in batch])
            yield forgotten
            self.progress(len(batch))
            if len(batch) < self.batch_size:
                return
            reached = batch[-1]

    def attempts(self, candidates: QuerySet[Attempt]) -> Iterator[int]:
        """:returns: of each batch, how many answers were emptied."""
        while not self.stop():
            with transaction.atomic():
                batch = list(
                    candidates.order_by("started_at", "id")
                    .select_for_update(skip_locked=True, of=("self",))
                    .values_list("id", flat=True)[: self.batch_size]
                )
                emptied = Attempt.objects.filter(id__in=batch).update(
                    response_body="", response_headers={}, error_detail=_CODE
                )
            yield emptied
            self.progress(len(batch))
            if len(batch) < self.batch_size:
                return


def _still_settled(ids: list[UUID]) -> QuerySet[Event]:
    # Asked anew now that the events are locked: until then a replay could have begun.
    pending = Delivery.objects.filter(event=OuterRef("pk"), status=Delivery.Status.PENDING)
    events: QuerySet[Event] = writing(Event).filter(id__in=ids).exclude(Exists(pending))
    return events


def _empty(ids: list[UUID]) -> int:
    settled = list(_still_settled(ids).values_list("id", flat=True))
    attempts = Attempt.objects.filter(delivery__event__in=settled)
    attempts.filter(Q(request_body__isnull=False) | _IN_WORDS).update(
        request_body=None, error_detail=_CODE
    )
    return Event.objects.filter(id__in=settled).update(**Event.EMPTY)


def _delete(ids: list[UUID]) -> int:
    settled = list(_still_settled(ids).values_list("id", flat=True))
    Attempt.objects.filter(delivery__event__in=settled).delete()
    Delivery.objects.filter(event__in=settled).delete()
    return Event.objects.filter(id__in=settled).delete()[1].get(Event._meta.label, 0)


def _delete_leftovers(older_than: datetime) -> int:
    gone: dict[str, int] = writing(_leftovers(older_than)).delete()[1]
    return gone.get(Webhook._meta.label, 0)


def _delete_tallies(older_than: datetime) -> None:
    """Old counts; those by which failing webhooks are found out stay as long as they are needed."""
    old = writing(Tally)
    needed = clock.now(using=old.db) - timedelta(days=settings.DISABLE_AFTER_DAYS + 1)
    old = old.filter(hour__lt=min(older_than, needed))
    while ids := list(old.values_list("id", flat=True)[:BATCH_SIZE]):
        Tally.objects.filter(id__in=ids).delete()
