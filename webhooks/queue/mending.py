"""What interrupted operations, clocks and races leave behind, found and put right.

Every worker looks for it now and then, so each look is cheap where there is nothing: along indexes,
and no more at once than a part.
"""

from __future__ import annotations

import abc
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from .. import breaker
from ..batches import update_in_batches
from ..models import Delivery, Webhook

NORMAL, TROUBLED, PARKED = Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED, Webhook.Lane.PARKED

# Seconds by which clocks that take part may differ.
_CLOCK_TOLERANCE = 60.0
_NEWEST = 500  # parked deliveries that every look sees


class Mending(abc.ABC):
    """Of a queue. What is locked at that moment is left to the next look."""

    def __init__(self, using: str) -> None:
        self.using = using
        # When the last parked delivery that was looked at is due, and its id; None: begin anew.
        self._reached: tuple[Any, int] | None = None

    @abc.abstractmethod
    def _in(self, seconds: float) -> Any:
        """The moment in so many seconds by the clock that the queue goes by, for the ORM."""

    def mend_lanes(self) -> None:
        """Find deliveries that were moved while their receiver was being taken out of the lane."""
        Webhook.all_objects.using(self.using).filter(
            lane=NORMAL, pk__in=self._troubled().values("webhook_id")
        ).update(lane=TROUBLED, version=F("version") + 1)

    def mend_deleted(self, *, limit: int = 5000) -> int:
        """Cancel up to `limit` deliveries that are still owed to deleted webhooks.

        A deletion may be interrupted before it has cancelled all; events that were being fanned
        out at that moment may add to them.
        """
        cancelled = Delivery.settled(Delivery.Status.CANCELLED)
        return self._change(self._pending(), Q(deleted_at__isnull=False), cancelled, limit)

    def mend_stopped(self, *, limit: int = 5000) -> int:
        """Park up to `limit` deliveries of the TROUBLED lane whose webhook was stopped.

        Nobody claims those. Whoever claims one of the NORMAL lane parks it.
        """
        stopped = Q(lane=PARKED, deleted_at=None)
        return self._change(self._troubled(), stopped, {"lane": PARKED}, limit)

    def _change(
        self, deliveries: QuerySet[Delivery], webhooks: Q, changes: dict[str, Any], limit: int
    ) -> int:
        # One look into an index for each such webhook; seldom does one of them have any.
        having = Webhook.all_objects.using(self.using).filter(
            webhooks, Exists(deliveries.filter(webhook=OuterRef("pk")))
        )
        ids = list(having.values_list("pk", flat=True))
        if not ids:
            return 0
        return update_in_batches(deliveries.filter(webhook__in=ids), changes, most=limit, passes=1)

    def mend_parked(self, *, limit: int = 5000) -> int:
        """Find deliveries that are parked although their webhook is active, and tests nobody ends.

        A resume may be interrupted; a worker that had not heard of it may park what it claimed;
        whoever sends a test may be killed. Of what is parked, a million perhaps, each call looks at
        the newest, and in turn at `limit` of all.

        :returns: how many are due again.
        """
        parked = self._pending().filter(lane=PARKED, next_attempt_at__isnull=False)
        newest = parked.order_by("-next_attempt_at").values_list("pk", flat=True)[:_NEWEST]
        ids = {*newest, *self._next_of(parked, limit)}
        if not ids:
            return 0
        seen = parked.filter(pk__in=ids)
        update_in_batches(
            seen.filter(Delivery.TEST_UNDER_WAY, next_attempt_at__lte=self._in(0)),
            Delivery.settled(Delivery.Status.FAILED),
            passes=1,
        )
        strays = seen.exclude(Delivery.TEST_UNDER_WAY)
        homes: dict[int, list[UUID]] = {}
        active = Webhook.objects.using(self.using).filter(status=Webhook.Status.ACTIVE)
        for webhook in active.filter(pk__in=strays.values("webhook")).only("rate_limit"):
            homes.setdefault(webhook.home_lane, []).append(webhook.pk)
        return sum(
            update_in_batches(strays.filter(webhook__in=webhook_ids), {"lane": lane}, passes=1)
            for lane, webhook_ids in homes.items()
        )

    def _next_of(self, parked: QuerySet[Delivery], limit: int) -> list[int]:
        """The ids of the next `limit`, from where the call before ended; at the end, anew."""
        if self._reached is not None:
            moment, pk = self._reached
            parked = parked.filter(
                Q(next_attempt_at__gt=moment) | Q(pk__gt=pk), next_attempt_at__gte=moment
            )
        rows = list(
            parked.order_by("next_attempt_at", "pk").values_list("next_attempt_at", "pk")[:limit]
        )
        self._reached = rows[-1] if len(rows) == limit else None
        return [pk for _moment, pk in rows]

    def mend_times(self, *, lease: float) -> None:
        """Find what would wait for a moment that is not to come.

        A clock that was turned back leaves deliveries from the future: they become due when the
        leases are over that may be on them, not when the clock has caught up. Those made before
        that may be late, by as much as it was turned back.
        """
        pending = self._pending()
        # `lane` leads the index of what is due.
        pending.filter(lane__in=Webhook.Lane.values, next_attempt_at=None).update(
            next_attempt_at=self._in(0)
        )
        from_the_future = pending.filter(created_at__gt=self._in(_CLOCK_TOLERANCE))
        from_the_future.filter(fence=0, next_attempt_at__gt=self._in(0)).update(
            next_attempt_at=self._in(0)
        )
        from_the_future.filter(next_attempt_at__gt=self._in(lease)).update(
            next_attempt_at=self._in(lease)
        )
        # The turns of a limited rate last a second or one request's time.
        webhooks = Webhook.all_objects.using(self.using)
        for webhook in webhooks.filter(next_turn_at__gt=self._in(_CLOCK_TOLERANCE)):
            turn = max(1.0, 1 / (breaker.bounded_rate(webhook.rate_limit) or breaker.MOST_RATE))
            webhooks.filter(
                pk=webhook.pk, next_turn_at__gt=self._in(_CLOCK_TOLERANCE + turn)
            ).update(next_turn_at=None)

    def _pending(self) -> QuerySet[Delivery]:
        return Delivery.objects.using(self.using).filter(status=Delivery.Status.PENDING)

    def _troubled(self) -> QuerySet[Delivery]:
        return self._pending().filter(lane=TROUBLED)
