"""Webhooks: create, change, watch; what their buttons do is in webhook_buttons.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from .. import formats, operations
from ..addresses import shown_address
from ..databases import writing
from ..models import BulkJob, Delivery, Webhook
from . import option_fields, presentation, records
from .base import SCRIPTS, STYLES, StoryAdmin, page_of
from .charts import sparkline
from .filters import FormatFilter, StateFilter
from .panel import PanelPage
from .webhook_buttons import SECRETS
from .webhook_form import WebhookForm
from .webhook_shown import ShownFields


class HealthChangeList(ChangeList):
    """Reads the health of the page's webhooks together: as many queries for 1 as for 50."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        ids = [webhook.pk for webhook in self.result_list]
        states = operations.health(self.result_list)
        hours = operations.sparklines(ids)
        may_see_deliveries = records.may_see(request, self.model_admin.admin_site, Delivery)
        for webhook in self.result_list:
            webhook.health = states[webhook.pk]
            webhook.hours = hours[webhook.pk]
            webhook.shown_url = self.shown_url(request, webhook)
            webhook.may_see_deliveries = may_see_deliveries

    def shown_url(self, request: HttpRequest, webhook: Webhook) -> str:
        may_change = self.model_admin.has_change_permission(request, webhook)
        return webhook.url if may_change else shown_address(webhook.url)


@admin.register(Webhook)
class WebhookAdmin(StoryAdmin, PanelPage, ShownFields):
    form = WebhookForm
    list_display = (
        "shown_name",
        "state",
        "day",
        "success",
        "p95",
        "pending",
        "last_failure",
    )
    change_list_template = "admin/webhooks/webhook/change_list.html"
    list_filter = (StateFilter, FormatFilter)
    list_per_page = 50
    search_fields = ("name", "url")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    autocomplete_fields = ("owner",)
    not_asked_for = ("url", "auth_username", "auth_header_name", "auth_secret", "headers")

    class Media:
        css = STYLES
        js = (
            *SCRIPTS,
            Script("webhooks/options.js", defer=True),
            Script("webhooks/unsaved.js", defer=True),
        )

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Whoever sees no secret in an address does not find it out by searching either."""
        return ("name", "url") if self.has_change_permission(request) else ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        """A form that is saved has the row locked from the moment when it reads it."""
        rows: QuerySet[Webhook] = super().get_queryset(request)
        if getattr(request, "is_to_be_locked", False) and connections[rows.db].in_atomic_block:
            rows = rows.select_for_update(of=("self",))
        return rows

    # --- the list ---------------------------------------------------------------------------
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return HealthChangeList

    @admin.display(description=_("webhook"), ordering="name")
    def shown_name(self, webhook: Any) -> SafeString:
        return format_html(
            '{0}<span class="wh-url" title="{1}">{1}</span>'
            '<span class="wh-line wh-note">{2}</span>',
            webhook.name,
            webhook.shown_url,
            _some(webhook.events),
        )

    @admin.display(description=_("status"), ordering="status")
    def state(self, webhook: Webhook) -> SafeString:
        mark = presentation.webhook_badge(webhook)
        for text in (webhook.reason, *operations.misconfigured(webhook)):
            if text:
                mark = format_html('{} <span class="wh-line">{}</span>', mark, text)
        return mark

    @admin.display(description=_("pending"))
    def pending(self, webhook: Any) -> str:
        return presentation.at_most(webhook.health.pending, operations.COUNTED_OF_EACH)

    @admin.display(description=_("last 24 hours"))
    def day(self, webhook: Any) -> SafeString | None:
        return sparkline(webhook.hours) if any(hour.attempts for hour in webhook.hours) else None

    @admin.display(description=_("p95, 24 h"))
    def p95(self, webhook: Any) -> str | None:
        latency = webhook.health.day.latency
        return None if latency is None else f"{latency.p95_ms} ms"

    @admin.display(description=_("success, 24 h"))
    def success(self, webhook: Any) -> str | None:
        day: operations.Span = webhook.health.day
        if day.success_share is None:
            return None
        share = number_format(100 * day.success_share, decimal_pos=1)
        return f"{share}% ({day.successes}/{day.attempts})"

    @admin.display(description=_("last failure"))
    def last_failure(self, webhook: Any) -> SafeString | None:
        failure: operations.LastFailure | None = webhook.health.last_failure
        if failure is None:
            return None
        return presentation.last_failure(failure, linked=webhook.may_see_deliveries)

    # --- creating and changing --------------------------------------------------------------
    def get_fieldsets(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            leads = {"owner": (get_user_model(), "owner_name")}
            shown = records.leading(request, self.admin_site, self.shown_fields, leads)
            return [(None, {"fields": shown})]
        main = ["name", "url", "event_types", "patterns", "format"]
        if obj is None:
            main += ["secret", "token"]
        else:
            main += ["shown"]
        return [
            (None, {"fields": main}),
            *option_fields.fieldsets(),
            (
                _("Authentication"),
                {"fields": ["auth_type", "auth_username", "auth_header_name", "auth_secret"]},
            ),
            (_("Custom headers"), {"fields": ["headers"]}),
            (
                _("Advanced"),
                {
                    "classes": ["collapse"],
                    "fields": [
                        "timeout_seconds",
                        "retry_schedule",
                        "rate_limit",
                        "keep_responses",
                        *(["owner"] if self._may_choose_owner(request) else []),
                    ],
                },
            ),
        ]

    def _may_choose_owner(self, request: HttpRequest) -> bool:
        """Who may not see users has none to choose from: their webhooks are their own."""
        return records.may_see(request, self.admin_site, get_user_model())

    @admin.display(description=_("owner"))
    def owner_name(self, webhook: Webhook) -> str:
        return presentation.user_name(webhook.owner)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    # Without names: Django's own form code below has the secrets in variables of its own.
    @sensitive_variables()
    @method_decorator([sensitive_post_parameters(*SECRETS), never_cache])
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if request.method == "POST":
            sent_before = self._sent_before(request) if object_id is None else None
            if sent_before is not None:
                return self._say_sent_before(request, sent_before)
            self._vet_address(request)
            request.is_to_be_locked = True  # type: ignore[attr-defined]
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError:
            # The same form twice at the same time: the other one was faster.
            sent_before = self._sent_before(request) if object_id is None else None
            if sent_before is None:
                raise
            return self._say_sent_before(request, sent_before)

    def _vet_address(self, request: Any) -> None:
        """Look the name up before the request's transaction begins, not while it holds locks."""
        warnings: list[str] = []
        request.url_problem = ""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            return
        try:
            operations.clean_url(request.POST.get("url", ""), warnings)
        except ValidationError as error:
            request.url_problem = " ".join(error.messages)
        request.url_warnings = warnings

    def _sent_before(self, request: HttpRequest) -> Webhook | None:
        try:
            token = UUID(request.POST.get("token", ""))
        except ValueError:
            return None
        found: Webhook | None = writing(Webhook).filter(pk=token).first()
        return found

    def _say_sent_before(self, request: HttpRequest, webhook: Webhook) -> HttpResponse:
        self.message_user(
            request,
            gettext(
                "“%(name)s” was created already and its secret shown once. If you did not keep "
                "the secret, change it."
            )
            % {"name": webhook.name},
            messages.WARNING,
        )
        return HttpResponseRedirect(page_of(webhook))

    def get_form(
        self, request: Any, obj: Webhook | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.url_problem = getattr(request, "url_problem", "")
        return form

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        if change:
            obj.secret_to_show = operations.save_webhook(obj)
        else:
            if not self._may_choose_owner(request):
                obj.owner = request.user
            obj.secret_to_show = operations.add_webhook(
                obj, secret=form.cleaned_data.get("secret") or None
            )
        for warning in getattr(request, "url_warnings", ()):
            self.message_user(request, warning, messages.WARNING)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if not (obj.secret_to_show or operations.public_keys(obj)):
            return super().response_add(request, obj, post_url_continue)
        return self.secret_page(request, obj, obj.secret_to_show)

    @sensitive_variables()
    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Another format may have taken a secret of its own, which was made."""
        if not obj.secret_to_show:
            return super().response_change(request, obj)
        if self.has_rotate_permission(request):
            return self.secret_page(request, obj, obj.secret_to_show)
        self.message_user(
            request,
            gettext("A secret was made for this format. Who may change secrets can show one."),
            messages.WARNING,
        )
        return super().response_change(request, obj)

    def story(self, request: HttpRequest, obj: Webhook) -> dict[str, Any]:
        health = operations.health([obj])[obj.pk]
        job = operations.job_of(obj)
        return {
            "webhook": obj,
            "job": job,
            "job_progress": "" if job is None else presentation.job_progress(job),
            "job_share": 0 if job is None else presentation.job_share(job),
            "job_url": page_of(job)
            if job is not None and records.may_see(request, self.admin_site, BulkJob)
            else "",
            "state": presentation.webhook_badge(obj),
            "problems": operations.misconfigured(obj),
            "health": health,
            "pending": presentation.at_most(health.pending, operations.COUNTED_OF_EACH),
            "keys": [(key, operations.public_key(key)) for key in obj.signing_keys.all()],
            "signs": bool(formats.get_or_missing(obj.format).algorithms),
            "is_active": obj.status == Webhook.Status.ACTIVE,
            "may_change": self.has_change_permission(request, obj),
            "may_test": self.has_test_permission(request),
            "may_rotate": self.has_rotate_permission(request),
            "deliveries_url": self._deliveries_url(request, obj),
        }

    def _deliveries_url(self, request: HttpRequest, webhook: Webhook) -> str:
        if not request.user.has_perm("webhooks.view_delivery"):
            return ""
        return f"{reverse('admin:webhooks_delivery_changelist')}?webhook={webhook.pk}"

    # --- deleting: softly, so what points to it need not be asked ----------------------------
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        names = [f"{webhook.name} <{shown_address(webhook.url)}>" for webhook in objs]
        missing = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return names, {self.opts.verbose_name_plural: len(names)}, missing, []

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        # The page's own transaction is open: cancelled in there, all that it has pending would be
        # locked until it ends.
        self._delete(request, obj, self.shares())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        shares = self.shares()
        for webhook in queryset:
            self._delete(request, webhook, shares)

    def _delete(self, request: HttpRequest, webhook: Webhook, shares: Iterator[int]) -> None:
        job = operations.mark_deleted(webhook)

        def cancel() -> None:
            operations.cancel_owed(job, at_once=next(shares))
            self.say_what_follows(request, webhook)

        transaction.on_commit(cancel, robust=True)


def _some(events: list[str]) -> str:
    """The first of a webhook's patterns, and how many more there are."""
    shown = ", ".join(events[:3])
    more = len(events) - 3
    return f"{shown} + {more}" if more > 0 else shown
