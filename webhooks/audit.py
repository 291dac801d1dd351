"""Who did what: the one way by which audit entries are written."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import context
from .models import AuditEntry, Delivery, Event, Webhook

Action = AuditEntry.Action
MOST_NAMED = 20  # of the rows that one entry is about


def of(row: Webhook | Event | Delivery) -> str:
    """What an entry calls a row."""
    return row.public_id if isinstance(row, Event) else f"{row._meta.model_name}_{row.pk}"


def record(
    action: str, *, user: Any = None, subject: str = "", count: int | None = None, detail: str = ""
) -> AuditEntry:
    """Write an entry, in the transaction that is open if there is one.

    :param action: of `AuditEntry.Action`.
    :param user: who did it; None: whoever acts by `webhooks.context`.
    :param subject: to what, such as “evt_…”, “webhook_…” or “cliente_123”.
    :param count: to how many.
    :param detail: no secrets, and no personal data beyond ids; cut to 500 characters.
    """
    origin, actor = context.who()
    if user is None:
        user = context.user()
    elif not actor:
        actor = f"usuario_{user.pk}"
    return AuditEntry.objects.create(
        action=Action(action),
        user=user,
        actor=actor,
        origin=origin,
        subject=subject[:100],
        count=count,
        detail=detail[:500],
    )


@dataclass
class Tally:
    """What was done so far, of something done in batches."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, count: int, rows: Iterable[str] = ()) -> None:
        """:param rows: to which; the first few are named."""
        self.count += count
        self.named += itertools.islice(rows, MOST_NAMED + 1 - len(self.named))


@contextlib.contextmanager
def counted(action: str, *, user: Any = None, subject: str = "") -> Iterator[Tally]:
    """Record what is done inside once it ends, or is stopped half-way; nothing if it did nothing.

    ::

        with audit.counted(audit.Action.REPLAYED) as tally:
            tally.add(2, ["delivery_12", "delivery_13"])
    """
    tally = Tally()
    try:
        yield tally
    finally:
        if tally.count:
            more = ["…"] if len(tally.named) > MOST_NAMED else []
            alone = tally.named[0] if tally.count == len(tally.named) == 1 else ""
            record(
                action,
                user=user,
                subject=subject or alone,
                count=tally.count,
                detail="" if alone else ", ".join([*tally.named[:MOST_NAMED], *more]),
            )
