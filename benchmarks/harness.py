"""What every figure is made of: CPU seconds of process trees, rounds, medians and their spread."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second, in /proc's unit


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a median is held against."""

    limit: float
    aim: float | None = None
    at_least: bool = False
    """Whether more is better."""

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def text(self, unit: str) -> str:
        sign = "≥" if self.at_least else "≤"
        aim = "" if self.aim is None else f", aim {number(self.aim)}"
        return f"{sign} {number(self.limit)}{unit}{aim}"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the table: a value per round, and the bar that their median is held against.

    Machines of one kind differ. Of several, each has a median, and the bar holds for their median.
    """

    figure: int
    what: str
    values: Sequence[float]
    bar: Bar
    unit: str = "×"
    details: Mapping[str, float] = field(default_factory=dict)
    """What it was computed from, by name and unit: `{"worker ms": 0.41}`; for plots and text."""
    elsewhere: Sequence[Sequence[float]] = ()
    """The values on other machines."""

    @property
    def medians(self) -> list[float]:
        """One of each machine, this one's last."""
        return [statistics.median(values) for values in (*self.elsewhere, self.values)]

    @property
    def median(self) -> float:
        return statistics.median(self.medians)

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest of all rounds."""
        values = [value for machine in (*self.elsewhere, self.values) for value in machine]
        return min(values), max(values)

    @property
    def met(self) -> bool:
        return self.bar.holds(self.median)

    def as_json(self) -> dict[str, object]:
        return {
            "figure": self.figure,
            "what": self.what,
            "median": rounded(statistics.median(self.values)),
            "values": [rounded(value) for value in self.values],
            "unit": self.unit.strip(),
            "bar": self.bar.text(self.unit),
            "details": {name: rounded(value) for name, value in self.details.items()},
        }


def number(value: float) -> str:
    """Three digits that matter, and no more: "0.0123", "1.07", "64", "1,050"."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.6f}".rstrip("0")


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all does not exceed (nearest rank)."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("Nothing was measured.")
    return ordered[max(0, -(-int(share * 10_000) * len(ordered) // 10_000) - 1)]


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By name, of rounds that measured the same things."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


# --- CPU ------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and everything it started, what has ended included."""
    spent: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which may hold anything: state, parent, …, utime, stime, cutime,
            # cstime. The latter two are of children that ended and were waited for.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            spent[int(stat.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    tree, ticks = {pid}, 0
    grown = True
    while grown:
        more = {each for each, (parent, _) in spent.items() if parent in tree} - tree
        tree |= more
        grown = bool(more)
    ticks = sum(spent[each][1] for each in tree if each in spent)
    return ticks / TICKS


class Meter:
    """CPU seconds since it was made, by part: `Meter(worker=pid, database=pid).read()`."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids
        self._before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        self._started = time.monotonic()

    def read(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) - self._before[name] for name, pid in self._pids.items()}

    @property
    def seconds(self) -> float:
        """Of the wall clock."""
        return time.monotonic() - self._started


def memory_of(pid: int) -> float:
    """Bytes that a process tree holds for itself: what processes share is counted once."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        each = int(status.parent.name)
        with contextlib.suppress(OSError):
            if each == pid or _is_below(each, pid):
                rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
                total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024
    return total


def _is_below(pid: int, ancestor: int) -> bool:
    while pid > 1:
        pid = int(
            Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1]
        )
        if pid == ancestor:
            return True
    return False


def wait_until(
    condition: Callable[[], bool], *, seconds: float, what: str, every: float = 0.05
) -> None:
    """:raises TimeoutError: it did not become true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {seconds:g} s in vain for {what}.")
        time.sleep(every)
