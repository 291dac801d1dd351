"""The queue on PostgreSQL: one statement a batch, `SKIP LOCKED`, the database's own clock."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from .. import breaker, latency
from .base import EVENT_COLUMNS, JOB_COLUMNS, WITHIN, Due, Failing, Job, Pulse, Queue, Result

logger = logging.getLogger("webhooks.queue")


class PostgreSQLQueue(Queue):
    def _in(self, seconds: float) -> Any:
        return Now() + dt.timedelta(seconds=seconds)

    def due(self) -> Due:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT 1 FROM webhooks_event WHERE NOT fanned_out), "
                "(SELECT extract(epoch FROM statement_timestamp() - min(next_attempt_at))::float8 "
                "FROM webhooks_delivery WHERE status = 'pending' AND lane = 0), "
                f"EXISTS (SELECT 1 FROM webhooks_webhook w WHERE {_SERVED} AND EXISTS ("
                "SELECT 1 FROM webhooks_delivery WHERE webhook_id = w.id AND status = 'pending' "
                "AND lane = 1 AND next_attempt_at <= statement_timestamp()))"
            )
            events, late, troubled = cursor.fetchone()
            return Due(events, late is not None and late >= 0, troubled, late or 0.0)

    def claim(self, limit: int, *, lease: float) -> list[Job]:
        return self._claim(
            "SELECT id FROM webhooks_delivery WHERE status = 'pending' AND lane = 0 "
            "AND next_attempt_at <= statement_timestamp() "
            "ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED",
            [limit],
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
        of, ids = ("= ANY", only) if only is not None else ("<> ALL", skip)
        return self._claim(
            f"SELECT due.id, turn.id AS webhook_id FROM turn CROSS JOIN LATERAL ({_WAITING} "
            "ORDER BY next_attempt_at LIMIT turn.share FOR UPDATE SKIP LOCKED) due",
            [
                breaker.LEAST_RATE,
                breaker.MOST_RATE,
                breaker.AFTER_FAILURES,
                list(ids),
                each,
                breaker.SHORTEST,
            ],
            lease,
            turn="free AS (SELECT w.id, CASE WHEN w.rate_limit <> 0 THEN "
            "LEAST(GREATEST(w.rate_limit, %s), %s) END AS rate, "
            "w.failure_count >= %s AND w.hold_until IS NOT NULL AS half_open "
            f"FROM webhooks_webhook w WHERE {_SERVED} AND w.id {of}(%s::uuid[]) "
            f"AND EXISTS ({_WAITING.replace('turn.id', 'w.id')}) "
            "ORDER BY w.id FOR NO KEY UPDATE SKIP LOCKED), "
            "turn AS (SELECT free.*, CASE WHEN half_open THEN 1 "
            "WHEN rate IS NOT NULL THEN GREATEST(1, floor(rate))::int "
            "ELSE %s END AS share FROM free), ",
            # Whoever takes of a limited rate, or the one try of a breaker that is half open,
            # pushes the next one away, for all workers: by what was taken.
            paced=", paced AS (UPDATE webhooks_webhook w SET "
            "next_turn_at = statement_timestamp() + taken.seconds * interval '1 second', "
            "hold_until = CASE WHEN taken.half_open "
            "THEN statement_timestamp() + %s * interval '1 second' ELSE w.hold_until END "
            "FROM (SELECT turn.id, half_open, count(*) / rate AS seconds "
            "FROM turn JOIN due ON due.webhook_id = turn.id "
            "WHERE rate IS NOT NULL OR half_open GROUP BY turn.id, half_open, rate) taken "
            "WHERE w.id = taken.id)",
        )

    def claim_one(self, delivery_id: int, *, lease: float) -> Job | None:
        jobs = self._claim(
            "SELECT id FROM webhooks_delivery WHERE id = %s AND status = 'pending' FOR UPDATE",
            [delivery_id],
            lease,
        )
        return jobs[0] if jobs else None

    def _claim(
        self, select: str, params: list[Any], lease: float, *, turn: str = "", paced: str = ""
    ) -> list[Job]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"WITH {turn}due AS MATERIALIZED ({select}){paced} "
                "UPDATE webhooks_delivery d SET fence = d.fence + 1, "
                "next_attempt_at = statement_timestamp() + %s * interval '1 second' "
                "FROM due, webhooks_event e WHERE d.id = due.id AND e.id = d.event_id "
                f"RETURNING {JOB_COLUMNS}, {EVENT_COLUMNS}",
                [*params, lease],
            )
            jobs = [Job(*row) for row in cursor.fetchall()]
        return sorted(jobs, key=attrgetter("delivery_id"))

    def record(self, results: Sequence[Result]) -> set[int]:
        if not results:
            return set()
        with self.connection.cursor() as cursor:
            # One JSON document: arrays would be quoted element by element, in Python.
            cursor.execute(_RECORD, [json.dumps([_row(result) for result in results])])
            accepted = {(id, fence): (status, at) for id, fence, status, at in cursor.fetchall()}
        late = []
        for result in results:
            job = result.job
            status, at = accepted.get((job.delivery_id, job.fence), (None, None))
            result.status = status or result.status
            if result.attempt and at != job.schedule_position + 1:
                late.append(job.delivery_id)
        if late:
            # A statement of its own, which sees what was committed while the first one waited.
            try:
                self.respect_erasures(late)
            except DatabaseError:
                # The results are recorded; to fail now would record them twice.
                logger.exception("Attempts could not be emptied; webhooks.maintain will do it.")
        return {id for id, _fence in accepted}

    def note(self, pulses: Sequence[Pulse]) -> list[Failing]:
        rows = [
            {
                "webhook_id": str(pulse.webhook_id),
                "attempts": pulse.attempts,
                "failures": pulse.failures,
                "duration_ms": pulse.duration_ms,
                "successes": pulse.successes,
                "well": pulse.well,
            }
            for pulse in pulses
        ]
        with self.connection.cursor() as cursor:
            cursor.execute(_NOTE, [json.dumps(rows)])
            return [Failing(*row) for row in cursor.fetchall() if row[2] is not None]

    def hold(self, pauses: Mapping[UUID, float]) -> None:
        rows = [{"id": str(id), "pause": pause} for id, pause in pauses.items()]
        with self.connection.cursor() as cursor:
            cursor.execute(
                "WITH p AS (SELECT * FROM json_to_recordset(%s) AS p(id uuid, pause float8)), "
                "held AS (SELECT w.id, p.pause FROM webhooks_webhook w JOIN p ON p.id = w.id "
                "ORDER BY w.id FOR NO KEY UPDATE OF w) "
                "UPDATE webhooks_webhook w SET hold_until = GREATEST(w.hold_until, "
                "statement_timestamp() + held.pause * interval '1 second') "
                "FROM held WHERE w.id = held.id",
                [json.dumps(rows)],
            )

    def hand_back(self, jobs: Sequence[Job], *, lane: int) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "UPDATE webhooks_delivery d SET lane = CASE WHEN d.lane = 2 THEN 2 ELSE %s END, "
                "next_attempt_at = statement_timestamp() "
                "FROM unnest(%s::bigint[], %s::bigint[]) AS j(id, fence) "
                "WHERE d.id = j.id AND d.fence = j.fence AND d.status = 'pending'",
                [lane, [job.delivery_id for job in jobs], [job.fence for job in jobs]],
            )

    def trouble(
        self, webhook_ids: Iterable[UUID], *, again: bool = False, within: int = WITHIN
    ) -> None:
        ids = sorted(webhook_ids)
        if not ids:
            return
        with transaction.atomic(using=self.using), self.connection.cursor() as cursor:
            cursor.execute(
                "UPDATE webhooks_webhook SET lane = 1, version = version + 1 "
                "WHERE id IN (SELECT id FROM webhooks_webhook WHERE "
                "id = ANY(%s) AND lane = 0 ORDER BY id FOR NO KEY UPDATE) RETURNING id",
                [ids],
            )
            moved = [row[0] for row in cursor.fetchall()]
            if not (again or moved):
                return
            # Along the index of what is due: that of a receiver holds all its history.
            # Materialized: what skips locked rows must not be made again for each row of a join.
            cursor.execute(
                "WITH first AS MATERIALIZED ("
                "SELECT id, webhook_id FROM webhooks_delivery WHERE status = 'pending' "
                "AND lane = 0 AND next_attempt_at <= statement_timestamp() "
                "ORDER BY next_attempt_at LIMIT %s), "
                "due AS MATERIALIZED ("
                "SELECT d.id FROM webhooks_delivery d WHERE d.id = ANY(ARRAY("
                "SELECT id FROM first WHERE webhook_id = ANY(%s))) "
                "AND d.status = 'pending' AND d.lane = 0 "
                "AND d.next_attempt_at <= statement_timestamp() FOR UPDATE SKIP LOCKED) "
                "UPDATE webhooks_delivery d SET lane = 1 FROM due WHERE d.id = due.id",
                [within, ids if again else moved],
            )


# A receiver of the TROUBLED lane that may be sent something.
_SERVED = (
    "w.lane = 1 AND (w.hold_until IS NULL OR w.hold_until <= statement_timestamp()) "
    "AND (w.next_turn_at IS NULL OR w.next_turn_at <= statement_timestamp())"
)
_WAITING = (
    "SELECT id FROM webhooks_delivery WHERE webhook_id = turn.id AND status = 'pending' "
    "AND lane = 1 AND next_attempt_at <= statement_timestamp()"
)

_COUNTS = ", ".join(latency.COLUMNS)
_NOTE = f"""
WITH p AS (
    SELECT * FROM json_to_recordset(%s) AS p(
        webhook_id uuid, attempts integer, failures integer, duration_ms bigint,
        successes integer[], well boolean)
), counted AS (
    INSERT INTO webhooks_tally AS t (webhook_id, hour, attempts, failures, duration_ms, {_COUNTS})
    SELECT p.webhook_id, date_trunc('hour', statement_timestamp()), p.attempts, p.failures,
           p.duration_ms,
           {", ".join(f"p.successes[{place}]" for place in range(1, len(latency.COLUMNS) + 1))}
    FROM p JOIN webhooks_webhook w ON w.id = p.webhook_id ORDER BY p.webhook_id
    ON CONFLICT (webhook_id, hour) DO UPDATE SET attempts = t.attempts + EXCLUDED.attempts,
        failures = t.failures + EXCLUDED.failures,
        duration_ms = t.duration_ms + EXCLUDED.duration_ms,
        {", ".join(f"{name} = t.{name} + EXCLUDED.{name}" for name in latency.COLUMNS)}
), changed AS (
    SELECT w.id, p.well, p.failures, w.failure_count >= {breaker.AFTER_FAILURES} AS tripped
    FROM webhooks_webhook w JOIN p ON p.webhook_id = w.id
    WHERE NOT p.well OR w.failing_since IS NOT NULL ORDER BY w.id FOR NO KEY UPDATE OF w
)
UPDATE webhooks_webhook w SET
    failing_since = CASE WHEN c.well THEN NULL
        ELSE COALESCE(w.failing_since, statement_timestamp()) END,
    failure_count = CASE WHEN c.well THEN 0 ELSE w.failure_count + c.failures END,
    -- Of one that asked for time, a late success tells nothing: it was sent before that.
    hold_until = CASE WHEN c.well AND c.tripped THEN NULL ELSE w.hold_until END
FROM changed c WHERE w.id = c.id
RETURNING w.id, w.failure_count,
    extract(epoch FROM statement_timestamp() - w.failing_since)::float8
"""

_ATTEMPT_TYPES = {
    "number": "integer",
    "started_at": "timestamptz",
    "duration_ms": "integer",
    "url": "text",
    "request_headers": "jsonb",
    "request_body": "text",
    "status_code": "integer",
    "response_headers": "jsonb",
    "response_body": "text",
    "response_truncated": "boolean",
    "error": "text",
    "error_detail": "text",
}
_ATTEMPT_COLUMNS = ", ".join(_ATTEMPT_TYPES)

# The attempts of a stale worker are kept, marked: the request did go out. The fence rises, so that
# a batch recorded anew, since the connection broke before the answer came, counts once. What was
# settled while its request was under way has the fence of its claim still: the answer is recorded,
# and only a success changes what became of it. The schedule of such a delivery is over.
_RECORD = f"""
WITH r AS (
    SELECT * FROM json_to_recordset(%s) AS r(
        id bigint, fence integer, new_status text, delay float8, new_lane smallint, tried boolean,
        {", ".join(f"{name} {kind}" for name, kind in _ATTEMPT_TYPES.items())}
    )
), accepted AS (
    UPDATE webhooks_delivery d SET
        status = CASE WHEN d.status = 'pending' OR r.new_status = 'delivered'
            THEN r.new_status ELSE d.status END,
        fence = d.fence + 1,
        lane = CASE WHEN d.lane = 2 OR d.status <> 'pending' THEN d.lane ELSE r.new_lane END,
        next_attempt_at = CASE WHEN d.status = 'pending' AND r.new_status = 'pending'
            THEN statement_timestamp() + COALESCE(r.delay, 0) * interval '1 second' END,
        finished_at = CASE WHEN d.status <> 'pending' AND r.new_status <> 'delivered'
            THEN d.finished_at WHEN r.new_status <> 'pending' THEN statement_timestamp() END,
        attempt_count = d.attempt_count + r.tried::int,
        schedule_position = d.schedule_position + (r.tried AND d.status = 'pending')::int,
        last_status_code = CASE WHEN r.tried THEN r.status_code ELSE d.last_status_code END,
        last_error = CASE WHEN r.tried THEN r.error ELSE d.last_error END
    FROM r WHERE d.id = r.id AND d.fence = r.fence
        AND (d.status = 'pending' OR (r.tried AND d.status <> 'delivered'))
    RETURNING d.id, r.fence, d.status, d.schedule_position
), kept AS (
    INSERT INTO webhooks_attempt (delivery_id, superseded, {_ATTEMPT_COLUMNS})
    SELECT r.id, a.id IS NULL, {", ".join(f"r.{name}" for name in _ATTEMPT_TYPES)}
    FROM r JOIN webhooks_delivery d ON d.id = r.id
    LEFT JOIN accepted a ON a.id = r.id AND a.fence = r.fence
    WHERE r.tried AND (a.id IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM webhooks_attempt x
        WHERE x.delivery_id = r.id AND x.number = r.number AND x.started_at = r.started_at))
)
SELECT id, fence, status, schedule_position FROM accepted
"""


def _row(result: Result) -> dict[str, Any]:
    attempt = dict(result.attempt or {})
    if attempt:
        attempt["started_at"] = attempt["started_at"].isoformat()
    return {
        "id": result.job.delivery_id,
        "fence": result.job.fence,
        "new_status": result.status,
        "delay": result.delay,
        "new_lane": int(result.lane),
        "tried": bool(attempt),
        **attempt,
    }
