"""How the commands read moments, durations and webhooks, and how they show progress."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _
from tqdm import tqdm

from ..models import Webhook
from ..operations import find_webhook

_AGO = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """`90s`, `30m`, `2h`, `7d`, `4w`. For argparse."""
    match = _AGO.fullmatch(text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(
            _("“%(text)s” is no duration: write 90s, 30m, 2h, 7d or 4w.") % {"text": text[:100]}
        )
    found = timedelta(**{_UNITS[match["unit"]]: int(match["number"])})
    try:
        timezone.now() - found
    except OverflowError:
        raise argparse.ArgumentTypeError(
            _("“%(text)s” is too long: no calendar reaches so far back.") % {"text": text[:100]}
        ) from None
    return found


def since(text: str) -> datetime:
    """A moment: `2h` (that long ago), a date (its beginning) or a date and time. For argparse.

    What names no zone is in the zone of the settings.
    """
    return _moment(text, days_later=0)


def until(text: str) -> datetime:
    """Likewise; a date means its end, so that `--since 2024-01-01 --until 2024-01-01` is a day."""
    return _moment(text, days_later=1)


def webhook(text: str) -> Webhook:
    """The webhook of that id or name.

    :raises CommandError: there is none, or several.
    """
    try:
        return find_webhook(text)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None


def positive(text: str) -> int:
    """A whole number of 1 or more. For argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            _("“%(text)s” is no whole number of 1 or more.") % {"text": text[:100]}
        )
    return int(text)


@contextmanager
def progress_bar(stream: IO[str], *, total: int | None, unit: str) -> Iterator[Any]:
    """A `tqdm` whose `update` tells how far it is; silent where nobody watches."""
    watched = bool(getattr(stream, "isatty", lambda: False)())
    with tqdm(total=total, unit=f" {unit}", file=stream, disable=not watched, leave=False) as bar:
        yield bar


def confirmed(question: str) -> bool:
    """Whether whoever sits at the terminal says yes; no where nobody does."""
    return sys.stdin.isatty() and input(question).strip().lower() in {"y", "yes", "s", "sim"}


def _moment(text: str, *, days_later: int) -> datetime:
    text = text.strip()
    if _AGO.fullmatch(text.lower()):
        return timezone.now() - duration(text)
    try:
        # A date first: `parse_datetime` would read it too, as the beginning of that day.
        day = parse_date(text)
        if day is not None:
            return _aware(datetime.combine(day + timedelta(days=days_later), time.min))
        moment = parse_datetime(text)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise argparse.ArgumentTypeError(
            _(
                "“%(text)s” is no moment: write 2h or 7d (so long ago), 2024-01-31 or "
                "2024-01-31T10:00."
            )
            % {"text": text[:100]}
        )
    return _aware(moment)


def _aware(moment: datetime) -> datetime:
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
