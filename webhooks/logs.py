"""What a log line says beside its text, and log lines as JSON.

Lines about a delivery carry, as `extra`, what finds it: `delivery_id`, `event_id`, `webhook_id`,
`event_type`, `attempt` and, once it was tried, `error`, `status_code`, `duration_ms`. Never an
address, a header, a body or a secret: of what else a record carries, JSON lines hold nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from typing import TYPE_CHECKING, Any

from .secrecy import Secrets

if TYPE_CHECKING:
    from .queue import Job, Result

FIELDS = (
    "delivery_id",
    "event_id",
    "webhook_id",
    "event_type",
    "attempt",
    "error",
    "status_code",
    "duration_ms",
    "task_id",  # Celery's
    "task_name",
)

_CAUSE_LENGTH = 300
_DETAILS = re.compile(r"\n(?:DETAIL|HINT|CONTEXT|QUERY|STATEMENT|LINE \d+)\b")


def about(job: Job, result: Result | None = None) -> dict[str, Any]:
    """`logger.info("…", extra=about(job))`.

    :param result: what came of it, if it was tried.
    """
    # As receivers and pages write it: one search finds both.
    fields: dict[str, Any] = {
        "delivery_id": job.delivery_id,
        "event_id": f"evt_{job.event_id.hex}",
        "webhook_id": str(job.webhook_id),
        "event_type": job.event_type,
        "attempt": job.attempt_count + 1,
    }
    if result is not None and result.attempt is not None:
        fields |= {name: result.attempt[name] for name in ("error", "status_code", "duration_ms")}
    return fields


def cause(error: BaseException, *secrets: str) -> str:
    """What a database complained of, on one line: “OperationalError: disk full”.

    :param secrets: what must not be in it. Neither are the values of rows: PostgreSQL tells them
        after its message, as DETAIL and the like.
    """
    message = _DETAILS.split(str(error), maxsplit=1)[0]
    text = f"{type(error).__name__}: {' '.join(message.split())}"
    return Secrets(secrets, least=1, mask="…").hide(text.removesuffix(": "), most=_CAUSE_LENGTH)


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, the FIELDS that there are, and
    of an exception its traceback. `{"()": "webhooks.logs.JSONFormatter"}` in LOGGING."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        line |= {name: vars(record)[name] for name in FIELDS if name in vars(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)
