"""Events: what happened, who was told, and why the others were not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from .. import operations
from ..models import Event
from . import presentation, records
from .base import ReadOnlyAdmin
from .filters import DatesFilter, PeriodFilter, TypeFilter
from .reveal import Revealing

MOST_SHOWN = 200  # deliveries, on an event's page


class OccurredFilter(PeriodFilter):
    field = "occurred_at"


class DaysFilter(DatesFilter):
    field = "occurred_at"


@admin.register(Event)
class EventAdmin(Revealing, ReadOnlyAdmin):
    list_display = ("type", "subject", "moment", "origin", "actor", "fanned_out", "short_id")
    list_filter = (OccurredFilter, DaysFilter, TypeFilter)
    search_help_text = _("An object (cliente_123), an event's id (evt_…) or its type.")
    fields = (
        "type",
        "subject_link",
        "sequence",
        "occurred_at",
        "origin",
        "actor",
        "fanned_out",
        "shown_id",
    )
    readonly_fields = (*fields, "data_subject", "erased_at")
    not_asked_for = ("body", "snapshot")

    def get_fields(self, request: HttpRequest, obj: Event | None = None) -> Any:
        if obj is None:
            return self.fields
        fields = list(self.fields)
        if obj.data_subject:
            fields.insert(fields.index("subject_link") + 1, "data_subject")
        if obj.erased_at is not None:
            fields.append("erased_at")
        leads = {"subject_link": (records.subject_model(obj.subject), "subject")}
        return records.leading(request, self.admin_site, fields, leads)

    @admin.display(description=_("object"))
    def subject_link(self, event: Event) -> Any:
        return records.link(self.admin_site, event.subject) or "—"

    @admin.display(description=_("occurred at"))
    def moment(self, event: Event) -> str:
        return presentation.moment(event.occurred_at)

    @admin.display(description=_("id"))
    def short_id(self, event: Event) -> SafeString:
        return presentation.shortened(event.public_id)

    @admin.display(description=_("id"))
    def shown_id(self, event: Event) -> str:
        return event.public_id

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        # Bodies are large, and not for everyone.
        return super().get_queryset(request).defer("body", "snapshot")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        id = presentation.event_id(term)
        if id is not None:
            return queryset.filter(pk=id), False
        by_subject = queryset.filter(
            Q(subject=term) | Q(data_subject=term, data_subject__gt="")  # as its index has it
        )
        return (by_subject if by_subject.exists() else queryset.filter(type=term)), False

    def story(self, request: HttpRequest, obj: Event) -> dict[str, Any]:
        revealed = self.revealed(request, obj)
        show = presentation.pretty if revealed else presentation.masked
        deliveries = list(obj.deliveries.select_related("webhook").order_by("id")[: MOST_SHOWN + 1])
        return {
            "deliveries": [
                {
                    "delivery": delivery,
                    "badge": presentation.delivery_badge(delivery),
                    "last_answer": presentation.last_answer(delivery),
                    "next": presentation.next_attempt(delivery),
                }
                for delivery in deliveries[:MOST_SHOWN]
            ],
            "most_shown": MOST_SHOWN if len(deliveries) > MOST_SHOWN else None,
            "not_sent": operations.not_sent(obj),
            "may_see_deliveries": request.user.has_perm("webhooks.view_delivery"),
            "may_see_webhooks": request.user.has_perm("webhooks.view_webhook"),
            "body": show(obj.body),
            **self.revealing(request, obj, revealed),
        }
