"""Ends the servers when the test run is gone, even where it was killed and could not do it itself.

A process of its own, in a session of its own: a Ctrl-C in the terminal does not reach it. It reads
lines from the test run, `+GROUP` (a process group was started), `-GROUP` (it has ended) and
`DIRECTORY`; the pipe's end means that the test run is over.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    groups: set[int] = set()
    folders: list[Path] = []
    for line in sys.stdin:
        text = line.strip()
        if text.startswith("+"):
            groups.add(int(text[1:]))
        elif text.startswith("-"):
            groups.discard(int(text[1:]))
        else:
            folders.append(Path(text))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class Warden:
    """The test run's end of the pipe; the process starts with the first thing to watch."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._owner = os.getpid()

    def watch_group(self, group: int) -> None:
        self._tell(f"+{group}")

    def forget_group(self, group: int) -> None:
        self._tell(f"-{group}")

    def watch_folder(self, folder: Path) -> None:
        """`folder` is removed when the test run is over."""
        self._tell(str(folder))

    def _tell(self, line: str) -> None:
        if os.getpid() != self._owner:  # a fork of the test run: what it starts is its own affair
            return
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-IS", __file__],
                stdin=subprocess.PIPE,
                text=True,
                bufsize=1,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End what is still watched; returns when it is done."""
        if self._process is not None and os.getpid() == self._owner:
            process, self._process = self._process, None
            process.communicate(timeout=30)


warden = Warden()

if __name__ == "__main__":
    main()
