"""Deliveries: did it arrive, and if not, why; and sending again."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import etags, filters
from api_common.permissions import require
from api_common.problems import Problem, invalid
from api_common.views import ApiViewSet

from .. import audit, catalog, operations, patterns
from ..context import acting
from ..databases import writing
from ..models import Delivery
from . import descriptions, lookups, representations, schemas
from .bodies import ReplayBody, checked
from .events import SUBJECT, PatternFilter, record_view
from .webhook_actions import Share

MAX_IDS = 1_000


class DeliveryFilters(filters.FilterSet):
    webhookId = filters.IdFilter(  # noqa: N815
        "webhook",
        read=lookups.webhook_id,
        schema=schemas.UUID,
        help_text=gettext_lazy("To this webhook, by its id."),
    )
    eventId = filters.IdFilter(  # noqa: N815
        "event",
        read=lookups.event_id,
        schema=schemas.EVENT_ID,
        help_text=gettext_lazy("Of this event, by its id, such as evt_…."),
    )
    eventType = PatternFilter("event__type")  # noqa: N815
    subject = filters.TextFilter("event__subject", help_text=SUBJECT)
    status = filters.ChoicesFilter("status", choices=Delivery.Status.choices)
    createdSince = filters.MomentFilter("created_at", lookup_expr="gte")  # noqa: N815
    createdUntil = filters.MomentFilter("created_at", lookup_expr="lt")  # noqa: N815


class DeliveryViewSet(ApiViewSet):
    acting = acting
    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    orderings = {"createdAt": "pk"}
    descriptions = descriptions.delivery_operations(DeliveryFilters, list(orderings))
    tag = gettext_lazy("Deliveries")
    action_permissions = {
        "list": ["webhooks.view_delivery"],
        "retrieve": ["webhooks.view_delivery"],
        "attempts": ["webhooks.view_delivery"],
        "replay": ["webhooks.view_delivery", "webhooks.replay_delivery"],
        # Which webhooks there are, and their names, is told too.
        "replay_many": [
            "webhooks.view_delivery",
            "webhooks.view_webhook",
            "webhooks.replay_delivery",
        ],
    }
    action_scopes = {"replay": "replay", "replay_many": "replay"}
    not_atomic = ("replay", "replay_many")

    def path_parameters(self) -> dict[str, Any]:
        return {"id": schemas.DELIVERY_ID}

    def list(self, request: Request) -> Response:
        return self.page(
            _rows(),
            representations.delivery,
            filterset=DeliveryFilters,
            prepare=operations.read_last_attempts,
        )

    def retrieve(self, request: Request, id: str) -> Response:
        filters.refuse_unknown(request, ())
        return self.answer(representations.delivery(_delivery(id)))

    @action(detail=True, methods=["get"])
    def attempts(self, request: Request, id: str) -> Response:
        """Its requests and what came back, the newest first.

        What was told and what a receiver wrote are shown with `?payloads=true`, to those who may
        see them, and that is kept.
        """
        payloads = _payloads(request)
        rows = Delivery.objects.select_related("event", "webhook")
        delivery = _delivery(id, rows if payloads else None)
        attempts = delivery.attempts.all()
        if payloads:
            with transaction.atomic():
                record_view(delivery.event, audit.of(delivery))
        else:
            attempts = attempts.defer("request_body", "response_headers", "response_body")
        return self.page(
            attempts,
            lambda attempt: representations.attempt(
                attempt, delivery, payloads=payloads, whole_url=lookups.whole_urls(request)
            ),
            orderings={"startedAt": "pk"},
            others=["payloads"],
        )

    @action(detail=True, methods=["post"])
    def replay(self, request: Request, id: str) -> Response:
        """Send it again, from the start of the schedule, with the same event id."""
        delivery = _delivery(id, writing(_rows()))
        etags.check_if_match(request, representations.delivery(delivery))
        chosen = operations.ReplayFilter(statuses=operations.SETTLED, ids=(delivery.pk,))
        if not operations.replay(operations.replayable(chosen)):
            raise Problem("conflict", _why_not(delivery))
        return self.answer(representations.delivery(_delivery(id, writing(_rows()))), status=202)

    @action(detail=False, methods=["post"], url_path="replay")
    def replay_many(self, request: Request) -> Response:
        """Send again what fits; with `dryRun`, only count."""
        values = dict(checked(ReplayBody(data=request.data)).validated_data)
        dry_run = values.pop("dryRun", False)
        chosen = _filter(values)
        if dry_run:
            counts = operations.count_replay(operations.replayable(chosen))
            return Response(
                {
                    "dryRun": True,
                    "total": sum(count.deliveries for count in counts),
                    "gone": operations.count_gone(chosen),
                    "webhooks": [
                        {
                            "webhookId": str(count.webhook.pk),
                            "webhookName": count.webhook.name,
                            "deliveries": count.deliveries,
                            "firstAt": representations.moment(count.first_at),
                        }
                        for count in counts
                    ],
                }
            )
        share = Share()
        total = operations.replay(operations.replayable(chosen), progress=share)
        if share.stopped:
            operations.replay_rest(chosen, user=request.user)
        return Response(
            {"dryRun": False, "total": total, "complete": not share.stopped}, status=202
        )


def _rows() -> QuerySet[Delivery]:
    return Delivery.objects.select_related("event", "webhook").defer(
        "event__body", "event__snapshot"
    )


def _delivery(id: str, rows: QuerySet[Delivery] | None = None) -> Delivery:
    pk = lookups.delivery_id(id)
    found = None if pk is None else (_rows() if rows is None else rows).filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _payloads(request: Request) -> bool:
    given = request.query_params.get("payloads", "false")
    if given not in ("true", "false"):
        raise invalid("payloads", _("Write true or false."), place="query")
    if given == "true":
        require(request, ["webhooks.view_payload"])
    return given == "true"


def _why_not(delivery: Delivery) -> str:
    if delivery.status == Delivery.Status.PENDING:
        return _("It is on its way already.")
    if delivery.webhook.deleted_at is not None:
        return _("Its webhook was deleted.")
    return _("What it would tell is no longer kept.")


def _filter(values: dict[str, Any]) -> operations.ReplayFilter:
    """:raises Problem: 400, a condition is not valid."""
    webhook = None
    if (given := values.get("webhookId")) is not None:
        webhook = lookups.webhook(given)
        if webhook is None:
            raise invalid("webhookId", _("There is no such webhook."))
    statuses = tuple(values.get("statuses", (Delivery.Status.FAILED,)))
    unfit = [each for each in statuses if each not in operations.SETTLED]
    if unfit or not statuses:
        text = _("Give some of these: %(known)s.") % {"known": ", ".join(operations.SETTLED)}
        raise invalid("statuses", text, code="invalid_choice")
    return operations.ReplayFilter(
        statuses=statuses,
        webhook=webhook,
        event_patterns=_patterns(values),
        since=values.get("since"),
        until=values.get("until"),
        ids=_ids(values, "ids", lookups.delivery_id),
        event_ids=_ids(values, "eventIds", lookups.event_id),
    )


def _patterns(values: dict[str, Any]) -> tuple[str, ...]:
    given = values.get("events")
    if given is None:
        return ()
    if not given:
        raise invalid("events", _("Give one at least."))
    for pattern in given:
        try:
            patterns.check(pattern)
        except patterns.PatternRefused as error:
            raise invalid("events", str(error)) from error
        if not any(patterns.wants([pattern], each.name) for each in catalog.all_types()):
            known = ", ".join(each.name for each in catalog.all_types())
            text = _("No event is covered by “%(pattern)s”. Events: %(known)s.")
            raise invalid("events", text % {"pattern": pattern, "known": known})
    return tuple(given)


def _ids(values: dict[str, Any], name: str, read: Any) -> tuple[Any, ...]:
    given = values.get(name)
    if given is None:
        return ()
    found = [read(each) for each in given]
    # An empty list would mean all, which whoever sends one does not mean.
    if None in found or not 1 <= len(found) <= MAX_IDS:
        raise invalid(name, _("Give 1 to %(most)d ids, as they are answered.") % {"most": MAX_IDS})
    return tuple(found)
