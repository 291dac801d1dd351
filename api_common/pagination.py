"""Pages by cursor: as fast at the millionth row as at the first, and steady while rows come.

A cursor is the place in the order at which a page ends: the ordering field's value and the primary
key. (DRF's own takes the field alone and loses its way among many equal values.)
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import (
    Case,
    Choices,
    DateTimeField,
    F,
    IntegerField,
    Model,
    Q,
    QuerySet,
    Value,
    When,
)
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from . import moments
from .parsers import is_text
from .problems import invalid

DEFAULT_SIZE = 50
MAX_SIZE = 200
MAX_CURSOR_LENGTH = 1_000
PARAMETERS = ("cursor", "pageSize", "ordering")


@dataclass(frozen=True)
class Cursor:
    """A place between two rows."""

    value: Any
    """Of the ordering field, in the row beside it."""
    pk: Any
    backwards: bool = False
    """Whether the page wanted ends here, rather than begins."""
    ordering: str = ""
    """As the request wrote it: a cursor means nothing in another order."""

    def text(self) -> str:
        parts = [self.value, self.pk, int(self.backwards), self.ordering]
        plain = json.dumps(parts, default=_plain, separators=(",", ":"))
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """:raises ValueError: it is none."""
        if len(text) > MAX_CURSOR_LENGTH:
            raise ValueError
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            value, pk, backwards, ordering = json.loads(plain)
        except (binascii.Error, UnicodeError, TypeError, RecursionError) as error:
            raise ValueError from error
        if backwards not in (0, 1) or not isinstance(ordering, str) or pk is None:
            raise ValueError
        return cls(value, pk, bool(backwards), ordering)


@dataclass(frozen=True)
class Ranked:
    """An order by the place that a column's value has among its choices, as they are declared: of a
    priority, say, whose words in the alphabet mean nothing."""

    column: str
    choices: type[Choices]
    name = "_rank"

    def annotate(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        places = [
            When(**{self.column: value}, then=Value(place))
            for place, value in enumerate(self.choices.values)
        ]
        rank = Case(*places, default=Value(len(places)), output_field=IntegerField())
        ranked: QuerySet[Any] = queryset.annotate(**{self.name: rank})
        return ranked


def _field(model: type[Model], name: str) -> Any:
    if name == Ranked.name:
        return IntegerField()
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def _read(field: Any, value: Any) -> Any:
    """:raises ValueError: no row has that value."""
    if isinstance(field, DateTimeField):
        return moments.parse(value)
    found = field.to_python(value)
    if isinstance(found, str) and not is_text(found):
        raise ValueError
    return found


def _plain(value: Any) -> str:
    # Whole: Django's encoder cuts microseconds, and rows would fall through between two pages.
    return value.isoformat() if isinstance(value, datetime) else str(value)


class KeysetPagination:
    """`?cursor=…&pageSize=50&ordering=-createdAt` → `{"results": […], "next": …, "previous": …}`.

    :param orderings: which names may be ordered by, and the fields they mean:
        `{"createdAt": "created_at", "prioridade": Ranked(…)}`; the first of them, descending, is
        the default.
    :raises Problem: a parameter is not valid.
    """

    def __init__(self, request: Request, orderings: Mapping[str, str | Ranked]) -> None:
        self.request = request
        self.size = self._size(request)
        self.ordering = self._ordering(request, list(orderings))
        chosen = orderings[self.ordering.removeprefix("-")]
        self.ranked = chosen if isinstance(chosen, Ranked) else None
        self.field = chosen.name if isinstance(chosen, Ranked) else chosen
        self.descending = self.ordering.startswith("-")

    def page_of(self, queryset: QuerySet[Any]) -> list[Any]:
        """The rows of the page. One query."""
        if self.ranked is not None:
            queryset = self.ranked.annotate(queryset)
        cursor = self._cursor(self.request, queryset.model)
        backwards = cursor is not None and cursor.backwards
        rows = self._in_order(queryset, backwards)
        if cursor is not None:
            rows = rows.filter(self._beyond(queryset.model, cursor))
        found = list(rows[: self.size + 1])
        more = len(found) > self.size
        page = found[: self.size]
        if backwards:
            page.reverse()
        self.has_next = backwards or more
        self.has_previous = more if backwards else cursor is not None
        self.page = page
        return page

    def respond(self, data: list[Any]) -> Response:
        return Response(
            {
                "results": data,
                "next": self._link(self.page[-1], False) if self.page and self.has_next else None,
                "previous": self._link(self.page[0], True)
                if self.page and self.has_previous
                else None,
            }
        )

    # --- the request ------------------------------------------------------------------------
    def _size(self, request: Request) -> int:
        text = request.query_params.get("pageSize")
        if text is None:
            return DEFAULT_SIZE
        if text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= MAX_SIZE:
            return int(text)
        raise invalid(
            "pageSize",
            _("Give a whole number from 1 to %(most)d.") % {"most": MAX_SIZE},
            place="query",
        )

    def _ordering(self, request: Request, known: Sequence[str]) -> str:
        text = request.query_params.get("ordering", f"-{known[0]}")
        if text.removeprefix("-") not in known:
            raise invalid(
                "ordering",
                _("Order by one of these, with - before it for descending: %(known)s.")
                % {"known": ", ".join(known)},
                place="query",
            )
        return text

    def _cursor(self, request: Request, model: type[Model]) -> Cursor | None:
        text = request.query_params.get("cursor")
        if text is None:
            return None
        try:
            cursor = Cursor.parse(text)
            if cursor.ordering != self.ordering:
                raise ValueError
            pk = model._meta.pk.to_python(cursor.pk)
            value = cursor.value
            field = _field(model, self.field)
            if value is not None:
                value = _read(field, value)
            elif not field.null:
                raise ValueError
        except (ValueError, TypeError, OverflowError, ValidationError):
            raise invalid(
                "cursor",
                _("This is no cursor of this list in this order: follow “next” and “previous”."),
                place="query",
            ) from None
        return Cursor(value, pk, cursor.backwards, cursor.ordering)

    # --- the rows ---------------------------------------------------------------------------
    def _in_order(self, queryset: QuerySet[Any], backwards: bool) -> QuerySet[Any]:
        descending = self.descending != backwards
        sign = "-" if descending else ""
        if self.field == "pk":
            return queryset.order_by(f"{sign}pk")
        if not _field(queryset.model, self.field).null:
            return queryset.order_by(f"{sign}{self.field}", f"{sign}pk")
        # What has no value comes last, in either direction.
        field = F(self.field)
        nulls = {"nulls_first": True} if backwards else {"nulls_last": True}
        ordered = field.desc(**nulls) if descending else field.asc(**nulls)
        return queryset.order_by(ordered, f"{sign}pk")

    def _beyond(self, model: type[Model], cursor: Cursor) -> Q:
        comparison = "lt" if self.descending != cursor.backwards else "gt"
        further = Q(**{f"pk__{comparison}": cursor.pk})
        if self.field == "pk":
            return further
        null = Q(**{f"{self.field}__isnull": True})
        if cursor.value is None:
            return (~null | further) if cursor.backwards else (null & further)
        beyond = Q(**{f"{self.field}__{comparison}": cursor.value})
        beyond |= Q(**{self.field: cursor.value}) & further
        nullable = _field(model, self.field).null
        return beyond | null if nullable and not cursor.backwards else beyond

    def _link(self, row: Any, backwards: bool) -> str:
        cursor = Cursor(getattr(row, self.field), row.pk, backwards, self.ordering)
        url = remove_query_param(self.request.build_absolute_uri(), "cursor")
        return replace_query_param(url, "cursor", cursor.text())
