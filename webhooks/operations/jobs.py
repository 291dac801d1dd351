"""Replays of many deliveries, done by workers a slice at a time, at a pace.

The row of a job holds how far it has come, in the transaction that sends a slice: a worker that
dies takes nothing with it, and whoever looks next goes on from there. Who looks: every worker, some
seconds after the job began by a hint through the broker, else with its sign of life.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from .. import audit
from ..models import Delivery, ReplayJob, Webhook
from .replay import ReplayFilter, count_replay, replay_batch, replayable

logger = logging.getLogger("webhooks.operations")

MOST_COUNTED = 100_000
"""Beyond, a job's total is “so many or more”."""
RATES = (1, 1000)
"""Deliveries per second: the least and the most."""
DEFAULT_RATE = 50
SLICE = 500  # deliveries, at most, in one transaction
LEASE = timedelta(seconds=30)

_publish: Callable[[], None] | None = None


def set_publisher(publish: Callable[[], None]) -> None:
    """:param publish: tells a worker that there is a replay to do; may raise, may take long."""
    global _publish  # noqa: PLW0603
    _publish = publish


def newest_delivery() -> int:
    """Where a replay that is thought of now ends: what is made later is not its business."""
    return int(Delivery.objects.aggregate(newest=Max("id"))["newest"] or 0)


def start_replay(
    chosen: ReplayFilter, *, user: Any = None, rate: int = DEFAULT_RATE, until_id: int | None = None
) -> ReplayJob:
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
    deliveries = replayable(chosen).filter(id__lte=until_id)
    total = sum(count.deliveries for count in count_replay(deliveries, most=MOST_COUNTED))
    if not total:
        raise ValidationError(_("Nothing to send again."))
    with transaction.atomic():
        job = ReplayJob.objects.create(
            user=user, chosen=written(chosen), total=total, rate=rate, until_id=until_id
        )
        _record(job, "start", total)
        transaction.on_commit(_hint, robust=True)
    return job


def stop_replay(job: ReplayJob, *, user: Any = None) -> bool:
    """Send no more; what was sent is sent. :returns: whether it was running."""
    with transaction.atomic():
        stopped = ReplayJob.objects.filter(pk=job.pk, state=ReplayJob.State.RUNNING).update(
            state=ReplayJob.State.STOPPED, leased_until=None
        )
        if stopped:
            job.refresh_from_db()
            _record(job, "stop", job.sent, user)
    return bool(stopped)


def resume_replay(job: ReplayJob, *, user: Any = None) -> bool:
    """Go on where it was stopped. :returns: whether it was stopped."""
    with transaction.atomic():
        resumed = ReplayJob.objects.filter(pk=job.pk, state=ReplayJob.State.STOPPED).update(
            state=ReplayJob.State.RUNNING, leased_until=None
        )
        if resumed:
            _record(job, "resume", None, user)
            transaction.on_commit(_hint, robust=True)
    return bool(resumed)


def replays_waiting() -> bool:
    """Whether there is a replay that no worker is at. One query."""
    return bool(_free().exists())


def work_on_replays(*, seconds: float = 60.0, wait: Callable[[float], object] = time.sleep) -> bool:
    """Do replays that nobody else is at, at their pace.

    :param seconds: after which the rest is left to the next call, here or elsewhere.
    :param wait: how to wait so many seconds.
    :returns: whether something is left.
    """
    until = time.monotonic() + seconds
    for pk in list(_free().order_by("id").values_list("pk", flat=True)):
        while time.monotonic() < until:
            pause = _advance(pk)
            if pause is None:
                break
            wait(pause)
        else:
            ReplayJob.objects.filter(pk=pk).update(leased_until=None)
            return True
    return replays_waiting()


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
    if (pk := values.get("webhook")) is not None:
        values["webhook"] = Webhook.all_objects.filter(pk=pk).first() or Webhook(
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


def _free() -> Any:
    return ReplayJob.objects.filter(
        Q(leased_until=None) | Q(leased_until__lt=timezone.now()), state=ReplayJob.State.RUNNING
    )


def _advance(pk: int) -> float | None:
    """Send a slice of a job. :returns: the seconds to wait before the next; None at the end, or
    when the job is not ours any more."""
    with transaction.atomic():
        job = (
            ReplayJob.objects.select_for_update(skip_locked=True)
            .filter(pk=pk, state=ReplayJob.State.RUNNING)
            .first()
        )
        if job is None:
            return None
        size = min(SLICE, max(1, job.rate))
        try:
            chosen = read(job.chosen)
        except ChosenUnreadable:
            logger.error("Replay %s does not say what it is to send; it was stopped.", pk)
            ReplayJob.objects.filter(pk=pk).update(state=ReplayJob.State.STOPPED, leased_until=None)
            return None
        deliveries = replayable(chosen).filter(id__lte=job.until_id)
        batch = replay_batch(deliveries, job.last_id, size)
        sent = len(batch.sent)
        done = batch.through < size
        pause = batch.through / max(1, job.rate)
        changes: dict[str, Any] = {
            "sent": F("sent") + sent,
            "last_id": batch.last_id,
            "leased_until": timezone.now() + timedelta(seconds=pause) + LEASE,
        }
        if done:
            changes |= {
                "state": ReplayJob.State.DONE,
                "leased_until": None,
                "finished_at": timezone.now(),
            }
        ReplayJob.objects.filter(pk=pk).update(**changes)
        if done:
            _record(job, "end", job.sent + sent)
    return None if done else pause


def _record(job: ReplayJob, what: str, count: int | None, user: Any = None) -> None:
    audit.record(
        audit.Action.REPLAYED,
        user=user or job.user,
        subject=f"replay_{job.pk}",
        count=count,
        detail=f"{what}: {job.chosen}",
    )


def _hint() -> None:
    """Tell a worker, in a thread: whoever asked does not wait for the broker."""
    if _publish is not None:
        threading.Thread(target=_try_to_publish, name="webhooks-replay-hint", daemon=True).start()


def _try_to_publish() -> None:
    try:
        if _publish is not None:
            _publish()
    except Exception as error:
        # The reason alone: a broker's address may carry a password.
        logger.warning("No worker could be told of a replay (%s).", type(error).__name__)
