"""Columns that hold what was never entered here: a raw `UPDATE`, another release, a restored dump.

What reads rows expects lists, numbers and objects; one row that is wrong must not fail a page that
shows a hundred. So each such column is read here, as it is loaded, and what cannot be used gives
way to what holds where nothing was entered. `operations.misconfigured` says so at the webhook.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import models

from .. import retry

Reader = Callable[[Any], Any]

# So far from the ends of what a datetime can say that it has a local time, and a month before it.
_EARLIEST_YEAR, _LATEST_YEAR = 3, 9997


def mend(instance: models.Model, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Let each column that cannot be used as it is stored be what its reader makes of it.

    :param readers: by attribute; columns with a moment are read anyway.
    :returns: what is stored in the columns that were mended.
    """
    wrong: dict[str, Any] = {}
    loaded = instance.__dict__
    for name, read in readers.items():
        if name in loaded and loaded[name] is not (found := read(loaded[name])):
            wrong[name], loaded[name] = loaded[name], found
    for name, value in list(loaded.items()):
        if isinstance(value, datetime) and (found := moment(value)) is not value:
            wrong[name], loaded[name] = value, found
    return wrong


def moment(value: datetime) -> datetime:
    """One that can be reckoned with."""
    if _EARLIEST_YEAR <= value.year <= _LATEST_YEAR:
        return value
    return value.replace(year=max(_EARLIEST_YEAR, min(value.year, _LATEST_YEAR)))


def texts(value: Any) -> list[str]:
    """A list of texts: without what else is in it."""
    if isinstance(value, list):
        if all(isinstance(each, str) for each in value):
            return value
        return [each for each in value if isinstance(each, str)]
    return []


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def named_texts(value: Any) -> dict[str, str]:
    """An object whose values are texts."""
    if not isinstance(value, dict):
        return {}
    if all(isinstance(each, str) for each in value.values()):
        return value
    return {name: each if isinstance(each, str) else str(each) for name, each in value.items()}


def positive(value: Any) -> float | None:
    """A number above 0; None stands for the default."""
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if fits and value > 0 else None


def finite(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if fits else None


def waits(value: Any) -> list[float] | None:
    """A retry schedule; None stands for the default."""
    try:
        if value is not None:
            retry.validate_schedule(value)
    except ValueError:
        return None
    found: list[float] | None = value
    return found
