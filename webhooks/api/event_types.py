"""The types of event that there are, and what telling one would look like."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import filters
from api_common.permissions import require
from api_common.problems import Problem, django_problem, invalid
from api_common.views import ApiViewSet

from .. import audit, catalog, failures, formats, operations
from ..addresses import shown_address, without_address
from ..context import acting
from ..fields import SecretUnreadable
from ..formats import UnknownFormatError
from ..formats.base import CannotTell
from ..headers import HeadersRefused
from ..models import Attempt, Webhook
from ..signing import InvalidSecret
from . import descriptions, event_schemas, lookups, representations


class EventTypeViewSet(ApiViewSet):
    acting = acting
    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    descriptions = descriptions.EVENT_TYPES
    tag = gettext_lazy("Event types")
    # What types there are is no secret; what a preview shows takes permissions, see there.
    action_permissions = {"list": [], "retrieve": [], "preview": ["webhooks.view_payload"]}

    def path_parameters(self) -> dict[str, Any]:
        return {"name": event_schemas.event_type_name()}

    def list(self, request: Request) -> Response:
        """All types, in the order in which the apps declare them."""
        filters.refuse_unknown(request, ())
        found = [representations.event_type(each) for each in catalog.all_types()]
        return Response({"results": found})

    def retrieve(self, request: Request, name: str) -> Response:
        filters.refuse_unknown(request, ())
        return self.answer(representations.event_type(_type(name)))

    @action(detail=True, methods=["get"])
    def preview(self, request: Request, name: str) -> Response:
        """The exact headers and body that would tell of an object as it is now; nothing is sent.

        `?object=cliente_123` (else the type's example), `&webhook=<id>` (else unsigned, in
        `&format=`). Signatures are shown to those who may change the webhook's secret.
        """
        filters.refuse_unknown(request, ("object", "webhook", "format"))
        event_type = _type(name)
        webhook = self._webhook(request)
        public_id = request.query_params.get("object")
        try:
            instance = None
            if public_id is not None:
                instance = operations.previewed_object(name, public_id)
                meta = instance._meta
                require(request, [f"{meta.app_label}.view_{meta.model_name}"])
            may_sign = self.request.user.has_perm("webhooks.rotate_secret")
            shown = operations.preview(name, webhook, instance, signed=may_sign)
        except ValidationError as error:
            raise django_problem(error, place="query") from error
        except (SecretUnreadable, HeadersRefused, InvalidSecret, UnknownFormatError) as error:
            raise Problem("conflict", str(error)) from error
        except CannotTell as error:
            sentence = failures.sentence(Attempt.Error.FORMAT, detail=str(error))
            raise Problem("conflict", sentence) from error
        if public_id is not None:
            audit.record(audit.Action.VIEWED_PAYLOAD, subject=public_id, detail=name)
        whole = lookups.whole_urls(request)
        return Response(
            {
                "eventType": event_type.name,
                "object": public_id,
                "webhookId": None if webhook._state.adding else str(webhook.pk),
                "format": webhook.format,
                "subscribed": shown.subscribed,
                "method": "POST",
                "url": (shown.url if whole else shown_address(shown.url)) or None,
                "headers": shown.headers,
                "body": shown.body if whole else without_address(shown.body, webhook.url),
            }
        )

    def _webhook(self, request: Request) -> Webhook:
        given = request.query_params.get("webhook")
        format = request.query_params.get("format")
        if given is None:
            name = "sistema-crm" if format is None else format
            known = [each.name for each in formats.all_formats()]
            if name not in known:
                text = _("There is no “%(value)s”. There are: %(known)s.")
                text %= {"value": name[:40], "known": ", ".join(known)}
                raise invalid("format", text, code="invalid_choice", place="query")
            return Webhook(format=name, events=["*"])
        if format is not None:
            raise invalid("format", _("The webhook has a format of its own."), place="query")
        require(request, ["webhooks.view_webhook"])
        webhook = lookups.webhook(given)
        if webhook is None:
            raise invalid("webhook", _("There is no such webhook."), place="query")
        return webhook


def _type(name: str) -> catalog.EventType:
    try:
        return catalog.get(name)
    except catalog.UnknownEventType:
        raise Http404 from None
