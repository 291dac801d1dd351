"""What a worker claims, when it looks for it, and what it gives back unsent.

A look costs statements, so it is taken when there is reason to: somebody kicked, what is held runs
low, there was more than was wanted, or `POLL_SECONDS` have passed.
"""

from __future__ import annotations

import logging
import math
import random
from collections import Counter
from uuid import UUID

from django.db import InterfaceError, OperationalError

from .conf import settings
from .directory import Directory
from .fanout import fan_out
from .models import Delivery, Webhook
from .queue import Job, Queue, Result
from .senders import Held, Senders

logger = logging.getLogger("webhooks.engine")

_FAN_OUT_AT_ONCE = 500  # events
_HOLD_EACH = 64  # jobs of one receiver that a worker holds ready, at most
_STUCK_PATIENCE = 0.1  # seconds that slots may idle behind receivers that can take no more
_LATE = 1.0  # seconds that the NORMAL lane may be behind before it is relieved, and between times
_CROWD = 4  # times its cap: what of one receiver may wait there meanwhile
_SOON = 0.02  # seconds until it looks again where there was something: wake-ups are rarer
_TROUBLED_EVERY = 0.1  # seconds between looks at the TROUBLED lane
_MARGIN = 2.0  # seconds of a lease kept for recording


class Intake:
    """Of the engine's thread. Moments are seconds of `time.monotonic()`."""

    def __init__(self, queue: Queue, directory: Directory, senders: Senders) -> None:
        self._queue = queue
        self._directory = directory
        self._senders = senders
        self._lease = float(settings.LEASE_SECONDS)
        self._poll = float(settings.POLL_SECONDS)
        self._next_look = self._next_troubled = self._next_heed = 0.0
        self._next_relief = 0.0
        self._stuck_since: float | None = None
        # Receivers of the TROUBLED lane that are well and have more due than was claimed.
        self._ahead: set[UUID] = set()
        self._low = 0  # jobs of one of them held here: fewer, and it is time to claim more

    def patience(self, now: float) -> float:
        """Seconds until there is something to do of its own accord."""
        wait = max(0.0, self._next_look - now) if self._senders.wanted else self._poll
        if self._senders.waiting:
            # A rate limit may have passed, or a suspect be told apart; or more is to be claimed.
            wait = min(wait, _SOON if self._ahead else 0.05)
        return wait

    def look_soon(self) -> None:
        """At the next turn, or as soon as there is room."""
        self._next_look = 0.0

    def turn(self, now: float) -> None:
        """Claim what is wanted; give back what turned out not to be."""
        self._senders.look(now)
        if self._senders.waiting and now >= self._next_heed:
            self._heed_changes(now)
        if self._ahead:
            self._see_who_runs_low(now)
        if now >= self._next_look and self._senders.wanted:
            self._look(now)
        self._make_room(now)

    def _look(self, now: float) -> None:
        self._next_look = now + self._poll
        due = self._queue.due()
        if not due:
            return
        fanned_out = due.events and self._fan_out(now)
        if not fanned_out:
            self._directory.refresh()
        elif self._next_look > now:
            self._next_look = now + _SOON
        # What was just made for receivers of the TROUBLED lane is not known to be due yet.
        troubled = due.troubled or (fanned_out and self._troubled > 0)
        if due.late > _LATE and now >= self._next_relief:
            # Who has much waiting gets a queue of its own, so that the rest need not wait for it.
            self._next_relief = now + _LATE
            crowds = self._queue.crowding(_CROWD * self._senders.per_receiver)
            self._queue.trouble(crowds, again=True)
        if due.events or due.normal:
            limit = self._senders.wanted
            jobs = self._queue.claim(limit, lease=self._lease)
            self._hold(jobs, now)
            # They do not wait for what is looked up of the others.
            self._senders.dispatch(now)
            if len(jobs) == limit:
                self._next_look = now
            elif jobs:
                self._next_look = now + _SOON
        if troubled and now >= self._next_troubled:
            others = self._claim_troubled(now)
            self._next_troubled = now if others else now + _TROUBLED_EVERY
        if troubled:
            self._next_look = min(self._next_look, max(self._next_troubled, now + 0.01))

    @property
    def _troubled(self) -> int:
        """How many receivers have a queue of their own."""
        return sum(each.lane == Webhook.Lane.TROUBLED for each in self._directory)

    def _fan_out(self, now: float) -> bool:
        """:returns: whether there were events, so that the directory was read anew for them."""
        try:
            taken = fan_out(self._directory, limit=_FAN_OUT_AT_ONCE, using=self._queue.using)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # What is owed already is sent all the same.
            logger.exception("Events could not be given to their webhooks; trying again.")
            return False
        if taken >= _FAN_OUT_AT_ONCE:
            self._next_look = now
        return taken > 0

    def _claim_troubled(self, now: float) -> bool:
        """Each receiver of that lane for itself; of suspects, no more than can be sent.

        :returns: whether it may be the turn of other suspects at once.
        """
        suspects, waiting = self._senders.suspects(), self._senders.waiting_for()
        room = self._senders.wanted_aside
        share = max(self._senders.per_receiver, min(_HOLD_EACH, room // max(1, self._troubled)))
        self._low = share // 2
        have_enough = {key for key, count in waiting.items() if count >= self._low}
        self._ahead -= suspects
        if room:
            jobs = self._queue.claim_troubled(share, lease=self._lease, skip=have_enough | suspects)
            claimed = Counter(job.webhook_id for job in jobs)
            self._ahead |= {key for key, count in claimed.items() if count == share}
            self._hold(jobs, now)
        idle = list(suspects - waiting.keys())
        turns = math.ceil(self._senders.room_for_suspects() / self._senders.per_receiver)
        if not (idle and turns):
            return False
        random.shuffle(idle)
        jobs = self._queue.claim_troubled(
            self._senders.per_receiver, lease=self._lease, only=idle[:turns]
        )
        self._hold(jobs, now)
        return bool(jobs)

    def _see_who_runs_low(self, now: float) -> None:
        """Look again before a receiver that is ahead has nothing left here."""
        waiting = self._senders.waiting_for()
        low = {key for key in self._ahead if waiting.get(key, 0) < self._low}
        if low:
            self._ahead -= low  # a look that finds more makes it one of them again
            self._next_look = self._next_troubled = now

    def _hold(self, jobs: list[Job], now: float) -> None:
        if any(self._directory.get(job.webhook_id) is None for job in jobs):
            # Deleted, or made since the last refresh: another worker may have fanned out to it.
            self._directory.refresh()
        unwanted, aside = [], []
        snapshots: dict[UUID, str] = {}
        wanting = [
            job.event_id
            for job in jobs
            if (found := self._directory.get(job.webhook_id)) and found.format.needs_snapshot
        ]
        if wanting:
            snapshots = self._queue.snapshots(wanting)
        for job in jobs:
            receiver = self._directory.get(job.webhook_id)
            if receiver is None or receiver.status != Webhook.Status.ACTIVE:
                unwanted.append(job)
            elif job.lane != receiver.lane == Webhook.Lane.TROUBLED:
                aside.append(job)  # it has a queue of its own, with its holds and its rate
            else:
                expires = now + self._lease - receiver.timeout - _MARGIN
                self._senders.put(Held(job, expires, snapshots.get(job.event_id, "{}")))
        self._let_go(unwanted)
        self._set_aside(aside)

    def _set_aside(self, jobs: list[Job]) -> None:
        if jobs:
            self._queue.trouble({job.webhook_id for job in jobs}, again=True)
            self._queue.hand_back(jobs, lane=Webhook.Lane.TROUBLED)

    def _let_go(self, jobs: list[Job]) -> None:
        """Claimed jobs of webhooks that are to be sent nothing: deleted, paused or disabled."""
        deleted = [job for job in jobs if self._directory.get(job.webhook_id) is None]
        parked = [job for job in jobs if self._directory.get(job.webhook_id) is not None]
        if parked:
            self._queue.hand_back(parked, lane=Webhook.Lane.PARKED)
        if deleted:
            self._queue.record([Result(job, Delivery.Status.CANCELLED) for job in deleted])

    def _heed_changes(self, now: float) -> None:
        """A webhook may have changed since its jobs were claimed: they must not go out as it was.

        What waits may wait for long, behind a slow receiver. Who pauses or deletes a webhook, or
        ends a secret that leaked, means what is sent from then on.
        """
        self._next_heed = now + self._poll
        self._directory.refresh()
        unwanted = {
            key: 0
            for key in self._senders.waiting_for()
            if (receiver := self._directory.get(key)) is None
            or receiver.status != Webhook.Status.ACTIVE
        }
        if unwanted:
            self._let_go(self._senders.take_back(unwanted))

    def _make_room(self, now: float) -> None:
        """Hand back what waits here for receivers that cannot take it, into a lane of their own."""
        keep = dict.fromkeys(self._senders.suspects(), self._senders.per_receiver)
        if not self._senders.stuck:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since >= _STUCK_PATIENCE:
            self._stuck_since = None
            keep |= self._senders.crowd()
        jobs = self._senders.take_back(keep)
        if jobs:
            self._set_aside(jobs)
            self._next_look = now
