"""The audit trail: who did what, to be read only."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import AuditEntry
from .base import ReadOnlyAdmin
from .filters import PeriodFilter


class AtFilter(PeriodFilter):
    field = "at"


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "who", "origin", "action", "subject", "count", "detail")
    list_filter = (AtFilter, "action", "origin")
    list_select_related = ("user",)
    search_help_text = _("An object (cliente_123, evt_…, webhook_…), an actor or a user's name.")
    fields = ("at", "user", "actor", "origin", "action", "subject", "count", "detail")
    readonly_fields = fields

    @admin.display(description=_("who"))
    def who(self, entry: AuditEntry) -> str:
        return entry.user.get_username() if entry.user is not None else entry.actor or "—"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        user_name = get_user_model().USERNAME_FIELD
        wanted = Q(subject=term) | Q(actor=term) | Q(**{f"user__{user_name}": term})
        return queryset.filter(wanted), False
