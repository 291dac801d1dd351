"""Tokens in the admin: made (and shown once), looked over, revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from . import tokens
from .models import Token

# Each word of a search is a condition more, and databases take only so many.
MAX_SEARCH_LENGTH = 200


class TokenForm(ModelForm):  # type: ignore[type-arg]
    expires_at = forms.SplitDateTimeField(
        label=_("expires at"),
        required=False,
        widget=AdminSplitDateTime,
        help_text=_("Empty: in a year."),
    )

    class Meta:
        model = Token
        fields = ("user", "name", "expires_at")

    def clean_expires_at(self) -> datetime | None:
        moment: datetime | None = self.cleaned_data["expires_at"]
        try:
            tokens.prepare(Token(), moment)
        except ValidationError as error:
            raise ValidationError(error.messages) from error
        return moment


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = TokenForm
    list_display = ("name", "shown_prefix", "user", "state", "expires_at", "last_used_at")
    list_filter = ("expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    autocomplete_fields = ("user",)
    actions = ("revoke_selected",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Token], search_term: str
    ) -> tuple[QuerySet[Token], bool]:
        return super().get_search_results(request, queryset, search_term[:MAX_SEARCH_LENGTH])

    @admin.display(description=_("begins with"), ordering="prefix")
    def shown_prefix(self, token: Token) -> str:
        return f"{token.prefix}…"

    @admin.display(description=_("state"))
    def state(self, token: Token) -> str:
        if token.revoked_at is not None:
            return gettext("revoked")
        return gettext("usable") if token.usable else gettext("expired")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        # A token acts as its user: what one may not be, one may not see or make either.
        found = super().get_queryset(request)
        return found if request.user.is_superuser else found.filter(user=request.user.pk)

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        if obj is None:
            return (
                ("user", "name", "expires_at")
                if request.user.is_superuser
                else (
                    "name",
                    "expires_at",
                )
            )
        return (
            "name",
            "shown_prefix",
            "user",
            "state",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        return () if obj is None else tuple(n for n in self.get_fields(request, obj) if n != "name")

    @sensitive_variables("text")
    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        if not request.user.is_superuser:
            obj.user_id = request.user.pk  # type: ignore[assignment]
        obj, text = tokens.prepare(obj, form.cleaned_data.get("expires_at"))
        obj.save()
        request._new_api_token = text  # type: ignore[attr-defined]

    @sensitive_variables()
    def response_add(
        self, request: HttpRequest, obj: Token, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The token itself, this once. Not by a message: those may be stored in a cookie."""
        text = request._new_api_token  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("The new token"),
            "opts": self.opts,
            "token": obj,
            "text": text,
        }
        response = TemplateResponse(request, "admin/api_common/token/created.html", context)
        response["Cache-Control"] = "no-store"
        # Here, where an error report hides the template's variables; later it would show them.
        return response.render()

    @admin.action(description=_("Revoke the selected tokens"), permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        revoked = 0
        for token in queryset:
            if token.revoke():
                revoked += 1
                self.log_change(request, token, gettext("Revoked."))
        self.message_user(
            request,
            ngettext("%(count)d token revoked.", "%(count)d tokens revoked.", revoked)
            % {"count": revoked},
            messages.SUCCESS,
        )
