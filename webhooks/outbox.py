"""Records events in the caller's transaction, and wakes a worker once it has committed.

One statement whatever the number of events, and nothing in it depends on who listens: who gets an
event is decided by the worker (fanout.py).
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from uuid_utils.compat import uuid7

from . import context, exactjson, tracing, wakeup
from .conf import settings
from .modelevents import Draft
from .values import instant

_FEW = 4  # events of one object that a call for each is cheaper for
_SUBJECT_LENGTH = 100  # of Event.subject; SQLite would take more


class EventTooLarge(ValidationError, ValueError):
    """An event has more bytes than a setting allows: what it tells of cannot be saved so.

    A ValidationError, so that whoever sent it is answered what is wrong: forms and APIs know it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, code="too_large")

    def __str__(self) -> str:
        return str(self.message)


class BodyTooLarge(EventTooLarge):
    """The event's body is larger than WEBHOOKS["BODY_MAX_BYTES"], so receivers would refuse it."""


class SnapshotTooLarge(EventTooLarge):
    """The event's whole record and changes are larger than WEBHOOKS["SNAPSHOT_MAX_BYTES"]."""


def body_of(draft: Draft) -> str:
    """The default format's body (seed 004), exact to the byte.

    :raises exactjson.NotExact: something in it cannot be written as JSON.
    :raises BodyTooLarge: it is larger than receivers accept.
    """
    body = exactjson.dumps(
        {"event": draft.type, "timestamp": instant(draft.moment), "data": draft.data},
        inside=exactjson.FORMAT_DEPTH,
    )
    size = len(body.encode())
    if size > settings.BODY_MAX_BYTES:
        raise BodyTooLarge(
            f"The event {draft.type} of {draft.subject or 'no object'} has {size:,} bytes, more "
            f"than the {settings.BODY_MAX_BYTES:,} that receivers are sure to accept "
            '(WEBHOOKS["BODY_MAX_BYTES"]). Shorten what it tells.'
        )
    return body


def snapshot_of(draft: Draft) -> str:
    """The whole record and what changed, as it is kept.

    :raises exactjson.NotExact: something in it cannot be written as JSON.
    :raises SnapshotTooLarge: it is larger than WEBHOOKS["SNAPSHOT_MAX_BYTES"].
    """
    snapshot = exactjson.dumps(draft.snapshot, inside=exactjson.FORMAT_DEPTH)
    size = len(snapshot.encode())
    if size > settings.SNAPSHOT_MAX_BYTES:
        raise SnapshotTooLarge(
            f"The record of the event {draft.type} of {draft.subject or 'no object'} has "
            f"{size:,} bytes with its changes, more than the {settings.SNAPSHOT_MAX_BYTES:,} that "
            'are kept (WEBHOOKS["SNAPSHOT_MAX_BYTES"]). Shorten it, or leave what is long out of '
            "the record that is declared."
        )
    return snapshot


def record(
    drafts: Sequence[Draft],
    *,
    using: str = DEFAULT_DB_ALIAS,
    only_webhook: UUID | None = None,
    commit: bool = False,
) -> list[UUID]:
    """Write the events into the transaction that is open on `using`.

    Each gets the next `sequence` of its subject. The row of the subject's counter stays locked
    until the commit, so a subject's sequence rises in the order of commits.

    :param commit: the transaction that is open ends with this, and its `atomic()` will commit it:
        where both can be sent at once, they are.
    :returns: the events' ids, in the order given.
    :raises exactjson.NotExact: something cannot be written as JSON; nothing is recorded.
    :raises EventTooLarge: an event is larger than receivers accept, or its record than is kept;
        nothing is recorded.
    :raises ValueError: a subject is longer than its column, or holds what no text may.
    """
    with tracing.recording([draft.type for draft in drafts]) as traceparent:
        return _record(drafts, using, commit, (*context.who(), only_webhook, traceparent))


def _record(
    drafts: Sequence[Draft],
    using: str,
    commit: bool,
    told: tuple[str, str, UUID | None, str | None],
) -> list[UUID]:
    rows = []
    for draft in drafts:
        for name in (draft.subject, draft.data_subject):
            if len(name) > _SUBJECT_LENGTH or "\x00" in name:
                raise ValueError(f"{name[:200]!r} cannot be the subject of an event.")
        rows.append(
            _Row(
                uuid7(),
                draft.type,
                draft.subject,
                draft.data_subject,
                draft.moment,
                body_of(draft),
                snapshot_of(draft),
                *told,
            )
        )
    connection = connections[using]
    insert = _insert_postgresql if connection.vendor == "postgresql" else _insert_one_by_one
    inside = connection.in_atomic_block  # as in every save, for which one more is not free
    with contextlib.nullcontext() if inside else transaction.atomic(using=using):
        with connection.cursor() as cursor:
            insert(connection, cursor, rows, commit)
        # robust: a failing broker must not reach whoever has just committed.
        connection.on_commit(wakeup.request, robust=True)
    return [row.id for row in rows]


class _Row(NamedTuple):
    """An event but for its `sequence`; the arguments of `webhooks_record_event`."""

    id: UUID
    type: str
    subject: str
    data_subject: str
    occurred_at: datetime
    body: str
    snapshot: str
    origin: str
    actor: str
    only_webhook: UUID | None
    traceparent: str | None


_COLUMNS = (
    "id, type, subject, data_subject, occurred_at, body, snapshot, origin, actor, "
    "only_webhook_id, traceparent, sequence, fanned_out"
)

# A function of the database (migrations/0002): its statements are planned once per session, which
# for so little to insert is what most of a statement costs.
_ONE = f"webhooks_record_event({', '.join(['%s'] * len(_Row._fields))})"

_OF_MANY = f"""
WITH counted AS (
    INSERT INTO webhooks_subject AS s (id, last_sequence)
    SELECT w.key, w.value::bigint FROM json_each_text(%s) AS w ORDER BY w.key
    ON CONFLICT (id) DO UPDATE SET last_sequence = s.last_sequence + EXCLUDED.last_sequence
    RETURNING s.id, s.last_sequence
)
INSERT INTO webhooks_event ({_COLUMNS})
SELECT e.id, e.type, e.subject, e.data_subject, e.occurred_at, e.body, e.snapshot, e.origin,
       e.actor, e.only_webhook, e.traceparent, COALESCE(c.last_sequence - e.behind, 0), false
FROM json_to_recordset(%s) AS e(id uuid, type text, subject text, data_subject text,
                                occurred_at timestamptz, body text, snapshot text, origin text,
                                actor text, only_webhook uuid, traceparent text, behind bigint)
LEFT JOIN counted c ON c.id = e.subject
"""


def _insert_postgresql(connection: Any, cursor: Any, rows: list[_Row], commit: bool) -> None:
    # Counters are locked in order of their names, lest two wait for each other.
    if len(rows) <= _FEW and len({row.subject for row in rows}) == 1:
        statement = f"SELECT {', '.join([_ONE] * len(rows))}"
        if commit and _takes_several_statements(connection):
            # `atomic()` then finds the transaction closed, and sends no COMMIT of its own.
            statement += "; COMMIT"
        cursor.execute(statement, [value for row in rows for value in row])
        return
    wanted = _wanted(rows)
    left = dict(wanted)
    events = []
    for row in rows:
        if row.subject:
            left[row.subject] -= 1
        events.append({**row._asdict(), "behind": left.get(row.subject, 0)})
    # JSON documents: arrays would be quoted element by element, in Python.
    cursor.execute(_OF_MANY, [json.dumps(wanted), json.dumps(events, default=str)])


def _takes_several_statements(connection: Any) -> bool:
    """Whether it takes them at once, and is in a transaction that is Django's to commit."""
    options = connection.settings_dict["OPTIONS"]
    return bool(connection.commit_on_exit) and not options.get("server_side_binding")


def _insert_one_by_one(connection: Any, cursor: Any, rows: list[_Row], commit: bool) -> None:
    sequence = {"": 0}
    for subject, count in sorted(_wanted(rows).items()):
        cursor.execute(
            "INSERT INTO webhooks_subject (id, last_sequence) VALUES (%s, %s) "
            "ON CONFLICT (id) DO UPDATE SET last_sequence = last_sequence + excluded.last_sequence "
            "RETURNING last_sequence",
            [subject, count],
        )
        sequence[subject] = cursor.fetchone()[0] - count
    for row in rows:
        if row.subject:
            sequence[row.subject] += 1
        values = row._asdict() | {
            "id": row.id.hex,
            "occurred_at": connection.ops.adapt_datetimefield_value(row.occurred_at),
            "only_webhook": row.only_webhook and row.only_webhook.hex,
        }
        cursor.execute(
            f"INSERT INTO webhooks_event ({_COLUMNS}) "
            f"VALUES ({', '.join(['%s'] * (len(row) + 2))})",
            [*values.values(), sequence[row.subject], False],
        )


def _wanted(rows: Sequence[_Row]) -> Counter[str]:
    """How many numbers each subject's counter is to give."""
    return Counter(row.subject for row in rows if row.subject)
