"""What RD Station's endpoints are, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from api_common.describe import Json, Named, Operation, nullable, object_of

from ..formats import rd_station as format

# RD Station's types, and ours.
TYPES: Mapping[str, str] = {
    theirs: ours for ours, theirs in {**format.MARKETING, **format.CRM}.items()
}
# What a type's events are about. Which of the two a deal's are, no document of theirs settles.
ENTITIES: Mapping[str, tuple[str, ...]] = {
    "WEBHOOK": ("CONTACT",),
    "crm_contact": ("CONTACT",),
    "crm_deal": ("DEAL", "CONTACT"),
    "crm_task": ("TASK",),
}
_IDENTIFIERS = format.RDStation.options["event_identifiers"]
MAX_IDENTIFIERS = _IDENTIFIERS["maxItems"]
MAX_IDENTIFIER = _IDENTIFIERS["items"]["maxLength"]  # characters

_TEXT: Json = {"type": "string"}
_UUID: Json = {"type": "string", "format": "uuid"}
_ERROR: dict[str, Any] = {"error_type": _TEXT, "error_message": _TEXT}
ERRORS = Named(
    "RDStationErrors",
    object_of(
        {
            "errors": {
                "anyOf": [
                    object_of(_ERROR),
                    {"type": "array", "items": object_of({**_ERROR, "path": _TEXT})},
                ]
            }
        }
    ),
)

_settings: dict[str, Any] = {
    "entity_type": {"enum": sorted({name for names in ENTITIES.values() for name in names})},
    "event_type": {"enum": list(TYPES)},
    "event_identifiers": {
        **_IDENTIFIERS,
        "description": _("Of WEBHOOK.CONVERTED: only these conversions; none given: all."),
    },
    "url": {"type": "string", "format": "uri", "maxLength": 2000},
    "http_method": {"const": "POST"},
    "include_relations": format.RDStation.options["include_relations"],
}
_SUBSCRIPTION = Named("RDStationWebhook", object_of({"uuid": _UUID, **_settings}))
_given = {
    **_settings,
    "event_identifiers": nullable(_settings["event_identifiers"]),
    "include_relations": nullable(_settings["include_relations"]),
    "uuid": {**_UUID, "readOnly": True},
}
_BODY = Named(
    "RDStationWebhookBody",
    object_of(
        _given,
        optional=["uuid", "event_identifiers", "http_method", "include_relations"],
    ),
)
_CHANGE = Named(
    "RDStationWebhookChange",
    object_of(_given, optional=list(_given), minProperties=1),
)
_EXAMPLE = {
    "entity_type": "CONTACT",
    "event_type": "WEBHOOK.CONVERTED",
    "event_identifiers": ["newsletter"],
    "url": "https://erp.example.com/webhooks",
    "http_method": "POST",
    "include_relations": ["COMPANY", "CONTACT_FUNNEL"],
}

SUBSCRIPTIONS = {
    "get": Operation(
        summary=_("List the webhooks, as RD Station does"),
        answer=object_of({"webhooks": {"type": "array", "items": _SUBSCRIPTION}}),
        named="rd_station_list",
    ),
    "post": Operation(
        summary=_("Create a webhook, as with RD Station"),
        description=_("Its requests have RD Station's bodies and no signature."),
        body=_BODY,
        example=_EXAMPLE,
        answer=_SUBSCRIPTION,
        status=201,
        named="rd_station_create",
    ),
}
SUBSCRIPTION = {
    "get": Operation(
        summary=_("Read a webhook, as RD Station does"),
        answer=_SUBSCRIPTION,
        named="rd_station_retrieve",
    ),
    "put": Operation(
        summary=_("Change a webhook, as with RD Station"),
        description=_("What is not given stays as it is."),
        body=_CHANGE,
        example=_EXAMPLE,
        answer=_SUBSCRIPTION,
        answers={422: ERRORS},
        named="rd_station_update",
    ),
    "delete": Operation(
        summary=_("Delete a webhook, as with RD Station"), status=204, named="rd_station_destroy"
    ),
}
