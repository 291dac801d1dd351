"""Jobs: who is at one, and how far it has come; what they do is in moving.py and operations.

A job is worked on a slice at a time, each slice a transaction that holds the job's row: a process
that dies takes nothing with it, and whoever looks next goes on from there. A lease says who is at
it, by the database's clock. Each lease has a number, the fence: who was held up until another took
the job over finds the number changed, and changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import F, Q, QuerySet

from . import clock
from .models import BulkJob

logger = logging.getLogger("webhooks.jobs")

LEASE_SECONDS = 30.0
SLICE = 500  # deliveries, at most, in one transaction

_publish: Callable[[], None] | None = None


def set_publisher(publish: Callable[[], None]) -> None:
    """:param publish: tells a worker that there is a job to do; may raise, may take long."""
    global _publish  # noqa: PLW0603
    _publish = publish


def hint() -> None:
    """Tell a worker, in a thread: whoever asked does not wait for the broker."""
    if _publish is not None:
        threading.Thread(target=_try_to_publish, name="webhooks-jobs-hint", daemon=True).start()


def _try_to_publish() -> None:
    try:
        if _publish is not None:
            _publish()
    except Exception as error:
        # The reason alone: a broker's address may carry a password.
        logger.warning("No worker could be told of a job (%s).", type(error).__name__)


def free(using: str = DEFAULT_DB_ALIAS) -> QuerySet[BulkJob]:
    """The jobs that are to be done and that nobody is at."""
    return BulkJob.objects.using(using).filter(
        Q(leased_until=None) | Q(leased_until__lt=clock.at(using=using)),
        state=BulkJob.State.RUNNING,
    )


def take(pk: int, using: str = DEFAULT_DB_ALIAS) -> int | None:
    """Lease a job that nobody is at.

    :returns: its fence; None if another was faster, or it is not to be done any more.
    """
    with transaction.atomic(using=using):
        taken = free(using).filter(pk=pk).update(fence=F("fence") + 1, leased_until=lease(0, using))
        if not taken:
            return None
        return BulkJob.objects.using(using).values_list("fence", flat=True).get(pk=pk)


def lease(pause: float, using: str = DEFAULT_DB_ALIAS) -> Any:
    """When a lease ends whose holder waits for so many seconds before it goes on."""
    return clock.at(pause + LEASE_SECONDS, using=using)


@contextlib.contextmanager
def held(pk: int, fence: int, using: str = DEFAULT_DB_ALIAS) -> Iterator[BulkJob | None]:
    """The job, locked, for one slice; None if this lease of it is not the newest any more, or it
    was stopped, superseded or done."""
    with transaction.atomic(using=using):
        yield (
            BulkJob.objects.using(using)
            .select_for_update()
            .filter(pk=pk, fence=fence, state=BulkJob.State.RUNNING)
            .first()
        )


def give_up(pk: int, fence: int, using: str = DEFAULT_DB_ALIAS) -> None:
    """Leave the rest of a job to whoever looks next."""
    BulkJob.objects.using(using).filter(pk=pk, fence=fence).update(leased_until=None)
