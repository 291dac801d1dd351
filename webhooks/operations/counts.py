"""What was attempted, over time: read from the hourly tallies, which a worker keeps as it records.

It costs by the number of webhooks and hours, whatever lies in the big tables. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from ..latency import COLUMNS, Latency, told
from ..models import Tally

HOURS = 24
DAYS = 7


@dataclass(frozen=True, kw_only=True)
class Span:
    """What was attempted within an hour, or a day."""

    begins: datetime
    attempts: int = 0
    failures: int = 0
    buckets: Sequence[int] = ()
    """How many of the successes took how long; see latency.py."""

    @property
    def successes(self) -> int:
        return self.attempts - self.failures

    @property
    def success_share(self) -> float | None:
        """0 to 1; None where nothing was attempted."""
        return self.successes / self.attempts if self.attempts else None

    @cached_property
    def latency(self) -> Latency | None:
        """Of what succeeded; None where nothing did."""
        return told(self.buckets)


def hours(now: datetime) -> list[Span]:
    """The last 24, the one under way last, of all webhooks. One query."""
    begins = _hours(now)
    rows = {row["hour"]: row for row in _sums(_since(begins[0]), "hour")}
    return [_span(begin, rows.get(begin)) for begin in begins]


def days(now: datetime) -> list[Span]:
    """The last 7, today last, of all webhooks. One query."""
    zone = timezone.get_current_timezone()
    today = timezone.localtime(now, zone).date()
    begins = [
        timezone.make_aware(datetime.combine(today - timedelta(days=back), time()), zone)
        for back in reversed(range(DAYS))
    ]
    tallies = _since(begins[0]).annotate(day=TruncDay("hour", tzinfo=zone))
    rows = {row["day"].date(): row for row in _sums(tallies, "day")}
    return [_span(begin, rows.get(begin.date())) for begin in begins]


def total(spans: Sequence[Span]) -> Span:
    """All of them together; one at least."""
    buckets = (span.buckets for span in spans)
    return Span(
        begins=spans[0].begins,
        attempts=sum(span.attempts for span in spans),
        failures=sum(span.failures for span in spans),
        buckets=[sum(counts) for counts in zip(*filter(None, buckets), strict=True)],
    )


def of_each(webhook_ids: Iterable[UUID], now: datetime | None = None) -> dict[UUID, Span]:
    """The last 24 hours of each of these webhooks. One query."""
    ids, begins = list(webhook_ids), _hours(now or timezone.now())[0]
    sums = _sums(_since(begins).filter(webhook__in=ids), "webhook")
    rows = {row["webhook"]: row for row in sums}
    return {id: _span(begins, rows.get(id)) for id in ids}


def sparklines(webhook_ids: Iterable[UUID], now: datetime | None = None) -> dict[UUID, list[Span]]:
    """The last 24 hours of each of these webhooks, hour by hour. One query."""
    ids, begins = list(webhook_ids), _hours(now or timezone.now())
    rows = {
        (webhook_id, hour): (attempts, failures)
        for webhook_id, hour, attempts, failures in _since(begins[0])
        .filter(webhook__in=ids)
        .values_list("webhook", "hour", "attempts", "failures")
    }
    return {
        id: [
            Span(begins=hour, attempts=attempts, failures=failures)
            for hour in begins
            for attempts, failures in [rows.get((id, hour), (0, 0))]
        ]
        for id in ids
    }


def failing_most(now: datetime, most: int) -> list[tuple[UUID, int, int]]:
    """Webhooks with the most failures of the last 24 hours, their attempts, their failures."""
    rows = (
        _since(_hours(now)[0])
        .filter(webhook__deleted_at=None)
        .values("webhook")
        .annotate(all_attempts=Sum("attempts"), all_failures=Sum("failures"))
        .filter(all_failures__gt=0)
        .order_by("-all_failures")[:most]
    )
    return [(row["webhook"], row["all_attempts"], row["all_failures"]) for row in rows]


_SUM = "all_"


def _since(begins: datetime) -> QuerySet[Tally]:
    return Tally.objects.filter(hour__gte=begins).order_by()


def _sums(tallies: QuerySet[Tally], by: str) -> Iterable[Mapping[str, Any]]:
    counted = ("attempts", "failures", *COLUMNS)
    found: Any = tallies.values(by).annotate(**{_SUM + name: Sum(name) for name in counted})
    return found  # type: ignore[no-any-return]


def _span(begins: datetime, row: Mapping[str, Any] | None) -> Span:
    if row is None:
        return Span(begins=begins)
    return Span(
        begins=begins,
        attempts=row[_SUM + "attempts"],
        failures=row[_SUM + "failures"],
        buckets=[row[_SUM + name] for name in COLUMNS],
    )


def _hours(now: datetime) -> list[datetime]:
    """Tallies begin with the hours of UTC, whatever half hours the time zone has."""
    this = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return [this - timedelta(hours=back) for back in reversed(range(HOURS))]
