"""Fixtures that run the receivers of seed 004 as what they are: programs of others."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import environment
from tests.processes import Process

HERE = Path(__file__).parent
NODE = HERE / "node"
INSTALL_SECONDS = 90


@dataclass(frozen=True)
class SeedReceiver:
    """A receiver of the seed that listens. It answers 200 only to what it verified."""

    url: str
    process: Process  # `.output` has what it wrote: a line for each cliente.criado


def install_locked(folder: Path, package: str) -> bool:
    """What a folder's package-lock.json names, once per clone.

    :returns: whether it is there; it is not without npm or its registry.
    """
    # The other lane of scripts/test may be at it.
    with (folder / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install_locked(folder, package)


def _install_locked(folder: Path, package: str) -> bool:
    npm = shutil.which("npm")
    if (folder / "node_modules" / package).is_dir():
        return True
    if npm is None:
        return False
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS
        )
    except (subprocess.SubprocessError, OSError):
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        return False
    return True


@pytest.fixture(scope="session")
def _express() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node (make services)")
    install_locked(NODE, "express")  # else the receiver uses its stand-in
    return node


@pytest.fixture
def node_receiver(_express: str) -> Iterator[Callable[[str], SeedReceiver]]:
    """`node_receiver(secret)`: the seed's Express receiver, listening. Ended with the test."""
    yield from _receivers([_express, str(NODE / "receiver.js")], r"running on port (?P<port>\d+)")


@pytest.fixture
def python_receiver() -> Iterator[Callable[[str], SeedReceiver]]:
    """`python_receiver(secret)`: the seed's Flask receiver, listening. Ended with the test."""
    yield from _receivers(
        [sys.executable, str(HERE / "flask_receiver.py")],
        r"Running on http://127\.0\.0\.1:(?P<port>\d+)",
    )


def _receivers(command: Sequence[str], ready: str) -> Iterator[Callable[[str], SeedReceiver]]:
    started: list[Process] = []

    def start(secret: str) -> SeedReceiver:
        process = Process(command, environment.for_process(WEBHOOK_SECRET=secret))
        started.append(process)
        port = process.wait_for(ready)["port"]
        return SeedReceiver(f"http://127.0.0.1:{port}/webhook", process)

    yield start
    for process in started:
        process.close()
