"""The table, results.json, and what docs/performance.md shows of them."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.charts import charts
from benchmarks.harness import Measure, number
from tests.processes import ROOT

COLUMNS = ("#", "Figure", "Median", "Machines", "Rounds", "Bar", "Met")
RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "images"
BEGIN = "<!-- figures: written by make bench -->"
END = "<!-- /figures -->"


def table(measures: Sequence[Measure]) -> str:
    """For the terminal: columns as wide as they must be."""
    rows = [COLUMNS, *map(_cells, measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def write(measures: Sequence[Measure], about: str, *, add: bool = False) -> None:
    """Keep what was measured, and show it in the document.

    :param about: on what and when; see `machine()`.
    :param add: beside what was measured on other machines, and not in its place.
    """
    runs = json.loads(RESULTS.read_text(encoding="utf-8"))["runs"] if add else []
    measures = beside(measures, runs)
    runs.append({"about": about, "measures": [each.as_json() for each in measures]})
    kept = {"runs": runs}
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    about = "\n".join(f"- {run['about']}" for run in runs)
    for name, chart in charts(measures).items():
        (PICTURES / f"performance-{name}.svg").write_text(chart.svg(), encoding="utf-8")
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(filled(text, measures, about), encoding="utf-8")


def beside(measures: Sequence[Measure], runs: Sequence[Mapping[str, Any]]) -> list[Measure]:
    """The measures, each with its values in those runs."""
    return [
        replace(
            each,
            elsewhere=[
                other["values"]
                for run in runs
                for other in run["measures"]
                if (other["figure"], other["what"]) == (each.figure, each.what)
            ],
        )
        for each in measures
    ]


def filled(text: str, measures: Sequence[Measure], about: str) -> str:
    """The document with the table between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{DOCUMENT.name} lacks the marks {BEGIN} and {END}.")
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_cells, measures)]
    lines = [about, "", *(f"| {' | '.join(row)} |" for row in rows)]
    for line, detail in _details(measures):
        lines += ["", line, "", *detail]
    written = "\n".join(lines)
    return f"{before}{BEGIN}\n{written}\n{END}{after}"


def _details(measures: Sequence[Measure]) -> list[tuple[str, list[str]]]:
    """What the ratios were computed from: medians, folded away."""
    lines = [
        f"- {each.figure}, {each.what}: "
        + ", ".join(f"{name} {number(value)}" for name, value in each.details.items())
        for each in measures
        if each.details
    ]
    return [
        ("<details><summary>What they were computed from</summary>", [*lines, "", "</details>"])
    ]


def machine(moment: str, postgres: str) -> str:
    """One sentence about what was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("Django", "celery", "psycopg", "requests", "redis")
    )
    return (
        f"Measured {moment} on {os.cpu_count()} cores ({_processor()}) and {memory:.0f} GB, "
        f"Python {platform.python_version()}, PostgreSQL {postgres}, {packages}; the servers, the "
        "receivers and the measuring itself share the cores."
    )


def _processor() -> str:
    """Its name, as the system gives it."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = re.findall(r"^model name\s*: (.+)$", info, re.MULTILINE)
    return names[0].strip() if names else platform.machine()


def _cells(measure: Measure) -> tuple[str, ...]:
    machines, (low, high) = measure.medians, measure.spread
    return (
        str(measure.figure),
        measure.what,
        f"{number(measure.median)}{measure.unit}",
        ", ".join(map(number, machines)),
        f"{number(low)} to {number(high)}",
        measure.bar.text(measure.unit),
        "yes" if measure.met else "no",
    )
