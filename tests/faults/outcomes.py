"""What the faults' tests measured, kept in a file that the document's table is made from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.catalogue import Row
from tests.processes import ROOT

RESULTS = ROOT / "var" / "fault-results.json"


@dataclass(kw_only=True)
class Outcome:
    """What one test saw. Times in seconds; None: not measured."""

    events: int | None = None
    """Committed."""
    duplicates: int | None = None
    """Times that a receiver got what it had been sent and not refused before."""
    recovery: float | None = None
    """From the fault's end until everything was delivered or visibly failed."""
    slowest: float | None = None
    """From a commit until a healthy receiver had it, at worst."""
    worst_save: float | None = None
    note: str = ""


def keep(row: Row, outcome: Outcome, file: Path = RESULTS) -> None:
    """Put a test's outcome in the place of its last one."""
    results = read(file)
    results[row] = outcome
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(
        json.dumps(
            [{**asdict(row), **asdict(outcome)} for row, outcome in results.items()],
            ensure_ascii=False,
            indent=1,
        )
    )
    partial.replace(file)


def read(file: Path = RESULTS) -> dict[Row, Outcome]:
    if not file.exists():
        return {}
    names = Row.__dataclass_fields__
    return {
        Row(**{name: each[name] for name in names}): Outcome(
            **{name: value for name, value in each.items() if name not in names}
        )
        for each in json.loads(file.read_text())
    }


def missing(rows: Iterable[Row], results: dict[Row, Outcome]) -> list[Row]:
    return [row for row in rows if row not in results]
