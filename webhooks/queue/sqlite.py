"""The queue on SQLite, which ignores `SKIP LOCKED`: conditional UPDATEs, one writer at a time."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from .. import breaker, latency
from ..models import Attempt, Delivery, Event, Tally, Webhook
from .base import JOB_COLUMNS, WITHIN, Due, Failing, Job, Pulse, Queue, Result
from .mending import NORMAL, TROUBLED


class SQLiteQueue(Queue):
    def _in(self, seconds: float) -> Any:
        return timezone.now() + dt.timedelta(seconds=seconds)

    def _moment(self, seconds: float = 0) -> str:
        return str(self.connection.ops.adapt_datetimefield_value(self._in(seconds)))

    def due(self) -> Due:
        now = self._moment()
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT 1 FROM webhooks_event WHERE NOT fanned_out), "
                "(SELECT min(next_attempt_at) FROM webhooks_delivery WHERE status = 'pending' "
                "AND lane = 0), "
                "EXISTS (SELECT 1 FROM webhooks_webhook w WHERE w.lane = 1 "
                "AND (w.hold_until IS NULL OR w.hold_until <= %s) "
                "AND (w.next_turn_at IS NULL OR w.next_turn_at <= %s) AND EXISTS ("
                "SELECT 1 FROM webhooks_delivery WHERE webhook_id = w.id AND status = 'pending' "
                "AND lane = 1 AND next_attempt_at <= %s))",
                [now, now, now],
            )
            events, first, troubled = cursor.fetchone()
        late = -1.0
        if first is not None:
            since = dt.datetime.fromisoformat(first).replace(tzinfo=dt.UTC)
            late = (timezone.now() - since).total_seconds()
        return Due(bool(events), late >= 0, bool(troubled), late)

    def claim(self, limit: int, *, lease: float) -> list[Job]:
        return self._claim(
            "status = 'pending' AND lane = 0 AND next_attempt_at <= %s "
            "ORDER BY next_attempt_at LIMIT %s",
            [self._moment(), limit],
            lease,
        )

    def claim_troubled(
        self,
        each: int,
        *,
        lease: float,
        only: Iterable[UUID] | None = None,
        skip: Iterable[UUID] = (),
    ) -> list[Job]:
        now = timezone.now()
        free = self._webhooks().filter(
            Q(hold_until=None) | Q(hold_until__lte=now),
            Q(next_turn_at=None) | Q(next_turn_at__lte=now),
            lane=TROUBLED,
            deliveries__lane=TROUBLED,
            deliveries__status=Delivery.Status.PENDING,
            deliveries__next_attempt_at__lte=now,
        )
        free = free.filter(pk__in=list(only)) if only is not None else free
        free = free.exclude(pk__in=list(skip)).distinct()
        jobs: list[Job] = []
        # One transaction, so that no other worker takes of a limited rate meanwhile.
        with transaction.atomic(using=self.using):
            for webhook in free.only("rate_limit", "failure_count", "hold_until"):
                rate = breaker.bounded_rate(webhook.rate_limit)
                half_open = webhook.hold_until and webhook.failure_count >= breaker.AFTER_FAILURES
                share = 1 if half_open else max(1, math.floor(rate)) if rate else each
                taken = self._take(
                    "webhook_id = %s AND status = 'pending' AND lane = 1 "
                    "AND next_attempt_at <= %s ORDER BY next_attempt_at LIMIT %s",
                    [webhook.pk.hex, self._moment(), share],
                    lease,
                )
                jobs += taken
                pushed_away: dict[str, dt.datetime] = {}
                if rate and taken:
                    pushed_away["next_turn_at"] = self._in(len(taken) / rate)
                if half_open and taken:
                    pushed_away["hold_until"] = self._in(breaker.SHORTEST)
                if pushed_away:
                    self._webhooks().filter(pk=webhook.pk).update(**pushed_away)
            self._add_events(jobs)
        return sorted(jobs, key=attrgetter("delivery_id"))

    def claim_one(self, delivery_id: int, *, lease: float) -> Job | None:
        jobs = self._claim("id = %s AND status = 'pending'", [delivery_id], lease)
        return jobs[0] if jobs else None

    def _claim(self, where: str, params: list[Any], lease: float) -> list[Job]:
        with transaction.atomic(using=self.using):
            jobs = self._take(where, params, lease)
            self._add_events(jobs)
        return sorted(jobs, key=attrgetter("delivery_id"))

    def _take(self, where: str, params: list[Any], lease: float) -> list[Job]:
        """Claim in the transaction that is open; the jobs lack what is of their events."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "UPDATE webhooks_delivery AS d SET fence = fence + 1, next_attempt_at = %s "
                f"WHERE id IN (SELECT id FROM webhooks_delivery WHERE {where}) "
                f"RETURNING {JOB_COLUMNS.replace('d.', '')}",
                [self._moment(lease), *params],
            )
            return [Job(row[0], UUID(row[1]), UUID(row[2]), *row[3:]) for row in cursor.fetchall()]

    def _add_events(self, jobs: list[Job]) -> None:
        found = Event.objects.using(self.using).in_bulk({job.event_id for job in jobs})
        for job in jobs:
            event = found[job.event_id]
            job.event_type, job.sequence = event.type, event.sequence
            job.occurred_at, job.body = event.occurred_at, event.body
            job.traceparent = event.traceparent

    def record(self, results: Sequence[Result]) -> set[int]:
        accepted: set[int] = set()
        late: set[int] = set()
        attempts = []
        with transaction.atomic(using=self.using), self.connection.cursor() as cursor:
            for result in results:
                job, tried = result.job, result.attempt is not None
                attempt = result.attempt or {}
                pending = result.status == Delivery.Status.PENDING
                cursor.execute(
                    "UPDATE webhooks_delivery SET status = %s, fence = fence + 1, "
                    "lane = CASE WHEN lane = 2 THEN lane ELSE %s END, next_attempt_at = %s, "
                    "finished_at = %s, attempt_count = attempt_count + %s, "
                    "schedule_position = schedule_position + %s, "
                    "last_status_code = CASE WHEN %s THEN %s ELSE last_status_code END, "
                    "last_error = CASE WHEN %s THEN %s ELSE last_error END "
                    "WHERE id = %s AND fence = %s AND status = 'pending'",
                    [
                        result.status,
                        int(result.lane),
                        self._moment(result.delay or 0) if pending else None,
                        None if pending else self._moment(),
                        int(tried),
                        int(tried),
                        tried,
                        attempt.get("status_code"),
                        tried,
                        attempt.get("error"),
                        job.delivery_id,
                        job.fence,
                    ],
                )
                counts = cursor.rowcount > 0
                if not counts and tried:
                    late.add(job.delivery_id)
                    counts = self._record_late(cursor, result)
                if counts:
                    accepted.add(job.delivery_id)
                if tried:
                    attempts.append(
                        Attempt(delivery_id=job.delivery_id, superseded=not counts, **attempt)
                    )
            ids = {attempt.delivery_id for attempt in attempts}
            still_there = set(
                Delivery.objects.using(self.using).filter(pk__in=ids).values_list("pk", flat=True)
            )
            kept = set(
                Attempt.objects.using(self.using)
                .filter(delivery__in=still_there - accepted)
                .values_list("delivery_id", "started_at")
            )
            Attempt.objects.using(self.using).bulk_create(
                attempt
                for attempt in attempts
                if attempt.delivery_id in still_there
                # A batch that is recorded anew, since its answer was lost, counts once.
                and (attempt.delivery_id, attempt.started_at) not in kept
            )
            if lost := late & still_there:
                self.respect_erasures(lost)
        return accepted

    def _record_late(self, cursor: Any, result: Result) -> bool:
        """What came of a request whose delivery was settled while it was under way.

        :returns: whether that is so; otherwise the claim was not the newest.
        """
        job, attempt = result.job, result.attempt or {}
        cursor.execute(
            "UPDATE webhooks_delivery SET fence = fence + 1, attempt_count = attempt_count + 1, "
            "status = CASE WHEN %s THEN 'delivered' ELSE status END, "
            "finished_at = CASE WHEN %s THEN %s ELSE finished_at END, "
            "last_status_code = %s, last_error = %s "
            "WHERE id = %s AND fence = %s AND status NOT IN ('pending', 'delivered') "
            "RETURNING status",
            [
                well := result.status == Delivery.Status.DELIVERED,
                well,
                self._moment(),
                attempt["status_code"],
                attempt["error"],
                job.delivery_id,
                job.fence,
            ],
        )
        row = cursor.fetchone()
        if row is None:
            return False
        result.status = row[0]
        return True

    def note(self, pulses: Sequence[Pulse]) -> list[Failing]:
        now = timezone.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        failing = []
        with transaction.atomic(using=self.using):
            found = self._webhooks().in_bulk([pulse.webhook_id for pulse in pulses])
            for pulse in pulses:
                webhook = found.get(pulse.webhook_id)
                if webhook is None:
                    continue
                counts = {
                    "attempts": pulse.attempts,
                    "failures": pulse.failures,
                    "duration_ms": pulse.duration_ms,
                    **dict(zip(latency.COLUMNS, pulse.successes, strict=True)),
                }
                Tally.objects.using(self.using).update_or_create(
                    webhook=webhook,
                    hour=hour,
                    defaults={name: F(name) + count for name, count in counts.items() if count},
                    create_defaults=counts,
                )
                row = self._webhooks().filter(pk=webhook.pk)
                if not pulse.well:
                    since = webhook.failing_since or now
                    failures = webhook.failure_count + pulse.failures
                    row.update(failing_since=since, failure_count=failures)
                    failing.append(Failing(webhook.pk, failures, (now - since).total_seconds()))
                elif webhook.failing_since is not None:
                    # Of one that asked for time, a late success tells nothing.
                    tripped = webhook.failure_count >= breaker.AFTER_FAILURES
                    freed = {"hold_until": None} if tripped else {}
                    row.update(failing_since=None, failure_count=0, **freed)
        return failing

    def hold(self, pauses: Mapping[UUID, float]) -> None:
        for id, pause in pauses.items():
            until = timezone.now() + dt.timedelta(seconds=pause)
            self._webhooks().filter(Q(hold_until=None) | Q(hold_until__lt=until), pk=id).update(
                hold_until=until
            )

    def _webhooks(self) -> QuerySet[Webhook]:
        return Webhook.all_objects.using(self.using)

    def hand_back(self, jobs: Sequence[Job], *, lane: int) -> None:
        with transaction.atomic(using=self.using), self.connection.cursor() as cursor:
            for job in jobs:
                cursor.execute(
                    "UPDATE webhooks_delivery SET lane = CASE WHEN lane = 2 THEN 2 ELSE %s END, "
                    "next_attempt_at = %s "
                    "WHERE id = %s AND fence = %s AND status = 'pending'",
                    [int(lane), self._moment(), job.delivery_id, job.fence],
                )

    def trouble(
        self, webhook_ids: Iterable[UUID], *, again: bool = False, within: int = WITHIN
    ) -> None:
        ids = sorted(webhook_ids)
        if not ids:
            return  # no lock for nothing
        normal = self._webhooks().filter(pk__in=ids, lane=NORMAL)
        if not again:
            ids = sorted(normal.values_list("pk", flat=True))
            if not ids:
                return
        with transaction.atomic(using=self.using), self.connection.cursor() as cursor:
            normal.update(lane=TROUBLED, version=F("version") + 1)
            # Along the index of what is due: that of a receiver holds all its history.
            cursor.execute(
                "UPDATE webhooks_delivery SET lane = 1 WHERE id IN (SELECT id FROM ("
                "SELECT id, webhook_id FROM webhooks_delivery INDEXED BY webhooks_delivery_due "
                "WHERE lane = 0 AND status = 'pending' AND next_attempt_at <= %s "
                "ORDER BY next_attempt_at LIMIT %s) "
                f"WHERE webhook_id IN ({', '.join(['%s'] * len(ids))}))",
                [self._moment(), within, *(id.hex for id in ids)],
            )
