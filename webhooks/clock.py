"""Which clock decides what is due: the database's, the one that all processes share.

Of two machines one is always ahead. A moment written by one's own clock and compared with another's
delays a delivery, or lets two workers hold the same lease. SQLite has no other clock than that of
the process, and all of its processes are on one machine.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.functions import Now
from django.utils import timezone


def at(seconds: float = 0.0, *, using: str = DEFAULT_DB_ALIAS) -> Any:
    """The moment in so many seconds, as a value for the ORM: in conditions and in what is written.

    On PostgreSQL it is an expression, the time of each statement (`statement_timestamp()`).
    """
    if connections[using].vendor == "postgresql":
        return Now() + dt.timedelta(seconds=seconds) if seconds else Now()
    return timezone.now() + dt.timedelta(seconds=seconds)


def now(*, using: str = DEFAULT_DB_ALIAS) -> dt.datetime:
    """The moment as Python has it, for sums that the ORM cannot do. One query on PostgreSQL."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        moment: dt.datetime = cursor.fetchone()[0]
    return moment
