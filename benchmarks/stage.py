"""What the figures are measured on: servers, processes of the project, receivers.

Everything is on the loopback, in temporary folders, and is ended with the benchmark, however it
ends.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from benchmarks.harness import Meter, wait_until
from tests import environment
from tests.processes import ROOT, Process
from tests.services import Postgres, Redis
from tests.services.base import workspace
from tests.services.warden import warden

_TEMPLATE = "bench_template"


class Hand:
    """A process of the project that does what it is told (project.py)."""

    def __init__(
        self, env: Mapping[str, str], command: Sequence[str] = ("-m", "benchmarks.project")
    ) -> None:
        python = command if command[0].startswith("/") else (sys.executable, *command)
        self._process = subprocess.Popen(
            list(python),
            env=dict(env),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        warden.watch_group(self.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, name: str, **arguments: Any) -> Any:
        """:raises RuntimeError: it failed; the message is its traceback."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": name, "with": arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        warden.forget_group(self.pid)


class Sink:
    """A fast receiver (sink.py) and what it saw."""

    def __init__(self) -> None:
        self._process = Process(
            [sys.executable, "-m", "benchmarks.sink"], environment.for_process()
        )
        self.port = int(self._process.wait_for(r"^(\d+)$")[1])
        self.pid = self._process.pid

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.url(path), timeout=10) as answer:
            return json.load(answer)

    def wait_for(self, requests: int, *, seconds: float = 120) -> None:
        wait_until(
            lambda: self.ask("count")["requests"] >= requests,
            seconds=seconds,
            every=0.01,
            what=f"{requests} requests",
        )

    def close(self) -> None:
        self._process.close()


@contextlib.contextmanager
def hanging_receiver() -> Iterator[str]:
    """The address of a receiver that takes connections and requests, and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)  # the kernel accepts for it
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


class Stage:
    """What there is to measure on; each part starts when it is first asked for.

    :param quick: fewer rounds of less work: an impression, not a figure.
    """

    def __init__(self, *, quick: bool = False) -> None:
        self.quick = quick
        self._ending = contextlib.ExitStack()
        self._databases = 0

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.close()

    def rounds(self, full: int) -> range:
        return range(1 if self.quick else full)

    def amount(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    # --- servers ----------------------------------------------------------------------------

    @functools.cached_property
    def postgres(self) -> Postgres:
        server = Postgres()
        self._ending.enter_context(server)
        return server

    @functools.cached_property
    def redis(self) -> Redis:
        server = Redis()
        self._ending.enter_context(server)
        return server

    @functools.cached_property
    def sink(self) -> Sink:
        sink = Sink()
        self._ending.callback(sink.close)
        return sink

    @functools.cached_property
    def _template(self) -> str:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_TEMPLATE}")
        with self.hand(DATABASE_URL=self.postgres.database_url(_TEMPLATE)) as hand:
            hand.call("migrate")
        return _TEMPLATE

    def database(self) -> str:
        """The address of a new database of PostgreSQL with the project's tables."""
        template = self._template
        self._databases += 1
        name = f"bench{self._databases}"
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.postgres.database_url(name)

    def postgres_version(self) -> str:
        with psycopg.connect(self.postgres.url) as connection:
            return str(connection.info.server_version // 10_000)

    # --- processes --------------------------------------------------------------------------

    def environment(self, **changes: str) -> Mapping[str, str]:
        """PostgreSQL and Redis, unless the changes say otherwise."""
        if "CELERY_BROKER_URL" not in changes:
            changes["CELERY_BROKER_URL"] = self.redis.url
        return environment.for_process(**{"VAR_DIR": str(workspace("var")), **changes})

    @contextlib.contextmanager
    def hand(self, **changes: str) -> Iterator[Hand]:
        hand = Hand(self.environment(**changes))
        try:
            yield hand
        finally:
            hand.close()

    @contextlib.contextmanager
    def worker(self, *options: str, **changes: str) -> Iterator[Process]:
        """A Celery worker of one process, ready."""
        worker = Process(
            [
                *(sys.executable, "-m", "celery", "-A", "crm_project", "worker"),
                *("--loglevel=INFO", "--concurrency=1", *options),
            ],
            self.environment(**changes),
        )
        try:
            worker.wait_for(r"\S+@\S+ ready", seconds=60)
            yield worker
            worker.stop()
        finally:
            worker.close()

    # --- what figures have in common --------------------------------------------------------

    def drain(
        self,
        hand: Hand,
        workers: Sequence[Process],
        events: int,
        *,
        types: int = 1,
        each: int = 1,
        event: str = "",
    ) -> dict[str, float]:
        """Give workers a backlog, and wait until nothing of it is owed any more.

        The workers stand still while it is recorded, so that what is measured is theirs alone.

        :param each: deliveries of an event.
        :param event: their type, where it matters.
        :returns: CPU milliseconds per delivery, of `worker` and `database`, and their `rate` per
            second.
        """
        deliveries = events * each
        self.sink.ask("reset")
        for worker in workers:
            worker.pause()
        hand.call("backlog", count=events, types=types, event=event)
        pids = {str(worker.pid): worker.pid for worker in workers}
        meter = Meter(database=self.postgres.pid, **pids)
        for worker in workers:
            worker.resume()
        self.sink.wait_for(deliveries)
        seconds = meter.seconds
        wait_until(lambda: hand.call("owed") == 0, seconds=30, what="the last results' record")
        spent = meter.read()
        return {
            "worker": sum(spent[pid] for pid in pids) / deliveries * 1000,
            "database": spent["database"] / deliveries * 1000,
            "rate": deliveries / seconds,
        }
