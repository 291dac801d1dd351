"""Clients in the admin."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from crm_common.admin import RecordAdmin

from .forms import ClienteForm
from .models import Cliente

# What may be a telephone or a document as people write it. Their columns hold neither punctuation
# nor small letters, so a search must drop them too.
_NUMBER = re.compile(r"[+(]?[0-9A-Za-z]{2}[0-9A-Za-z\s().\-/]*")
_MIN_DIGITS = 4


@admin.register(Cliente)
class ClienteAdmin(RecordAdmin):
    form = ClienteForm
    SEARCH_BY_ID = {"cliente": "pk"}

    list_display = ("nome", "public_id", "email", "telefone_formatado", "empresa", "created_at")
    list_filter = ("nao_perturbe", "created_at", "updated_at")
    search_fields = ("nome", "email", "empresa")
    search_help_text = _("Name, e-mail, company, telephone, CPF or CNPJ, or id (cliente_123).")
    date_hierarchy = "created_at"
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("public_id", "nome", "email", "telefone", "documento", "empresa")}),
        (
            _("Relationship"),
            {"fields": ("origem", "etiquetas", "nao_perturbe", "observacoes")},
        ),
        (_("More"), {"fields": ("campos_personalizados", "created_at", "updated_at")}),
    )

    @admin.display(description=_("telephone"), ordering="telefone")
    def telefone_formatado(self, obj: Cliente) -> str:
        return obj.telefone_formatado

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        number = re.sub(r"[\s().+\-/]", "", search_term).upper()
        significant = number.lstrip("0")  # E.164 has no trunk prefix
        if _NUMBER.fullmatch(search_term.strip()) and _digits(significant) >= _MIN_DIGITS:
            found |= queryset.filter(
                Q(telefone__contains=significant) | Q(documento__startswith=number)
            )
        return found, may_repeat


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)
