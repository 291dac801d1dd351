"""From an event to its deliveries: one for each active webhook that subscribes to its type.

Done by the worker, so that a save costs the same whether nobody listens or a thousand. Exactly once
per (event, webhook): the deliveries and the mark on the event are one transaction, and a unique
constraint stands behind it.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from .directory import Directory
from .formats.base import Format
from .models import Event, Webhook

logger = logging.getLogger("webhooks.fanout")

# A transaction writes about this many deliveries at most (an event's own are never split).
_ROWS_AT_ONCE = 5000


class Owed(NamedTuple):
    """A delivery to be made."""

    event_id: UUID
    webhook_id: UUID
    lane: int
    wait: float = 0.0
    """Seconds until it is due."""


def fan_out(directory: Directory, *, limit: int = 500, using: str = DEFAULT_DB_ALIAS) -> int:
    """Make the deliveries of up to `limit` events that have none yet, more or less the oldest.

    :returns: how many events were taken; `limit` means that more may wait.
    """
    with transaction.atomic(using=using):
        rows = Event.objects.using(using).filter(fanned_out=False)
        if connections[using].features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        events = _from_both_ends(rows, limit)
        if not events:
            return 0
        directory.refresh()
        active = [r for r in directory if r.status == Webhook.Status.ACTIVE]
        wanted: dict[str, list[tuple[UUID, int, float]]] = {}
        owed: list[Owed] = []
        done: list[UUID] = []
        for event_id, event_type, only_webhook in events:
            if only_webhook is not None:
                owed.append(Owed(event_id, only_webhook, Webhook.Lane.NORMAL))
            else:
                if event_type not in wanted:
                    wanted[event_type] = [
                        (r.id, r.lane, r.first_wait)
                        for r in active
                        if r.subscription.wants(event_type) and _tells(r.format, event_type)
                    ]
                owed += [Owed(event_id, *each) for each in wanted[event_type]]
            done.append(event_id)
            if len(owed) >= _ROWS_AT_ONCE:
                break
        owed.sort(key=lambda each: each.event_id.bytes)  # each receiver in the order of the events
        owe(owed, using=using)
        Event.objects.using(using).filter(pk__in=done).update(fanned_out=True)
    return len(events) if len(done) == len(events) else limit


def _tells(format: Format, event_type: str) -> bool:
    try:
        return format.tells(event_type)
    except Exception:
        # The delivery will fail, visibly; were it to fail here, all events behind it would wait.
        logger.exception(
            "The format %s cannot say whether it tells %s.",
            format.name,
            event_type,
            extra={"event_type": event_type},
        )
        return True


def _from_both_ends(rows: QuerySet[Event], limit: int) -> list[tuple[UUID, str, UUID | None]]:
    """Up to `limit` of the events: of a backlog the oldest, and a tenth of the newest in turn.

    An import may leave a hundred thousand; what people do meanwhile must not wait for all of it.
    """
    columns = ("pk", "type", "only_webhook_id")
    newest_at_once = limit // 10
    oldest = list(rows.order_by("pk").values_list(*columns)[: limit - newest_at_once])
    if len(oldest) < limit - newest_at_once:
        return oldest
    taken = {pk for pk, *_ in oldest}
    newest = rows.order_by("-pk").values_list(*columns)[:newest_at_once]
    turns = zip_longest((row for row in newest if row[0] not in taken), oldest)
    return [row for turn in turns for row in turn if row is not None]


def owe(owed: Iterable[Owed], *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Make deliveries; those that exist stay as they are.

    Of equal waits they become due in the order given, a microsecond apart, so that they are
    claimed in it.

    :returns: how many were made.
    """
    owed = list(owed)
    if not owed:
        return 0
    connection: Any = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "INSERT INTO webhooks_delivery (event_id, webhook_id, lane, status, "
                "next_attempt_at, fence, attempt_count, schedule_position, last_error, created_at) "
                "SELECT o.event_id, o.webhook_id, o.lane, 'pending', "
                "statement_timestamp() + o.wait * interval '1 second' "
                "- o.ahead * interval '1 microsecond', "
                "0, 0, 0, '', statement_timestamp() "
                "FROM json_to_recordset(%s) "
                "AS o(event_id uuid, webhook_id uuid, lane smallint, wait float8, ahead integer) "
                "ON CONFLICT (event_id, webhook_id) DO NOTHING",
                [
                    json.dumps(
                        [
                            {
                                "event_id": str(each.event_id),
                                "webhook_id": str(each.webhook_id),
                                "lane": int(each.lane),
                                "wait": each.wait,
                                "ahead": len(owed) - place,
                            }
                            for place, each in enumerate(owed)
                        ]
                    )
                ],
            )
            return int(cursor.rowcount)
    now, moment = timezone.now(), connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO webhooks_delivery (event_id, webhook_id, lane, status, next_attempt_at, "
            "fence, attempt_count, schedule_position, last_error, created_at) "
            "VALUES (%s, %s, %s, 'pending', %s, 0, 0, 0, '', %s) "
            "ON CONFLICT (event_id, webhook_id) DO NOTHING",
            [
                (
                    each.event_id.hex,
                    each.webhook_id.hex,
                    int(each.lane),
                    moment(
                        now
                        + dt.timedelta(seconds=each.wait)
                        - dt.timedelta(microseconds=len(owed) - place)
                    ),
                    moment(now),
                )
                for place, each in enumerate(owed)
            ],
        )
        return int(cursor.rowcount)
