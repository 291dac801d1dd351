"""What each endpoint of the webhooks is, for the OpenAPI document."""

from __future__ import annotations

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from api_common.describe import Operation, object_of, page_of, records

from .. import formats
from . import event_schemas, schemas

_CHANGES = ("update", "partial_update")
_OTHER_FORMAT = _(
    "Another format takes the keys that there are for it; where there are none, they are made: "
    "keys/ has the public ones, and rotate-secret/ tells a secret."
)

# --- webhooks -----------------------------------------------------------------------------------


def webhook_operations(filterset: type, orderings: list[str]) -> dict[str, Operation]:
    """Of the view set of that name."""
    kept = records(
        schemas.WEBHOOK,
        schemas.WEBHOOK_BODY,
        schemas.WEBHOOK_PATCH,
        summaries={
            "list": _("List webhooks"),
            "retrieve": _("Read a webhook"),
            "create": _("Create a webhook"),
            "update": _("Replace a webhook"),
            "partial_update": _("Change a webhook"),
            "destroy": _("Delete a webhook"),
        },
        filterset=filterset,
        orderings=orderings,
    )
    return {
        **kept,
        "create": Operation(
            summary=_("Create a webhook"),
            description=_("Its secret is answered this once; keep it safe."),
            body=schemas.WEBHOOK_CREATION,
            example={
                "name": "ERP",
                "url": "https://erp.example.com/webhooks",
                "events": ["cliente.*"],
            },
            answer=schemas.NEW_WEBHOOK,
            status=201,
            tagged=True,
            located=True,
        ),
        **{name: replace(kept[name], description=_OTHER_FORMAT) for name in _CHANGES},
        "pause": Operation(
            summary=_("Pause a webhook"),
            description=_("Nothing more is sent until it is enabled; what waits for it is kept."),
            answer=schemas.WEBHOOK,
            tagged=True,
            changes=True,
        ),
        "enable": Operation(
            summary=_("Enable a webhook"),
            description=_("It is sent to again, first what waited."),
            answer=schemas.WEBHOOK,
            tagged=True,
            changes=True,
        ),
        **ACTIONS,
    }


ACTIONS = {
    "keys": Operation(
        summary=_("List what signs a webhook's requests"),
        description=_("The kinds and their times, and public keys to verify with; no secrets."),
        answer=object_of({"results": schemas.listed(schemas.KEY)}),
    ),
    "health": Operation(
        summary=_("How a webhook fares"),
        description=_("Success share, latency, backlog and the last failure, in words."),
        answer=schemas.HEALTH,
    ),
    "test": Operation(
        summary=_("Send a test event"),
        description=_(
            "It is sent now, paused or not, and the answer says how that went, within seconds. "
            "Where too many tests are under way already, the answer is 429 with Retry-After, and "
            "nothing is sent or recorded."
        ),
        answer=event_schemas.TEST,
        changes=True,
    ),
    "rotate_secret": Operation(
        summary=_("Change a webhook's secret"),
        description=_(
            "The new one is answered this once. Until the overlap ends, the old one signs too: "
            "“webhook-signature” carries a signature of each; “X-Webhook-Signature” and Twenty's "
            "have one, by turns from attempt to attempt, the newest secret's first; "
            "LeadConnector's are the old keys' until then."
        ),
        body=schemas.ROTATION_BODY,
        example={"overlapSeconds": 86400},
        answer=schemas.NEW_WEBHOOK,
        tagged=True,
        changes=True,
    ),
    "expire_secrets": Operation(
        summary=_("End a rotation's overlap"),
        description=_("Only the newest secret signs on."),
        answer=object_of({"expired": schemas.COUNT}),
        changes=True,
    ),
    "recover": Operation(
        summary=_("Send a webhook all it missed"),
        description=_(
            "Everything it missed or failed since a moment. With “dryRun”, it is only counted, "
            "and the answer is a 200."
        ),
        body=event_schemas.RECOVERY_BODY,
        example={"since": "2024-01-01T10:00:00Z", "dryRun": True},
        answer=event_schemas.RECOVERY,
        status=202,
        answers={200: event_schemas.RECOVERY},
        changes=True,
    ),
}

# --- events and deliveries ----------------------------------------------------------------------


def event_operations(filterset: type, orderings: list[str]) -> dict[str, Operation]:
    return {
        "list": Operation(
            summary=_("List events"),
            answer=page_of(event_schemas.EVENT),
            filterset=filterset,
            orderings=orderings,
        ),
        "retrieve": Operation(summary=_("Read an event"), answer=event_schemas.EVENT, tagged=True),
        "payload": Operation(
            summary=_("Read what an event told"),
            description=_("The default format's body, exactly. That it was read is recorded."),
            answer={"type": "object"},
            problems=["gone"],
        ),
        "not_sent": Operation(
            summary=_("Whom an event was not sent to, and why"), answer=event_schemas.NOT_SENT
        ),
    }


def delivery_operations(filterset: type, orderings: list[str]) -> dict[str, Operation]:
    return {
        "list": Operation(
            summary=_("List deliveries"),
            answer=page_of(event_schemas.DELIVERY),
            filterset=filterset,
            orderings=orderings,
        ),
        "retrieve": Operation(
            summary=_("Read a delivery"), answer=event_schemas.DELIVERY, tagged=True
        ),
        "attempts": Operation(
            summary=_("List a delivery's attempts"),
            answer=page_of(event_schemas.ATTEMPT),
            orderings=["startedAt"],
            parameters=[
                {
                    "name": "payloads",
                    "in": "query",
                    "description": _(
                        "Show bodies too, and the receiver's headers: this takes the permission "
                        "`webhooks.view_payload`, and is recorded."
                    ),
                    "schema": {"type": "boolean", "default": False},
                }
            ],
        ),
        "replay": Operation(
            summary=_("Send a delivery again"),
            description=_("From the start of the schedule, with the same event id."),
            answer=event_schemas.DELIVERY,
            status=202,
            tagged=True,
            changes=True,
        ),
        "replay_many": Operation(
            summary=_("Send deliveries again"),
            description=_(
                "All conditions together, one at least; what failed, unless “statuses” says "
                'otherwise: {"statuses": ["failed"]} is everything that failed. With “dryRun”, '
                "they are only counted, and the answer is a 200."
            ),
            body=event_schemas.REPLAY_BODY,
            example={"events": ["cliente.*"], "dryRun": True},
            answer=event_schemas.REPLAY,
            status=202,
            answers={200: event_schemas.REPLAY_COUNT},
        ),
    }


# --- event types --------------------------------------------------------------------------------
EVENT_TYPES = {
    "list": Operation(
        summary=_("List the types of event"),
        answer=object_of({"results": schemas.listed(event_schemas.EVENT_TYPE)}),
    ),
    "retrieve": Operation(
        summary=_("Read a type of event"),
        description=_("When it is told, the JSON Schema of its body, and an example."),
        answer=event_schemas.EVENT_TYPE,
        tagged=True,
    ),
    "preview": Operation(
        summary=_("See what would be sent"),
        description=_(
            "The exact headers and body that would tell of an object as it is now; nothing is sent."
        ),
        answer=event_schemas.PREVIEW,
        problems=["conflict"],
        parameters=[
            {
                "name": "object",
                "in": "query",
                "description": _("Such as cliente_123; without it, the type's example."),
                "schema": {"type": "string"},
            },
            {
                "name": "webhook",
                "in": "query",
                "description": _("Its format and its secret; without it, unsigned."),
                "schema": schemas.UUID,
            },
            {
                "name": "format",
                "in": "query",
                "description": _("Where no webhook is given."),
                "schema": {"enum": [format.name for format in formats.all_formats()]},
            },
        ],
    ),
}
