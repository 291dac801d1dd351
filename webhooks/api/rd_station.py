"""`/integrations/webhooks[/uuid]`: webhooks managed as RD Station's clients expect it (seed 001).

Their fields, answers and errors, over the same operations as everything else. A subscription is a
webhook of the format `rd-station` to one type of event. One that was set up otherwise, in the admin
or by /api/v1/, is not seen here, unless it could have been set up here.

A type that nothing here tells (`negociacao.criada`) may be subscribed to all the same: it is sent
as soon as an app tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import pages, problems
from api_common.describe import Json, Named
from api_common.problems import FieldError, Problem
from api_common.views import ApiView

from .. import operations
from ..addresses import shown_address
from ..context import acting
from ..databases import writing
from ..formats import rd_station as format
from ..models import Webhook
from . import lookups, rd_descriptions
from .rd_descriptions import ENTITIES, MAX_IDENTIFIER, MAX_IDENTIFIERS, TYPES

FIELDS = (
    "entity_type",
    "event_type",
    "event_identifiers",
    "url",
    "http_method",
    "include_relations",
)
NEEDED = ("entity_type", "event_type", "url")

# What their clients cannot change, and so is complained of at the address.
_ELSEWHERE = {"auth_secret": "url", "headers": "url"}

_ERROR_TYPES = {
    "not-authenticated": "UNAUTHORIZED",
    "forbidden": "FORBIDDEN",
    "csrf": "FORBIDDEN",
    "not-found": "RESOURCE_NOT_FOUND",
    "malformed": "BAD_REQUEST",
    "invalid": "VALIDATION",
    "too-many-requests": "TOO_MANY_REQUESTS",
    "internal": "INTERNAL_SERVER_ERROR",
}


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """The API's answer to what went wrong, in RD Station's shape."""
    response = problems.handle(exc, context)
    data: Any = response.data
    code = data["code"]
    kind = _ERROR_TYPES.get(code, code.upper().replace("-", "_"))
    if listed := data.get("errors"):
        errors: Any = [
            {
                "error_type": each["code"].upper(),
                "error_message": each["detail"],
                "path": f"$.{each['field']}".rstrip("."),
            }
            for each in listed
        ]
    else:
        errors = {"error_type": kind, "error_message": data["detail"]}
    response.data = {"errors": errors}
    response.content_type = "application/json"
    if code == "invalid":
        response.status_code = 422
    return response


class _View(ApiView):
    acting = acting
    tag = "RD Station"
    # Vetting an address asks name servers: not while a transaction holds locks.
    not_atomic = ("post", "put", "delete")
    verbs: Mapping[str, Sequence[str]] = {
        "get": ["view"],
        "post": ["add"],
        "put": ["view", "change"],  # what is changed is answered whole
        "delete": ["delete"],
    }

    def required_permissions(self) -> list[str]:
        verbs = self.verbs.get(str(self.request.method).lower(), ["view"])
        return [f"webhooks.{verb}_webhook" for verb in verbs]

    def get_exception_handler(self) -> Callable[..., Response]:
        return handle

    def problem_schema(self) -> Named:
        return rd_descriptions.ERRORS


class Subscriptions(_View):
    """All of them, and new ones."""

    descriptions = rd_descriptions.SUBSCRIPTIONS

    def get(self, request: Request) -> Response:
        return Response({"webhooks": [represent(each, request) for each in _rows().order_by("pk")]})

    @sensitive_variables()
    def post(self, request: Request) -> Response:
        values = read(request.data)
        try:
            webhook, _secret = operations.create_webhook(
                name=f"RD Station: {values['event_type']}",
                format=format.RDStation.name,
                owner=request.user,
                **_settings(values, values),
            )
        except ValidationError as error:
            raise problems.django_problem(error) from error
        return Response(represent(webhook, request), status=201)


class Subscription(_View):
    """One of them."""

    descriptions = rd_descriptions.SUBSCRIPTION

    def path_parameters(self) -> Mapping[str, Json]:
        return {"uuid": {"type": "string", "format": "uuid"}}

    def get(self, request: Request, uuid: str) -> Response:
        return Response(represent(_subscription(uuid), request))

    def put(self, request: Request, uuid: str) -> Response:
        webhook = _subscription(uuid, to_change=True)
        values = read(request.data, represent(webhook, request))
        try:
            webhook = operations.update_webhook(webhook, **_settings(values, request.data))
        except ValidationError as error:
            raise problems.django_problem(error, _ELSEWHERE) from error
        return Response(represent(webhook, request))

    def delete(self, request: Request, uuid: str) -> Response:
        operations.delete_webhook(_subscription(uuid, to_change=True))
        return Response(status=204)


class NothingHere(pages.NothingHere):
    """Beyond them: such as their addresses with a slash at the end."""

    def get_exception_handler(self) -> Callable[..., Response]:
        return handle


def represent(webhook: Webhook, request: Request) -> dict[str, Any]:
    """A webhook of `_rows`."""
    [ours] = webhook.events
    event_type = next(theirs for theirs, each in TYPES.items() if each == ours)
    options = webhook.format_options
    whole = lookups.whole_urls(request)
    url = webhook.url if whole else shown_address(webhook.url)
    entities = _entities(event_type)
    entity_type = options.get("entity_type")
    return {
        "uuid": str(webhook.pk),
        # Its events may have been changed elsewhere since.
        "entity_type": entity_type if entity_type in entities else entities[0],
        "event_type": event_type,
        "event_identifiers": options.get("event_identifiers", []),
        "url": url,
        "http_method": "POST",
        "include_relations": options.get("include_relations", []),
    }


def read(body: Any, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a request says; of one that changes, together with what is stored.

    :raises Problem: every value that is wrong.
    """
    if not isinstance(body, dict):
        raise problems.invalid("", _("Give a JSON object."))
    if not body:
        text = _("Give one of these at least: %(known)s.") % {"known": ", ".join(FIELDS)}
        raise problems.invalid("", text)
    errors = [
        FieldError(
            name,
            _("There is no such key. There are: %(known)s.") % {"known": ", ".join(FIELDS)},
            "unknown",
        )
        for name in body
        if name not in (*FIELDS, "uuid")
    ][:20]
    values = {"http_method": "POST", **(stored or {}), **body}
    if "event_identifiers" not in body and values.get("event_type") != format.CONVERTED:
        values["event_identifiers"] = []  # those stored were of another type
    for name in ("event_identifiers", "include_relations"):
        if values.get(name) is None:
            values[name] = []
    errors += [
        FieldError(name, _("Give a text."), "cannot_be_blank")
        for name in NEEDED
        if not isinstance(values.get(name), str)
    ]
    if not errors:
        errors += _wrong_type(values["entity_type"], values["event_type"])
    if values["http_method"] != "POST":
        errors.append(FieldError("http_method", _("Webhooks are sent by POST."), "invalid_option"))
    errors += _wrong_identifiers(values["event_identifiers"], values.get("event_type"))
    errors += _wrong_relations(values["include_relations"])
    if errors:
        raise Problem("invalid", errors=errors)
    return values


def _entities(event_type: str) -> tuple[str, ...]:
    return next(found for prefix, found in ENTITIES.items() if event_type.startswith(prefix))


def _wrong_type(entity_type: str, event_type: str) -> list[FieldError]:
    if event_type not in TYPES:
        return [_no_option("event_type", TYPES)]
    if entity_type not in _entities(event_type):
        return [_no_option("entity_type", _entities(event_type))]
    return []


def _wrong_identifiers(given: Any, event_type: Any) -> list[FieldError]:
    if not isinstance(given, list) or not all(isinstance(each, str) and each for each in given):
        text = _("Give a list of texts.")
    elif given and event_type != format.CONVERTED:
        text = _("Only events of the type %(type)s have identifiers.")
        text %= {"type": format.CONVERTED}
    elif len(given) > MAX_IDENTIFIERS or any(len(each) > MAX_IDENTIFIER for each in given):
        text = _("At most %(many)d, of at most %(long)d characters.")
        text %= {"many": MAX_IDENTIFIERS, "long": MAX_IDENTIFIER}
    else:
        return []
    return [FieldError("event_identifiers", text, "invalid_option")]


def _wrong_relations(given: Any) -> list[FieldError]:
    known = format.RELATIONS
    good = isinstance(given, list) and all(each in known for each in given)
    if good and len(given) <= len(known):
        return []
    return [_no_option("include_relations", known)]


def _no_option(field: str, known: Any) -> FieldError:
    text = _("There are: %(known)s.") % {"known": ", ".join(known)}
    return FieldError(field, text, "invalid_option")


def _settings(values: Mapping[str, Any], named: Collection[str]) -> dict[str, Any]:
    """Of the webhook that a subscription is, what was named."""
    kept = ("entity_type", "event_identifiers", "include_relations")
    found: dict[str, Any] = {}
    if "url" in named:
        found["url"] = values["url"]
    if "event_type" in named:
        found["events"] = [TYPES[values["event_type"]]]
    if "event_type" in named or any(name in named for name in kept):
        found["format_options"] = {name: values[name] for name in kept}
    return found


def _rows() -> QuerySet[Webhook]:
    described = Q(pk=None)
    for ours in TYPES.values():
        described |= Q(events=[ours])
    rows: QuerySet[Webhook] = Webhook.objects.filter(described, format=format.RDStation.name)
    return rows


def _subscription(text: str, *, to_change: bool = False) -> Webhook:
    rows = writing(_rows()) if to_change else _rows()
    id = lookups.webhook_id(text)
    found = None if id is None else rows.filter(pk=id).first()
    if found is None:
        raise Http404
    return found
