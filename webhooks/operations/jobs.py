"""Jobs are done by workers, a slice at a time; replays among them, at a pace.

Who looks for jobs: every worker, at once by a hint through the broker, else with its sign of life.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Max
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from .. import audit, clock, context, jobs, moving
from ..databases import refresh, writing
from ..jobs import SLICE
from ..models import BulkJob, Delivery, Webhook
from ..moving import MOST_COUNTED, Step
from .replay import (
    ReplayFilter,
    count_replay,
    create_batch,
    missing_events,
    replay_batch,
    replayable,
)

logger = logging.getLogger("webhooks.operations")

RATES = (1, 1000)
"""Deliveries per second: the least and the most."""
DEFAULT_RATE = 50
CHOSEN = (BulkJob.Kind.REPLAY, BulkJob.Kind.RECOVER)
"""Kinds that are chosen by conditions; people stop and resume them."""


def newest_delivery() -> int:
    """Where a replay that is thought of now ends: what is made later is not its business."""
    return int(writing(Delivery).aggregate(newest=Max("id"))["newest"] or 0)


def start_replay(
    chosen: ReplayFilter, *, user: Any = None, rate: int = DEFAULT_RATE, until_id: int | None = None
) -> BulkJob:
    """Have workers send these deliveries again, in the order in which they were made.

    :param user: who asked; None: whoever acts by `webhooks.context`.
    :param rate: deliveries per second.
    :param until_id: the last delivery that may be sent; None: the newest now.
    :raises ValidationError: the rate is out of bounds, or there is nothing to send.
    """
    if not RATES[0] <= rate <= RATES[1]:
        raise ValidationError(
            {"rate": _("From %(least)d to %(most)d.") % {"least": RATES[0], "most": RATES[1]}}
        )
    until_id = newest_delivery() if until_id is None else until_id
    deliveries = writing(replayable(chosen).filter(id__lte=until_id))
    total = sum(count.deliveries for count in count_replay(deliveries, most=MOST_COUNTED))
    if not total:
        raise ValidationError(_("Nothing to send again."))
    with transaction.atomic():
        job: BulkJob = writing(BulkJob).create(
            kind=BulkJob.Kind.REPLAY,
            user=user,
            chosen=written(chosen),
            total=total,
            rate=rate,
            until_id=until_id,
        )
        _record(job, "start", total)
        transaction.on_commit(jobs.hint, robust=True)
    return job


def replay_rest(chosen: ReplayFilter, *, user: Any = None) -> BulkJob | None:
    """Have workers go on with a replay that was stopped half-way, as fast as they can.

    What was sent already is not sent twice, however it ended: it was settled after this moment.

    :returns: None where nothing is left.
    """
    now = clock.now(using=_using())
    until = now if chosen.until is None else min(chosen.until, now)
    try:
        chosen = dataclasses.replace(chosen, until=until)
        return start_replay(chosen, user=user, rate=RATES[1])
    except ValidationError:
        return None


def recover_rest(
    webhook: Webhook, since: datetime, *, until: datetime | None = None, user: Any = None
) -> BulkJob:
    """Have workers go on with a recovery that was stopped half-way."""
    now = clock.now(using=_using())
    chosen = ReplayFilter(webhook=webhook, since=since, until=min(until or now, now))
    missing = writing(missing_events(webhook, since, chosen.until)).order_by()[:MOST_COUNTED]
    failed = writing(replayable(chosen)).order_by()[:MOST_COUNTED]
    with transaction.atomic():
        job: BulkJob = writing(BulkJob).create(
            kind=BulkJob.Kind.RECOVER,
            user=user or context.user(),
            chosen=written(chosen),
            total=min(MOST_COUNTED, missing.count() + failed.count()),
            until_id=newest_delivery(),
        )
        transaction.on_commit(jobs.hint, robust=True)
    return job


def stop_replay(job: BulkJob, *, user: Any = None) -> bool:
    """Send no more; what was sent is sent. :returns: whether it was running."""
    with transaction.atomic():
        stopped = _replays(job).filter(state=BulkJob.State.RUNNING)
        if not stopped.update(state=BulkJob.State.STOPPED, leased_until=None):
            return False
        refresh(job)
        _record(job, "stop", job.changed, user)
    return True


def resume_replay(job: BulkJob, *, user: Any = None) -> bool:
    """Go on where it was stopped. :returns: whether it was stopped."""
    with transaction.atomic():
        stopped = _replays(job).filter(state=BulkJob.State.STOPPED)
        if not stopped.update(state=BulkJob.State.RUNNING, leased_until=None):
            return False
        _record(job, "resume", None, user)
        transaction.on_commit(jobs.hint, robust=True)
    return True


def _replays(job: BulkJob) -> Any:
    """A state that a webhook was given is not stopped half-way: it is given another."""
    return writing(BulkJob).filter(pk=job.pk, kind__in=CHOSEN)


def jobs_waiting() -> bool:
    """Whether there is a job that no worker is at. One query."""
    return bool(jobs.free(_using()).exists())


def work_on_jobs(*, seconds: float = 60.0, wait: Callable[[float], object] = time.sleep) -> bool:
    """Do jobs that nobody else is at, in turns: a replay waits most of the time, for its pace.

    :param seconds: after which the rest is left to the next call, here or elsewhere.
    :param wait: how to wait so many seconds.
    :returns: whether something is left.
    """
    using = _using()
    until = time.monotonic() + seconds
    waited = 0.0
    fences: dict[int, int] = {}
    turns: dict[int, float] = {}  # by job, when it goes on: at so many seconds of waiting
    while time.monotonic() < until:
        for pk in jobs.free(using).order_by("id").values_list("pk", flat=True):
            if (fence := jobs.take(pk, using)) is not None:
                fences[pk], turns[pk] = fence, waited
        if not turns:
            return False
        pk = min(turns, key=lambda each: (turns[each], each))
        if (pause := turns[pk] - waited) > 0:
            wait(pause)
            waited = turns[pk]
        step = _advance(pk, fences[pk], using)
        if step is None or step.done:
            del turns[pk]
        else:
            turns[pk] += step.pause
    for pk in turns:
        jobs.give_up(pk, fences[pk], using)
    return bool(turns) or jobs_waiting()


def _using() -> str:
    using: str = writing(BulkJob).db
    return using


class ChosenUnreadable(ValueError):
    """A job's row does not say which deliveries it is about."""


def read(chosen: Any) -> ReplayFilter:
    """What `written` wrote. Its webhook may have been deleted or even pruned since: then nothing
    fits any more.

    :raises ChosenUnreadable: nothing here wrote it. To read it as no condition would take all.
    """
    try:
        return _read(dict(chosen))
    except (TypeError, ValueError, AttributeError, ValidationError):
        raise ChosenUnreadable(_("What it was to send again cannot be read.")) from None


def _read(values: dict[str, Any]) -> ReplayFilter:
    if after := values.pop(_AFTER, ""):
        UUID(after)
    if (pk := values.get("webhook")) is not None:
        values["webhook"] = writing(Webhook.all_objects).filter(pk=pk).first() or Webhook(
            pk=UUID(pk), name=pk
        )
    for name in _MOMENTS & values.keys():
        if (moment := parse_datetime(values[name])) is None:
            raise ValueError(values[name])
        values[name] = moment
    for name in _TUPLES & values.keys():
        if not isinstance(values[name], list):
            raise TypeError(values[name])
        values[name] = tuple(_KINDS.get(name, str)(each) for each in values[name])
    if not isinstance(values.get("subject", ""), str):
        raise TypeError(values["subject"])
    return ReplayFilter(**values)


_AFTER = "after"
_MOMENTS = {"since", "until", "created_since", "created_until"}
_KINDS: dict[str, Callable[[Any], Any]] = {"ids": int, "event_ids": UUID, "status_codes": int}
_TUPLES = {"statuses", "event_patterns", "ids", "event_ids", "errors", "status_codes"}


def written(chosen: ReplayFilter) -> dict[str, Any]:
    """As JSON, for a job's row; what says nothing is left out."""
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    return {name: _plain(value) for name, value in values.items() if value not in (None, "", ())}


def _plain(value: Any) -> Any:
    if isinstance(value, Webhook):
        return str(value.pk)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, UUID) else value


def _advance(pk: int, fence: int, using: str) -> Step | None:
    """Do a slice of a job. :returns: None when it is not ours any more."""
    with jobs.held(pk, fence, using) as job:
        if job is None:
            return None
        if job.kind in CHOSEN:
            try:
                chosen = read(job.chosen)
            except ChosenUnreadable:
                logger.error("Job %s does not say what it is to send; it was stopped.", pk)
                writing(BulkJob).filter(pk=pk).update(
                    state=BulkJob.State.STOPPED, leased_until=None
                )
                return None
            advance = _send_again if job.kind == BulkJob.Kind.REPLAY else _recover
            return advance(job, chosen, using)
    return moving.advance(pk, fence, using=using)


def _send_again(job: BulkJob, chosen: ReplayFilter, using: str) -> Step:
    rate = job.rate or RATES[1]
    size = min(SLICE, max(1, rate))
    deliveries = replayable(chosen).filter(id__lte=job.until_id)
    batch = replay_batch(deliveries, job.last_id, size)
    sent, done, pause = len(batch.sent), batch.through < size, batch.through / rate
    changes = moving.end(using) if done else {"leased_until": jobs.lease(pause, using)}
    writing(BulkJob).filter(pk=job.pk).update(
        changed=F("changed") + sent, last_id=batch.last_id, **changes
    )
    if done:
        _record(job, "end", job.changed + sent)
    return Step(batch.through, sent, done, pause)


def _recover(job: BulkJob, chosen: ReplayFilter, using: str) -> Step:
    """What failed first; then, where `chosen` has the last event that was gone through, what is
    missing."""
    after = job.chosen.get(_AFTER)
    changes: dict[str, Any] = {"leased_until": jobs.lease(0, using)}
    webhook, since = chosen.webhook, chosen.since
    if webhook is None or since is None or webhook.deleted_at is not None:
        through, changed, done = 0, 0, True  # it was deleted, or pruned, meanwhile
    elif after is None:
        deliveries = replayable(chosen).filter(id__lte=job.until_id)
        batch = replay_batch(deliveries, job.last_id, SLICE)
        through, changed, done = batch.through, len(batch.sent), False
        changes["last_id"] = batch.last_id
        if through < SLICE:
            changes["chosen"] = {**job.chosen, _AFTER: ""}
    else:
        events = writing(missing_events(webhook, since, chosen.until))
        ids, changed = create_batch(webhook, events, UUID(after) if after else None, SLICE)
        through, done = len(ids), len(ids) < SLICE
        if ids:
            changes["chosen"] = {**job.chosen, _AFTER: str(ids[-1])}
    if done:
        changes |= moving.end(using)
        audit.record(
            audit.Action.RECOVERED,
            user=job.user,
            subject=f"replay_{job.pk}",
            count=job.changed + changed,
            detail=f"end: {job.chosen}",
        )
    writing(BulkJob).filter(pk=job.pk).update(changed=F("changed") + changed, **changes)
    return Step(through, changed, done)


def _record(job: BulkJob, what: str, count: int | None, user: Any = None) -> None:
    audit.record(
        audit.Action.REPLAYED,
        user=user or job.user,
        subject=f"replay_{job.pk}",
        count=count,
        detail=f"{what}: {job.chosen}",
    )
