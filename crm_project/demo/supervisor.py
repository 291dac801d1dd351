"""Runs several programs as one: their lines on one screen, and one end for all of them.

One thread and a selector. Each program is in a session of its own, so that a Ctrl-C in the terminal
reaches the supervisor alone, which then ends the others in order, by their ids.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, cast

STOP_SECONDS = 15.0
TICK_SECONDS = 0.2


class ProgramEndedError(Exception):
    """A program ended that was to run on."""

    def __init__(self, program: Program, status: int) -> None:
        super().__init__(f"{program.name} ended with status {status}")
        self.program = program
        self.status = status


@dataclass(eq=False, kw_only=True)
class Program:
    """One program: how it is started, told from the others, and known to be ready.

    `quiet` takes a line and returns what of it is worth showing, None for nothing. What it wrote
    before it was ready is kept back, and shown only if it never gets there.
    """

    name: str
    command: Sequence[str]
    is_ready: Callable[[Program], bool]
    quiet: Callable[[str], str | None] = lambda line: line
    environment: Mapping[str, str] = field(default_factory=dict)

    ready: bool = field(default=False, init=False)
    at_end: bool = field(default=False, init=False)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=200), init=False)
    _rest: bytes = field(default=b"", init=False)
    process: subprocess.Popen[bytes] = field(init=False)
    output: IO[bytes] = field(init=False)

    def launch(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - the project's own programs
            list(self.command),
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no other thread runs yet
        )
        self.output = cast("IO[bytes]", self.process.stdout)
        os.set_blocking(self.output.fileno(), False)

    def read(self) -> list[str]:
        """The whole lines that have come; waits for none."""
        arrived = os.read(self.output.fileno(), 65536)
        *whole, self._rest = (self._rest + arrived).split(b"\n")
        if not arrived:
            self.at_end = True
            whole = [self._rest] if self._rest else []
        lines = [line.decode(errors="replace").rstrip("\r") for line in whole]
        self.lines.extend(lines)
        return lines


class Supervisor:
    """:param show: takes a program's name and a line of its output."""

    def __init__(self, show: Callable[[str, str], None]) -> None:
        self._show = show
        self._programs: list[Program] = []
        self._selector = selectors.DefaultSelector()

    def start(self, program: Program) -> None:
        program.launch()
        self._selector.register(program.output, selectors.EVENT_READ, program)
        self._programs.append(program)

    def run(self, until: Callable[[], bool] = lambda: False, *, seconds: float = 0) -> bool:
        """Show what the programs write, until a condition is met; whether it was met in time.

        :param seconds: how long at most; 0 is without end.
        :raises ProgramEndedError: one of them ended.
        """
        deadline = time.monotonic() + seconds if seconds else float("inf")
        while not until():
            if time.monotonic() > deadline:
                return False
            for key, _ in self._selector.select(TICK_SECONDS):
                self._pass_on(key.data)
            for program in self._programs:
                if (status := program.process.poll()) is not None:
                    self._drain(program)
                    raise ProgramEndedError(program, status)
        return True

    def run_until_ready(self, *, seconds: float) -> bool:
        return self.run(self._all_ready, seconds=seconds)

    def stop(self) -> None:
        """End them all, the last started first: asked, then after a while made to. The end of
        the supervisor too."""
        for program in reversed(self._programs):
            with contextlib.suppress(ProcessLookupError):
                program.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for program in reversed(self._programs):
            while program.process.poll() is None:
                for key, _ in self._selector.select(TICK_SECONDS):
                    self._pass_on(key.data)
                if time.monotonic() > deadline:
                    program.process.kill()
            with contextlib.suppress(ProcessLookupError):  # what it left behind
                os.killpg(program.process.pid, signal.SIGKILL)
            self._drain(program)
            program.output.close()
        self._programs.clear()
        self._selector.close()

    def _all_ready(self) -> bool:
        for program in self._programs:
            program.ready = program.ready or program.is_ready(program)
        return all(program.ready for program in self._programs)

    def _pass_on(self, program: Program) -> None:
        for line in program.read():
            if program.ready and (worth := program.quiet(line)) is not None:
                self._show(program.name, worth)
        if program.at_end:
            self._selector.unregister(program.output)

    def _drain(self, program: Program) -> None:
        with contextlib.suppress(BlockingIOError):  # something it left behind still holds the pipe
            while not program.at_end:
                self._pass_on(program)


def _end_with_parent() -> None:
    """Linux: a program whose supervisor was killed is asked to end as well."""
    if sys.platform == "linux":
        ask_at_parents_death = 1  # PR_SET_PDEATHSIG
        _libc.prctl(ask_at_parents_death, signal.SIGTERM)


_libc = ctypes.CDLL(None)
