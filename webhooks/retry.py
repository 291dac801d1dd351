"""When to try again: the schedule, `Retry-After`, and what counts as a usable schedule.

Seed 004, "Retentativas": at once, then 1 min, 5 min, 15 min and 1 h after the attempt before.
"""

from __future__ import annotations

import datetime
import email.utils
import math
import re
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

DEFAULT_SCHEDULE: tuple[float, ...] = (0, 60, 300, 900, 3600)  # seconds before each attempt
MAX_ATTEMPTS = 50
MAX_WAIT_SECONDS = 30 * 86_400

_SECONDS = re.compile(r"[0-9]{1,40}(\.[0-9]{1,20})?", re.ASCII)
_MOST_QUOTED = 60  # characters of a wrong value
_LONGEST_RETRY_AFTER = 64  # characters; an HTTP date has 29 (RFC 850's form up to 33)


def next_delay(
    schedule: Sequence[float],
    position: int,
    *,
    jitter: float,
    random: float,
    retry_after: float | None,
    retry_after_max: float,
) -> float | None:
    """Seconds from the attempt just made to the next; None when there is none left.

    :param schedule: seconds before each attempt; its length is the number of attempts.
    :param position: attempts already made in this round (0: before the first).
    :param jitter: 0 to 1; how much of the wait may be added at random, so that deliveries that
        failed together do not come back together. Nothing ever comes early.
    :param random: this call's random number, 0 to 1.
    :param retry_after: seconds the receiver asked for, or None; it lengthens a wait, never
        shortens one, and counts for at most `retry_after_max` seconds.
    """
    if position >= len(schedule):
        return None
    delay = float(schedule[position])
    if retry_after is not None and not math.isnan(retry_after):
        delay = max(delay, min(retry_after, retry_after_max))
    return delay * (1 + jitter * random)


def parse_retry_after(value: str | None, now: datetime.datetime) -> float | None:
    """What a `Retry-After` header asks for, in seconds from `now` (aware), 0 or more.

    Seconds or an HTTP date (RFC 9110, 10.2.3). None for no header and for what is neither:
    the value is the receiver's, and anything may stand there.
    """
    if value is None:
        return None
    value = value.strip()
    if len(value) > _LONGEST_RETRY_AFTER:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        if moment.tzinfo is None:  # "-0000", and asctime's form: both mean UTC
            moment = moment.replace(tzinfo=datetime.UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _short(value: Any) -> Any:
    """A wrong value, to be quoted: it may be of any length."""
    text = repr(value)
    return value if len(text) <= _MOST_QUOTED else text[:_MOST_QUOTED]


def validate_schedule(value: Any) -> list[float]:
    """A retry schedule as a list of seconds.

    :raises ValueError: not 1 to `MAX_ATTEMPTS` numbers, each 0 to `MAX_WAIT_SECONDS`; its message
        is a translated sentence for whoever typed it.
    """
    if not isinstance(value, list | tuple):
        raise ValueError(
            _("The retry schedule must be a list of seconds, such as [0, 60, 300], not %(value)r.")
            % {"value": _short(value)}
        )
    if not 1 <= len(value) <= MAX_ATTEMPTS:
        raise ValueError(
            _("The retry schedule has %(count)d waits; it must have 1 to %(max)d.")
            % {"count": len(value), "max": MAX_ATTEMPTS}
        )
    for wait in value:
        if isinstance(wait, bool) or not isinstance(wait, int | float):
            raise ValueError(
                _("The retry schedule holds %(value)r, which is not a number of seconds.")
                % {"value": _short(wait)}
            )
        if not 0 <= wait <= MAX_WAIT_SECONDS:  # NaN is neither
            raise ValueError(
                _("The retry schedule holds %(value)r; a wait is 0 to %(max)d seconds.")
                % {"value": _short(wait), "max": MAX_WAIT_SECONDS}
            )
    return [float(wait) for wait in value]
