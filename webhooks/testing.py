"""Helpers to test what your project announces, and that it arrives.

    def test_a_new_client_is_announced(db):
        with captured_events() as events:
            Cliente.objects.create(nome="João Silva")
        assert events.types == ["cliente.criado"]
        assert events[0].data["nome"] == "João Silva"

    def test_and_arrives(db):
        with Receiver(secrets=[SECRET]) as receiver:
            ...  # a webhook with that secret and url=receiver.url
            Cliente.objects.create(nome="João Silva")
            deliver_all()
            [request] = receiver.requests
        assert request.verified

`Receiver` is a real HTTP receiver on a free port of this machine; allow it with
`WEBHOOKS = {"ALLOWED_NETWORKS": ["127.0.0.0/8", "::1/128"], "REQUIRE_HTTPS": False}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, overload

from django.db import DEFAULT_DB_ALIAS

from .engine import Engine
from .models import Attempt, Event
from .received import Answer, Request, Verdict
from .receiver import Receiver

__all__ = [
    "Answer",
    "CapturedEvent",
    "CapturedEvents",
    "Receiver",
    "Request",
    "Verdict",
    "captured_events",
    "deliver_all",
]


@dataclass(frozen=True, kw_only=True)
class CapturedEvent:
    """An event that was recorded."""

    type: str  # "cliente.criado"
    subject: str  # "cliente_123"
    sequence: int
    data: dict[str, Any]  # as receivers of the default format see it
    event: Event  # the row


class CapturedEvents(Sequence[CapturedEvent]):
    """The events of a block, oldest first. Inside the block, those so far."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._before = set(self._rows().values_list("pk", flat=True))
        self._events: tuple[CapturedEvent, ...] | None = None

    @property
    def types(self) -> list[str]:
        return [each.type for each in self]

    def of(self, type: str) -> list[CapturedEvent]:
        """Those of one type."""
        return [each for each in self if each.type == type]

    @overload
    def __getitem__(self, index: int) -> CapturedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[CapturedEvent]: ...
    def __getitem__(self, index: int | slice) -> CapturedEvent | Sequence[CapturedEvent]:
        return self._read()[index]

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"<CapturedEvents {self.types}>"

    def freeze(self) -> None:
        """What is recorded from now on is not among them."""
        self._events = self._read()

    def _rows(self) -> Any:
        return Event.objects.using(self._database).order_by("pk")

    def _read(self) -> tuple[CapturedEvent, ...]:
        if self._events is not None:
            return self._events
        return tuple(
            CapturedEvent(
                type=row.type,
                subject=row.subject,
                sequence=row.sequence,
                data=json.loads(row.body)["data"],
                event=row,
            )
            for row in self._rows()
            if row.pk not in self._before
        )


@contextmanager
def captured_events(*, using: str = DEFAULT_DB_ALIAS) -> Iterator[CapturedEvents]:
    """The events that are recorded in the block, and not rolled back within it."""
    events = CapturedEvents(using)
    yield events
    events.freeze()


def deliver_all(*, using: str = DEFAULT_DB_ALIAS, timeout: float = 60.0) -> list[Attempt]:
    """Send everything that is due, in this process: no broker and no worker is needed.

    Works inside a test's transaction. What fails and is to be retried later stays pending.

    :param timeout: seconds for all of it.
    :returns: the attempts made, in the order in which they were recorded.
    :raises TimeoutError: something was still due.
    """
    attempts = Attempt.objects.using(using).order_by("pk")
    last = attempts.values_list("pk", flat=True).last() or 0
    Engine(using).drain(timeout=timeout)
    return list(attempts.filter(pk__gt=last))
