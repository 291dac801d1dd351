"""Deliveries as a file: for a spreadsheet (CSV) or for programs (JSON Lines).

One line a delivery, the oldest first; read and written in batches, so that a million take no more
memory than a thousand. Secrets are not in it: what is kept of requests was masked before.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Max, QuerySet
from django.utils.translation import gettext as _

from .. import audit
from ..addresses import shown_address, without_address
from ..headers import mask_headers
from ..models import Attempt, Delivery
from ..values import instant
from ._batches import BATCH_SIZE, Progress, no_progress

EXPORT_FORMATS: dict[str, str] = {"csv": "text/csv", "jsonl": "application/jsonl"}
"""Media types, by name."""

_BATCH_WITH_PAYLOADS = 50  # deliveries: each may have several attempts, with two bodies each

# Names and values as in the API.
_DELIVERY: dict[str, Callable[[Delivery], Any]] = {
    "id": audit.of,
    "eventId": lambda found: found.event.public_id,
    "eventType": lambda found: found.event.type,
    "subject": lambda found: found.event.subject or None,
    "webhookId": lambda found: str(found.webhook_id),
    "webhookName": lambda found: found.webhook.name,
    "status": lambda found: found.status,
    "attemptCount": lambda found: found.attempt_count,
    "lastStatusCode": lambda found: found.last_status_code,
    "lastError": lambda found: found.last_error or None,
    "createdAt": lambda found: _moment(found.created_at),
    "nextAttemptAt": lambda found: _moment(found.next_attempt_at),
    "finishedAt": lambda found: _moment(found.finished_at),
}
_ATTEMPT: dict[str, Callable[[Attempt], Any]] = {
    "number": lambda found: found.number,
    "startedAt": lambda found: _moment(found.started_at),
    "durationMs": lambda found: found.duration_ms,
    "url": lambda found: shown_address(found.url),
    "statusCode": lambda found: found.status_code,
    "error": lambda found: found.error or None,
    "superseded": lambda found: found.superseded,
}
_PAYLOADS: dict[str, Callable[[Attempt], Any]] = {
    "requestHeaders": lambda found: mask_headers(found.request_headers),
    "requestBody": lambda found: (
        found.delivery.event.body or None
        if found.request_body is None
        else without_address(found.request_body, found.url)
    ),
    "responseHeaders": lambda found: mask_headers(found.response_headers),
    "responseBody": lambda found: found.response_body,
    "responseTruncated": lambda found: found.response_truncated,
    "errorDetail": lambda found: found.error_detail or None,
}
_READ = (
    *("event_id", "event__type", "event__subject", "webhook_id", "webhook__name", "status"),
    *("attempt_count", "last_status_code", "last_error"),
    *("created_at", "next_attempt_at", "finished_at"),
)
_NOT_WITHOUT = ("request_headers", "request_body", "response_headers", "response_body")

# What a spreadsheet takes for a formula begins so; the wide ones are read as the narrow.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Columns = dict[str, Callable[[Attempt], Any]]
Batches = Iterator[list[tuple[Delivery, list[Attempt]]]]


@dataclass(frozen=True, kw_only=True)
class Export:
    """A file that can be read once, piece by piece."""

    count: int
    """How many deliveries it has; fewer, if some are pruned while it is read."""
    pieces: Iterator[str]


def export(
    deliveries: QuerySet[Delivery],
    *,
    format: str,
    payloads: bool = False,
    chosen: Mapping[str, object] | None = None,
    progress: Progress = no_progress,
) -> Export:
    """Write down these deliveries as they are when it comes to them; none that come later.

    In the audit trail it stands before anything is read, since who reads may go away half-way.

    :param format: of `EXPORT_FORMATS`. CSV has a header and of the attempts the last; JSON Lines
        has all.
    :param payloads: whether with what was sent and all that receivers wrote, headers and the words
        of failures included: whoever may not see payloads must not get them so.
    :param chosen: by what they were chosen, for the audit trail: no secrets, no personal data but
        ids.
    :raises ValidationError: there is no such format.
    """
    if format not in EXPORT_FORMATS:
        known = ", ".join(EXPORT_FORMATS)
        raise ValidationError(
            {"format": _("There is no “%(name)s”: %(known)s.") % {"name": format, "known": known}}
        )
    found = deliveries.order_by().aggregate(count=Count("pk"), last=Max("pk"))
    if found["count"]:
        words = [format, "with payloads" if payloads else "without payloads"]
        words += [f"{name}={value}" for name, value in (chosen or {}).items()]
        audit.record(
            audit.Action.EXPORTED,
            subject=f"delivery_{found['last']}" if found["count"] == 1 else "",
            count=found["count"],
            detail=", ".join(words),
        )
    columns = _ATTEMPT | _PAYLOADS if payloads else _ATTEMPT
    batches = _batches(deliveries, found["last"] or 0, payloads, progress)
    return Export(count=found["count"], pieces=_WRITERS[format](batches, columns))


def _batches(
    deliveries: QuerySet[Delivery], until_id: int, payloads: bool, progress: Progress
) -> Batches:
    """The deliveries with their attempts, the oldest first."""
    size = _BATCH_WITH_PAYLOADS if payloads else BATCH_SIZE
    rows = deliveries.filter(id__lte=until_id).order_by("id").select_related("event", "webhook")
    rows = rows.only(*_READ, *(["event__body"] if payloads else []))
    told = Attempt.objects.order_by("id").defer(*([] if payloads else _NOT_WITHOUT))
    last_id = 0
    while batch := list(rows.filter(id__gt=last_id)[:size]):
        attempts: dict[int, list[Attempt]] = {delivery.pk: [] for delivery in batch}
        for attempt in told.filter(delivery__in=batch):
            attempts[attempt.delivery_id].append(attempt)
        for delivery in batch:
            for attempt in attempts[delivery.pk]:
                attempt.delivery = delivery
        yield [(delivery, attempts[delivery.pk]) for delivery in batch]
        progress(len(batch))
        last_id = batch[-1].pk


def _csv(batches: Batches, columns: Columns) -> Iterator[str]:
    """RFC 4180. Texts that a spreadsheet would take for formulas begin with an apostrophe."""
    attempt_names = [f"lastAttempt{name[0].upper()}{name[1:]}" for name in columns]
    yield _lines([[*_DELIVERY, *attempt_names]])
    for batch in batches:
        yield _lines(
            [
                *(_cell(value(delivery)) for value in _DELIVERY.values()),
                *(_cell(value(attempts[-1])) if attempts else "" for value in columns.values()),
            ]
            for delivery, attempts in batch
        )


def _lines(rows: Iterable[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json_lines(batches: Batches, columns: Columns) -> Iterator[str]:
    for batch in batches:
        yield "".join(
            json.dumps(
                {
                    **{name: value(delivery) for name, value in _DELIVERY.items()},
                    "attempts": [
                        {name: value(attempt) for name, value in columns.items()}
                        for attempt in attempts
                    ],
                },
                ensure_ascii=False,
            )
            + "\n"
            for delivery, attempts in batch
        )


def _moment(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


_WRITERS = {"csv": _csv, "jsonl": _json_lines}
