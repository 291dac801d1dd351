"""6: claiming and recording where five million deliveries are kept, against ten thousand.

Without a receiver: 5,000 deliveries are claimed and recorded as the engine does it, beside what is
kept. Bars, of the database's CPU and of the buffers that it touches: ≤ 1.2×.
"""

from __future__ import annotations

import psycopg

from benchmarks.harness import Bar, Measure, Meter, medians
from benchmarks.stage import Hand, Stage

FEW, MANY = 10_000, 5_000_000
EVENTS, RECEIVERS = 500, 10
_TABLES = ("webhooks_event", "webhooks_delivery", "webhooks_attempt")

# UUIDs rise with time, as UUIDv7 does. Each event went to each of the ten webhooks.
_SEED = """
INSERT INTO webhooks_event (id, type, subject, data_subject, sequence, occurred_at, body, snapshot,
    origin, actor, fanned_out)
SELECT (lpad(to_hex(g), 12, '0') || '7' || lpad('', 19, '0'))::uuid, 'cliente.criado',
    'cliente_' || g % 50000, 'cliente_' || g % 50000, g / 50000 + 1,
    now() - (%(events)s - g) * interval '5 seconds',
    '{"event":"cliente.criado","data":{"nome":"João Silva"}}', '{}', 'user', '', true
FROM generate_series(1, %(events)s) g;
INSERT INTO webhooks_delivery (event_id, webhook_id, status, lane, next_attempt_at, fence,
    attempt_count, schedule_position, last_status_code, last_error, created_at, finished_at)
SELECT e.id, w.id, 'delivered', 0, NULL, 2, 1, 1, 200, '', e.occurred_at, e.occurred_at
FROM webhooks_event e CROSS JOIN webhooks_webhook w ORDER BY e.id;
INSERT INTO webhooks_attempt (delivery_id, number, started_at, duration_ms, url, request_headers,
    request_body, status_code, response_headers, response_body, response_truncated, error,
    error_detail, superseded)
SELECT id, 1, created_at, 20, 'http://127.0.0.1:9/', '{}', NULL, 200, '{}', 'ok', false, '', '',
    false
FROM webhooks_delivery ORDER BY id;
"""


def measure(stage: Stage) -> list[Measure]:
    many = stage.amount(MANY, 100_000)
    short, long = stage.database(), stage.database()
    found: dict[str, list[dict[str, float]]] = {short: [], long: []}
    with stage.hand(DATABASE_URL=short) as one, stage.hand(DATABASE_URL=long) as other:
        hands = {short: one, long: other}
        for database, kept in ((short, FEW), (long, many)):
            urls = [stage.sink.url(str(n)) for n in range(RECEIVERS)]
            hands[database].call("add_webhooks", urls=urls, events=[["medida0.feita"]] * RECEIVERS)
            _seed(database, kept)
            _claim_and_record(database, hands[database])
        for _ in stage.rounds(5):
            for database, rounds in found.items():
                rounds.append(_claim_and_record(database, hands[database]))
    with psycopg.connect(stage.postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {long.rpartition('/')[2]} WITH (FORCE)")
    return [
        Measure(
            figure=6,
            what=f"claim and record at {many:,} deliveries against {FEW:,}: {part}",
            values=[
                late[part] / early[part]
                for late, early in zip(found[long], found[short], strict=True)
            ],
            bar=Bar(limit=1.2),
            details={
                f"{part} at {FEW:,}": medians(found[short])[part],
                f"{part} at {many:,}": medians(found[long])[part],
            },
        )
        for part in ("CPU", "buffers")
    ]


def _seed(database: str, deliveries: int) -> None:
    """What is kept. Indexes are made after the rows, and foreign keys not checked: it is faster."""
    with psycopg.connect(database, autocommit=True) as connection:
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND NOT EXISTS "
            "(SELECT 1 FROM pg_constraint WHERE conname = indexname)",
            [list(_TABLES)],
        ).fetchall()
        connection.execute("SET session_replication_role = replica")  # no foreign keys' triggers
        connection.execute("SET maintenance_work_mem = '256MB'")
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        for statement in _SEED.split(";\n"):
            text = statement.replace("%(events)s", str(deliveries // RECEIVERS))
            if text.strip():
                connection.execute(text)
        for _, definition in indexes:
            connection.execute(definition)
        for table in _TABLES:
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        connection.execute(f"VACUUM (ANALYZE) {', '.join(_TABLES)}")


def _claim_and_record(database: str, hand: Hand) -> dict[str, float]:
    """Per delivery: microseconds of the session's CPU, and buffers touched."""
    hand.call("backlog", count=EVENTS)
    hand.call("fan_out")
    with psycopg.connect(database, autocommit=True) as watcher:
        before = _buffers(watcher, hand)
        meter = Meter(database=hand.call("session"))
        deliveries = hand.call("claim_and_record")
        spent = meter.read()["database"]
        touched = _buffers(watcher, hand) - before
    assert deliveries == EVENTS * RECEIVERS
    return {"CPU": spent / deliveries * 1e6, "buffers": touched / deliveries}


def _buffers(watcher: psycopg.Connection, hand: Hand) -> int:
    hand.call("flush_statistics")
    row = watcher.execute(
        "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint "
        "FROM pg_statio_user_tables WHERE relname = ANY(%s)",
        [list(_TABLES)],
    ).fetchone()
    assert row is not None
    return int(row[0])
