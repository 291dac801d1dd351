"""What the whole database holds, to compare what two ways of doing the same leave behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.apps import apps
from django.db import transaction

from webhooks.fields import Sealed

Dump = dict[tuple[str, int, str], str]
"""Of (model, place among its rows, column)."""

_VOLATILE = {"sessions.session"}


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def dump() -> Dump:
    """Every value in the database; moments of today all read alike."""
    found: Dump = {}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.label_lower in _VOLATILE:
            continue
        for place, row in enumerate(model._base_manager.order_by("pk").values()):
            for column, value in row.items():
                plain = value.reveal() if isinstance(value, Sealed) else value
                text = str(plain) if isinstance(plain, datetime) else repr(plain)
                found[model._meta.label, place, column] = _moments().sub("now", text)
    return found


def _moments() -> re.Pattern[str]:
    """Of today, or of the day that has begun meanwhile."""
    now = datetime.now(tz=UTC)
    days = {f"{now + timedelta(days=days):%Y-%m-%d}" for days in (-1, 0, 1)}
    return re.compile(rf"({'|'.join(days)})[T ][0-9:.]+(Z|[+-][0-9:]+)?")
