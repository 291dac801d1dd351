"""9: embedded, with SQLite and a broker made of files: nothing else runs.

Commit to received at 10 saves a second, the CPU of web and worker when nothing happens, and the
rate of a backlog beside PostgreSQL's. Bars: p95 ≤ 250 ms; ≤ 2% of a core; ≥ 0.4×.
"""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.request
from collections.abc import Iterator

from benchmarks.harness import Bar, Measure, Meter, medians, wait_until
from benchmarks.latency import arrivals
from benchmarks.stage import Stage
from tests.processes import Process
from tests.services.base import free_port, workspace

_BACKLOG = 1000


def measure(stage: Stage) -> list[Measure]:
    folder = workspace("embedded")
    files = {
        "DATABASE_URL": f"sqlite:///{folder / 'crm.sqlite3'}",
        "CELERY_BROKER_URL": "filesystem://",
        "VAR_DIR": str(folder),
    }
    servers = {"DATABASE_URL": stage.database()}
    waits, idle, beside = [], [], []
    with contextlib.ExitStack() as ending:
        hand = ending.enter_context(stage.hand(**files))
        hand.call("migrate")
        worker = ending.enter_context(stage.worker(**files))
        web = ending.enter_context(_web(stage, files))
        other_hand = ending.enter_context(stage.hand(**servers))
        other_worker = ending.enter_context(stage.worker(**servers))
        other_hand.call("add_webhooks", urls=[stage.sink.url()], events=[["medida0.feita"]])
        hand.call("add_webhooks", urls=[stage.sink.url()], events=[["*"]])
        for _ in stage.rounds(3):
            waits.append(arrivals(hand, stage.sink, 10, stage.amount(12, 3)))
            rates = [
                stage.drain(one, [its], _BACKLOG)["rate"]
                for one, its in ((hand, worker), (other_hand, other_worker))
            ]
            beside.append({"rate": rates[0], "PostgreSQL's rate": rates[1]})
            idle.append(_idle(stage, worker, web))
    return [
        Measure(
            figure=9,
            what="embedded: commit to received at 10/s, p95",
            values=[each["p95"] for each in waits],
            bar=Bar(limit=250),
            unit=" ms",
            details={f"{name} ms": value for name, value in medians(waits).items()},
        ),
        Measure(
            figure=9,
            what="embedded: CPU of web and worker when idle",
            values=idle,
            bar=Bar(limit=2),
            unit="% of a core",
        ),
        Measure(
            figure=9,
            what="embedded: deliveries per second against PostgreSQL's",
            values=[each["rate"] / each["PostgreSQL's rate"] for each in beside],
            bar=Bar(limit=0.4, at_least=True),
            details={f"{name} per second": value for name, value in medians(beside).items()},
        ),
    ]


@contextlib.contextmanager
def _web(stage: Stage, environment: dict[str, str]) -> Iterator[Process]:
    port = free_port()
    web = Process(
        [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
        stage.environment(**environment),
    )
    try:
        wait_until(lambda: _answers(port), seconds=60, what="the web server")
        yield web
    finally:
        web.close()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=5).close()
        return True
    return False


def _idle(stage: Stage, worker: Process, web: Process) -> float:
    """Percent of a core, over some seconds in which nothing is asked of them."""
    time.sleep(1)
    meter = Meter(worker=worker.pid, web=web.pid)
    time.sleep(stage.amount(12, 3))
    return sum(meter.read().values()) / meter.seconds * 100
