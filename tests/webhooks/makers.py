"""Rows for tests, straight into the tables: what happened before the test begins."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from tests.services.base import PATIENCE, wait_until
from webhooks.formats.base import Message
from webhooks.latency import COLUMNS, bucket
from webhooks.models import Attempt, Delivery, Event, SigningKey, Tally, Webhook

SECRET = "a-secret-for-tests-only"
STAMP = "2024-01-01T10:00:00Z"
NOBODY = "http://127.0.0.1:9/"  # the port of `discard`: nothing listens there


def a_webhook(**values: Any) -> Webhook:
    webhook = Webhook.objects.create(
        **{"name": "ERP", "url": NOBODY, "events": ["*"], **values},
    )
    SigningKey.objects.create(webhook=webhook, secret=SECRET)
    return webhook


def nothing_is_owed() -> bool:
    """Whether every event has reached its webhooks, or visibly failed to.

    One statement sees both tables at one moment: of two, a fan-out in between would hide from both
    what is still to be sent.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT 1 FROM webhooks_event WHERE NOT fanned_out) "
            "AND NOT EXISTS (SELECT 1 FROM webhooks_delivery WHERE status = 'pending')"
        )
        return bool(cursor.fetchone()[0])


def lose_the_encryption_key(settings: Any) -> None:
    """What was sealed until now cannot be read any more."""
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}


def a_message(
    type: str,
    record: Mapping[str, Any],
    changes: Mapping[str, Any] | None = None,
    data_subject: str = "",
    **values: Any,
) -> Message:
    """An event as a format sees it, at its first attempt; `values` are of `Message`."""
    snapshot = {"record": record, "changes": changes or {}, "dataSubject": data_subject}
    return Message(
        **{
            "id": "evt_018cc251f4007000800000000000abcd",
            "type": type,
            "sequence": 1,
            "occurred_at": datetime(2024, 1, 1, 10, tzinfo=UTC),
            "default_body": json.dumps({"event": type, "timestamp": STAMP, "data": {}}),
            "attempt": 1,
            "sent_at": datetime(2024, 1, 1, 10, 5, 0, 600_000, tzinfo=UTC),
            "webhook_id": "018cc251-f400-7000-8000-000000000000",
            "snapshot_text": json.dumps(snapshot),
            **values,
        }
    )


def an_event(type: str = "cliente.criado", **values: Any) -> Event:
    return Event.objects.create(
        **{
            "type": type,
            "subject": "cliente_1",
            "sequence": 1,
            "occurred_at": timezone.now(),
            "body": json.dumps({"event": type, "timestamp": STAMP, "data": {"nome": "João"}}),
            "fanned_out": True,
            **values,
        }
    )


def a_delivery(
    webhook: Webhook,
    event: Event | None = None,
    *,
    status: str = Delivery.Status.FAILED,
    at: datetime | None = None,
    **values: Any,
) -> Delivery:
    """A delivery made (and, unless it is pending, settled) at a moment, now by default."""
    at = at or timezone.now()
    pending = status == Delivery.Status.PENDING
    return Delivery.objects.create(
        **{
            "event": event or an_event(),
            "webhook": webhook,
            "status": status,
            "created_at": at,
            "finished_at": None if pending else at,
            "next_attempt_at": at if pending else None,
            "attempt_count": 0 if pending else 1,
            "schedule_position": 0 if pending else 1,
            **values,
        }
    )


def an_attempt(delivery: Delivery, **values: Any) -> Attempt:
    return Attempt.objects.create(
        **{
            "delivery": delivery,
            "number": 1,
            "started_at": delivery.created_at,
            "duration_ms": 12,
            "url": delivery.webhook.url,
            "request_headers": {"Content-Type": "application/json"},
            "status_code": 500,
            "response_headers": {"server": "test"},
            "response_body": "oops",
            "error": "status",
            **values,
        }
    )


def a_tally(
    webhook: Webhook,
    *,
    hours_ago: int = 0,
    failures: int = 0,
    took: Iterable[int] = (),
) -> Tally:
    """What was attempted within an hour.

    :param took: the milliseconds of each success.
    """
    this = timezone.now().replace(minute=0, second=0, microsecond=0)
    took = list(took)
    successes = Counter(COLUMNS[bucket(duration)] for duration in took)
    return Tally.objects.create(
        webhook=webhook,
        hour=this - timedelta(hours=hours_ago),
        attempts=successes.total() + failures,
        failures=failures,
        duration_ms=sum(took),
        **successes,
    )


def analyze() -> None:
    """What the tables hold now is what statements are planned by."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


class Read:
    count = 0
    """Rows of deliveries, on PostgreSQL; a hundred steps each of SQLite's machine."""


@contextmanager
def rows_read() -> Iterator[Read]:
    """How much the statements within read, whatever the machine is doing beside."""
    read = Read()
    if connection.vendor == "sqlite":

        def step() -> int:
            read.count += 1
            return 0

        connection.ensure_connection()
        connection.connection.set_progress_handler(step, 100)
        try:
            yield read
        finally:
            connection.connection.set_progress_handler(None, 0)
    else:
        before = _rows_of_deliveries_read()
        yield read
        read.count = _rows_of_deliveries_read() - before


def _rows_of_deliveries_read() -> int:
    """In the transaction that is open."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables "
            "WHERE relname = 'webhooks_delivery'"
        )
        return int(cursor.fetchone()[0])


def wait_for_a_blocked_statement() -> None:
    """Of another connection, on PostgreSQL."""
    with connection.cursor() as cursor:

        def is_blocked() -> bool:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])

        wait_until(is_blocked, what="a statement to wait for another's locks")


def ago(**amount: float) -> datetime:
    return timezone.now() - timedelta(**amount)


@contextmanager
def receiver(
    status: int = 200, body: bytes = b"ok", *, after: threading.Event | None = None
) -> Iterator[tuple[str, list[Any]]]:
    """A receiver that always gives the same answer: its address, and the requests it got.

    :param after: which the answer waits for, a minute at most.
    """
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, content))
            if after is not None:
                after.wait(PATIENCE)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/webhook", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
