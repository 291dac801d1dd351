"""How the CRM's records behave in the admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from api_common.admin import MAX_SEARCH_LENGTH
from api_common.brief import quote_briefly

from . import public_ids
from .models import Record

# Beyond these the page would be a wall of errors; the count of the rest is told.
MAX_PROBLEMS_SHOWN = 20


class RecordAdmin(admin.ModelAdmin):
    """Public ids shown and searchable, times read-only, no COUNT(*) over the whole table."""

    # Which lookup a searched public id stands for: {"cliente": "cliente_id"}.
    SEARCH_BY_ID: ClassVar[Mapping[str, str]] = {}

    show_full_result_count = False
    list_per_page = 50
    save_on_top = True

    @admin.display(description=gettext_lazy("id"), ordering="pk")
    def public_id(self, obj: Record) -> str:
        return obj.public_id or "-"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (
            "public_id",
            *super().get_readonly_fields(request, obj),
            "created_at",
            "updated_at",
        )

    def formfield_for_choice_field(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.ChoiceField | None:
        field = super().formfield_for_choice_field(db_field, request, **kwargs)
        if field is not None:
            quote_briefly(field)
        return field

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        match public_ids.parse(search_term.strip().lower()):
            case (prefix, pk) if prefix in self.SEARCH_BY_ID:
                return queryset.filter(**{self.SEARCH_BY_ID[prefix]: pk}), False
        return super().get_search_results(request, queryset, search_term[:MAX_SEARCH_LENGTH])

    def act_on_each(
        self,
        request: HttpRequest,
        queryset: models.QuerySet[Any],
        act: Callable[[Any], bool],
        *,
        done: Callable[[int], str],
    ) -> None:
        """Runs `act` on each record in a transaction of its own, and tells what came of it.

        `act` answers whether it changed anything; a ValidationError says why it could not, and
        leaves the other records' changes standing. `done(count)` words the success.
        """
        changed = unchanged = 0
        problems: list[str] = []
        for record in queryset.order_by("pk"):
            try:
                with transaction.atomic():
                    did = act(record)
            except ValidationError as error:
                problems.append(f"{record.public_id} ({record}): {' '.join(error.messages)}")
            else:
                changed += did
                unchanged += not did
        if changed:
            self.message_user(request, done(changed), messages.SUCCESS)
        if unchanged:
            self.message_user(
                request,
                ngettext(
                    "%(count)d was so already and stays as it is.",
                    "%(count)d were so already and stay as they are.",
                    unchanged,
                )
                % {"count": unchanged},
                messages.INFO,
            )
        for problem in problems[:MAX_PROBLEMS_SHOWN]:
            self.message_user(request, problem, messages.ERROR)
        if (hidden := len(problems) - MAX_PROBLEMS_SHOWN) > 0:
            self.message_user(request, _("And %(count)d more.") % {"count": hidden}, messages.ERROR)
