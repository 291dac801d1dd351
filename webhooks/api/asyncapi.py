"""The AsyncAPI 3 document of the events, from the catalog: for programs that are made from it."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from api_common.describe import Json
from api_common.pages import DocumentView

from .. import __version__, catalog
from .openapi import explanation, headers_example, headers_schemas

SOMETIMES = "X-Webhook-Sequence"


class AsyncApiView(DocumentView):
    """The document."""

    descriptions = DocumentView.describing(
        gettext_lazy("The events, as an AsyncAPI document"), "asyncapi_retrieve"
    )

    def document(self) -> Json:
        return document()


def document() -> Json:
    """One channel per type of event, at an address that the subscriber chooses."""
    types = catalog.all_types()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": _("Events of the CRM"),
            "version": __version__,
            "description": explanation(),
        },
        "defaultContentType": "application/json",
        "channels": {_key(each): _channel(each) for each in types},
        "operations": {f"send_{_key(each)}": _operation(each) for each in types},
        "components": {"messages": {_key(each): _message(each) for each in types}},
    }


def _key(event_type: catalog.EventType) -> str:
    # A name must be fit for a reference; dots are, but many generators make identifiers of it.
    return event_type.name.replace(".", "_")


def _channel(event_type: catalog.EventType) -> Json:
    key = _key(event_type)
    return {
        "address": None,
        "title": event_type.name,
        "description": _("The address (URL) of every webhook that subscribes to “%(name)s”.")
        % {"name": event_type.name},
        "messages": {key: {"$ref": f"#/components/messages/{key}"}},
        "bindings": {"http": {}},
    }


def _operation(event_type: catalog.EventType) -> Json:
    key = _key(event_type)
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{key}"},
        "summary": str(event_type.description),
        "tags": [{"name": str(event_type.area)}],
        "messages": [{"$ref": f"#/channels/{key}/messages/{key}"}],
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    }


def _message(event_type: catalog.EventType) -> Json:
    headers = headers_schemas(event_type)
    # Of the draft that AsyncAPI takes by default: nothing in the catalog differs between the two.
    payload = {key: each for key, each in event_type.schema.items() if key != "$schema"}
    return {
        "name": event_type.name,
        "title": event_type.name,
        "summary": str(event_type.description),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": headers,
            "required": [name for name in headers if name != SOMETIMES],
        },
        "correlationId": {
            "location": "$message.header#/X-Webhook-Id",
            "description": headers["X-Webhook-Id"]["description"],
        },
        "payload": payload,
        "examples": [{"headers": headers_example(event_type), "payload": event_type.example}],
    }
