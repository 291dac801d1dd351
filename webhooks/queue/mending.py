"""What interrupted operations, clocks and races leave behind, found and put right.

Every worker looks for it now and then, in the thread that delivers. So each call takes milliseconds
however much was left: it looks at, and changes, a slice. `upkeep` makes one call a turn.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from .. import breaker
from ..batches import free
from ..models import Delivery, Webhook

NORMAL, TROUBLED, PARKED = Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED, Webhook.Lane.PARKED

SLICE = 100
"""Rows that a call looks at, and those that it changes, at most."""

# Seconds by which clocks that take part may differ.
_CLOCK_TOLERANCE = 60.0
_NEWEST = 50  # parked deliveries that every look sees
_WEBHOOKS = 10  # of those that have something left, how many a call deals with


class _Parked(NamedTuple):
    """What tells whether a parked delivery is a stray."""

    pk: int
    lane: int
    attempt_count: int
    only_webhook: UUID | None
    status: str
    deleted_at: Any
    rate_limit: float | None

    @property
    def is_test(self) -> bool:
        """As `Delivery.TEST_UNDER_WAY`."""
        return self.only_webhook is not None and self.attempt_count == 0

    @property
    def is_stray(self) -> bool:
        return self.status == Webhook.Status.ACTIVE and self.deleted_at is None


_PARKED_COLUMNS = (
    "pk",
    "lane",
    "attempt_count",
    "event__only_webhook",
    "webhook__status",
    "webhook__deleted_at",
    "webhook__rate_limit",
)


class Mending(abc.ABC):
    """Of a queue. What is locked at that moment is left to the next look."""

    def __init__(self, using: str) -> None:
        self.using = using
        # How far the looks have come; None: begin anew.
        self._reached: int | None = None
        self._reached_future: tuple[Any, int] | None = None

    @abc.abstractmethod
    def _in(self, seconds: float) -> Any:
        """The moment in so many seconds by the clock that the queue goes by, for the ORM."""

    def mend_lanes(self) -> None:
        """Find deliveries that were moved while their receiver was being taken out of the lane."""
        self._having(Q(lane=NORMAL), self._troubled()).update(
            lane=TROUBLED, version=F("version") + 1
        )

    def mend_deleted(self, *, limit: int = SLICE) -> int:
        """Cancel up to `limit` deliveries that are still pending for deleted webhooks.

        A deletion may be interrupted before it has cancelled all; events that were being fanned
        out at that moment may add to them.

        :returns: how many; where it is `limit`, there may be more.
        """
        cancelled = Delivery.settled(Delivery.Status.CANCELLED)
        pending = self._pending().order_by("id")
        return self._change(pending, Q(deleted_at__isnull=False), cancelled, limit)

    def mend_stopped(self, *, limit: int = SLICE) -> int:
        """Park up to `limit` deliveries of the TROUBLED lane whose webhook was stopped.

        Nobody claims those. Whoever claims one of the NORMAL lane parks it.

        :returns: how many; where it is `limit`, there may be more.
        """
        troubled = self._troubled().order_by("next_attempt_at")
        return self._change(troubled, Q(lane=PARKED, deleted_at=None), {"lane": PARKED}, limit)

    def _change(
        self, deliveries: QuerySet[Delivery], webhooks: Q, changes: dict[str, Any], limit: int
    ) -> int:
        having = self._having(webhooks, deliveries).values_list("pk", flat=True)[:_WEBHOOKS]
        ids: list[int] = []
        for webhook_id in having:
            # Each by itself, along its index: over many at once, a plan may read the whole table.
            found = deliveries.filter(webhook=webhook_id).values_list("pk", flat=True)
            ids += found[: limit - len(ids)]
        return self._update(deliveries, ids, changes) if ids else 0

    def _having(self, webhooks: Q, deliveries: QuerySet[Delivery]) -> QuerySet[Webhook]:
        """Webhooks that have some of the deliveries, by one look into an index for each."""
        # As a value: EXISTS may become a join that reads all of them.
        first = deliveries.filter(webhook=OuterRef("pk")).values("pk")[:1]
        return (
            Webhook.all_objects.using(self.using)
            .filter(webhooks)
            .alias(first=Subquery(first))
            .filter(first__isnull=False)
        )

    def _update(
        self, deliveries: QuerySet[Delivery], ids: Iterable[int], changes: dict[str, Any]
    ) -> int:
        """Change those of `ids` that still are of `deliveries` and that nobody holds."""
        with transaction.atomic(using=self.using):
            unlocked = list(free(deliveries.filter(pk__in=ids)))
            return Delivery.objects.using(self.using).filter(pk__in=unlocked).update(**changes)

    @property
    def halfway(self) -> bool:
        """Whether `mend_parked` has not come to the end of what is pending yet."""
        return self._reached is not None

    def mend_parked(self, *, limit: int = SLICE) -> int:
        """Find deliveries that are parked although their webhook is active, and tests nobody ends.

        A resume may be interrupted; a worker that had not heard of it may park what it claimed;
        whoever sends a test may be killed. Of what is parked, a million perhaps, each call looks at
        the newest, and in turn at `limit` of all that is pending.

        :returns: how many are due again.
        """
        parked = self._pending().filter(lane=PARKED, next_attempt_at__isnull=False)
        newest = parked.order_by("-next_attempt_at").values_list(*_PARKED_COLUMNS)[:_NEWEST]
        rows = {pk: _Parked(pk, *rest) for pk, *rest in [*newest, *self._next(limit)]}
        found = [row for row in rows.values() if row.lane == PARKED]
        if tests := [row.pk for row in found if row.is_test]:
            over = parked.filter(next_attempt_at__lte=self._in(0))
            self._update(over, tests, Delivery.settled(Delivery.Status.FAILED))
        homes: dict[int, list[int]] = {}
        for row in found:
            if row.is_stray and not row.is_test:
                home = Webhook(rate_limit=row.rate_limit).home_lane
                homes.setdefault(home, []).append(row.pk)
        return sum(self._update(parked, ids, {"lane": lane}) for lane, ids in homes.items())

    def _next(self, limit: int) -> list[tuple[Any, ...]]:
        """The next `limit` that are pending, from where the call before ended; at the end, anew."""
        # By id and of all lanes: along an index, whatever waits for the same moment.
        pending = self._pending().order_by("pk")
        if self._reached is not None:
            pending = pending.filter(pk__gt=self._reached)
        rows = list(pending.values_list(*_PARKED_COLUMNS)[:limit])
        self._reached = rows[-1][0] if len(rows) == limit else None
        return rows

    def mend_times(self, *, lease: float, limit: int = SLICE) -> bool:
        """Find what would wait for a moment that is not to come.

        A clock that was turned back leaves deliveries from the future: they become due when the
        leases are over that may be on them, not when the clock has caught up. Those made before
        that may be late, by as much as it was turned back.

        :returns: whether there may be more.
        """
        now = {"next_attempt_at": self._in(0)}
        # `lane` leads the index of what is due.
        timeless = self._pending().filter(lane__in=Webhook.Lane.values, next_attempt_at=None)
        ids = list(timeless.values_list("pk", flat=True)[:limit])
        self._update(timeless, ids, now)
        future = self._from_the_future(limit)
        if future:
            pending = self._pending()
            unclaimed = pending.filter(fence=0, next_attempt_at__gt=self._in(0))
            self._update(unclaimed, future, now)
            beyond = pending.filter(next_attempt_at__gt=self._in(lease))
            self._update(beyond, future, {"next_attempt_at": self._in(lease)})
        # The turns of a limited rate last a second or one request's time.
        webhooks = Webhook.all_objects.using(self.using)
        early = list(webhooks.filter(next_turn_at__gt=self._in(_CLOCK_TOLERANCE))[:_WEBHOOKS])
        for webhook in early:
            turn = max(1.0, 1 / (breaker.bounded_rate(webhook.rate_limit) or breaker.MOST_RATE))
            webhooks.filter(
                pk=webhook.pk, next_turn_at__gt=self._in(_CLOCK_TOLERANCE + turn)
            ).update(next_turn_at=None)
        return len(ids) == limit or self._reached_future is not None

    def _from_the_future(self, limit: int) -> list[int]:
        """The ids of the next deliveries made at a moment to come that are pending."""
        made = Delivery.objects.using(self.using).filter(created_at__gt=self._in(_CLOCK_TOLERANCE))
        if self._reached_future is not None:
            moment, pk = self._reached_future
            made = made.filter(Q(created_at__gt=moment) | Q(pk__gt=pk), created_at__gte=moment)
        # Settled ones too: however many there are, no call reads more than its slice.
        ordered = made.order_by("created_at", "pk")
        rows = list(ordered.values_list("created_at", "pk", "status")[:limit])
        self._reached_future = rows[-1][:2] if len(rows) == limit else None
        return [pk for _moment, pk, status in rows if status == Delivery.Status.PENDING]

    def _pending(self) -> QuerySet[Delivery]:
        return Delivery.objects.using(self.using).filter(status=Delivery.Status.PENDING)

    def _troubled(self) -> QuerySet[Delivery]:
        return self._pending().filter(lane=TROUBLED)
