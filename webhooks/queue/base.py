"""The SQL of the queue: what is due, claim it, hand it back, record what came of it.

A claim writes the lease's end into `next_attempt_at`, the column that says when a delivery is due:
a worker that dies is found out by the clock alone. It also raises `fence`; a result counts only if
the fence is still the one that was claimed, so a worker that outlived its lease changes nothing.

Deliveries wait in lanes (`Webhook.Lane`). NORMAL is one queue for all receivers, the oldest first.
A receiver that is slow, failing or has more waiting than it can take is moved to TROUBLED, where
each receiver is served from a queue of its own: however much waits there, the rest do not see it.
PARKED is not claimed at all.

At least once, not at most once: a worker may die between an answer and its record, and then the
request is sent again, with the same id.
"""

from __future__ import annotations

import abc
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, F, OuterRef, Q

from .. import latency
from ..models import Attempt, Delivery, Event, Webhook
from .mending import NORMAL, TROUBLED, Mending

WITHIN = 5000
"""Of a lane's first deliveries, how many are looked at: however many wait, no look takes long."""


@dataclass(slots=True)
class Job:
    """A claimed delivery, with what sending it needs of its event."""

    delivery_id: int
    webhook_id: UUID
    event_id: UUID
    fence: int
    attempt_count: int
    """Attempts already made, of all rounds."""
    schedule_position: int
    """Attempts already made in this round."""
    lane: int
    event_type: str = ""
    sequence: int = 0
    occurred_at: dt.datetime | None = None
    body: str = field(default="", repr=False)  # what is personal has no place in logs
    traceparent: str | None = None


@dataclass(slots=True)
class Result:
    """What came of a job, to be recorded."""

    job: Job
    status: str
    """A value of Delivery.Status; `pending` with `delay` for another try."""
    delay: float | None = None
    """Seconds until the next try."""
    lane: int = NORMAL
    attempt: dict[str, Any] | None = field(default=None, repr=False)
    """The columns of its Attempt; None where nothing was tried."""
    retry_after: float | None = None
    """Seconds for which the receiver asked to be left alone, bounded."""
    gone: bool = False
    """Whether the receiver said that it is gone for good."""
    shortage: str = ""
    """What this machine lacked to send it (shortage.py): the job is handed back, not recorded."""


@dataclass(slots=True)
class Pulse:
    """What a batch of results says of one receiver."""

    webhook_id: UUID
    attempts: int = 0
    failures: int = 0
    duration_ms: int = 0
    """Of its successes together."""
    successes: list[int] = field(default_factory=latency.nothing)
    """By how long they took; see latency.py."""
    well: bool = True
    """Whether its last attempt succeeded."""
    overloaded: int = 0
    """Answers that said that it was too much; see breaker.OVERLOADED."""
    retry_after: float | None = None
    """Seconds: the longest that it asked for."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A receiver whose last attempt failed."""

    webhook_id: UUID
    failures: int
    """Since its last success."""
    seconds: float
    """Since the first of them."""


@dataclass(frozen=True, slots=True)
class Due:
    """What the queue holds for a worker that looks."""

    events: bool
    normal: bool
    troubled: bool
    late: float = 0.0
    """Seconds for which the first of the NORMAL lane has waited."""

    def __bool__(self) -> bool:
        return self.events or self.normal or self.troubled


class Queue(Mending):
    """The same shape over each database."""

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The calling thread's own."""
        return connections[self.using]

    @abc.abstractmethod
    def due(self) -> Due:
        """Whether there is anything to do now. Reads only, so that idling takes no lock."""

    @abc.abstractmethod
    def claim(self, limit: int, *, lease: float) -> list[Job]:
        """Claim up to `limit` due deliveries of the NORMAL lane, those that are due the longest.

        :param lease: seconds after which another worker may take them.
        """

    @abc.abstractmethod
    def claim_troubled(
        self,
        each: int,
        *,
        lease: float,
        only: Iterable[UUID] | None = None,
        skip: Iterable[UUID] = (),
    ) -> list[Job]:
        """Claim up to `each` due deliveries of every receiver in the TROUBLED lane.

        Of one whose breaker is half-open, a single one; of those that are held, none; of those
        with a rate limit, what the limit allows for a second, and none until that has passed for
        as many as were claimed.

        :param only: of these receivers; None: of all.
        :param skip: not of these.
        """

    @abc.abstractmethod
    def claim_one(self, delivery_id: int, *, lease: float) -> Job | None:
        """Claim that delivery, due or not; None if it is settled."""

    @abc.abstractmethod
    def record(self, results: Sequence[Result]) -> set[int]:
        """Write the outcomes and their attempts, in one transaction.

        What was cancelled, or given up, while its request was under way gets the answer recorded
        all the same: a success makes it delivered, a failure leaves it as it is and says what came
        of the request. The result's `status` is then what the delivery has.

        :returns: the ids of the deliveries whose result counted; the others' leases had ended, and
            their attempts are kept as superseded.
        """

    @abc.abstractmethod
    def hand_back(self, jobs: Sequence[Job], *, lane: int) -> None:
        """Give claimed deliveries up untried, due at once, in that lane."""

    @abc.abstractmethod
    def trouble(
        self, webhook_ids: Iterable[UUID], *, again: bool = False, within: int = WITHIN
    ) -> None:
        """Move receivers of the NORMAL lane to the TROUBLED lane, and what waits for them.

        Nothing is read of those that are there already.

        :param again: of those too, since something of theirs waits in the NORMAL lane.
        :param within: how many of the first due of the NORMAL lane are looked at. What waits behind
            them follows when it has come so far.
        """

    def crowding(self, more_than: int, *, within: int = WITHIN) -> list[UUID]:
        """Receivers that have more than so many among the first due of the NORMAL lane.

        :param within: how many of the first are looked at.
        """
        first = (
            Delivery.objects.using(self.using)
            .filter(status=Delivery.Status.PENDING, lane=NORMAL, next_attempt_at__lte=self._in(0))
            .order_by("next_attempt_at")
            .values_list("webhook_id", flat=True)[:within]
        )
        counts = Counter(first)
        return [id for id, count in counts.items() if count > more_than]

    @abc.abstractmethod
    def note(self, pulses: Sequence[Pulse]) -> list[Failing]:
        """Count the attempts, and keep since when each receiver fails."""

    @abc.abstractmethod
    def hold(self, pauses: Mapping[UUID, float]) -> None:
        """Send those receivers nothing for so many seconds; a longer hold stays."""

    def calm(self, webhook_ids: Iterable[UUID]) -> None:
        """Take receivers that are well, and have nothing left in the TROUBLED lane, out of it."""
        Webhook.all_objects.using(self.using).filter(
            Q(hold_until=None) | Q(hold_until__lte=self._in(0)),
            ~Exists(self._troubled().filter(webhook=OuterRef("pk"))),
            pk__in=list(webhook_ids),
            lane=TROUBLED,
            rate_limit=None,
            failing_since=None,
        ).update(lane=NORMAL, version=F("version") + 1)

    def respect_erasures(self, delivery_ids: Iterable[int]) -> None:
        """Empty the attempts of deliveries whose event was erased (operations.forget) or pruned.

        For attempts that a worker recorded although it had lost the delivery meanwhile. Call it
        once they can be seen: of it and the erasure, whoever comes second finds them.
        """
        attempts = Attempt.objects.using(self.using).filter(
            delivery__in=list(delivery_ids), delivery__event__body=""
        )
        attempts.filter(delivery__event__erased_at__isnull=False).update(**Attempt.EMPTY)
        # Answers have a retention of their own.
        attempts.filter(Q(request_body__isnull=False) | ~Q(error_detail="")).update(
            request_body=None, error_detail=""
        )

    def snapshots(self, event_ids: Iterable[UUID]) -> dict[UUID, str]:
        """The events' snapshots, for the formats that tell from them."""
        rows = Event.objects.using(self.using).filter(pk__in=set(event_ids))
        return dict(rows.values_list("pk", "snapshot"))


# The columns of a Job, in its order.
JOB_COLUMNS = (
    "d.id, d.webhook_id, d.event_id, d.fence, d.attempt_count, d.schedule_position, d.lane"
)
EVENT_COLUMNS = "e.type, e.sequence, e.occurred_at, e.body, e.traceparent"
