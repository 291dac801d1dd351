"""Filters of lists, strict: what a list does not know, it refuses, rather than answering all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from . import moments, pagination
from .problem_kinds import Text
from .problems import FieldError, Problem


class FilterSet(django_filters.FilterSet):
    """The filters of one list."""


class MomentField(forms.CharField):
    def to_python(self, value: Any) -> datetime | None:  # type: ignore[override]
        if value is None:
            return None
        text: Any = super().to_python(value)
        try:
            return moments.parse(text)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error


class Filter(django_filters.Filter):
    """The base of all.

    :cvar help_text: what it finds, for the OpenAPI document, where a filter says nothing better.
    """

    help_text: Text = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", self.help_text)
        super().__init__(*args, **kwargs)


class MomentFilter(Filter):
    """A moment, ISO 8601 with its offset."""

    field_class = MomentField
    bounds = {
        "gte": gettext_lazy("At this moment or later."),
        "lt": gettext_lazy("Before this moment."),
    }

    def __init__(self, field_name: str, *, lookup_expr: str, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", self.bounds[lookup_expr])
        super().__init__(field_name, lookup_expr=lookup_expr, **kwargs)


class ChoicesField(forms.CharField):
    """One or several of some words, separated by commas."""

    def __init__(self, *, choices: Any, **kwargs: Any) -> None:
        self.choices = dict(choices)
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        if value is None:
            return None
        text: Any = super().to_python(value)
        found = [part.strip() for part in text.split(",")]
        unknown = [part for part in found if part not in self.choices]
        if unknown:
            raise ValidationError(
                _("There is no “%(value)s”. There are: %(known)s."),
                code="invalid_choice",
                params={"value": unknown[0][:40], "known": ", ".join(self.choices)},
            )
        return found


class ChoicesFilter(Filter):
    """`?status=ABERTO,EM_ANDAMENTO`."""

    field_class = ChoicesField
    help_text = gettext_lazy("One of these, or several, separated by commas.")

    def __init__(self, field_name: str, *, choices: Any, **kwargs: Any) -> None:
        kwargs.setdefault("lookup_expr", "in")
        super().__init__(field_name, choices=choices, **kwargs)


class BooleanField(forms.CharField):
    def to_python(self, value: Any) -> bool | None:  # type: ignore[override]
        if value is None:
            return None
        text: Any = super().to_python(value)
        if text not in ("true", "false"):
            raise ValidationError(gettext_lazy("Write true or false."), code="invalid")
        return bool(text == "true")


class BooleanFilter(Filter):
    """`true` or `false`, in these words."""

    field_class = BooleanField


class IdField(forms.CharField):
    def __init__(self, *, read: Callable[[str], Any], **kwargs: Any) -> None:
        self.read = read
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        if value is None:
            return None
        text: Any = super().to_python(value)
        id = self.read(text)
        if id is None:
            raise ValidationError(
                _("“%(value)s” is no id of this kind."),
                code="invalid",
                params={"value": text[:40]},
            )
        return id


class IdFilter(Filter):
    """An id as it is answered.

    :param read: what a text names in the column; None: nothing, it is none.
    :param schema: JSON Schema of such ids.
    """

    field_class = IdField

    def __init__(
        self,
        field_name: str,
        *,
        read: Callable[[str], Any],
        schema: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        self.schema = schema
        super().__init__(field_name, read=read, **kwargs)


class TextFilter(Filter, django_filters.CharFilter):
    """Any text, of a bounded length."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 200)
        super().__init__(*args, **kwargs)


def apply(
    request: Request,
    queryset: QuerySet[Any],
    filterset_class: type[FilterSet] | None,
    others: Sequence[str] = (),
) -> QuerySet[Any]:
    """The rows that the query asks for.

    :raises Problem: a parameter is not valid, or not known.
    """
    own = filterset_class.base_filters if filterset_class else ()
    known = [*own, *others, *pagination.PARAMETERS]
    refuse_unknown(request, known)
    if filterset_class is None:
        return queryset
    filters: Any = filterset_class(request.query_params, queryset=queryset, request=request)
    if not filters.is_valid():
        raise Problem(
            "invalid",
            errors=[
                FieldError(name, message, error.code or "invalid", "query")
                for name, errors in filters.errors.as_data().items()
                for error in errors
                for message in error.messages
            ],
        )
    found: QuerySet[Any] = filters.qs
    return found


def refuse_unknown(request: Request, known: Any) -> None:
    """:raises Problem: a parameter of the query that is not among those."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        text = _("There is no such parameter. There are: %(known)s.") % {
            "known": ", ".join(known) or _("none")
        }
        raise Problem(
            "invalid",
            errors=[FieldError(name[:100], text, "unknown", "query") for name in unknown[:20]],
        )
    twice = [name for name, values in request.query_params.lists() if len(values) > 1]
    if twice:
        raise Problem(
            "invalid",
            errors=[
                FieldError(name, _("Give it once."), "repeated", "query") for name in twice[:20]
            ],
        )
