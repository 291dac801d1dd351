"""The audit trail: who did what, to be read only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import AuditEntry
from . import presentation, records
from .base import ReadOnlyAdmin
from .filters import PeriodFilter


class AtFilter(PeriodFilter):
    field = "at"


class NamingChangeList(ChangeList):
    """Reads the webhooks that the page's entries speak of together, for their names."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        _name(self.result_list)


def _name(entries: Iterable[Any]) -> None:
    webhooks = records.webhooks_of(entry.subject for entry in entries)
    for entry in entries:
        entry.webhook = webhooks.get(entry.subject)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("moment", "action", "about", "number", "who", "origin", "detail")
    list_filter = (AtFilter, "action", "origin")
    list_select_related = ("user",)
    search_help_text = _("An object (cliente_123, evt_…, webhook_…), an actor or a user's name.")
    fields = ("at", "user", "actor", "origin", "action", "about", "count", "detail")
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NamingChangeList

    @admin.display(description=_("when"))
    def moment(self, entry: AuditEntry) -> str:
        return presentation.moment(entry.at)

    @admin.display(description=_("object"))
    def about(self, entry: Any) -> SafeString | str:
        if not hasattr(entry, "webhook"):
            _name([entry])
        if entry.webhook is None:
            return records.page_link(self.admin_site, entry.subject) or "—"
        return format_html(
            '<span title="{}">{}</span>', entry.subject, records.webhook_link(entry.webhook)
        )

    @admin.display(description=_("count"))
    def number(self, entry: AuditEntry) -> int | None:
        return entry.count

    def get_fields(self, request: HttpRequest, obj: AuditEntry | None = None) -> Any:
        leads = {"user": (get_user_model(), "user_name")}
        return records.leading(request, self.admin_site, self.fields, leads)

    @admin.display(description=_("user"))
    def user_name(self, entry: AuditEntry) -> str:
        return presentation.user_name(entry.user)

    @admin.display(description=_("who"))
    def who(self, entry: AuditEntry) -> str:
        return entry.user.get_username() if entry.user is not None else entry.actor or "—"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        # One condition at a time, each along an index.
        users = get_user_model().objects.filter(**{get_user_model().USERNAME_FIELD: term})
        if (user := users.values_list("pk", flat=True).first()) is not None:
            return queryset.filter(user=user), False
        by_subject = queryset.filter(subject=term)
        return (by_subject if by_subject.exists() else queryset.filter(actor=term)), False
