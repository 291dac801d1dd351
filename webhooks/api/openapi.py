"""The `webhooks` section of the OpenAPI document: what receivers get, from the catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from .. import catalog, exactjson, formats
from ..formats.base import Message
from ..signing import Key

Json = dict[str, Any]

EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - Standard Webhooks' own
EXAMPLE_MOMENT = datetime.fromisoformat(catalog.EXAMPLE_TIMESTAMP)
DEFAULT_FORMAT = "sistema-crm"


def add_webhooks(result: Json, **kwargs: Any) -> Json:
    """A hook of drf-spectacular: one webhook per type of event.

    Its examples are signed with the secret that they name, so that a receiver can be tried on them.
    """
    result["webhooks"] = {each.name: {"post": _operation(each)} for each in catalog.all_types()}
    tags = result.setdefault("tags", [])
    tags.append({"name": _tag(), "description": explanation()})
    return result


def body_example(event_type: catalog.EventType) -> str:
    """The exact body of the type's example."""
    return exactjson.dumps(event_type.example)


def headers_example(event_type: catalog.EventType) -> dict[str, str]:
    """The headers with which the example is sent, signed with EXAMPLE_SECRET."""
    body = body_example(event_type)
    message = Message(
        id="evt_018cc251f40070008000000000000000",
        type=event_type.name,
        sequence=1,
        occurred_at=EXAMPLE_MOMENT,
        default_body=body,
        attempt=1,
        sent_at=EXAMPLE_MOMENT,
        webhook_id="018cc251-f400-7000-8000-000000000000",
    )
    keys = [Key.parse("hmac-sha256", EXAMPLE_SECRET)]
    return formats.get(DEFAULT_FORMAT).headers(message, body.encode(), keys)


def headers_schemas(event_type: catalog.EventType) -> dict[str, Json]:
    """JSON Schema and description of each header, in the order sent."""
    number = {"type": "string", "pattern": "^[0-9]+$"}
    known: dict[str, Json] = {
        "X-Webhook-Event": {"const": event_type.name, "description": _("The type of event.")},
        "X-Webhook-Id": {
            "type": "string",
            "description": _("The event's id, the same over all attempts: deduplicate by it."),
        },
        "X-Webhook-Attempt": {**number, "description": _("1 for the first request.")},
        "X-Webhook-Sequence": {
            **number,
            "description": _("The event's place among its object's; absent where it has none."),
        },
        "X-Webhook-Signature": {
            "type": "string",
            "pattern": "^sha256=[0-9a-f]{64}$",
            "description": _("HMAC-SHA256 of the body, keyed with the secret's text."),
        },
        "webhook-id": {"type": "string", "description": _("As X-Webhook-Id.")},
        "webhook-timestamp": {
            **number,
            "description": _("Seconds since 1970 of this attempt; refuse what is too old."),
        },
        "webhook-signature": {
            "type": "string",
            "description": _("Standard Webhooks: one signature per secret in force."),
        },
    }
    return {name: known[name] for name in headers_example(event_type)}


def _operation(event_type: catalog.EventType) -> Json:
    examples = headers_example(event_type)
    schema = {key: each for key, each in event_type.schema.items() if key != "$schema"}
    return {
        "operationId": f"on_{event_type.name.replace('.', '_')}",
        "summary": event_type.name,
        "description": str(event_type.description),
        "tags": [_tag()],
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": name != "X-Webhook-Sequence",
                "description": schema.pop("description"),
                "schema": schema,
                "example": examples[name],
            }
            for name, schema in headers_schemas(event_type).items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": event_type.example}},
        },
        "responses": {
            "2XX": {"description": _("Taken. Anything else, or none in time: tried again.")}
        },
    }


def _tag() -> str:
    return _("Events as they are sent")


def explanation() -> str:
    """How a receiver takes an event."""
    return _(
        "What is sent to a webhook's address, in the default format. Answer 2xx within 5 seconds. "
        "Verify X-Webhook-Signature: `sha256=` and the lowercase hex HMAC-SHA256 of the body's "
        "bytes, keyed with the secret's text; or webhook-signature, as Standard Webhooks 1.0.0 "
        "says. The examples are signed with the secret `%(secret)s`."
    ) % {"secret": EXAMPLE_SECRET}
