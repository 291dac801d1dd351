"""Moments as the API takes them: ISO 8601, with the offset from UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.translation import gettext as _

# Beyond these, time zones carry dates out of what databases and programs can write.
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2999, 12, 31, tzinfo=UTC)


def parse(text: str) -> datetime:
    """`2024-01-01T10:00:00Z`, `2024-01-01T07:00:00-03:00`.

    :raises ValueError: it is none; the message, translated, says what is missing.
    """
    try:
        moment = datetime.fromisoformat(text)
        if len(text) < len("2024-01-01T10:00"):
            raise ValueError
    except ValueError:
        raise ValueError(_("Write a moment like 2024-01-01T10:00:00Z.")) from None
    if moment.tzinfo is None:
        raise ValueError(_("Say in which time zone, as in 2024-01-01T10:00:00Z or …-03:00."))
    try:
        within = EARLIEST <= moment <= LATEST
    except OverflowError:
        within = False
    if not within:
        raise ValueError(_("Give a moment between the years 1900 and 2999."))
    return moment
