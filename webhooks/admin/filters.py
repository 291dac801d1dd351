"""What lists are narrowed by: each along an index, none by asking the table for its values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .. import catalog, formats
from ..models import Attempt, Webhook

# Shown to choose from; any other is found by the search, as “HTTP 418”.
HTTP_STATUSES = (400, 401, 403, 404, 408, 409, 410, 413, 422, 429, 500, 502, 503, 504)


class TypeFilter(admin.SimpleListFilter):
    """By type of event, from the catalog: asking the table for its distinct types is slow."""

    title = _("event type")
    parameter_name = "type"
    field = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        return ((event_type.name, event_type.name) for event_type in catalog.all_types())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.field: self.value()}) if self.value() else queryset


class PeriodFilter(admin.SimpleListFilter):
    """By age, along an index."""

    title = _("period")
    parameter_name = "period"
    field = "created_at"
    periods = {
        "1h": (_("Last hour"), timedelta(hours=1)),
        "24h": (_("Last 24 hours"), timedelta(days=1)),
        "7d": (_("Last 7 days"), timedelta(days=7)),
        "30d": (_("Last 30 days"), timedelta(days=30)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(key, label) for key, (label, _age) in self.periods.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in self.periods:
            return queryset
        age = self.periods[str(self.value())][1]
        return queryset.filter(**{f"{self.field}__gte": timezone.now() - age})


class WebhookFilter(admin.SimpleListFilter):
    """By webhook; the deleted ones are not offered, but found by address."""

    title = _("webhook")
    parameter_name = "webhook"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(id), name) for id, name in Webhook.objects.values_list("id", "name")[:200]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            return queryset.filter(webhook=UUID(str(self.value())))
        except ValueError as error:
            raise IncorrectLookupParameters(error) from None


class StateFilter(admin.SimpleListFilter):
    """By how a webhook stands, as the list shows it: those in trouble are active, but apart."""

    title = _("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        states = Webhook.Status
        return [
            ("active", states.ACTIVE.label),
            ("troubled", _("troubled")),
            ("paused", states.PAUSED.label),
            ("disabled", states.DISABLED.label),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        troubled = Webhook.objects.troubled().values("pk")
        match self.value():
            case None:
                return queryset
            case "troubled":
                return queryset.filter(status=Webhook.Status.ACTIVE, pk__in=troubled)
            case "active":
                return queryset.filter(status=Webhook.Status.ACTIVE).exclude(pk__in=troubled)
        return queryset.filter(status=self.value())


class FormatFilter(admin.SimpleListFilter):
    """By format, each under the name that a person knows."""

    title = _("format")
    parameter_name = "format"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(known.name, known.label) for known in formats.all_formats()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(format=self.value()) if self.value() else queryset


class FailingFilter(admin.SimpleListFilter):
    """What failed and what is still retried: where the last attempt was no success."""

    title = _("last attempt")
    parameter_name = "failing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", pgettext_lazy("attempt", "failed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.exclude(last_error="") if self.value() else queryset


class ErrorFilter(admin.SimpleListFilter):
    """By kind of the last failure."""

    title = _("kind of failure")
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(error.value, error.label) for error in Attempt.Error if error.value]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(last_error=self.value()).exclude(last_error="")  # as its index has


class HttpFilter(admin.SimpleListFilter):
    """By the last failure's HTTP status."""

    title = _("HTTP status of the failure")
    parameter_name = "http"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(status), str(status)) for status in HTTP_STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            status = int(str(self.value()))
        except ValueError as error:
            raise IncorrectLookupParameters(error) from None
        return queryset.filter(last_status_code=status).exclude(last_error="")


class DatesFilter(admin.ListFilter):
    """From one day to another, both included, in the time zone of the page."""

    title = _("dates")
    template = "admin/webhooks/dates_filter.html"
    field = "created_at"
    names = ("since", "until")

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.names)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """One: what the form needs."""
        others = [
            (name, value)
            for name, values in changelist.filter_params.items()
            if name not in self.names
            for value in values
        ]
        yield {
            "others": others,
            **{name: self.used_parameters.get(name, "") for name in self.names},
            "clear": changelist.get_query_string(remove=list(self.names))
            if self.used_parameters
            else "",
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since, until = (day_begins(str(self.used_parameters.get(name, ""))) for name in self.names)
        if since is not None:
            queryset = queryset.filter(**{f"{self.field}__gte": since})
        if until is not None:
            queryset = queryset.filter(**{f"{self.field}__lt": day_after(until)})
        return queryset


def day_begins(text: str) -> dt.datetime | None:
    """The first moment of a day such as 2024-01-31; None for an empty text.

    :raises IncorrectLookupParameters: it is no day.
    """
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise IncorrectLookupParameters(text)
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def day_after(begins: dt.datetime) -> dt.datetime:
    """:raises IncorrectLookupParameters: there is none in the calendar."""
    try:
        return begins + timedelta(days=1)
    except OverflowError as error:
        raise IncorrectLookupParameters(error) from None


def numbers(text: str) -> tuple[int, ...]:
    """The numbers in `1,2,3`.

    :raises IncorrectLookupParameters: it is something else, or a number that no column holds.
    """
    found = text.split(",")
    if not all(each.isascii() and each.isdecimal() and len(each) < 19 for each in found):
        raise IncorrectLookupParameters(text)
    return tuple(map(int, found))
