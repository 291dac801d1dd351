"""The help desk in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm_common.admin import RecordAdmin

from .models import Chamado, Departamento, Resposta


@admin.register(Departamento)
class DepartamentoAdmin(RecordAdmin):
    SEARCH_BY_ID = {"dept": "pk"}

    list_display = ("nome", "public_id", "descricao")
    search_fields = ("nome", "descricao")
    search_help_text = _("Name, description, or id (dept_123).")
    ordering = ("nome",)
    fields = ("public_id", "nome", "descricao", ("created_at", "updated_at"))


class RespostaInline(admin.StackedInline):
    """The replies so far, and room for one more. What was said stays said."""

    model = Resposta
    fields = ("mensagem", ("usuario", "created_at"))
    readonly_fields = ("usuario", "created_at")
    extra = 1

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Resposta]:
        return super().get_queryset(request).select_related("usuario")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        closed = obj is not None and obj.status == Chamado.Status.FECHADO
        return not closed and super().has_add_permission(request, obj)


@admin.register(Chamado)
class ChamadoAdmin(RecordAdmin):
    SEARCH_BY_ID = {
        "chamado": "pk",
        "cliente": "cliente_id",
        "dept": "departamento_id",
        "resposta": "respostas__pk",
        "usuario": "usuario_resolucao_id",
    }

    list_display = (
        "titulo",
        "public_id",
        "status",
        "prioridade",
        "departamento",
        "cliente",
        "created_at",
        "data_resolucao",
    )
    list_select_related = ("departamento", "cliente")
    list_filter = ("status", "prioridade", "departamento", "created_at", "data_resolucao")
    search_fields = ("titulo", "descricao", "cliente__nome")
    search_help_text = _("Title, description, client's name, or id (chamado_123, cliente_123 …).")
    date_hierarchy = "created_at"
    ordering = ("-pk",)
    autocomplete_fields = ("departamento", "cliente")
    readonly_fields = ("data_resolucao", "usuario_resolucao", "tempo_resolucao")
    inlines = (RespostaInline,)
    actions = ("resolver",)
    fieldsets = (
        (None, {"fields": ("public_id", "titulo", "descricao", "cliente", "departamento")}),
        (
            _("Progress"),
            {
                "fields": (
                    ("status", "prioridade"),
                    ("data_resolucao", "usuario_resolucao", "tempo_resolucao"),
                )
            },
        ),
        (_("Times"), {"fields": (("created_at", "updated_at"),)}),
    )

    @admin.display(description=_("time to resolution"))
    def tempo_resolucao(self, obj: Chamado) -> str | None:
        return obj.tempo_resolucao

    def save_model(self, request: HttpRequest, obj: Chamado, form: Any, change: bool) -> None:
        if obj.status == Chamado.Status.RESOLVIDO and "status" in form.changed_data:
            obj.usuario_resolucao = request.user
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for reply_form in formset.forms:
            if isinstance(reply_form.instance, Resposta) and reply_form.instance._state.adding:
                reply_form.instance.usuario = request.user
        super().save_formset(request, form, formset, change)

    @admin.action(description=_("Mark the selected tickets as resolved"), permissions=["change"])
    def resolver(self, request: HttpRequest, queryset: models.QuerySet[Chamado]) -> None:
        self.act_on_each(
            request,
            queryset,
            lambda chamado: chamado.resolver(request.user),
            done=lambda count: (
                ngettext(
                    "%(count)d ticket marked as resolved.",
                    "%(count)d tickets marked as resolved.",
                    count,
                )
                % {"count": count}
            ),
        )
