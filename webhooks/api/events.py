"""Events: what happened, what was told of it, and who was not told, and why."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import filters
from api_common.problems import Problem
from api_common.views import ApiViewSet

from .. import audit, catalog, operations, patterns
from ..context import acting
from ..models import Event
from . import descriptions, lookups, representations, schemas


class PatternFilter(filters.TextFilter):
    """`?type=cliente.criado`, or a pattern such as `cliente.*`."""

    help_text = gettext_lazy("A type of event, or a pattern such as “cliente.*”.")

    def filter(self, qs: Any, value: str) -> Any:
        if not value:
            return qs
        name = str(self.field_name)
        if "*" not in value:
            return qs.filter(**{name: value})
        names = [each.name for each in catalog.all_types() if patterns.wants([value], each.name)]
        return qs.filter(**{f"{name}__in": names})


SUBJECT = gettext_lazy("What it is about, by its id, such as cliente_123.")


class EventFilters(filters.FilterSet):
    type = PatternFilter("type")
    subject = filters.TextFilter("subject", help_text=SUBJECT)
    dataSubject = filters.TextFilter(  # noqa: N815
        "data_subject", help_text=gettext_lazy("Whose personal data it tells, such as cliente_123.")
    )
    origin = filters.ChoicesFilter("origin", choices=Event.Origin.choices)
    actor = filters.TextFilter("actor", help_text=gettext_lazy("Who did it, such as usuario_7."))
    occurredSince = filters.MomentFilter("occurred_at", lookup_expr="gte")  # noqa: N815
    occurredUntil = filters.MomentFilter("occurred_at", lookup_expr="lt")  # noqa: N815


class EventViewSet(ApiViewSet):
    acting = acting
    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    # Ids rise with time.
    orderings = {"occurredAt": "pk"}
    descriptions = descriptions.event_operations(EventFilters, list(orderings))
    tag = gettext_lazy("Events")
    action_permissions = {
        "list": ["webhooks.view_event"],
        "retrieve": ["webhooks.view_event"],
        "payload": ["webhooks.view_event", "webhooks.view_payload"],
        "not_sent": ["webhooks.view_event", "webhooks.view_webhook"],
    }

    def path_parameters(self) -> dict[str, Any]:
        return {"id": schemas.EVENT_ID}

    def list(self, request: Request) -> Response:
        rows = Event.objects.defer("body", "snapshot")
        return self.page(rows, representations.event, filterset=EventFilters)

    def retrieve(self, request: Request, id: str) -> Response:
        filters.refuse_unknown(request, ())
        return self.answer(representations.event(_event(id)))

    @action(detail=True, methods=["get"])
    def payload(self, request: Request, id: str) -> HttpResponse:
        """What was told of it: the default format's body, byte by byte. Who saw it is kept."""
        filters.refuse_unknown(request, ())
        with transaction.atomic():
            event = _event(id, payload=True)
            if not event.body:
                erased = event.erased_at is not None
                raise Problem(
                    "gone",
                    _("It was erased at its data subject's request.")
                    if erased
                    else _("Payloads of that age are no longer kept."),
                )
            record_view(event, audit.of(event))
        return HttpResponse(event.body, content_type="application/json")

    @action(detail=True, methods=["get"], url_path="not-sent")
    def not_sent(self, request: Request, id: str) -> Response:
        """The webhooks that it did not go to, each with the reason."""
        filters.refuse_unknown(request, ())
        return Response(
            {
                "results": [
                    {
                        "webhookId": str(each.webhook.pk),
                        "webhookName": each.webhook.name,
                        "reason": each.reason,
                    }
                    for each in operations.not_sent(_event(id))
                ]
            }
        )


def record_view(event: Event, subject: str) -> None:
    """No payload is shown that cannot be put on record."""
    detail = f"{event.public_id} {event.data_subject}".rstrip()
    audit.record(audit.Action.VIEWED_PAYLOAD, subject=subject, detail=detail)


def _event(id: str, *, payload: bool = False) -> Event:
    found = lookups.event(id, payload=payload)
    if found is None:
        raise Http404
    return found
