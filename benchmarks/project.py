"""What runs inside processes of the project: `python -m benchmarks.project` obeys line by line.

Each line of its input is `{"call": name, "with": {…}}`; it answers `{"result": …}`, or
`{"error": …}` with a traceback. `stage.Hand` is the other end.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

COMMANDS: dict[str, Callable[..., Any]] = {}
# What the demonstration's clients look like.
CLIENT = {"nome": "João Silva", "email": "joao@example.com", "telefone": "+5511999999999"}
DATA = {
    "id": "cliente_123",
    "nome": "João Silva",
    "email": "joao@example.com",
    "telefone": "(11) 99999-9999",
    "createdAt": "2024-01-01T10:00:00Z",
}


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    COMMANDS[function.__name__] = function
    return function


@command
def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


@command
def add_webhooks(
    urls: Sequence[str],
    events: Sequence[Sequence[str]],
    format: str = "sistema-crm",
    keys: Sequence[Sequence[str]] = (("hmac-sha256", "a secret of twenty-odd characters"),),
) -> None:
    """One for each URL, with the patterns at the same place; what there was is deleted.

    :param keys: of each webhook: algorithms and secrets.
    """
    from webhooks.models import SigningKey, Webhook

    Webhook.all_objects.all().delete()
    for url, patterns in zip(urls, events, strict=True):
        webhook = Webhook.objects.create(
            name=url[-20:], url=url, events=list(patterns), format=format
        )
        for algorithm, secret in keys:
            SigningKey.objects.create(webhook=webhook, algorithm=algorithm, secret=secret)


@command
def clear() -> None:
    """Forget every event, and the clients."""
    from django.db import connection

    tables = [
        *("webhooks_attempt", "webhooks_delivery", "webhooks_event", "webhooks_subject"),
        *("webhooks_tally", "clientes_cliente"),
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")


@command
def backlog(count: int, types: int = 1, event: str = "") -> None:
    """Record so many events in one transaction, of `types` types in turn or of the one that is
    named; a wake-up follows."""
    from django.db import transaction

    from webhooks import events

    _declare(types)
    with transaction.atomic():
        for index in range(count):
            events.emit(event or f"medida{index % types}.feita", data=DATA)


@command
def last_body() -> str:
    """Of the last event, as it was sent."""
    from webhooks.models import Event

    return str(Event.objects.latest("pk").body)


def _declare(types: int) -> None:
    from webhooks import events

    for index in range(types):
        events.declare(f"medida{index}.feita", description="", area="", data_schema={}, example={})


@command
def owed() -> int:
    """Events not fanned out and deliveries not finished."""
    from webhooks.models import Delivery, Event

    return (
        Event.objects.filter(fanned_out=False).count()
        + Delivery.objects.filter(status=Delivery.Status.PENDING).count()
    )


@command
def post_bare(url: str, body: str, count: int) -> None:
    """What a delivery is held against: `requests`, and nothing else."""
    import requests

    with requests.Session() as session:
        for _ in range(count):
            session.post(
                url, data=body.encode(), headers={"Content-Type": "application/json"}, timeout=5
            ).raise_for_status()


@command
def parts_of_a_delivery(count: int) -> dict[str, float]:
    """CPU milliseconds of what a sender does of the last event's delivery, without the rest."""
    from django.utils import timezone

    from webhooks import delivery, egress
    from webhooks.directory import receiver_of
    from webhooks.models import Event, Webhook
    from webhooks.queue import Job

    event, webhook = Event.objects.latest("pk"), Webhook.objects.earliest("pk")
    receiver = receiver_of(webhook)
    job = Job(
        delivery_id=0,
        webhook_id=webhook.pk,
        event_id=event.pk,
        fence=1,
        attempt_count=0,
        schedule_position=0,
        lane=0,
        event_type=event.type,
        sequence=event.sequence,
        occurred_at=event.occurred_at,
        body=event.body,
    )
    transport = egress.transport()
    spent = {"format and sign": 0.0, "guarded POST": 0.0}
    for _ in range(count):
        started = time.thread_time()
        message = delivery.message_of(job, receiver, timezone.now(), "{}")
        body, headers = delivery.build_request(message, receiver, {})
        built = time.thread_time()
        transport.post(receiver.url, body, headers, timeout=receiver.timeout)
        spent["format and sign"] += built - started
        spent["guarded POST"] += time.thread_time() - built
    transport.close()
    return {name: seconds / count * 1000 for name, seconds in spent.items()}


@command
def track_nothing() -> None:
    """The same saves, atomic as ever, in a process in which no event is registered."""
    from clientes.models import Cliente
    from webhooks import tracking

    tracking.unregister(Cliente)


@command
def session() -> int:
    """The process of the database that serves this one."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@command
def serve() -> dict[str, Any]:
    """Serve the project over HTTP, from a thread.

    :returns: its port, a token that may all, and the process of the database that serves it (None:
        it has none).
    """
    import queue
    import threading

    from django.contrib.auth.models import User
    from django.core.servers.basehttp import WSGIRequestHandler, WSGIServer
    from django.db import connection

    from api_common import tokens
    from crm_project.wsgi import application

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    user, _made = User.objects.get_or_create(
        username="bench", defaults={"is_superuser": True, "is_staff": True}
    )
    _token, token = tokens.create(user, "bench")
    server = WSGIServer(("127.0.0.1", 0), Handler)
    server.set_app(application)
    sessions: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def run() -> None:
        sessions.put(session() if connection.vendor == "postgresql" else None)
        server.serve_forever()

    threading.Thread(target=run, daemon=True).start()
    return {"port": server.server_port, "token": token, "session": sessions.get()}


@command
def create(count: int) -> None:
    from clientes.models import Cliente

    for _ in range(count):
        Cliente.objects.create(**CLIENT)


@command
def update(count: int) -> None:
    """Save clients that are there already, each with another name than before."""
    from clientes.models import Cliente

    clients = list(Cliente.objects.order_by("pk")[:200])
    for index in range(count):
        client = clients[index % len(clients)]
        client.nome = f"Maria {time.monotonic_ns()}"
        client.save()


@command
def create_at(rate: float, seconds: float) -> dict[str, float]:
    """Save clients at that rate. :returns: by the event's public id, when its save returned."""
    from clientes.models import Cliente
    from webhooks.models import Event, event_public_id

    saved: dict[str, float] = {}

    def save() -> None:
        client = Cliente.objects.create(**CLIENT)
        saved[f"cliente_{client.pk}"] = time.time()

    _at(rate, seconds, save)
    told = Event.objects.filter(subject__in=list(saved)).values_list("subject", "pk")
    return {event_public_id(id): saved[subject] for subject, id in told}


@command
def emit_at(rate: float, seconds: float, types: int) -> dict[str, tuple[float, int]]:
    """Record events of `types` types in turn. :returns: by public id: when, and which type."""
    from webhooks import events
    from webhooks.models import event_public_id

    _declare(types)
    told: dict[str, tuple[float, int]] = {}

    def emit() -> None:
        index = len(told) % types
        (id,) = events.emit(f"medida{index}.feita", data=DATA)
        told[event_public_id(id)] = time.time(), index

    _at(rate, seconds, emit)
    return told


def _at(rate: float, seconds: float, act: Callable[[], None]) -> None:
    started = time.monotonic()
    for index in range(int(rate * seconds)):
        time.sleep(max(0.0, started + index / rate - time.monotonic()))
        act()


@command
def fan_out() -> None:
    from django.db import DEFAULT_DB_ALIAS

    from webhooks.directory import Directory
    from webhooks.fanout import fan_out as give

    directory = Directory(DEFAULT_DB_ALIAS)
    while give(directory):
        pass


@command
def claim_and_record() -> int:
    """Everything that is due, as the engine does it where each answer is 200. :returns: how many"""
    from django.db import DEFAULT_DB_ALIAS
    from django.utils import timezone

    from webhooks.models import Delivery
    from webhooks.queue import Result, queue_on

    queue, done = queue_on(DEFAULT_DB_ALIAS), 0
    attempt = {
        "number": 1,
        "started_at": timezone.now(),
        "duration_ms": 20,
        "url": "http://127.0.0.1:9/",
        "request_headers": {},
        "request_body": None,
        "status_code": 200,
        "response_headers": {},
        "response_body": "ok",
        "response_truncated": False,
        "error": "",
        "error_detail": "",
    }
    while jobs := queue.claim(256, lease=60):
        for first in range(0, len(jobs), 64):
            some = jobs[first : first + 64]
            done += len(
                queue.record(
                    [Result(job, Delivery.Status.DELIVERED, attempt=attempt) for job in some]
                )
            )
    return done


@command
def flush_statistics() -> None:
    """So that others see at once what this session read and wrote."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")


def main() -> None:
    import django

    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what is printed is no answer
        django.setup()
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                answer = {"result": COMMANDS[asked["call"]](**asked["with"])}
            except Exception:
                answer = {"error": traceback.format_exc()}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
