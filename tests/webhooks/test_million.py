"""A million deliveries: every page answers with bounded queries, none by reading a whole table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from tests.webhooks.makers import a_webhook
from webhooks import operations
from webhooks.models import Delivery, Event, Webhook
from webhooks.operations import ReplayFilter, count_replay, replayable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres_only,
    pytest.mark.services,
    pytest.mark.timeout(300),
    pytest.mark.django_db,
]
DELIVERIES = 1_000_000
MOST_QUERIES = 22
BIG = {"webhooks_delivery", "webhooks_event", "webhooks_attempt", "webhooks_auditentry"}

# 250,000 events over 60 days, each to four of twenty webhooks; 1 delivery in 50 failed, some with
# statuses and kinds of their own; an attempt for the newest and
# for what failed. UUIDs rise with time, as UUIDv7 does.
_SEED = """
CREATE TEMP TABLE w AS
    SELECT id, (row_number() OVER (ORDER BY id) - 1)::int AS n FROM webhooks_webhook;
INSERT INTO webhooks_event (id, type, subject, data_subject, sequence, occurred_at, body, snapshot,
    origin, actor, fanned_out)
SELECT (lpad(to_hex(g), 12, '0') || '7' || lpad('', 19, '0'))::uuid,
    (ARRAY['cliente.criado', 'cliente.atualizado', 'tarefa.criada', 'chamado.aberto'])[1 + g % 4],
    'cliente_' || g % 50000, '', g / 50000 + 1, now() - (250000 - g) * interval '20 seconds',
    '{"event":"x","data":{"nome":"João"}}', '{}', 'user', '', true
FROM generate_series(1, 250000) g;
INSERT INTO webhooks_event (id, type, subject, data_subject, sequence, occurred_at, body, snapshot,
    origin, actor, fanned_out)
VALUES (('00000000007b7' || lpad('', 19, 'f'))::uuid, 'webhook.desativado', 'webhook_1', '', 1,
    now() - interval '59 days', '{}', '{}', 'system', '', true);
INSERT INTO webhooks_delivery (id, event_id, webhook_id, status, lane, next_attempt_at, fence,
    attempt_count, schedule_position, last_status_code, last_error, created_at, finished_at)
SELECT g, (lpad(to_hex((g + 3) / 4), 12, '0') || '7' || lpad('', 19, '0'))::uuid, w.id,
    CASE WHEN g % 50 = 0 THEN 'failed' WHEN g % 5000 = 1 THEN 'pending' ELSE 'delivered' END,
    0, CASE WHEN g % 50 > 0 AND g % 5000 = 1 THEN now() + interval '1 hour' END, 1, 1, 1,
    CASE WHEN g % 100000 = 0 THEN 418 WHEN g % 50 = 0 THEN 500 ELSE 200 END,
    CASE WHEN g = 500000 THEN 'tls' WHEN g % 50 = 0 THEN 'status' ELSE '' END,
    now() - (1000000 - g) * interval '5 seconds',
    CASE WHEN g % 50 > 0 AND g % 5000 = 1 THEN NULL
        ELSE now() - (1000000 - g) * interval '5 seconds' END
FROM generate_series(1, 1000000) g JOIN w ON w.n = (g / 4) % 5 + 5 * (g % 4);
INSERT INTO webhooks_attempt (delivery_id, number, started_at, duration_ms, url, request_headers,
    request_body, status_code, response_headers, response_body, response_truncated, error,
    error_detail, superseded)
SELECT id, 1, created_at, 5 + id % 100, 'http://127.0.0.1:9/', '{}', NULL, last_status_code, '{}',
    '', false, last_error, '', false
FROM webhooks_delivery WHERE id > 800000 OR id % 50 = 0;
INSERT INTO webhooks_auditentry (at, user_id, actor, origin, action, subject, count, detail)
SELECT now() - g * interval '10 seconds', NULL, 'usuario_' || g % 500, 'user', 'exported',
    'cliente_' || g % 50000, NULL, ''
FROM generate_series(1, 200000) g;
SELECT setval(pg_get_serial_sequence('webhooks_delivery', 'id'), 1000000);
"""


@contextmanager
def _loading(cursor: Any) -> Iterator[None]:
    """Rows that fit by themselves need no look at each foreign key, and indexes are made faster at
    once than row by row: a fraction of the time that the seed would take."""
    cursor.execute(
        "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename = ANY(%s) "
        "AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)",
        [["webhooks_event", "webhooks_delivery"]],
    )
    indexes = cursor.fetchall()
    assert len(indexes) > 10
    cursor.execute("DROP INDEX " + ", ".join(f'"{name}"' for name, _ in indexes))
    cursor.execute("SET session_replication_role = replica")
    yield
    cursor.execute("RESET session_replication_role")
    cursor.execute("; ".join(definition for _, definition in indexes))


@pytest.fixture(scope="module")
def million(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Made once for all tests here, by SQL, and taken away again."""
    with django_db_blocker.unblock():
        for index in range(20):
            a_webhook(name=f"Receptor {index:02}", url=f"http://127.0.0.1:9/{index}")
        with connection.cursor() as cursor:
            with _loading(cursor):
                cursor.execute(_SEED)
            cursor.execute("ANALYZE " + ", ".join(BIG))
        yield
        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE webhooks_attempt, webhooks_delivery, webhooks_event, webhooks_tally, "
                "webhooks_auditentry, "
                "webhooks_signingkey, webhooks_webhook CASCADE; DROP TABLE w"
            )


@pytest.fixture
def root(million: None) -> Iterator[Client]:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("root", password="x"))
    with translation.override("en"):
        yield client


def pages() -> dict[str, str]:
    one = Webhook.objects.order_by("name")[0].pk
    day = timezone.localtime(Delivery.objects.get(pk=400_000).created_at).date().isoformat()
    event = Event.objects.order_by("id")[1000].pk
    deliveries = "/admin/webhooks/delivery/"
    queries = (
        "",
        "p=3",
        "status__exact=failed",
        "status__exact=pending",
        f"webhook={one}",
        f"webhook={one}&status__exact=failed",
        "type=cliente.criado",
        "type=webhook.desativado",
        "type=tarefa.criada&status__exact=failed",
        "error=tls",
        "error=timeout",
        "http=418",
        "q=HTTP+418",
        "q=HTTP+204",
        f"webhook={one}&failing=1",
        "q=cliente_77",
        "q=nobody_1",
        "q=123456",
        f"q={event}",
        "period=24h",
        "period=30d",
        f"since={day}&until={day}",
    )
    found = {f"deliveries?{query}": f"{deliveries}?{query}" for query in queries}
    found |= {
        f"events?{query}": f"/admin/webhooks/event/?{query}"
        for query in (
            "",
            "type=cliente.criado",
            "type=webhook.desativado",
            "q=cliente_77",
            "q=nobody_1",
            "period=24h",
            f"since={day}&until={day}",
        )
    }
    found |= {
        f"audit?{query}": f"/admin/webhooks/auditentry/?{query}"
        for query in ("", "q=root", "q=cliente_77", "q=usuario_77", "q=nobody")
    }
    return found | {
        "index": "/admin/",
        "webhooks": "/admin/webhooks/webhook/",
        "panel": reverse("admin:webhooks_webhook_panel"),
        "webhook": reverse("admin:webhooks_webhook_change", args=[one]),
        "delivery": reverse("admin:webhooks_delivery_change", args=[500_000]),
        "event": reverse("admin:webhooks_event_change", args=[event]),
        "panel by day": reverse("admin:webhooks_webhook_panel") + "?by=day",
        "replay of a status": f"{deliveries}replay_many/?http=418",
        "replay of what failed": f"{deliveries}replay_many/",
    }


def test_every_page_answers_with_bounded_queries(root: Client) -> None:
    assert Delivery.objects.count() == DELIVERIES
    many, whole = {}, {}
    for name, path in pages().items():
        with CaptureQueriesContext(connection) as captured:
            assert root.get(path).status_code == 200, name
        if len(captured) > MOST_QUERIES:
            many[name] = len(captured)
        for query in captured.captured_queries:
            if read := reads_whole_tables(query["sql"]):
                whole.setdefault(name, []).append((read, query["sql"][:300]))
    assert many == {}
    assert whole == {}


def reads_whole_tables(sql: str) -> list[str]:
    """The big tables that a query would read from one end to the other."""
    if not re.match(r"\s*(SELECT|WITH)\b", sql) or not any(table in sql for table in BIG):
        return []
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) " + sql)
        plan = cursor.fetchone()[0]
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return [
        table for node, bounded in _nodes(plan[0]["Plan"], False) for table in _read(node, bounded)
    ]


def _nodes(node: dict[str, Any], bounded: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    yield node, bounded
    # What a LIMIT stops early is not read to the end.
    bounded = bounded or node["Node Type"] == "Limit"
    for inner in node.get("Plans", ()):
        # Sorting and hashing need all of their rows before the first.
        all_first = node["Node Type"] in {"Sort", "Hash", "Aggregate", "Incremental Sort"}
        yield from _nodes(inner, bounded and not all_first)


def _read(node: dict[str, Any], bounded: bool) -> list[str]:
    table = node.get("Relation Name")
    whole = node["Node Type"].endswith("Seq Scan") and not bounded
    return [table] if whole and table in BIG else []


def test_counting_a_replay_reads_what_it_counts(root: Client) -> None:
    chosen = replayable(ReplayFilter(status_codes=(418,)))
    with CaptureQueriesContext(connection) as captured:
        assert sum(count.deliveries for count in count_replay(chosen, most=1000)) == 10
    assert [reads_whole_tables(query["sql"]) for query in captured.captured_queries] == [[], []]


def test_a_webhooks_state_changes_at_once_and_what_waits_for_it_follows(
    root: Client, django_capture_on_commit_callbacks: Any
) -> None:
    webhook = Webhook.objects.order_by("name")[0]
    mine = webhook.deliveries.all()
    count = mine.update(
        status=Delivery.Status.PENDING, next_attempt_at=timezone.now(), finished_at=None
    )
    assert count > 10 * operations.AT_ONCE
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_delivery")

    def left(lane: int, status: str = Delivery.Status.PENDING) -> int:
        return count - mine.filter(status=status, lane=lane).count()

    page = reverse("admin:webhooks_webhook_change", args=[webhook.pk])
    changes: dict[str, Callable[[], object]] = {
        "pause": lambda: root.post(page.replace("change", "pause")),
        "resume": lambda: root.post(page.replace("change", "resume")),
        "disable": lambda: operations.disable(webhook, "It fails."),
        "delete": lambda: operations.delete_webhook(webhook),
    }
    for name, change in changes.items():
        with (
            CaptureQueriesContext(connection) as captured,
            django_capture_on_commit_callbacks(execute=True),
        ):
            change()
        assert len(captured) < 80, name
        whole = [reads_whole_tables(query["sql"]) for query in captured.captured_queries]
        assert not any(whole), name
        lane = Webhook.Lane.NORMAL if name == "resume" else Webhook.Lane.PARKED
        status = Delivery.Status.CANCELLED if name == "delete" else Delivery.Status.PENDING
        assert left(lane, status) == count - operations.AT_ONCE, "no more than a request does"
        job = operations.job_of(webhook)
        assert job is not None and job.total == count
        # A slice is as cheap at the end as at the beginning.
        with CaptureQueriesContext(connection) as captured:
            assert not operations.work_on_jobs(seconds=240, wait=lambda pause: None)
        slices = -(-count // 500)
        assert len(captured) < 15 * slices, name
        assert left(lane, status) == 0, name
