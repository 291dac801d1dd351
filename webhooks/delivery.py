"""One delivery, once: format → sign → POST → what came of it. Knows no database.

Whatever goes wrong in here becomes a recorded attempt: a secret that cannot be read, a format that
fails, a receiver that answers garbage. One poisoned delivery never stops the others.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from . import breaker, latency, retry, shortage, tracing
from .addresses import shown_address
from .conf import settings
from .directory import Receiver
from .fields import EncryptionKeyMissing, SecretUnreadable
from .formats import UnknownFormatError
from .formats.base import CannotTell, Message
from .headers import HeadersRefused
from .logs import about
from .models import Attempt, Delivery, Webhook, event_public_id
from .queue import Job, Pulse, Result
from .signing import InvalidSecret
from .transport import Answer, Shortage, Transport, TransportError

logger = logging.getLogger("webhooks.delivery")

_DETAIL_LENGTH = 500  # of Attempt.error_detail
_HEADERS_KEPT = 8_192  # bytes of an answer's headers
# Failures of receivers that keep a slot busy, or that answer nothing at all.
_TROUBLE = {
    Attempt.Error.TIMEOUT,
    Attempt.Error.CONNECT,
    Attempt.Error.DNS,
    Attempt.Error.TLS,
    Attempt.Error.PROTOCOL,
}
_UNBUILT = (
    SecretUnreadable,
    EncryptionKeyMissing,
    InvalidSecret,
    UnknownFormatError,
    CannotTell,
)


def attempt(job: Job, receiver: Receiver, transport: Transport, *, snapshot: str = "{}") -> Result:
    """Send a job's event to its receiver.

    :param snapshot: the event's, for formats with `needs_snapshot`.
    :returns: what to record; never raises.
    """
    if not job.body:
        # Erased (or pruned): there is nothing left to tell, and an empty request would tell less.
        return Result(job, Delivery.Status.CANCELLED)
    with tracing.attempting(job, receiver.url) as span:
        result = _surely_attempt(job, receiver, transport, snapshot, span.traceparent)
        span.tell(result)
    return result


def _surely_attempt(
    job: Job, receiver: Receiver, transport: Transport, snapshot: str, traceparent: str | None
) -> Result:
    started_at = timezone.now()
    try:
        return _attempt(job, receiver, transport, started_at, snapshot, traceparent)
    except Exception as problem:
        # A format that fails over an answer. To raise would end a sender and keep its slot.
        logger.exception(
            "What delivery %s brought cannot be judged.", job.delivery_id, extra=about(job)
        )
        error = Attempt.Error.INTERNAL
        lacking = shortage.of(problem)
        return Result(
            job=job,
            **_outcome(job, receiver, None, error, started_at),
            lane=receiver.lane,
            shortage=lacking,
            attempt={
                "number": job.attempt_count + 1,
                "started_at": started_at,
                "duration_ms": 0,
                "url": receiver.url,
                "request_headers": {},
                "request_body": None,
                **_kept_answer(None, receiver),
                "error": str(error),
                "error_detail": lacking or type(problem).__name__,
            },
        )


@sensitive_variables()  # headers and bodies: error reports show every frame's variables
def _attempt(
    job: Job,
    receiver: Receiver,
    transport: Transport,
    started_at: dt.datetime,
    snapshot: str,
    traceparent: str | None,
) -> Result:
    started = time.monotonic()
    kept: dict[str, Any] = {"request_headers": {}, "request_body": None}
    answer: Answer | None = None
    error, detail, url = "", "", receiver.url
    lacking = ""
    try:
        message = message_of(job, receiver, started_at, snapshot)
        if not receiver.format.wants(message):
            return Result(job, Delivery.Status.CANCELLED)
        body, headers = build_request(message, receiver, kept, traceparent)
        # What it fills in may be personal: what is recorded has the address as it was entered.
        url = receiver.format.address(message, receiver.url)
        answer = transport.post(url, body, headers, timeout=receiver.timeout)
    except Shortage as problem:
        error, detail = problem.kind, problem.detail
        lacking = detail
    except TransportError as problem:
        detail = problem.detail.replace(url, shown_address(receiver.url))
        error, detail = problem.kind, receiver.hide(detail, cut=problem.cut)
        if error == Attempt.Error.INTERNAL:
            # A bug. Its words may hold a secret: they go to the log, not to the attempt.
            logger.exception("Delivery %s could not be posted.", job.delivery_id, extra=about(job))
    except HeadersRefused as problem:
        error, detail = Attempt.Error.FORMAT, f"header: {problem.code} {problem.name}"
    except _UNBUILT as problem:
        # Their messages name what is wrong and never the secret.
        error, detail = Attempt.Error.FORMAT, str(problem)
    except Exception as problem:
        error, detail = Attempt.Error.INTERNAL, type(problem).__name__
        if lacking := shortage.of(problem):
            detail = lacking
        else:
            logger.exception(
                "Delivery %s could not be attempted.", job.delivery_id, extra=about(job)
            )
    duration = time.monotonic() - started
    if answer is not None and not receiver.format.accepts(answer.status):
        redirect = 300 <= answer.status < 400
        error = Attempt.Error.REDIRECT if redirect else Attempt.Error.STATUS
    return Result(
        job=job,
        **_outcome(job, receiver, answer, error, started_at),
        lane=_lane(error, duration),
        shortage=lacking,
        attempt={
            "number": job.attempt_count + 1,
            "started_at": started_at,
            "duration_ms": round(duration * 1000),
            "url": receiver.url,
            **kept,
            **_kept_answer(answer, receiver),
            "error": str(error),
            "error_detail": _storable(detail)[:_DETAIL_LENGTH],
        },
    )


def pulses(results: Iterable[Result]) -> dict[UUID, Pulse]:
    """What the results say of each receiver, in the order in which they came in."""
    found: dict[UUID, Pulse] = {}
    for result in results:
        if result.attempt is None:
            continue
        id = result.job.webhook_id
        pulse = found.setdefault(id, Pulse(id))
        pulse.attempts += 1
        pulse.well = not result.attempt["error"]
        if pulse.well:
            duration_ms = result.attempt["duration_ms"]
            pulse.duration_ms += duration_ms
            pulse.successes[latency.bucket(duration_ms)] += 1
        else:
            pulse.failures += 1
        pulse.overloaded += result.attempt["status_code"] in breaker.OVERLOADED
        if result.retry_after is not None:
            pulse.retry_after = max(pulse.retry_after or 0.0, result.retry_after)
    return found


def is_slow(result: Result) -> bool:
    """Whether the receiver is to be treated as a suspect after this."""
    return result.lane == Webhook.Lane.TROUBLED


def message_of(job: Job, receiver: Receiver, now: dt.datetime, snapshot: str) -> Message:
    """The job's event as the receiver's format sees it."""
    return Message(
        id=event_public_id(job.event_id),
        type=job.event_type,
        sequence=job.sequence,
        occurred_at=job.occurred_at or now,
        default_body=job.body,
        attempt=job.attempt_count + 1,
        sent_at=now,
        webhook_id=str(receiver.id),
        snapshot_text=snapshot,
        options=receiver.options,
        url=receiver.url,
    )


@sensitive_variables()
def build_request(
    message: Message, receiver: Receiver, kept: dict[str, Any], traceparent: str | None = None
) -> tuple[bytes, dict[str, str]]:
    """The body and headers to send; notes in `kept` what the attempt is to remember of them.

    :param traceparent: of the attempt, where it is traced.
    """
    text = receiver.format.body(message)
    body = text.encode()
    if text != message.default_body:
        kept["request_body"] = text
    headers = {"Content-Type": receiver.format.content_type}
    headers |= receiver.format.headers(message, body, receiver.keys(message.sent_at))
    if traceparent:
        headers["traceparent"] = traceparent
    # Refused when they were entered; but two headers of one name are read as either.
    ours = {name.lower() for name in headers}
    headers |= {k: v for k, v in receiver.headers.items() if k.lower() not in ours}
    if not all(isinstance(each, str) for pair in headers.items() for each in pair):
        # Neither could it be sent, nor what was tried be recorded.
        raise TypeError("a format's headers must be texts")
    kept["request_headers"] = receiver.mask(headers)
    return body, headers


def _outcome(
    job: Job, receiver: Receiver, answer: Answer | None, error: str, now: dt.datetime
) -> dict[str, Any]:
    if not error:
        return {"status": Delivery.Status.DELIVERED}
    retry_after = None
    if answer is not None:
        if receiver.format.is_gone(answer.status):
            return {"status": Delivery.Status.FAILED, "gone": True}
        header = next((v for k, v in answer.headers.items() if k.lower() == "retry-after"), None)
        retry_after = retry.parse_retry_after(header, now)
        if retry_after is not None:
            retry_after = min(retry_after, settings.RETRY_AFTER_MAX_SECONDS)
    delay = retry.next_delay(
        receiver.schedule,
        job.schedule_position + 1,
        jitter=settings.RETRY_JITTER,
        random=random.random(),  # noqa: S311 - spreads load, guards nothing
        retry_after=retry_after,
        retry_after_max=settings.RETRY_AFTER_MAX_SECONDS,
    )
    status = Delivery.Status.FAILED if delay is None else Delivery.Status.PENDING
    return {"status": status, "delay": delay, "retry_after": retry_after}


def _lane(error: str, duration: float) -> int:
    troubled = error in _TROUBLE or duration > settings.SUSPECT_AFTER_SECONDS
    return Webhook.Lane.TROUBLED if troubled else Webhook.Lane.NORMAL


def _kept_answer(answer: Answer | None, receiver: Receiver) -> dict[str, Any]:
    if answer is None:
        return {
            "status_code": None,
            "response_headers": {},
            "response_body": "",
            "response_truncated": False,
        }
    headers, size = {}, 0
    for name, value in answer.headers.items():
        size += len(name) + len(value)
        if size > _HEADERS_KEPT:
            break
        headers[receiver.hide(_storable(name))] = receiver.hide(_storable(value))
    keep = receiver.keep_responses
    text = _storable(answer.body.decode("utf-8", "replace")) if keep else ""
    return {
        "status_code": answer.status,
        "response_headers": receiver.mask(headers),
        "response_body": receiver.hide(text, cut=answer.truncated),
        "response_truncated": answer.truncated if keep else bool(answer.body),
    }


def _storable(text: str) -> str:
    """Text that every database takes: PostgreSQL refuses NUL, and UTF-8 lone surrogates."""
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()
