"""JSON Schemas (2020-12) of webhooks as sent and answered, and what the other schemas are made of.

The answers are those of representations.py, key by key.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from api_common.describe import Named, nullable, object_of, without_defaults

from .. import formats
from ..fields import MASK
from ..models import SigningKey, Webhook

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
YES_NO: Json = {"type": "boolean"}
MOMENT: Json = {"type": "string", "format": "date-time"}
UUID: Json = {"type": "string", "format": "uuid"}
EVENT_ID: Json = {"type": "string", "pattern": "^evt_[0-9a-f]{32}$"}
DELIVERY_ID: Json = {"type": "string", "pattern": "^delivery_[1-9][0-9]{0,17}$"}
HEADERS: Json = {"type": "object", "additionalProperties": TEXT}
PATTERN: Json = {
    "type": "string",
    "maxLength": 100,
    "pattern": r"^(\*|[a-z0-9_]+)(\.(\*|[a-z0-9_]+))*$",
    "description": _("Patterns: an event type, “cliente.*”, “*.criado” or “*”."),
}


def text(most: int, **more: Any) -> Json:
    return {"type": "string", "maxLength": most, **more}


def one_of(choices: Any) -> Json:
    return {"enum": [str(each) for each in choices.values if each != ""]}


def listed(items: Any, **more: Any) -> Json:
    return {"type": "array", "items": items, **more}


def _options() -> Json:
    known = [
        {"title": format.label, **object_of(format.options, optional=list(format.options))}
        for format in formats.all_formats()
        if format.options
    ]
    return {
        "type": "object",
        "description": _("What its format is limited to, or adds: of the format's own options."),
        "anyOf": [{"title": pgettext_lazy("option", "none"), **object_of({})}, *known],
    }


def _format() -> Json:
    return {"enum": [format.name for format in formats.all_formats()], "default": "sistema-crm"}


SECRET = text(
    256,
    minLength=16,
    description=_("What signs the requests; answered this once only. Keep it safe."),
)
MASKED = _("What is stored reads •••••••• and, sent back so, stays as it is.")

AUTHENTICATION = {
    "type": one_of(Webhook.Authentication),
    "username": nullable(text(200)),
    "headerName": nullable(text(100)),
    "secret": {**nullable(TEXT), "description": MASKED, "examples": [MASK]},
}

# What can be written, as it is read.
SETTINGS = {
    "name": text(100, minLength=1),
    "url": text(2000, format="uri", minLength=1),
    "events": listed(PATTERN, minItems=1),
    "format": _format(),
    "formatOptions": _options(),
    "headers": {**HEADERS, "description": MASKED},
    "authentication": object_of(AUTHENTICATION),
    "timeoutSeconds": {**nullable(NUMBER), "description": _("null: the system's default.")},
    "retrySchedule": {
        **nullable(listed(NUMBER)),
        "description": _("Seconds before each attempt, such as [0, 60, 300]. null: the default."),
    },
    "rateLimit": {**nullable(NUMBER), "description": _("Requests per second. null: no limit.")},
    "keepResponses": YES_NO,
}
STATE = {
    "id": UUID,
    "status": one_of(Webhook.Status),
    "statusReason": nullable(TEXT),
    "problems": {
        **listed(TEXT),
        "description": _("What is stored of it and cannot be used; none, usually."),
    },
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
}
KEY = Named(
    "SigningKey",
    object_of(
        {
            "algorithm": one_of(SigningKey.Algorithm),
            "publicKey": {
                **nullable(TEXT),
                "description": _("To verify with; null where the secret itself verifies."),
            },
            "createdAt": MOMENT,
            "expiresAt": nullable(MOMENT),
        }
    ),
)
WEBHOOK = Named("Webhook", object_of({**SETTINGS, **STATE}))
_keys = {
    "secret": {
        **nullable(SECRET),
        "description": _("Answered this once only; null where receivers verify with public keys."),
    },
    "keys": listed(KEY),
}
NEW_WEBHOOK = Named("NewWebhook", object_of({**SETTINGS, **STATE, **_keys}))

_body = {
    **SETTINGS,
    "authentication": object_of(AUTHENTICATION, optional=["username", "headerName", "secret"]),
    **{name: {**schema, "readOnly": True} for name, schema in STATE.items()},
    "keys": {**_keys["keys"], "readOnly": True},
}
_first_key = {
    "secret": {**nullable(SECRET), "description": _("Of your own; without it, one is made.")},
    "algorithm": one_of(SigningKey.Algorithm),
}
_needed = ("name", "url", "events")
WEBHOOK_BODY = Named(
    "WebhookBody",
    without_defaults(
        object_of(_body, optional=[name for name in _body if name not in _needed]),
    ),
)
WEBHOOK_CREATION = Named(
    "WebhookCreation",
    object_of(
        {**_body, **_first_key},
        optional=[name for name in (*_body, *_first_key) if name not in _needed],
    ),
)
WEBHOOK_PATCH = Named("WebhookPatch", without_defaults(object_of(_body, optional=list(_body))))

HEALTH = Named(
    "WebhookHealth",
    object_of(
        {
            "status": one_of(Webhook.Status),
            "statusReason": nullable(TEXT),
            "successShare": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": _("Of the attempts of the last 24 hours; null: there were none."),
            },
            "attempts": COUNT,
            "failures": COUNT,
            "pending": COUNT,
            "latency": nullable(object_of({"p50Ms": NUMBER, "p95Ms": NUMBER})),
            "failingSince": nullable(MOMENT),
            "lastFailure": nullable(
                object_of({"at": MOMENT, "deliveryId": DELIVERY_ID, "message": TEXT})
            ),
            "job": {
                **nullable(
                    object_of(
                        {
                            "kind": {"enum": ["park", "release", "cancel"]},
                            "changed": COUNT,
                            "total": {
                                **COUNT,
                                "description": _("Counted up to 100000: so many, or more."),
                            },
                            "createdAt": MOMENT,
                        }
                    )
                ),
                "description": _(
                    "What workers still move of what is pending, after it was paused or enabled; "
                    "null: nothing."
                ),
            },
        }
    ),
)

ROTATION_BODY = Named(
    "RotationBody",
    object_of(
        {
            "secret": nullable(SECRET),
            "algorithm": one_of(SigningKey.Algorithm),
            "overlapSeconds": {
                **NUMBER,
                "minimum": 0,
                "description": _("For how long the old secret still signs along."),
            },
        },
        optional=["secret", "algorithm", "overlapSeconds"],
    ),
)
