"""JSON Schemas (2020-12) of events and deliveries, and of sending them again.

The answers are those of representations.py, key by key.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from api_common.describe import Named, nullable, object_of

from .. import catalog
from ..models import Attempt, Delivery, Event
from .schemas import (
    COUNT,
    DELIVERY_ID,
    EVENT_ID,
    HEADERS,
    MOMENT,
    PATTERN,
    TEXT,
    UUID,
    YES_NO,
    Json,
    listed,
    one_of,
)

EVENT = Named(
    "Event",
    object_of(
        {
            "id": EVENT_ID,
            "type": TEXT,
            "subject": nullable(TEXT),
            "dataSubject": nullable(TEXT),
            "sequence": COUNT,
            "occurredAt": MOMENT,
            "origin": one_of(Event.Origin),
            "actor": nullable(TEXT),
            "distributed": YES_NO,
            "erasedAt": nullable(MOMENT),
        }
    ),
)
NOT_SENT = object_of(
    {
        "results": listed(object_of({"webhookId": UUID, "webhookName": TEXT, "reason": TEXT})),
    }
)

DELIVERY = Named(
    "Delivery",
    object_of(
        {
            "id": DELIVERY_ID,
            "eventId": EVENT_ID,
            "eventType": TEXT,
            "subject": nullable(TEXT),
            "webhookId": UUID,
            "status": one_of(Delivery.Status),
            "attemptCount": COUNT,
            "lastStatusCode": nullable(COUNT),
            "lastError": nullable(one_of(Attempt.Error)),
            "lastErrorMessage": nullable(TEXT),
            "waitingFor": nullable(TEXT),
            "createdAt": MOMENT,
            "nextAttemptAt": nullable(MOMENT),
            "finishedAt": nullable(MOMENT),
        }
    ),
)
ATTEMPT = Named(
    "Attempt",
    object_of(
        {
            "number": COUNT,
            "startedAt": MOMENT,
            "durationMs": COUNT,
            "url": TEXT,
            "requestHeaders": HEADERS,
            "requestBody": nullable(TEXT),
            "statusCode": nullable(COUNT),
            "responseHeaders": nullable(HEADERS),
            "responseBody": nullable(TEXT),
            "responseTruncated": YES_NO,
            "error": nullable(one_of(Attempt.Error)),
            "errorDetail": nullable(TEXT),
            "message": nullable(TEXT),
            "superseded": YES_NO,
        }
    ),
)
TEST = Named(
    "WebhookTest",
    object_of(
        {
            "succeeded": YES_NO,
            "message": nullable(TEXT),
            "deliveryId": DELIVERY_ID,
            "eventId": EVENT_ID,
            "attempt": ATTEMPT,
        }
    ),
)

RECOVERY_BODY = Named(
    "RecoveryBody",
    object_of(
        {"since": MOMENT, "until": nullable(MOMENT), "dryRun": YES_NO},
        optional=["until", "dryRun"],
    ),
)
RECOVERY = Named(
    "Recovery",
    object_of(
        {
            "dryRun": YES_NO,
            "missing": COUNT,
            "failed": COUNT,
            "total": COUNT,
            "gone": COUNT,
            "types": {"type": "object", "additionalProperties": COUNT},
            "complete": {
                **YES_NO,
                "description": _("false: there was more than a request does; workers do the rest."),
            },
        }
    ),
)
_replay = {
    "webhookId": UUID,
    "statuses": listed(
        {"enum": [each for each in Delivery.Status.values if each != "pending"]}, minItems=1
    ),
    "events": listed(PATTERN, minItems=1),
    "ids": listed(DELIVERY_ID, minItems=1, maxItems=1000),
    "eventIds": listed(EVENT_ID, minItems=1, maxItems=1000),
    "since": MOMENT,
    "until": MOMENT,
    "dryRun": YES_NO,
}
_one_of_these = [{"required": [name]} for name in _replay if name != "dryRun"]
REPLAY_BODY = Named("ReplayBody", object_of(_replay, optional=list(_replay), anyOf=_one_of_these))
REPLAY_COUNT = Named(
    "ReplayCount",
    object_of(
        {
            "dryRun": {"const": True},
            "total": COUNT,
            "gone": COUNT,
            "webhooks": listed(
                object_of(
                    {
                        "webhookId": UUID,
                        "webhookName": TEXT,
                        "deliveries": COUNT,
                        "firstAt": nullable(MOMENT),
                    }
                )
            ),
        }
    ),
)
REPLAY = Named(
    "Replay",
    object_of({"dryRun": {"const": False}, "total": COUNT, "complete": YES_NO}),
)

EVENT_TYPE = Named(
    "EventType",
    object_of(
        {
            "name": TEXT,
            "description": TEXT,
            "area": TEXT,
            "subscribable": YES_NO,
            "schema": {"type": "object", "description": _("JSON Schema of the body.")},
            "example": {"type": "object"},
        }
    ),
)
PREVIEW = Named(
    "Preview",
    object_of(
        {
            "eventType": TEXT,
            "object": nullable(TEXT),
            "webhookId": nullable(UUID),
            "format": TEXT,
            "subscribed": YES_NO,
            "method": {"const": "POST"},
            "url": nullable(TEXT),
            "headers": HEADERS,
            "body": TEXT,
        }
    ),
)


def event_type_name() -> Json:
    """Of the types that there are now."""
    return {"enum": [each.name for each in catalog.all_types()]}
