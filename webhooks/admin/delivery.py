"""Deliveries: did it arrive, and if not, why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import operations
from ..addresses import shown_address
from ..models import Delivery, Event, Webhook
from . import choosing, presentation, records, timeline
from .base import button, page_of
from .export import ExportPage
from .filters import (
    DatesFilter,
    ErrorFilter,
    FailingFilter,
    HttpFilter,
    PeriodFilter,
    TypeFilter,
    WebhookFilter,
)
from .reveal import Revealing
from .sooner import Hastening

MOST_SUCCESSES = 100_000  # the newest deliveries: successes have no index by their HTTP status
MOST_SELECTED = 500  # whose ids fit in an address


class EventTypeFilter(TypeFilter):
    field = "event__type"


@admin.register(Delivery)
class DeliveryAdmin(Revealing, Hastening, ExportPage):
    list_display = (
        "id",
        "state",
        "last_answer",
        "made",
        "told",
        "receiver",
        "tries",
    )
    list_filter = (
        "status",
        PeriodFilter,
        DatesFilter,
        WebhookFilter,
        EventTypeFilter,
        FailingFilter,
        ErrorFilter,
        HttpFilter,
    )
    list_select_related = ("event", "webhook")
    search_help_text = _(
        "An object (cliente_123), an event's id (evt_…), a delivery's number, or “HTTP 503”."
    )
    change_list_template = "admin/webhooks/delivery/change_list.html"
    fields = (
        "event_link",
        "subject_link",
        "webhook_link",
        "state",
        "waits_for",
        "attempt_count",
        "created_at",
        "next_attempt_at",
        "finished_at",
    )
    readonly_fields = (*fields, "erased_at")
    actions = ("try_selected_now", "replay_selected", "export_selected")

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return (
            super()
            .get_queryset(request)
            .select_related("event", "webhook")
            .defer("event__body", "event__snapshot")
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii() and term.isdecimal() and len(term) < 19:
            return queryset.filter(pk=int(term)), False
        if (status := presentation.http_status(term)) is not None:
            found = queryset.filter(last_status_code=status)
            if status >= 300:
                return found.exclude(last_error=""), False  # as its index has it
            text = gettext("Successes are searched for among the newest %(most)s deliveries.")
            self.message_user(
                request, text % {"most": number_format(MOST_SUCCESSES, force_grouping=True)}
            )
            return found.filter(pk__gt=operations.newest_delivery() - MOST_SUCCESSES), False
        id = presentation.event_id(term)
        if id is not None:
            return queryset.filter(event=id), False
        return queryset.filter(event__subject=term), False

    @admin.display(description=_("event"))
    def told(self, delivery: Delivery) -> SafeString:
        return format_html(
            '{} <span class="wh-line wh-note">{}</span>',
            presentation.shortened(delivery.event.type),
            delivery.event.subject,
        )

    @admin.display(description=_("webhook"))
    def receiver(self, delivery: Delivery) -> SafeString:
        return presentation.shortened(delivery.webhook.name)

    @admin.display(description=_("status"))
    def state(self, delivery: Delivery) -> SafeString:
        return presentation.delivery_badge(delivery)

    @admin.display(description=_("created at"))
    def made(self, delivery: Delivery) -> str:
        return presentation.moment(delivery.created_at)

    @admin.display(description=_("attempts"))
    def tries(self, delivery: Delivery) -> SafeString | int:
        at, count = delivery.next_attempt_at, delivery.attempt_count
        if at is None:
            return count
        return format_html(
            '{} <span class="wh-line wh-note">{}</span>',
            gettext("%(count)d, next at") % {"count": count},
            presentation.moment(at),
        )

    @admin.display(description=_("last answer"), empty_value="—")
    def last_answer(self, delivery: Delivery) -> str | None:
        return presentation.last_answer(delivery)

    @admin.display(description=_("object"))
    def subject(self, delivery: Delivery) -> str:
        return delivery.event.subject or "—"

    @admin.display(description=_("object"))
    def subject_link(self, delivery: Delivery) -> SafeString | str:
        return records.link(self.admin_site, delivery.event.subject) or "—"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = dict(extra_context or {})
        pending = request.GET.get("status__exact") == Delivery.Status.PENDING
        if self.has_replay_permission(request) and not pending:
            query = request.GET.urlencode()
            context["replay_url"] = f"{reverse('admin:webhooks_delivery_replay_many')}?{query}"
            context["replays_all"] = choosing.takes_all(request.GET.dict())
        return super().changelist_view(request, context)

    # --- one delivery -----------------------------------------------------------------------
    @admin.display(description=_("event"))
    def event_link(self, delivery: Delivery) -> SafeString:
        return format_html(
            '<a href="{}">{}</a> {}',
            page_of(delivery.event),
            delivery.event.type,
            delivery.event.public_id,
        )

    @admin.display(description=_("event"))
    def event_name(self, delivery: Delivery) -> str:
        return f"{delivery.event.type} {delivery.event.public_id}"

    @admin.display(description=_("webhook"))
    def webhook_name(self, delivery: Delivery) -> str:
        return delivery.webhook.name

    @admin.display(description=_("webhook"))
    def webhook_link(self, delivery: Delivery) -> SafeString:
        return format_html(
            '{} <span class="wh-note">{}</span>',
            records.webhook_link(delivery.webhook),
            shown_address(delivery.webhook.url),
        )

    @admin.display(description=_("erased at"))
    def erased_at(self, delivery: Delivery) -> datetime | None:
        return delivery.event.erased_at

    def get_fields(self, request: HttpRequest, obj: Delivery | None = None) -> Any:
        if obj is None:
            return self.fields
        leads: Any = {
            "event_link": (Event, "event_name"),
            "subject_link": (records.subject_model(obj.event.subject), "subject"),
            "webhook_link": (Webhook, "webhook_name"),
        }
        fields = records.leading(request, self.admin_site, self.fields, leads)
        return fields if obj.event.erased_at is None else [*fields, "erased_at"]

    @admin.display(description=_("waits for"))
    def waits_for(self, delivery: Delivery) -> str:
        return operations.waiting(delivery) or operations.cancelled(delivery) or "—"

    def get_urls(self) -> list[URLPattern]:
        return [button(self, "replay", self.replay_view), *super().get_urls()]

    def story(self, request: HttpRequest, obj: Delivery) -> dict[str, Any]:
        revealed = self.revealed(request, obj)
        return {
            **timeline.timeline(request, obj, revealed),
            **self.revealing(request, obj, revealed or timeline.is_test(obj)),
            "may_read_answer": timeline.may_read_answer(request, obj),
            "may_replay": self.has_replay_permission(request),
            "may_be_hastened": self.may_be_hastened(obj),
            "can_be_replayed": obj.status in operations.SETTLED
            and obj.webhook.deleted_at is None
            and obj.event.erased_at is None,
        }

    # --- sending again ----------------------------------------------------------------------
    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        delivery = self.to_be_sent(request, object_id)
        if self._replay(request, [delivery.pk]):
            self.log_change(request, delivery, gettext("Sent again."))
        return HttpResponseRedirect(page_of(delivery))

    @admin.action(description=_("Send the selected deliveries again"), permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse:
        name = "admin:webhooks_delivery_replay_many"
        return self._ask_about(request, queryset, name, {choosing.SETTLED: "1"})

    @admin.action(description=_("Export the selected deliveries"), permissions=["export"])
    def export_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse:
        return self._ask_about(request, queryset, "admin:webhooks_delivery_export")

    def _ask_about(
        self,
        request: HttpRequest,
        queryset: QuerySet[Delivery],
        name: str,
        all_of_it: dict[str, str] | None = None,
    ) -> HttpResponse:
        """Leads to the page that asks, with the ids, or with the list's filter where all of it was
        selected.

        :param all_of_it: what the address says besides, in that case.
        """
        page = reverse(name)
        if request.POST.get("select_across") == "1":
            query = urlencode({**request.GET.dict(), **(all_of_it or {})})
            return HttpResponseRedirect(f"{page}?{query}")
        ids = list(queryset.values_list("pk", flat=True)[:MOST_SELECTED])
        return HttpResponseRedirect(f"{page}?{urlencode({'ids': ','.join(map(str, ids))})}")

    def _replay(self, request: HttpRequest, ids: list[int]) -> int:
        chosen = operations.ReplayFilter(statuses=operations.SETTLED, ids=tuple(ids))
        sent = operations.replay(operations.replayable(chosen)) if ids else 0
        if sent:
            self.message_user(
                request,
                ngettext(
                    "%(count)d delivery is on its way.",
                    "%(count)d deliveries are on their way.",
                    sent,
                )
                % {"count": sent},
                messages.SUCCESS,
            )
        if sent < len(ids):
            left = len(ids) - sent
            self.message_user(
                request,
                ngettext(
                    "%(count)d was left alone: on its way already, its webhook deleted, or its "
                    "payload no longer kept.",
                    "%(count)d were left alone: on their way already, their webhook deleted, or "
                    "their payload no longer kept.",
                    left,
                )
                % {"count": left},
                messages.WARNING,
            )
        return sent
