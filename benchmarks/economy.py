"""8: statements, connections and database sessions that deliveries take.

2,000 deliveries to one receiver, from a backlog. Bars: statements per delivery ≤ 0.2; connections
to the receiver ≤ sending slots (128); sessions of the database ≤ processes × 2.
"""

from __future__ import annotations

import psycopg

from benchmarks.harness import Bar, Measure
from benchmarks.stage import Stage
from tests.services import Postgres
from tests.services.base import descendants

DELIVERIES = 2000
SLOTS = 128


class CountingPostgres(Postgres):
    """One that counts every statement; it would cost the other figures a little."""

    def command(self) -> list[str]:
        return [*super().command(), "-c", "shared_preload_libraries=pg_stat_statements"]


def measure(stage: Stage) -> list[Measure]:
    statements, connections, sessions = [], [], []
    with CountingPostgres() as postgres:
        url = postgres.database_url("postgres")
        with (
            psycopg.connect(url, autocommit=True) as watcher,
            stage.hand(DATABASE_URL=url) as hand,
        ):
            watcher.execute("CREATE EXTENSION pg_stat_statements")
            hand.call("migrate")
            hand.call("add_webhooks", urls=[stage.sink.url()], events=[["medida0.feita"]])
            for _ in stage.rounds(3):
                hand.call("clear")
                before = _sessions(watcher)
                with stage.worker(DATABASE_URL=url) as worker:
                    processes = 1 + len(descendants(worker.pid))
                    worker.pause()
                    stage.sink.ask("reset")
                    hand.call("backlog", count=DELIVERIES)
                    watcher.execute("SELECT pg_stat_statements_reset()")
                    worker.resume()
                    stage.sink.wait_for(DELIVERIES)
                    statements.append(_statements(watcher) / DELIVERIES)
                connections.append(float(stage.sink.ask("count")["connections"]))
                sessions.append((_sessions(watcher) - before) / processes)
    return [
        Measure(
            figure=8,
            what="statements per delivery",
            values=statements,
            bar=Bar(limit=0.2),
            unit="",
        ),
        Measure(
            figure=8,
            what=f"connections for {DELIVERIES:,} deliveries to one receiver",
            values=connections,
            bar=Bar(limit=SLOTS),
            unit="",
        ),
        Measure(
            figure=8,
            what="database sessions per worker process",
            values=sessions,
            bar=Bar(limit=2),
            unit="",
        ),
    ]


def _statements(watcher: psycopg.Connection) -> float:
    """What was sent. PostgreSQL checks foreign keys by statements of its own, which count too."""
    row = watcher.execute(
        "SELECT sum(calls) FROM pg_stat_statements WHERE query NOT LIKE 'SELECT % FROM ONLY %'"
    ).fetchone()
    assert row is not None
    return float(row[0])


def _sessions(watcher: psycopg.Connection) -> int:
    watcher.execute("SELECT pg_stat_clear_snapshot()")
    row = watcher.execute(
        "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])
