"""What a webhook has pending follows its state: parked, released or cancelled, however much it is.

The state itself changes at once, in one transaction with a job (`begin`), so that sending stops or
starts whatever becomes of the rest. Whoever asked does the job's first rows (`at_once`), workers do
the others. A later state ends the earlier one's job in the same way: that job's slices hold its
row, so none of them comes after what the later one does. Where all of it is interrupted, or a
worker that had not heard of it adds to it, queue/mending.py finds what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Case, F, Max, Q, QuerySet, When

from . import clock, context, jobs
from .batches import free
from .conf import settings
from .models import BulkJob, Delivery, Webhook

AT_ONCE = 1_000
"""Deliveries that whoever asks goes through before the rest is left to workers."""
MOST_COUNTED = 100_000
"""Beyond, a job's total is “so many or more”."""
MAX_PASSES = 20
PAUSE_SECONDS = 0.05  # before coming back for what was locked: workers lock for moments

_CLOCK_MARGIN = 60.0  # seconds by which the database's clock may be set while leases run


def waits(using: str) -> Q:
    """What waits for a later try and is surely in no worker's hands.

    `next_attempt_at` alone does not tell: of a claimed delivery it is the end of the lease. But a
    claim raises the fence, and so does the record of what came of it; only such a record counts an
    attempt. Twice as high as the attempts are many, the fence says that every claim was recorded.
    Higher, a claim was given back or died some time; then what is due later than any lease could
    end is not held. Whoever claims at the same moment wins: an UPDATE looks at this again once it
    has the row.
    """
    lease_over = clock.at(settings.LEASE_SECONDS + _CLOCK_MARGIN, using=using)
    recorded = Q(fence=2 * F("attempt_count")) | Q(next_attempt_at__gt=lease_over)
    return recorded & Q(
        status=Delivery.Status.PENDING,
        attempt_count__gt=0,
        next_attempt_at__gt=clock.at(using=using),
    )


@dataclass(frozen=True)
class Step:
    """What a slice of a job did."""

    through: int
    """Deliveries that it went through."""
    changed: int
    done: bool
    pause: float = 0.0
    """Seconds to wait before the next."""


def begin(webhook: Webhook, kind: str, *, using: str = DEFAULT_DB_ALIAS) -> BulkJob:
    """Put a job down that carries out the webhook's new state, in the transaction that gives it
    that state and has its row locked. It ends the job of the state before.

    The caller has the lease of it, for `at_once`.
    """
    running = BulkJob.objects.using(using).filter(webhook=webhook, state=BulkJob.State.RUNNING)
    running.update(
        state=BulkJob.State.SUPERSEDED, leased_until=None, finished_at=clock.at(using=using)
    )
    newest = Delivery.objects.using(using).aggregate(newest=Max("id"))["newest"] or 0
    job: BulkJob = BulkJob.objects.using(using).create(
        kind=kind,
        webhook=webhook,
        user=context.user(),
        until_id=newest,
        fence=1,
        leased_until=jobs.lease(0, using),
    )
    return job


def at_once(job: BulkJob, *, most: int = AT_ONCE) -> int:
    """Do the first of it, after the commit of what `begin` is part of.

    A job that ends here leaves no row behind; of another the total is counted, and workers are
    told of it.

    :param most: deliveries to go through.
    :returns: how many were changed.
    """
    using = job._state.db or DEFAULT_DB_ALIAS
    changed = through = passes = 0
    while passes < MAX_PASSES:
        size = min(jobs.SLICE, most - through)
        if size <= 0 and _count_left(job, using):
            break
        step = advance(job.pk, job.fence, size=max(1, size), using=using)
        if step is None:
            return changed  # another state came, and with it another job
        changed += step.changed
        through += step.through
        if step.done:
            BulkJob.objects.using(using).filter(pk=job.pk).delete()
            return changed
        if step.pause:
            passes += 1
            time.sleep(step.pause)
    jobs.give_up(job.pk, job.fence, using)
    transaction.on_commit(jobs.hint, using=using, robust=True)
    return changed


def _count_left(job: BulkJob, using: str) -> int:
    """How many deliveries are still to be gone through, kept with the job."""
    with jobs.held(job.pk, job.fence, using) as rest:
        if rest is None:
            return 0
        left = _pending(rest).filter(id__gt=rest.last_id).order_by()[:MOST_COUNTED].count()
        BulkJob.objects.using(using).filter(pk=job.pk).update(total=rest.changed + left)
    return left


def advance(pk: int, fence: int, *, size: int | None = None, using: str) -> Step | None:
    """Do the next slice of a job. :returns: None when it is not ours any more."""
    size = jobs.SLICE if size is None else size
    with jobs.held(pk, fence, using) as job:
        if job is None:
            return None
        pending = _pending(job)
        ids = list(
            pending.filter(id__gt=job.last_id).order_by("id").values_list("id", flat=True)[:size]
        )
        changed = passed_over = 0
        if ids:
            seen = pending.filter(id__gt=job.last_id, id__lte=ids[-1])
            wanting = _WANTING[BulkJob.Kind(job.kind)](seen)
            changed, passed_over = _change(wanting, _changes(job, using))
        ended = len(ids) < size
        passed_over += job.passed_over
        done = ended and not passed_over
        again = ended and not done  # from the first, for what was locked
        BulkJob.objects.using(using).filter(pk=pk).update(
            changed=F("changed") + changed,
            last_id=0 if again else ids[-1] if ids else F("last_id"),
            passed_over=0 if ended else passed_over,
            # What others changed meanwhile is nothing that is left.
            **end(using) | {"total": F("changed") + changed}
            if done
            else {"leased_until": jobs.lease(0, using)},
        )
    return Step(len(ids), changed, done, PAUSE_SECONDS if again else 0.0)


def end(using: str) -> dict[str, Any]:
    """The changes that say of a job that it is done."""
    return {
        "state": BulkJob.State.DONE,
        "leased_until": None,
        "finished_at": clock.at(using=using),
    }


def _pending(job: BulkJob) -> QuerySet[Delivery]:
    return Delivery.objects.using(job._state.db).filter(
        webhook=job.webhook_id, status=Delivery.Status.PENDING
    )


def _change(wanting: QuerySet[Delivery], changes: dict[str, Any]) -> tuple[int, int]:
    """Change these, but those that are locked, in the transaction that is open: two sides that wait
    for each other's rows are a deadlock. :returns: how many; how many were left."""
    ids = list(free(wanting))
    rows = Delivery.objects.using(wanting.db)
    changed = rows.filter(id__in=ids).update(**changes) if ids else 0
    return changed, wanting.exclude(id__in=ids).count()


def _to_park(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return rows.exclude(lane=Webhook.Lane.PARKED)


def _to_release(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """What was parked; and what waits although it was not, since the pause was ended half-way."""
    return rows.filter(Q(lane=Webhook.Lane.PARKED) | waits(rows.db)).exclude(
        Delivery.TEST_UNDER_WAY
    )


def _to_cancel(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return rows


_WANTING: dict[BulkJob.Kind, Callable[[QuerySet[Delivery]], QuerySet[Delivery]]] = {
    BulkJob.Kind.PARK: _to_park,
    BulkJob.Kind.RELEASE: _to_release,
    BulkJob.Kind.CANCEL: _to_cancel,
}


def _changes(job: BulkJob, using: str) -> dict[str, Any]:
    if job.kind == BulkJob.Kind.PARK:
        return {"lane": Webhook.Lane.PARKED}
    if job.kind == BulkJob.Kind.CANCEL:
        return Delivery.settled(Delivery.Status.CANCELLED)
    webhook: Webhook = Webhook.all_objects.using(using).get(jobs=job.pk)
    now = When(waits(using), then=clock.at(using=using))
    return {"lane": webhook.home_lane, "next_attempt_at": Case(now, default="next_attempt_at")}
