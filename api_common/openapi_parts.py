"""The parts of the OpenAPI document that any endpoint may refer to: what the protocol says."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from . import filters, idempotency, pagination
from .describe import Named
from .problems import CONTENT_TYPE, KINDS

Json = dict[str, Any]

PROBLEM = Named(
    "Problem",
    {
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"enum": sorted(KINDS)},
            "detail": {"type": "string"},
            "permission": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "in": {"enum": ["body", "query", "header"]},
                        "field": {"type": "string"},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                    "required": ["in", "field", "code", "detail"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["type", "title", "status", "code", "detail"],
    },
)


def of_filter(name: str, filter: Any) -> Json:
    schema: Json
    parameter: Json = {"name": name, "in": "query"}
    match filter:
        case filters.MomentFilter():
            schema = {"type": "string", "format": "date-time"}
        case filters.ChoicesFilter():
            schema = {"type": "array", "items": {"enum": list(dict(filter.extra["choices"]))}}
            parameter |= {"style": "form", "explode": False}
        case filters.IdFilter():
            schema = filter.schema
        case filters.BooleanFilter():
            schema = {"type": "boolean"}
        case _:
            schema = {"type": "string"}
            if (most := filter.extra.get("max_length")) is not None:
                schema["maxLength"] = most
    if filter.extra.get("help_text"):
        parameter["description"] = str(filter.extra["help_text"])
    return {**parameter, "schema": schema}


def parameter(name: str) -> Json:
    match name:
        case "cursor":
            text = _("Where a page begins: follow “next” and “previous”.")
            most = pagination.MAX_CURSOR_LENGTH
            return {**_query(name, text), "schema": {"type": "string", "maxLength": most}}
        case "pageSize":
            schema = {
                "type": "integer",
                "minimum": 1,
                "maximum": pagination.MAX_SIZE,
                "default": pagination.DEFAULT_SIZE,
            }
            return {**_query(name, _("How many a page has.")), "schema": schema}
        case "If-Match":
            text = _("An ETag: do it only if that is still the state.")
            return {"name": name, "in": "header", "description": text, "schema": _TEXT}
        case "If-None-Match":
            text = _("An ETag: answer 304 if that is still the state.")
            return {"name": name, "in": "header", "description": text, "schema": _TEXT}
        case idempotency.HEADER:
            text = _(
                "A text of your choice, such as a UUID: the same request with the same key is "
                "answered again, not done again, for 24 hours."
            )
            schema = {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"}
            return {"name": name, "in": "header", "description": text, "schema": schema}
    raise LookupError(name)


_TEXT = {"type": "string"}


def _query(name: str, text: str) -> Json:
    return {"name": name, "in": "query", "description": text}


def header(name: str) -> Json:
    texts = {
        "ETag": _("Names this state; for If-Match and If-None-Match."),
        "Location": _("The address of what was created."),
        idempotency.REPLAYED: _("“true”: this is the answer of before; nothing was done now."),
        "Retry-After": _("Seconds to wait."),
        "WWW-Authenticate": _("How to say who you are."),
    }
    return {"description": texts[name], "schema": _TEXT}


def problem_response(name: str) -> Json:
    """Of `Problem404`."""
    status = int(name.removeprefix("Problem"))
    kinds = [kind for kind in KINDS.values() if kind.status == status]
    headers = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
    found: Json = {
        "description": "\n".join(f"- `{kind.code}`: {kind.detail}" for kind in kinds),
        "content": {CONTENT_TYPE: {"schema": PROBLEM}},
    }
    if status in headers:
        found["headers"] = {name: header(name) for name in headers[status]}
    return found


def security_scheme(name: str) -> Json:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": _("A token, made in the admin or by “manage.py api_token”."),
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": _(
                "The browser's session. What changes anything also needs the header X-CSRFToken, "
                "with the value of the cookie “%(name)s”."
            )
            % {"name": settings.CSRF_COOKIE_NAME},
        },
    }[name]
