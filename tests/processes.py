"""Other processes of the project under test: workers, beat, commands, the web server."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services import base
from tests.services.base import PATIENCE
from tests.services.warden import warden

ROOT = Path(__file__).resolve().parent.parent


class Process:
    """A running program whose lines of output are kept as they come."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT
    ) -> None:
        self.command = list(command)
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            self.command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        warden.watch_group(self.pid)
        self._reader = threading.Thread(
            target=self._read, name=f"output of {self.pid}", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def returncode(self) -> int | None:
        """None while it runs; below zero: the signal that ended it."""
        return self._process.poll()

    def wait_for(self, pattern: str, *, seconds: float = PATIENCE, after: int = 0) -> re.Match[str]:
        """The first match of a regular expression in a line of its output, from line `after` on.

        :raises AssertionError: none came in `seconds`, or the program ended without it; the text
            holds what it wrote.
        """
        deadline = time.monotonic() + seconds
        seen = after
        with self._news:
            while True:
                while seen < len(self.lines):
                    if match := re.search(pattern, self.lines[seen]):
                        return match
                    seen += 1
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    break
                self._news.wait(min(left, 1.0))
        state = "still running" if self.returncode is None else f"ended with {self.returncode}"
        raise AssertionError(
            f"No {pattern!r} within {seconds:g} s from {self.command} ({state}):\n{self.output}"
        )

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status, once it has ended of itself.

        :raises AssertionError: it did not end in `seconds`.
        """
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.command} did not end within {seconds:g} s:\n{self.output}"
            ) from None
        self._ended()
        return status

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end; does not wait."""
        self._process.send_signal(number)

    def stop(self, seconds: float = PATIENCE) -> int:
        """Ask it to end (SIGTERM), and wait. :raises AssertionError: it did not."""
        self.terminate()
        return self.wait(seconds)

    def kill(self) -> None:
        """SIGKILL to it and to what it started."""
        if self.returncode is None:
            base.kill(self.pid)
        self._process.wait(PATIENCE)
        self._ended()

    def pause(self) -> None:
        """SIGSTOP to it and to what it started; nothing of it runs once this returns."""
        base.pause(self.pid)

    def resume(self) -> None:
        base.resume(self.pid)

    def close(self) -> None:
        """End it, however; for the end of a test."""
        if self.returncode is None:
            self.kill()
        self._ended()

    def _ended(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # what it left behind
            os.killpg(self.pid, signal.SIGKILL)
        warden.forget_group(self.pid)
        self._reader.join(PATIENCE)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()
