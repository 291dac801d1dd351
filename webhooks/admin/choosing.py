"""What a list of deliveries shows, as a choice of what to send again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.options import IS_FACETS_VAR, IS_POPUP_VAR, IncorrectLookupParameters
from django.contrib.admin.views.main import (
    ALL_VAR,
    ERROR_FLAG,
    ORDER_VAR,
    PAGE_VAR,
    SEARCH_VAR,
)
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext

from .. import operations
from ..models import Delivery
from ..operations import ReplayFilter
from . import presentation
from .base import has_nul
from .filters import PeriodFilter, day_after, day_begins, numbers

SETTLED = "settled"
"""In an address: what is chosen was looked at, so take it however it ended."""

_READ = {
    *("status__exact", "webhook", "http", "ids", "type", "error", "failing"),
    *("period", "since", "until", SEARCH_VAR, SETTLED),
}
_PAGING = {ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, IS_POPUP_VAR, IS_FACETS_VAR}


class Inexpressible(Exception):
    """A list shows what a replay cannot choose; the text says so."""


def chosen_by_list(values: Mapping[str, str]) -> ReplayFilter:
    """What a list of deliveries with this query shows, of what is settled.

    Where the list is not narrowed by status, what failed: nobody sends a year's deliveries again
    by forgetting a click.

    :raises IncorrectLookupParameters: a value cannot be read.
    :raises Inexpressible: the list is narrowed by something else, which would be left out.
    """
    if has_nul(values.values()):
        raise IncorrectLookupParameters
    values = {name: value for name, value in values.items() if value and name not in _PAGING}
    if others := sorted(values.keys() - _READ):
        text = gettext("Nothing can be sent again by %(names)s: choose by the filters of the list.")
        raise Inexpressible(text % {"names": ", ".join(others)})
    statuses = _statuses(values)
    sought = _searched(values.get(SEARCH_VAR, "").strip())
    narrowed: dict[str, Any] = {}
    # Where the filters and the search name the same, both hold.
    for name, field in (("status_codes", "http"), ("ids", "ids")):
        named = [set(numbers(values[field]))] if values.get(field) else []
        named += [set(sought.pop(name))] if name in sought else []
        if named:
            narrowed[name] = tuple(sorted(set.intersection(*named)))
            statuses = statuses if narrowed[name] else ()
    try:
        if values.get("webhook"):
            narrowed["webhook"] = operations.find_webhook(values["webhook"])
    except ValidationError as error:
        raise IncorrectLookupParameters(error) from None
    if values.get("type"):
        narrowed["event_patterns"] = (values["type"],)
    if values.get("error"):
        narrowed["errors"] = (values["error"],)
    return ReplayFilter(statuses=statuses, **narrowed, **_dates(values), **sought)


def takes_all(values: Mapping[str, str]) -> bool:
    """Whether it takes all that the list shows, not only what failed of it."""
    return values.get("status__exact") in operations.SETTLED


def _statuses(values: Mapping[str, str]) -> tuple[str, ...]:
    if status := values.get("status__exact"):
        chosen = {status} & set(operations.SETTLED)
    elif values.get("ids") or values.get(SETTLED):
        chosen = set(operations.SETTLED)
    else:
        chosen = {Delivery.Status.FAILED}
    if values.get("failing"):
        # Of what is settled, what failed last has failed.
        chosen &= {Delivery.Status.FAILED}
    return tuple(status for status in operations.SETTLED if status in chosen)


def _dates(values: Mapping[str, str]) -> dict[str, Any]:
    since, until = day_begins(values.get("since", "")), day_begins(values.get("until", ""))
    if values.get("period") in PeriodFilter.periods:
        age = PeriodFilter.periods[values["period"]][1]
        since = max(filter(None, (since, timezone.now() - age)))
    return {
        "created_since": since,
        "created_until": until and day_after(until),
    }


def _searched(term: str) -> dict[str, Any]:
    if not term:
        return {}
    if (status := presentation.http_status(term)) is not None:
        if status < 300:
            text = gettext("Successes are not sent again by their HTTP status: narrow the list.")
            raise Inexpressible(text)
        return {"status_codes": (status,)}
    if term.isascii() and term.isdecimal() and len(term) < 19:
        return {"ids": (int(term),)}
    if (id := presentation.event_id(term)) is not None:
        return {"event_ids": (id,)}
    return {"subject": term}
