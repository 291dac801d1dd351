"""Exporting deliveries: a page that asks how, and the file."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from .. import operations
from ..models import Delivery
from .base import MOST_COUNTED, ReadOnlyAdmin, button, has_nul
from .filters import numbers

_FORMATS = {"csv": _("CSV, for a spreadsheet"), "jsonl": _("JSON Lines, for a program")}


class ExportForm(forms.Form):
    format = forms.ChoiceField(
        label=_("Format"),
        choices=[(name, _FORMATS.get(name, name)) for name in operations.EXPORT_FORMATS],
    )
    payloads = forms.BooleanField(
        label=_("With what was sent and answered"),
        required=False,
        help_text=_("Personal data: keep the file where only those may read it who may see it."),
    )

    def __init__(self, *args: Any, may_see_payloads: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_see_payloads:
            del self.fields["payloads"]


class ExportPage(ReadOnlyAdmin):
    """For the list of deliveries: GET asks about what the address says was chosen, POST answers
    the file."""

    def get_urls(self) -> list[URLPattern]:
        ask = button(self, "export", never_cache(self.export_view), ("GET", "POST"), of_one=False)
        return [ask, *super().get_urls()]

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.export_delivery"))

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not (self.has_view_permission(request) and self.has_export_permission(request)):
            raise PermissionDenied
        try:
            deliveries = self._chosen(request)
        except IncorrectLookupParameters:
            self.message_user(request, gettext("The filter cannot be read."), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:webhooks_delivery_changelist"))
        form = ExportForm(
            request.POST or None,
            may_see_payloads=request.user.has_perm("webhooks.view_payload"),
        )
        if request.method == "POST" and form.is_valid():
            return self._file(request, deliveries, form.cleaned_data)
        return self._ask_how(request, deliveries, form)

    def _chosen(self, request: HttpRequest) -> QuerySet[Delivery]:
        """What the list with this query shows, on all of its pages, or these ids of it.

        :raises IncorrectLookupParameters: a value cannot be read.
        """
        if has_nul(request.GET.dict().values()):
            raise IncorrectLookupParameters
        if "ids" in request.GET:
            ids = numbers(request.GET.dict()["ids"])
            return self.get_queryset(request).filter(pk__in=ids)
        found: QuerySet[Delivery] = self.get_changelist_instance(request).get_queryset(request)
        return found

    def _ask_how(
        self, request: HttpRequest, deliveries: QuerySet[Delivery], form: ExportForm
    ) -> HttpResponse:
        total = deliveries.order_by()[:MOST_COUNTED].count()
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Export"),
            "opts": self.opts,
            "media": self.media,
            "form": form,
            "total": total,
            "or_more": total >= MOST_COUNTED,
            "conditions": _words(request),
        }
        return TemplateResponse(request, "admin/webhooks/delivery/export.html", context)

    def _file(
        self, request: HttpRequest, deliveries: QuerySet[Delivery], asked: dict[str, Any]
    ) -> HttpResponseBase:
        export = operations.export(
            deliveries,
            format=asked["format"],
            payloads=asked.get("payloads", False),
            chosen=_words(request),
        )
        name = f"deliveries-{timezone.localtime():%Y-%m-%d-%H%M}.{asked['format']}"
        return StreamingHttpResponse(
            export.pieces,
            content_type=f"{operations.EXPORT_FORMATS[asked['format']]}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def _words(request: HttpRequest) -> dict[str, str]:
    """The list's query, without what only says which page of it one saw."""
    return {
        name.removesuffix("__exact"): value
        for name, value in request.GET.dict().items()
        if name != PAGE_VAR and value
    }
