"""How long something took, as seed 004 writes it (`2h 30m`)."""

from __future__ import annotations

from datetime import datetime


def between(start: datetime, end: datetime) -> str:
    """The time from `start` to `end` in hours and whole minutes, rounded down.

    `30m` under an hour, `2h 30m`, `2h 0m`, and `26h 5m` beyond a day: hours are never turned
    into days, so a reader needs to know two units only. An `end` before `start` (clocks that
    disagree, imported dates) is `0m`.
    """
    minutes = max(0, int((end - start).total_seconds())) // 60
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m"
