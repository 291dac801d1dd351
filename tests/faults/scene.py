"""A fault's scene: receivers, webhooks, workers, what was committed; and the invariant over it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from clientes.models import Cliente
from tests.faults.brokers import Broker
from tests.faults.outcomes import Outcome
from tests.processes import Process
from tests.services.base import wait_until
from tests.webhooks.makers import SECRET, a_webhook, nothing_is_owed
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.testing import Answer, Receiver, Request

POLL = 0.2
# Of a worker. Nothing ends by them unless a test makes them shorter: what waits for a receiver that
# hangs, for a lease or for a broker comes later than PACE and SAVE_SECONDS allow.
TIMEOUT = 50.0  # seconds of an attempt
LEASE = 120.0
BROKER_TIMEOUT = 40.0
# In which an event reaches a healthy receiver while a worker runs, and in which a save is over,
# whatever is broken beside the database. A machine that is busy holds either up for seconds.
PACE = SAVE_SECONDS = 30.0

_SETTINGS = {
    "WEBHOOKS_TIMEOUT_SECONDS": f"{TIMEOUT:g}",
    "WEBHOOKS_LEASE_SECONDS": f"{LEASE:g}",
    # A receiver that holds its answers back would soon be a suspect, of which a worker claims no
    # more; and saves may take a while.
    "WEBHOOKS_SUSPECT_AFTER_SECONDS": "60",
    "WEBHOOKS_POLL_SECONDS": f"{POLL:g}",
    "WEBHOOKS_RETRY_SCHEDULE_SECONDS": "0,1,1",
}


class RollBack(Exception):
    """Ends a transaction that must leave nothing."""


class Watched:
    """A receiver that answers well, late or with an error, as told; it knows what it answered."""

    def __init__(self) -> None:
        self.accepted: list[Request] = []
        self.refused: list[Request] = []
        self.answer = Answer()
        self._open = threading.Event()
        self._open.set()
        self.server = Receiver(self._decide, secrets=[SECRET], on_answer=self._answered)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def requests(self) -> list[Request]:
        return self.server.requests

    def hold(self) -> None:
        """Take requests, and do not answer until `let_go()`."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.let_go()
        self.server.close()

    def _decide(self, request: Request) -> Answer:
        self._open.wait(60)
        return self.answer

    def _answered(self, request: Request, answer: Answer) -> None:
        (self.accepted if 200 <= answer.status < 300 else self.refused).append(request)


class Scene:
    """What a test of this suite works with. Its broker is the one that the test is run with."""

    def __init__(
        self,
        *,
        broker: Broker,
        outcome: Outcome,
        start: Callable[..., Process],
        start_worker: Callable[..., Process],
    ) -> None:
        self.broker = broker
        self.outcome = outcome
        self._start = start
        self._start_worker = start_worker
        self.receivers: dict[Webhook, Watched] = {}
        self.committed: dict[str, float] = {}  # a client's name → when (Unix seconds)
        self.rolled_back: set[str] = set()
        self.before: dict[Webhook, set[str]] = {}  # what was committed before there was a webhook
        self._workers: list[Process] = []
        self._fault_over: float | None = None

    # --- The cast -----------------------------------------------------------------------------

    def worker(self, *options: str, **changes: str) -> Process:
        """A Celery worker, ready when this returns; `changes` are of its environment."""
        worker = self._start_worker(
            *("--concurrency=1", "--without-gossip", "--without-mingle"),
            *options,
            **{**_SETTINGS, "CELERY_BROKER_URL": self.broker.url, **changes},
        )
        self._workers.append(worker)
        return worker

    def process(self, *command: str, **changes: str) -> Process:
        """Another process of the project, on the same database and broker."""
        return self._start(
            *command, **{**_SETTINGS, "CELERY_BROKER_URL": self.broker.url, **changes}
        )

    def receiver(self, name: str = "healthy", **values: Any) -> tuple[Webhook, Watched]:
        """A webhook for every new client, and the receiver that it leads to."""
        watched = Watched()
        webhook = a_webhook(**{"name": name, "url": watched.url, "events": [CREATED], **values})
        self.receivers[webhook] = watched
        self.before[webhook] = set(self.committed)
        return webhook, watched

    def close(self) -> None:
        for watched in self.receivers.values():
            watched.close()

    # --- What happens -------------------------------------------------------------------------

    def save(self, count: int = 1, *, every: float = 0.0) -> None:
        """Commit so many clients, each an event, one `every` so many seconds.

        :raises AssertionError: one took more than SAVE_SECONDS.
        """
        for _ in range(count):
            name = f"Cliente {len(self.committed) + 1}"
            began = time.monotonic()
            Cliente.objects.create(nome=name)
            took = time.monotonic() - began
            self.committed[name] = time.time()
            self.outcome.worst_save = max(self.outcome.worst_save or 0.0, took)
            time.sleep(every)
        assert (self.outcome.worst_save or 0.0) <= SAVE_SECONDS

    def roll_back(self, count: int = 1) -> None:
        """Save so many clients in transactions that then fail."""
        for _ in range(count):
            name = f"Never {len(self.rolled_back) + 1}"
            try:
                with transaction.atomic():
                    Cliente.objects.create(nome=name)
                    raise RollBack
            except RollBack:
                self.rolled_back.add(name)

    def adopt(self) -> None:
        """Take what another process has committed as committed when it says."""
        for name, event in _events_by_name().items():
            self.committed.setdefault(name, event.occurred_at.timestamp())

    def fault_is_over(self) -> None:
        """From now on recovery is counted."""
        self._fault_over = time.monotonic()

    def settle(self) -> None:
        """Wait until nothing is owed any more."""
        if self._fault_over is None:
            self._fault_over = time.monotonic()
        self.wait_until(nothing_is_owed, "everything to be settled")
        self.outcome.recovery = time.monotonic() - self._fault_over

    def wait_until_claimed(self, count: int) -> None:
        """Wait until so many deliveries are, or were, in a worker's hands."""
        held = Delivery.objects.filter(fence__gt=0)
        self.wait_until(lambda: held.count() == count, f"{count} deliveries to be claimed")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """:raises TimeoutError: says what is owed, what was tried, and what the workers said."""
        wait_until(condition, what=what, state=self._state)

    def _state(self) -> str:
        lines = []
        try:
            lines += self._what_is_owed()
        except DatabaseError as error:
            lines.append(f"The database does not say what is owed: {error}")
        for worker in self._workers:
            lines += [f"Worker {worker.pid} ({worker.returncode}):", *worker.lines[-30:]]
        return "\n".join(lines)

    def _what_is_owed(self) -> list[str]:
        columns = ("id", "webhook__name", "lane", "fence", "attempt_count", "last_error")
        owed = Delivery.objects.filter(status=Delivery.Status.PENDING).annotate(
            due_in=F("next_attempt_at") - Now()
        )
        return [
            f"Not fanned out: {Event.objects.filter(fanned_out=False).count()} events.",
            f"Pending: {owed.count()}, among them:",
            *(str(row) for row in owed.values(*columns, "due_in")[:5]),
            "Tried last:",
            *(str(row) for row in Attempt.objects.order_by("-pk").values(*_TRIED)[:20]),
        ]


CREATED = "cliente.criado"
_TRIED = ("delivery", "number", "started_at", "duration_ms", "error", "superseded")


def assert_invariant(
    scene: Scene,
    *,
    pace: float = PACE,
    failed: Collection[Webhook] = (),
    cancelled: Collection[Webhook] = (),
    unpaced: Collection[Webhook] = (),
) -> None:
    """What holds whatever goes wrong.

    Each committed event ends delivered or visibly failed; nothing is sent for a rolled-back one;
    any duplicate carries the same id; healthy receivers keep their pace.

    :param pace: seconds from a commit in which every healthy receiver has it.
    :param failed: webhooks whose deliveries end failed; those of all others are delivered.
    :param cancelled: webhooks that were deleted: what was not delivered before is cancelled.
    :param unpaced: webhooks whose receivers are not the healthy ones.
    """
    scene.settle()
    events = _events_by_name()
    assert set(events) == set(scene.committed)
    for webhook in Webhook.all_objects.all():
        if not (isinstance(webhook.events, list) and CREATED in webhook.events):
            continue
        ends = {Delivery.Status.DELIVERED}
        if webhook in failed:
            ends = {Delivery.Status.FAILED}
        elif webhook in cancelled:
            ends = {Delivery.Status.DELIVERED, Delivery.Status.CANCELLED}
        before = scene.before.get(webhook, set())
        owed = {name: event for name, event in events.items() if name not in before}
        _each_ends(owed, webhook, ends)
    scene.outcome.events = len(events)
    scene.outcome.duplicates = scene.outcome.duplicates or 0
    for webhook, watched in scene.receivers.items():
        duplicates, slowest = _hold_to_its_word(scene, events, webhook, watched)
        scene.outcome.duplicates += duplicates
        if not ({webhook} & {*unpaced, *failed, *cancelled}):
            scene.outcome.slowest = max(scene.outcome.slowest or 0.0, slowest)
    if scene.outcome.slowest is not None:
        assert scene.outcome.slowest <= pace


def _events_by_name() -> dict[str, Event]:
    """The event of each client that exists; none has two, and none is of a client that does not."""
    found: dict[str, Event] = {}
    for event in Event.objects.filter(type=CREATED):
        name = json.loads(event.body)["data"]["nome"]
        assert name not in found, f"two events tell of {name}"
        found[name] = event
    return found


def _each_ends(events: Mapping[str, Event], webhook: Webhook, ends: set[str]) -> None:
    deliveries = Delivery.objects.filter(webhook=webhook).prefetch_related("attempts")
    by_event = {each.event_id: each for each in deliveries}
    lacking = [name for name, event in events.items() if event.pk not in by_event]
    # What happened after it was deleted is not owed to it.
    assert not lacking or webhook.deleted_at, f"{webhook} was never owed {lacking[:10]}"
    for delivery in by_event.values():
        assert delivery.status in ends, f"{delivery.status}: {delivery.last_error}"
        assert delivery.finished_at is not None
        if delivery.status == Delivery.Status.FAILED:
            # Visibly: each try is there, with what was wrong.
            attempts = list(delivery.attempts.all())
            assert attempts
            assert delivery.last_error
            assert all(attempt.error for attempt in attempts if not attempt.superseded)
        if delivery.status == Delivery.Status.DELIVERED:
            # One result counted. Attempts of workers that had lost their lease are marked.
            counted = [each for each in delivery.attempts.all() if not each.superseded]
            assert [each.error for each in counted].count("") == 1


def _hold_to_its_word(
    scene: Scene, events: Mapping[str, Event], webhook: Webhook, watched: Watched
) -> tuple[int, float]:
    """Compare what a receiver got with what was committed.

    :returns: how often it was sent what it had not refused before, and the slowest arrival.
    """
    got: dict[str, list[Request]] = defaultdict(list)
    for request in watched.requests:
        got[request.json()["data"]["nome"]].append(request)
    assert not scene.rolled_back & set(got), "sent what was rolled back"
    refused = Counter(request.json()["data"]["nome"] for request in watched.refused)
    delivered = set(
        Delivery.objects.filter(
            webhook=webhook, status=Delivery.Status.DELIVERED, event__type=CREATED
        ).values_list("event_id", flat=True)
    )
    accepted = {request.id for request in watched.accepted}
    for name, event in events.items():
        assert {request.id for request in got[name]} <= {event.public_id}
        assert len({request.body for request in got[name]}) <= 1
        if event.pk in delivered:
            assert event.public_id in accepted, f"{webhook} never accepted {name}"
    duplicates = sum(max(0, len(each) - refused[name] - 1) for name, each in got.items())
    arrivals = [each[0].received_at - scene.committed[name] for name, each in got.items() if each]
    return duplicates, max(arrivals, default=0.0)


def vendor() -> str:
    return {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[connection.vendor]
