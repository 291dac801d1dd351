"""How all of it goes, for the panel and the banner. Reads only: from tallies and along indexes, so
that it costs the same whatever lies in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from .. import heartbeat
from ..models import Webhook, Worker
from . import counts
from .counts import Span
from .health import Backlog, backlog, oldest_due

WORST = 5
LATE = timedelta(minutes=1)
"""What is due for longer is a backlog that nobody keeps up with."""


@dataclass(frozen=True, kw_only=True)
class Worst:
    """A receiver that fails much."""

    webhook: Webhook
    attempts: int
    failures: int


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """What somebody should see to now."""

    no_worker: bool
    late_since: datetime | None
    """Since when the longest waiting has been due, if that is too long."""

    def __bool__(self) -> bool:
        return self.no_worker or self.late_since is not None


@dataclass(frozen=True, kw_only=True)
class Panel:
    spans: Sequence[Span]
    """The last 24 hours, or the last 7 days."""
    total: Span
    """All of them together."""
    backlog: Backlog
    worst: Sequence[Worst]
    workers: Sequence[Worker]
    alarm: Alarm
    at: datetime = field(default_factory=timezone.now)


def alarm(now: datetime | None = None) -> Alarm:
    """Cheap enough for every page: a few looks along indexes."""
    now = now or timezone.now()
    return _alarm(now, heartbeat.alive(now))


def _alarm(now: datetime, workers: Sequence[Worker]) -> Alarm:
    # What waits for a receiver in trouble is that receiver's matter, not the workers'.
    oldest = oldest_due(now, lanes=(Webhook.Lane.NORMAL,))
    return Alarm(
        no_worker=not workers,
        late_since=oldest if oldest is not None and oldest < now - LATE else None,
    )


def panel(now: datetime | None = None, *, by_day: bool = False) -> Panel:
    """:param by_day: show seven days, not 24 hours."""
    now = now or timezone.now()
    workers = heartbeat.alive(now)
    spans = counts.days(now) if by_day else counts.hours(now)
    return Panel(
        at=now,
        spans=spans,
        total=counts.total(spans),
        backlog=backlog(now),
        worst=_worst(now),
        workers=workers,
        alarm=_alarm(now, workers),
    )


def _worst(now: datetime) -> list[Worst]:
    rows = counts.failing_most(now, WORST)
    webhooks = Webhook.objects.in_bulk([id for id, _attempts, _failures in rows])
    return [
        Worst(webhook=webhooks[id], attempts=attempts, failures=failures)
        for id, attempts, failures in rows
        if id in webhooks
    ]
