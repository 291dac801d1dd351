"""What Celery runs: thin, since the database alone remembers what is owed."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import shared_task
from django.db import connections
from django.dispatch import receiver
from kombu.exceptions import OperationalError

from . import operations, signals, worker
from .conf import settings

logger = logging.getLogger("webhooks.tasks")


@shared_task(bind=True, name="webhooks.deliver", ignore_result=True)
def deliver(self: Any) -> None:
    """The wake-up: there is something to fan out or to deliver."""
    # An eager task runs in the process that saved, which is no worker: tests deliver by
    # `testing.deliver_all()`.
    if not self.request.is_eager:
        worker.kick()


def publish_wakeup() -> None:
    """Send the wake-up. A stale one is worthless, hence `expires`; no retry, since another follows.

    :raises kombu.exceptions.OperationalError: the broker cannot be reached.
    """
    deliver.apply_async(queue=settings.QUEUE, expires=30, retry=False, ignore_result=True)


@shared_task(bind=True, name="webhooks.maintain", ignore_result=True)
def maintain(self: Any) -> None:
    """Forget what is past its retention. For beat, every hour or so; any number at once.

    What a slice of time leaves is left to another task, so that none holds its process for long.
    """
    if operations.maintain() and not self.request.is_eager:
        try:
            self.apply_async(queue=settings.QUEUE, expires=3600, retry=False, ignore_result=True)
        except OperationalError:
            logger.warning("The rest is left to the next webhooks.maintain: no broker.")


@shared_task(bind=True, name="webhooks.jobs", ignore_result=True)
def work(self: Any) -> None:
    """The hint that there is a job to do."""
    if not self.request.is_eager:
        _work_on_jobs()


def publish_jobs() -> None:
    """Send that hint. Where it is lost, a worker's next sign of life makes up for it.

    :raises kombu.exceptions.OperationalError: the broker cannot be reached.
    """
    work.apply_async(queue=settings.QUEUE, expires=30, retry=False, ignore_result=True)


@receiver(signals.worker_alive)
def _look_for_jobs(**kwargs: Any) -> None:
    """In the engine's thread: one query, and no more."""
    if operations.jobs_waiting():
        _work_on_jobs()


_working = threading.Lock()


def _work_on_jobs() -> None:
    """In a thread of its own: a replay waits most of the time, and would block wake-ups."""

    def run() -> None:
        if not _working.acquire(blocking=False):
            return
        try:
            while operations.work_on_jobs():
                pass
        except Exception:
            logger.exception("A job stumbled; a worker will go on with it.")
        finally:
            connections.close_all()
            _working.release()

    threading.Thread(target=run, name="webhooks-jobs", daemon=True).start()
