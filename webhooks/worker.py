"""One engine in every process of a Celery worker that runs tasks.

The engine starts with the process, not with the first wake-up, so that what was owed when the
worker started is sent even if the broker has forgotten, and it needs no beat: it looks at the
database by itself every WEBHOOKS["POLL_SECONDS"].
"""

from __future__ import annotations

import threading
from typing import Any

from celery import signals

from .conf import settings
from .engine import Engine

_engine: tuple[Engine, threading.Thread] | None = None
_starting = threading.Lock()

# Decided in the worker's main process; its pool's processes are forked from it and inherit it.
_serves_webhooks = False


def start() -> None:
    """Start this process's engine, unless it runs already."""
    global _engine  # noqa: PLW0603
    with _starting:
        if _engine is None or not _engine[1].is_alive():
            engine = Engine()
            thread = threading.Thread(target=engine.run, name="webhooks-engine", daemon=True)
            _engine = engine, thread
            thread.start()


def kick() -> None:
    """Wake this process's engine, starting it anew if it has ended.

    Not where there was none to be: beat may send its wake-ups to a queue that others serve too.
    """
    if _serves_webhooks or _engine is not None:
        start()
    if _engine is not None:
        _engine[0].kick()


def stop() -> None:
    """Let this process's engine finish or hand back what it holds, and wait for it."""
    if _engine is not None:
        engine, thread = _engine
        engine.stop()
        thread.join()


@signals.celeryd_after_setup.connect
def _learn_queues(instance: Any, **kwargs: Any) -> None:
    """A worker that does not consume our queue (`-Q others`) delivers nothing."""
    global _serves_webhooks  # noqa: PLW0603
    queue = settings.QUEUE or instance.app.conf.task_default_queue
    _serves_webhooks = queue in instance.app.amqp.queues.consume_from


@signals.worker_process_init.connect
def _start_in_pool_process(**kwargs: Any) -> None:
    if _serves_webhooks:
        start()


@signals.worker_ready.connect
def _start_in_main_process(sender: Any, **kwargs: Any) -> None:
    """Pools of threads run tasks in the worker's main process."""
    pool = getattr(getattr(sender, "pool", None), "__class__", None)
    if _serves_webhooks and pool is not None and "prefork" not in pool.__module__:
        start()


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _stop(**kwargs: Any) -> None:
    stop()
