"""How webhooks, events and deliveries read in the API. No queries, no secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .. import failures, operations
from ..addresses import shown_address, without_address
from ..catalog import EventType
from ..conf import settings
from ..models import Attempt, BulkJob, Delivery, Event, SigningKey, Webhook
from ..values import instant


def moment(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def webhook(found: Webhook, *, whole_url: bool) -> dict[str, Any]:
    """Sealed values are masked; the secret is not part of it.

    :param whole_url: whether to show the values of its address's query, which may be secrets.
    """
    kinds = Webhook.Authentication
    return {
        "id": str(found.pk),
        "name": found.name,
        "url": found.url if whole_url else shown_address(found.url),
        "events": found.events,
        "format": found.format,
        "formatOptions": found.format_options,
        "status": found.status,
        "statusReason": found.reason or None,
        "problems": operations.misconfigured(found),
        "headers": found.headers.masked(),
        "authentication": {
            "type": found.auth_type,
            "username": found.auth_username if found.auth_type == kinds.BASIC else None,
            "headerName": found.auth_header_name if found.auth_type == kinds.HEADER else None,
            "secret": found.auth_secret.masked() or None,
        },
        "timeoutSeconds": found.timeout_seconds,
        "retrySchedule": found.retry_schedule,
        "rateLimit": found.rate_limit,
        "keepResponses": found.keep_responses,
        "createdAt": moment(found.created_at),
        "updatedAt": moment(found.updated_at),
    }


def key(found: SigningKey) -> dict[str, Any]:
    """What signs a webhook's requests; of a pair, the public half."""
    return {
        "algorithm": found.algorithm,
        "publicKey": operations.public_key(found),
        "createdAt": moment(found.created_at),
        "expiresAt": moment(found.expires_at),
    }


def event(found: Event) -> dict[str, Any]:
    """What happened; what was told of it is its payload's."""
    return {
        "id": found.public_id,
        "type": found.type,
        "subject": found.subject or None,
        "dataSubject": found.data_subject or None,
        "sequence": found.sequence,
        "occurredAt": moment(found.occurred_at),
        "origin": found.origin,
        "actor": found.actor or None,
        "distributed": found.fanned_out,
        "erasedAt": moment(found.erased_at),
    }


def delivery(found: Delivery) -> dict[str, Any]:
    """How it stands with telling one webhook of one event; both are read with it."""
    return {
        "id": delivery_id(found.pk),
        "eventId": found.event.public_id,
        "eventType": found.event.type,
        "subject": found.event.subject or None,
        "webhookId": str(found.webhook_id),
        "status": found.status,
        "attemptCount": found.attempt_count,
        "lastStatusCode": found.last_status_code,
        "lastError": found.last_error or None,
        "lastErrorMessage": failures.sentence(
            found.last_error, status=found.last_status_code, timeout=_timeout(found.webhook)
        )
        or operations.cancelled(found)
        or None,
        "waitingFor": operations.waiting(found) or None,
        "createdAt": moment(found.created_at),
        "nextAttemptAt": moment(found.next_attempt_at),
        "finishedAt": moment(found.finished_at),
    }


def delivery_id(pk: int) -> str:
    return f"delivery_{pk}"


def attempt(found: Attempt, of: Delivery, *, payloads: bool, whole_url: bool) -> dict[str, Any]:
    """One request and what came back.

    :param whole_url: as of a webhook.

    :param payloads: whether to show bodies, and what else the receiver wrote: its headers, and the
        words of a failure. They are null otherwise.
    """
    return {
        "number": found.number,
        "startedAt": moment(found.started_at),
        "durationMs": found.duration_ms,
        "url": found.url if whole_url else shown_address(found.url),
        "requestHeaders": found.request_headers,
        # What may not be shown was not even read.
        "requestBody": _request_body(found, of, whole_url) if payloads else None,
        "statusCode": found.status_code,
        "responseHeaders": found.response_headers if payloads else None,
        "responseBody": found.response_body if payloads else None,
        "responseTruncated": found.response_truncated,
        "error": found.error or None,
        "errorDetail": found.error_detail or None if payloads else None,
        "message": sentence(found, of.webhook),
        "superseded": found.superseded,
    }


def _request_body(found: Attempt, of: Delivery, whole_url: bool) -> str | None:
    if found.request_body is None:
        return of.event.body or None
    # Some formats repeat the address in the body.
    return found.request_body if whole_url else without_address(found.request_body, found.url)


def sentence(found: Attempt, webhook: Webhook) -> str | None:
    """What went wrong and what to do; None if nothing did."""
    return (
        failures.sentence(
            found.error,
            detail=found.error_detail,
            status=found.status_code,
            timeout=failures.had(_timeout(webhook), found.duration_ms),
        )
        or None
    )


def _timeout(webhook: Webhook) -> float:
    seconds: float = webhook.timeout_seconds or settings.TIMEOUT_SECONDS
    return seconds


def health(found: Webhook, state: operations.Health, running: BulkJob | None) -> dict[str, Any]:
    """How a webhook fares, and the job that moves what it has pending."""
    failure, latency = state.last_failure, state.day.latency
    return {
        "status": found.status,
        "statusReason": found.reason or None,
        "successShare": state.day.success_share,
        "attempts": state.day.attempts,
        "failures": state.day.failures,
        "pending": state.pending,
        "latency": None if latency is None else {"p50Ms": latency.p50_ms, "p95Ms": latency.p95_ms},
        "failingSince": moment(found.failing_since),
        "lastFailure": None
        if failure is None
        else {
            "at": moment(failure.at),
            "deliveryId": delivery_id(failure.delivery_id),
            "message": failure.sentence,
        },
        "job": None if running is None else job(running),
    }


def job(found: BulkJob) -> dict[str, Any]:
    """How far it has come with moving what its webhook has pending."""
    return {
        "kind": found.kind,
        "changed": found.changed,
        "total": found.total,
        "createdAt": moment(found.created_at),
    }


def event_type(found: EventType) -> dict[str, Any]:
    """One type of event, with the default format's body."""
    return {
        "name": found.name,
        "description": str(found.description),
        "area": str(found.area),
        "subscribable": found.subscribable,
        "schema": found.schema,
        "example": found.example,
    }
