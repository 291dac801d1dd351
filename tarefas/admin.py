"""Tasks in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm_common.admin import RecordAdmin

from .models import Tarefa


class OverdueFilter(admin.SimpleListFilter):
    title = _("overdue")
    parameter_name = "vencidas"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.vencidas() if self.value() == "1" else queryset


@admin.register(Tarefa)
class TarefaAdmin(RecordAdmin):
    SEARCH_BY_ID = {"tarefa": "pk", "cliente": "cliente_id", "usuario": "responsavel_id"}

    list_display = (
        "titulo",
        "public_id",
        "status",
        "prioridade",
        "cliente",
        "responsavel",
        "data_vencimento",
        "data_conclusao",
    )
    list_select_related = ("cliente", "responsavel")
    list_filter = (
        "status",
        "prioridade",
        OverdueFilter,
        ("responsavel", admin.RelatedOnlyFieldListFilter),
        "data_vencimento",
        "created_at",
    )
    search_fields = ("titulo", "descricao", "cliente__nome")
    search_help_text = _("Title, description, client's name, or id (tarefa_123, cliente_123).")
    date_hierarchy = "data_vencimento"
    ordering = ("-pk",)
    autocomplete_fields = ("cliente", "responsavel")
    readonly_fields = ("data_conclusao", "tempo_total")
    actions = ("concluir",)
    fieldsets = (
        (None, {"fields": ("public_id", "titulo", "descricao", "cliente")}),
        (
            _("Progress"),
            {
                "fields": (
                    ("status", "prioridade"),
                    ("responsavel", "data_vencimento"),
                    ("data_conclusao", "tempo_total"),
                )
            },
        ),
        (_("Times"), {"fields": (("created_at", "updated_at"),)}),
    )

    @admin.display(description=_("total time"))
    def tempo_total(self, obj: Tarefa) -> str | None:
        return obj.tempo_total

    @admin.action(description=_("Mark the selected tasks as done"), permissions=["change"])
    def concluir(self, request: HttpRequest, queryset: models.QuerySet[Tarefa]) -> None:
        self.act_on_each(
            request,
            queryset,
            Tarefa.concluir,
            done=lambda count: (
                ngettext("%(count)d task marked as done.", "%(count)d tasks marked as done.", count)
                % {"count": count}
            ),
        )
