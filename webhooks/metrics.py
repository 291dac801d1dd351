"""The figures that operators watch, for Prometheus: `path("metrics", webhooks.metrics.view)`.

Workers are many processes on many machines, and this one need not be among them: so each scrape
asks the database, which alone knows what is owed. Its cost is bounded whatever lies in the tables:
what is counted row by row is counted up to `COUNTED_AT_MOST`, the rest comes from tallies. No label
has more values than the code names, unless WEBHOOKS["METRICS_PER_WEBHOOK"] asks for it.

Counters count since midnight (UTC), where Prometheus sees a reset, as of a process that restarts:
tallies are pruned, and a total over all of them would fall now and then.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from . import breaker, heartbeat, latency
from .conf import settings
from .models import Attempt, BulkJob, Delivery, Event, Tally, Webhook
from .operations.health import oldest_due

if TYPE_CHECKING:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

COUNTED_AT_MOST = 1_000_000
"""Rows of a backlog: a gauge that shows it means “at least”."""
GIVEN_UP_AT_MOST = 10_000
"""Deliveries given up within the last hour, likewise."""
RECENT = 1000
"""Attempts, the newest, that are told apart by their kind of failure."""


@require_safe
@sensitive_variables()
def view(request: HttpRequest) -> HttpResponse:
    """Answers whoever knows WEBHOOKS["METRICS_TOKEN"]; without one set, there is nothing here."""
    token = settings.METRICS_TOKEN
    if not token:
        raise Http404
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secrets.compare_digest(given.encode(), token.encode()):
        refusal = HttpResponse("The metrics' token is needed.\n", "text/plain", status=401)
        refusal["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refusal
    # An optional dependency, which a check asks for.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry()
    registry.register(Collector())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    response = HttpResponse(encode(registry), content_type)
    response["Cache-Control"] = "no-store"
    return response


class Collector:
    """To be registered with any `prometheus_client.CollectorRegistry`."""

    def describe(self) -> Iterable[Metric]:
        return ()  # what it tells is not asked for before a scrape

    def collect(self) -> Iterator[Metric]:
        now = timezone.now()
        yield from _backlog(now)
        yield from _attempts(now)
        yield from _webhooks(now)
        workers = heartbeat.alive(now)
        yield _gauge("webhooks_workers", "Worker processes alive.", len(workers))
        yield _gauge(
            "webhooks_workers_short",
            "Of these: whose machine lacks something, so that they send less at a time.",
            sum(bool(worker.shortage) for worker in workers),
        )
        running = BulkJob.objects.filter(
            kind=BulkJob.Kind.REPLAY, state=BulkJob.State.RUNNING
        ).count()
        yield _gauge("webhooks_replays_running", "Replays under way.", running)
        if settings.METRICS_PER_WEBHOOK:
            yield from _each_webhook(now)


def _gauge(
    name: str, what: str, value: float | None = None, labels: Sequence[str] | None = None
) -> GaugeMetricFamily:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return GaugeMetricFamily(name, what, value=value, labels=labels)


def _counter(name: str, what: str, labels: Sequence[str]) -> CounterMetricFamily:
    from prometheus_client.metrics_core import CounterMetricFamily

    return CounterMetricFamily(name, what, labels=labels)


def _pending() -> QuerySet[Delivery]:
    return Delivery.objects.filter(status=Delivery.Status.PENDING).order_by()


def _backlog(now: datetime) -> Iterator[Metric]:
    undistributed = Event.objects.filter(fanned_out=False).order_by()[:COUNTED_AT_MOST].count()
    yield _gauge("webhooks_events_undistributed", "Events without deliveries yet.", undistributed)
    lanes = {lane.name.lower(): Q(lane=lane.value) for lane in Webhook.Lane}
    due = Q(next_attempt_at__lte=now)
    counts = _pending()[:COUNTED_AT_MOST].aggregate(
        **{f"{name}_due": Count("id", filter=lane & due) for name, lane in lanes.items()},
        **{f"{name}_later": Count("id", filter=lane & ~due) for name, lane in lanes.items()},
    )
    pending = _gauge(
        "webhooks_deliveries_pending",
        "Deliveries still owed: to be sent now (due), or later or being sent (later).",
        labels=("lane", "when"),
    )
    for name in lanes:
        for when in ("due", "later"):
            pending.add_metric((name, when), counts[f"{name}_{when}"])
    yield pending
    oldest = _gauge(
        "webhooks_oldest_due_seconds",
        "For how long the longest waiting delivery (or event, in the lane normal) has been due.",
        labels=("lane",),
    )
    for lane in (Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED):
        since = oldest_due(now, lanes=(lane,), events=lane == Webhook.Lane.NORMAL)
        oldest.add_metric((lane.name.lower(),), (now - since).total_seconds() if since else 0.0)
    yield oldest
    # The newest by id: what is given up was made a schedule's length before.
    given_up = Delivery.objects.filter(status=Delivery.Status.FAILED).order_by("-id")
    moments = given_up.values_list("finished_at", flat=True)[:GIVEN_UP_AT_MOST]
    hour_ago = now - timedelta(hours=1)
    yield _gauge(
        "webhooks_deliveries_failed_last_hour",
        "Deliveries that failed for good within the last hour.",
        sum(moment is not None and moment >= hour_ago for moment in moments),
    )


def _today(now: datetime) -> tuple[datetime, QuerySet[Tally]]:
    midnight = now.astimezone(tz=UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight, Tally.objects.filter(hour__gte=midnight).order_by()


_SUMS = {
    "tried": Sum("attempts", default=0),
    "failed": Sum("failures", default=0),
    "spent": Sum("duration_ms", default=0),
}
_BUCKETS = {name: Sum(name, default=0) for name in latency.COLUMNS}


def _attempts(now: datetime) -> Iterator[Metric]:
    from prometheus_client.metrics_core import HistogramMetricFamily

    midnight, tallies = _today(now)
    today = tallies.aggregate(**_SUMS, **_BUCKETS)
    counter = _counter("webhooks_attempts", "Attempts since midnight (UTC).", ("outcome",))
    _add_outcomes(counter, (), today, midnight)
    yield counter
    # The last bucket counts what is longer, too.
    bounds = [*(str(bound / 1000) for bound in latency.BOUNDS_MS[:-1]), "+Inf"]
    yield HistogramMetricFamily(
        "webhooks_attempt_duration_seconds",
        "How long attempts took that succeeded, since midnight (UTC).",
        buckets=list(zip(bounds, accumulate(today[name] for name in _BUCKETS), strict=True)),
        sum_value=today["spent"] / 1000,
    )
    recent = list(Attempt.objects.order_by("-id").values_list("error", flat=True)[:RECENT])
    kinds = _gauge(
        "webhooks_attempts_recent",
        f"The newest {RECENT:,} attempts, by their kind of failure.",
        labels=("error",),
    )
    for kind in Attempt.Error.values:
        kinds.add_metric((kind or "none",), recent.count(kind))
    yield kinds


def _add_outcomes(
    counter: CounterMetricFamily, labels: Sequence[str], sums: Mapping[str, Any], since: datetime
) -> None:
    begun = since.timestamp()
    counter.add_metric((*labels, "success"), sums["tried"] - sums["failed"], created=begun)
    counter.add_metric((*labels, "failure"), sums["failed"], created=begun)


def _webhooks(now: datetime) -> Iterator[Metric]:
    held = Q(hold_until__gt=now)
    tripped = Q(failure_count__gte=breaker.AFTER_FAILURES)
    states = {
        "open": Q(failing_since__isnull=False) & held,
        "half_open": tripped & Q(hold_until__lte=now),
    }
    active = Q(status=Webhook.Status.ACTIVE)
    counts = Webhook.objects.order_by().aggregate(
        **{f"is_{each}": Count("pk", filter=Q(status=each)) for each in Webhook.Status.values},
        **{name: Count("pk", filter=active & state) for name, state in states.items()},
        failing=Count("pk", filter=active & Q(failing_since__isnull=False)),
    )
    by_status = _gauge("webhooks_webhooks", "Webhooks, by status.", labels=("status",))
    for status in Webhook.Status.values:
        by_status.add_metric((status,), counts[f"is_{status}"])
    yield by_status
    breakers = _gauge(
        "webhooks_breakers",
        "Active webhooks, by circuit breaker: open ones are sent nothing for now.",
        labels=("state",),
    )
    tripped_now = sum(counts[name] for name in states)
    breakers.add_metric(("closed",), counts["is_active"] - tripped_now)
    for name in states:
        breakers.add_metric((name,), counts[name])
    yield breakers
    yield _gauge(
        "webhooks_failing", "Active webhooks whose last attempt failed.", counts["failing"]
    )


def _each_webhook(now: datetime) -> Iterator[Metric]:
    from prometheus_client.metrics_core import InfoMetricFamily

    midnight, tallies = _today(now)
    rows = tallies.values("webhook").annotate(**_SUMS)
    today: dict[UUID, Mapping[str, Any]] = {row["webhook"]: row for row in rows}
    counted = Delivery.objects.filter(pk__in=_pending().values("pk")[:COUNTED_AT_MOST])
    pending = dict(counted.order_by().values_list("webhook").annotate(count=Count("pk")))
    names = InfoMetricFamily("webhooks_webhook", "A webhook's name.", labels=("webhook",))
    attempts = _counter(
        "webhooks_webhook_attempts", "As webhooks_attempts, by webhook.", ("webhook", "outcome")
    )
    waiting = _gauge("webhooks_webhook_pending", "Deliveries owed to it.", labels=("webhook",))
    failing = _gauge(
        "webhooks_webhook_failing_seconds", "For how long it has failed.", labels=("webhook",)
    )
    for webhook in Webhook.objects.order_by("pk").only("name", "failing_since"):
        label = (str(webhook.pk),)
        names.add_metric(label, {"name": webhook.name})
        none = dict.fromkeys(_SUMS, 0)
        _add_outcomes(attempts, label, today.get(webhook.pk, none), midnight)
        waiting.add_metric(label, pending.get(webhook.pk, 0))
        since = webhook.failing_since
        failing.add_metric(label, max(0.0, (now - since).total_seconds()) if since else 0.0)
    yield from (names, attempts, waiting, failing)
