"""Attempts in one partition a month, on PostgreSQL: a month that is past its retention is dropped
whole, which takes a moment and gives its space back at once.

Nothing refers to attempts, which hold what receivers answered, and their ids rise with time. So
they are partitioned by ranges of ids, and keep their primary key: a timestamp would have to be part
of every key. Each month gets a range of its own, far more than it can use, and when it begins the
sequence jumps to where its range does:

    ids      1 …      10¹¹ …            2·10¹¹ …           3·10¹¹ …
    table    …_p0     …_p2026_11        …_p2026_12         …_p2027_01
             before   └ from the jump that `roll` makes in that month

Nothing is locked by a jump, and nothing depends on its being in time: until somebody rolls,
attempts go on into the month before, which is closed (and can expire) that much later. When a
partition was closed is noted as its comment.

Deliveries stay in one table: they are what workers claim from, at a cost that must not depend on
how many months are kept; and that there is one per event and webhook is a unique constraint, which
no partition by month could keep.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import OperationalError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from ..models import Attempt, Delivery

logger = logging.getLogger("webhooks.operations")

TABLE = Attempt._meta.db_table
IDS = 10**11
"""Ids of a month: over 37,000 attempts a second. 90,000 months are below 2⁵³."""
AHEAD = 3
"""Months for which a partition waits."""
_LOCK = 5_716_203_481  # any number that nobody else locks
_LOCK_TIMEOUT = "2s"  # what waits for a table's lock holds up all who come after it
Tell = Callable[[str], None]


def silent(step: str) -> None:
    """For callers that watch nothing."""


class CannotPartition(Exception):
    """Says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A table of attempts whose ids are at least `lower` and below `upper`."""

    name: str
    month: date | None
    """The first of its month; None: what there was before there were partitions."""
    lower: int
    upper: int
    closed_at: datetime | None = None
    """When the ids went on to another partition: no attempt in it is younger."""
    rows: int = 0
    """As PostgreSQL estimates it."""
    size: int = 0
    """Bytes, indexes included."""


def connection_of_attempts() -> BaseDatabaseWrapper:
    return connections[router.db_for_write(Attempt)]


def is_partitioned() -> bool:
    connection = connection_of_attempts()
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass", [TABLE])
        return bool(cursor.fetchone()[0])


def partitions() -> list[Partition]:
    """Those that there are, the oldest first; none where attempts are not partitioned."""
    connection = connection_of_attempts()
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid), "
            "greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid) "
            "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass",
            [TABLE],
        )
        found = [_partition(*row) for row in cursor.fetchall()]
    return sorted(found, key=lambda each: each.lower)


_BOUND = re.compile(r"FROM \((?:'?(\d+)'?|MINVALUE)\) TO \('?(\d+)'?\)")
_MONTH = re.compile(r"_p(\d{4})_(\d{2})$")


def _partition(name: str, bound: str, comment: str | None, rows: int, size: int) -> Partition:
    ids = _BOUND.search(bound)
    if ids is None:
        raise CannotPartition(
            _("%(name)s is a partition of somebody else's making: %(bound)s.")
            % {"name": name, "bound": bound}
        )
    month = _MONTH.search(name)
    return Partition(
        name=name,
        month=date(int(month[1]), int(month[2]), 1) if month else None,
        lower=int(ids[1] or 0),
        upper=int(ids[2]),
        closed_at=parse_datetime(comment.partition("closed ")[2]) if comment else None,
        rows=rows,
        size=size,
    )


# --- month by month -----------------------------------------------------------------------------


def coming(today: date | None = None, *, ahead: int = AHEAD) -> list[Partition]:
    """The partitions that `roll` with the same arguments would make."""
    found = partitions()
    if not found:
        return []
    end, newest = found[-1].upper, found[-1].month
    made = []
    for number in range(ahead + 1):
        month = months_after(today or timezone.now().date(), number)
        if newest is None or month > newest:
            made.append(
                Partition(name=f"{TABLE}_p{month:%Y_%m}", month=month, lower=end, upper=end + IDS)
            )
            end += IDS
    return made


def roll(today: date | None = None, *, ahead: int = AHEAD, tell: Tell = silent) -> bool:
    """Make the partitions of the coming months; in a new month, let the ids go on in its own.

    Any number may do it at once, at any time; where attempts are not partitioned, it does nothing.

    :param today: within the month that is to be the current one; None: today (UTC).
    :param ahead: months after it that get a partition.
    :param tell: called with each step.
    :returns: whether there was anything to do.
    :raises OperationalError: something long had a table; another time, then.
    """
    if not is_partitioned():
        return False
    connection = connection_of_attempts()
    with impatient(connection), connection.cursor() as cursor:
        if not _alone(cursor):
            return False
        made = coming(today, ahead=ahead)
        for each in made:
            tell(_("Making %(name)s.") % {"name": each.name})
            cursor.execute(
                f"CREATE TABLE {each.name} PARTITION OF {TABLE} "
                f"FOR VALUES FROM ({each.lower}) TO ({each.upper})"
            )
    # Committed: a sequence's jump is not undone by what fails after it.
    return _jump(connection, months_after(today or timezone.now().date(), 0), tell) or bool(made)


def _jump(connection: BaseDatabaseWrapper, month: date, tell: Tell) -> bool:
    with impatient(connection), connection.cursor() as cursor:
        if not _alone(cursor):
            return False
        found = partitions()
        current = next((each for each in found if each.month == month), None)
        if current is None:
            return False
        ids, last = sequence(connection)
        if last + 1 < current.lower:
            tell(_("The ids go on in %(name)s.") % {"name": current.name})
            cursor.execute("SELECT setval(%s, %s, false)", [ids, current.lower])
        closed = [each for each in found if each.upper <= current.lower and each.closed_at is None]
        for each in closed:
            cursor.execute(f"COMMENT ON TABLE {each.name} IS 'closed {timezone.now().isoformat()}'")
        return bool(closed)


# --- what is past its retention -----------------------------------------------------------------


def expired(older_than: datetime) -> list[Partition]:
    """Those that may be dropped: closed before that moment, and with no attempt of what is owed.

    An event comes before its attempts, so that all events of a partition's attempts are older than
    its end. One that has a delivery pending, however old, keeps its attempts.
    """
    return [
        each
        for each in partitions()
        if each.closed_at is not None and each.closed_at < older_than and not _is_owed(each)
    ]


def drop_expired(
    older_than: datetime,
    *,
    stop: Callable[[], bool] = lambda: False,
    tell: Tell = silent,
) -> int:
    """Drop them. Their deliveries and events are pruned as ever.

    :returns: how many partitions were dropped.
    """
    connection = connection_of_attempts()
    dropped = 0
    for each in expired(older_than):
        if stop():
            break
        try:
            with impatient(connection), connection.cursor() as cursor:
                tell(_("Dropping %(name)s.") % {"name": each.name})
                # From here on nobody reads it: what a replay makes pending now is seen, or it
                # comes second and finds the attempts gone, as after any pruning.
                cursor.execute(f"LOCK TABLE {each.name} IN ACCESS EXCLUSIVE MODE")
                if not _is_owed(each):
                    cursor.execute(f"DROP TABLE {each.name}")
                    dropped += 1
        except OperationalError:
            logger.warning("%s is in use, and is dropped another time.", each.name)
    return dropped


def _is_owed(partition: Partition) -> bool:
    with connection_of_attempts().cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {Delivery._meta.db_table} d WHERE d.status = %s "
            f"AND EXISTS (SELECT 1 FROM {partition.name} a WHERE a.delivery_id = d.id))",
            [Delivery.Status.PENDING],
        )
        return bool(cursor.fetchone()[0])


# --- what they share ----------------------------------------------------------------------------


@contextmanager
def impatient(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """A transaction that gives up on a lock rather than let everybody wait behind it."""
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        yield


def _alone(cursor: Any) -> bool:
    """Whether nobody else changes partitions until this transaction ends."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
    return bool(cursor.fetchone()[0])


def sequence(connection: BaseDatabaseWrapper) -> tuple[str, int]:
    """The sequence of the ids, and the newest that was given away; 0: none was."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [TABLE])
        [name] = cursor.fetchone()
        cursor.execute(f"SELECT last_value - (NOT is_called)::int FROM {name}")
        return name, int(cursor.fetchone()[0])


def months_after(day: date, number: int) -> date:
    """The first of the month that many months later."""
    years, month = divmod(day.month - 1 + number, 12)
    return date(day.year + years, month + 1, 1)
