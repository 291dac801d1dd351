"""10: deliveries per CPU second beside django-webhook and django-outbound-webhooks.

Both from PyPI, in an environment of their own; the same saves, the same sink, PostgreSQL and Redis,
one worker process each. Once with the worker running while one save follows the other, and once as
a burst that it finds. The CPU is of all processes: web, worker, database, broker. Bar: ≥ 8× theirs.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

import psycopg

from benchmarks.harness import Bar, Measure, Meter, medians, wait_until
from benchmarks.stage import Hand, Stage
from tests.processes import ROOT, Process

_FOLDER = ROOT / "benchmarks" / "rival" / ".venv"
_PYTHON = str(_FOLDER / "bin" / "python")
PACKAGES = ("django-webhook==0.0.15", "django-outbound-webhooks==0.4.0")
_NEEDED = ("Django>=5.2,<5.3", "celery[redis]>=5.5", "psycopg[binary]>=3.2")
WORKERS = {
    "django-webhook": (
        *("-m", "celery", "-A", "benchmarks.rival.celery", "worker"),
        *("--loglevel=INFO", "--concurrency=1"),
    ),
    "django-outbound-webhooks": ("-m", "django", "deliver_events"),
}


def measure(stage: Stage) -> list[Measure]:
    _install()
    saves = stage.amount(150, 20)
    names = ("ours", *WORKERS)
    found: dict[bool, dict[str, list[dict[str, float]]]] = {
        burst: {name: [] for name in names} for burst in (False, True)
    }
    with contextlib.ExitStack() as ending:
        turns = {"ours": ending.enter_context(_ours(stage))}
        for name in WORKERS:
            turns[name] = ending.enter_context(_theirs(stage, name))
        for turn in turns.values():
            turn(20, True)
        for _ in stage.rounds(3):
            for burst, by_name in found.items():
                for name, rounds in by_name.items():
                    # Ours takes more: the clock that counts CPU ticks 100 times a second.
                    rounds.append(turns[name](saves * 5 if name == "ours" else saves, burst))
    return [
        Measure(
            figure=10,
            what=f"deliveries per CPU second against {name}'s"
            + (", a burst" if burst else ", as they are saved"),
            values=[
                sum(their.values()) / sum(our.values())
                for their, our in zip(by_name[name], by_name["ours"], strict=True)
            ],
            bar=Bar(limit=8, at_least=True),
            details={f"its {part} ms": value for part, value in medians(by_name[name]).items()}
            | {f"our {part} ms": value for part, value in medians(by_name["ours"]).items()},
        )
        for burst, by_name in found.items()
        for name in WORKERS
    ]


def _install() -> None:
    """Into an environment that lives on; it is made anew when the versions asked for change."""
    stamp = _FOLDER / "installed"
    wanted = "\n".join((*PACKAGES, *_NEEDED))
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(_FOLDER)], check=True)
    subprocess.run(
        [
            *(_PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
            *(*PACKAGES, *_NEEDED),
        ],
        check=True,
    )
    stamp.write_text(wanted)


Turn = Callable[[int, bool], dict[str, float]]


def _turn(stage: Stage, hand: Hand, worker: Process) -> Turn:
    def take(saves: int, burst: bool) -> dict[str, float]:
        """CPU milliseconds of each save and its delivery, by part."""
        stage.sink.ask("reset")
        meter = Meter(
            web=hand.pid,
            worker=worker.pid,
            database=stage.postgres.pid,
            broker=stage.redis.pid,
        )
        if burst:
            worker.pause()
        hand.call("create", count=saves)
        worker.resume()
        stage.sink.wait_for(saves)
        wait_until(lambda: hand.call("owed") == 0, seconds=30, what="the last record")
        return {part: spent / saves * 1000 for part, spent in meter.read().items()}

    return take


@contextlib.contextmanager
def _ours(stage: Stage) -> Iterator[Turn]:
    database = stage.database()
    with stage.hand(DATABASE_URL=database) as hand:
        hand.call("add_webhooks", urls=[stage.sink.url()], events=[["cliente.*"]])
        with stage.worker(DATABASE_URL=database) as worker:
            yield _turn(stage, hand, worker)


@contextlib.contextmanager
def _theirs(stage: Stage, rival: str) -> Iterator[Turn]:
    name = rival.replace("-", "_")
    with psycopg.connect(stage.postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    environment: Mapping[str, str] = stage.environment(
        RIVAL=rival,
        DATABASE_URL=stage.postgres.database_url(name),
        DJANGO_SETTINGS_MODULE="benchmarks.rival.settings",
        CELERY_BROKER_URL=stage.redis.url.removesuffix("0") + "1",
        PYTHONPATH=str(ROOT),
    )
    hand = Hand(environment, (_PYTHON, "-m", "benchmarks.rival.commands"))
    try:
        hand.call("prepare", url=stage.sink.url())
        worker = Process([_PYTHON, *WORKERS[rival]], environment)
        try:
            yield _turn(stage, hand, worker)
        finally:
            worker.close()
    finally:
        hand.close()
