"""A worker's sign of life: a row that says who delivers, and when it last said so.

The admin and `webhooks_status` tell by it whether anybody delivers at all.
"""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from .models import Worker

EVERY_SECONDS = 10.0
SILENT_AFTER = timedelta(seconds=45)
_FORGOTTEN_AFTER = timedelta(days=1)
_LONGEST = 200  # characters of a shortage


class Heart:
    """Of one process; for the thread that owns the database connection."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self._workers = Worker.objects.using(using)
        self._name = f"{socket.gethostname()}:{os.getpid()}"[:200]
        self._next = 0.0
        self._shortage = ""

    def beat(self, in_flight: int = 0, shortage: str = "") -> bool:
        """Say that this process lives, if it is time to. One small write each ten seconds.

        :param in_flight: how many requests it is sending.
        :param shortage: what its machine lacks (shortage.py); another than before is told at once.
        :returns: whether it was time.
        """
        shortage = shortage[:_LONGEST]
        if time.monotonic() < self._next and bool(shortage) == bool(self._shortage):
            return False
        now = timezone.now()
        state = {"seen_at": now, "in_flight": in_flight, "shortage": shortage or None}
        if not self._workers.filter(pk=self._name).update(**state):
            # Those that were killed could not say that they end.
            self._workers.filter(seen_at__lt=now - _FORGOTTEN_AFTER).delete()
            self._workers.bulk_create(
                [Worker(id=self._name, started_at=now, **state)],
                ignore_conflicts=True,
            )
        self._next = time.monotonic() + EVERY_SECONDS
        self._shortage = shortage
        return True

    def stop(self) -> None:
        """Say that this process ends."""
        self._workers.filter(pk=self._name).delete()


def alive(now: datetime | None = None) -> list[Worker]:
    """The workers that gave a sign of life lately. One query."""
    return list(Worker.objects.filter(seen_at__gte=(now or timezone.now()) - SILENT_AFTER))
