"""What the tests' servers have in common: start, stop, and everything that can befall a server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .warden import warden

# Seconds for what is to happen anyway. Where all is well nobody waits for them, so they are many: a
# machine that is busy, or whose disk is, holds a process up for seconds at any point. A bound that
# is itself what a test claims is said there.
PATIENCE = 60.0


class ServiceFailed(Exception):
    """A server did not come up or did not go down in its time; says what it wrote."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens.

    It lies below the range from which the system takes ports for outgoing connections, so that
    none of those takes it between a server's stop and its next start.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = 10_000 + int.from_bytes(os.urandom(4), "big") % (max(low, 12_000) - 10_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServiceFailed("No free port was found between 10000 and the outgoing ports.")


def wait_until(
    condition: Callable[[], bool],
    *,
    what: str,
    seconds: float = PATIENCE,
    state: Callable[[], object] | None = None,
) -> None:
    """Return as soon as `condition()` is true.

    :param state: says how things are instead, for the error.
    :raises TimeoutError: it did not become true in `seconds`; the text names `what`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            instead = f"\n{state()}" if state is not None else ""
            raise TimeoutError(f"Waited {seconds:g} s in vain for {what}.{instead}")
        time.sleep(0.02)


def accepts_connections(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def descendants(pid: int) -> list[int]:
    """The processes that `pid` started, and those that they started, the nearest first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which may hold anything, come the state and the parent.
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found[1:]


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody reaped has."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2][1] != "Z"
    return False


def pause(pid: int) -> None:
    """SIGSTOP to a process and its descendants; returns once none of their threads runs.

    The signal alone is a request: on a busy machine a thread may go on for a while after it.
    """
    pids = (pid, *descendants(pid))
    _signal(pids, signal.SIGSTOP)
    wait_until(lambda: all(map(_stands_still, pids)), what=f"{pids} to stand still")


def resume(pid: int) -> None:
    """SIGCONT after a `pause()`."""
    _signal((pid, *descendants(pid)), signal.SIGCONT)


def kill(pid: int) -> None:
    """SIGKILL to a process and its descendants, some of which may be in groups of their own.

    Returns once none of them is left: what they hold, as PostgreSQL's shared memory, is free then.
    """
    _signal([pid], signal.SIGSTOP)
    wait_until(lambda: _stands_still(pid), what=f"{pid} to start no more processes")
    pids = (pid, *descendants(pid))
    _signal(pids, signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, pids)), what=f"{pids} to end")


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _stands_still(pid: int) -> bool:
    """Whether every thread of a process is stopped, or has ended."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text(errors="replace").rpartition(")")[2].split()[0] not in "TtZX":
                return False
    return True


_root: Path | None = None


def workspace(name: str) -> Path:
    """A new folder that is removed when the test run is over. Others may enter it: PostgreSQL
    does not run as root, so it runs as someone else."""
    global _root  # noqa: PLW0603
    if _root is None:
        _root = Path(tempfile.mkdtemp(prefix="crm-tests-"))
        _root.chmod(0o755)
        warden.watch_folder(_root)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_root))


class Service(ABC):
    """One server. `url` is what clients connect to; it stays the same over restarts."""

    name: str
    start_seconds: float = PATIENCE
    stop_seconds: float = PATIENCE
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = workspace(self.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared = False

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What to run, in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers; connects once, waits at most a second or so."""

    def prepare(self) -> None:
        """Done once, before the first start."""

    def environment(self) -> Mapping[str, str]:
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
        }

    # --- Its life -----------------------------------------------------------------------------
    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers.

        :raises ServiceFailed: it ended, or did not answer within `start_seconds`.
        """
        self.launch()
        try:
            wait_until(
                lambda: not self.running or self.is_ready(),
                seconds=self.start_seconds,
                what=f"{self.name} to answer on port {self.port}",
            )
        except TimeoutError as error:
            self.kill()
            raise ServiceFailed(f"{error}\n{self.log()}") from None
        if not self.running:
            self._ended()
            raise ServiceFailed(f"{self.name} ended as soon as it was started.\n{self.log()}")

    def launch(self) -> None:
        """Start it and do not wait."""
        assert not self.running, f"{self.name} is running already"
        if not self._prepared:
            self.prepare()
            self._prepared = True
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                list(self.command()),
                env=dict(self.environment()),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        warden.watch_group(self._process.pid)

    def stop(self) -> None:
        """Ask it to end, and wait; nothing where it is not running."""
        if not self.running:
            self._ended()
            return
        assert self._process is not None
        self.resume()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._ended()

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL to it and to the processes it started: as when a machine loses power."""
        if self._process is not None and self._process.poll() is None:
            kill(self.pid)
            self._process.wait(self.stop_seconds)
        self._ended()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and accepts new ones, and answers nothing."""
        pause(self.pid)

    def resume(self) -> None:
        """SIGCONT after a `pause()`."""
        resume(self.pid)

    def log(self, last_lines: int = 40) -> str:
        """The end of what it wrote."""
        path = self.folder / "output.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-last_lines:])

    def _ended(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # a process it left behind
                os.killpg(self._process.pid, signal.SIGKILL)
            warden.forget_group(self._process.pid)
            self._process = None

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
