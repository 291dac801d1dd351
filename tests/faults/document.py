"""The tables of docs/reliability.md, from what the suite measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.faults.catalogue import Row
from tests.faults.outcomes import Outcome
from tests.processes import ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- faults: written by scripts/reliability-table -->"
END = "<!-- /faults -->"
COLUMNS = (
    "Fault",
    "Promise",
    "Database",
    "Broker",
    "Events",
    "Sent twice",
    "Settled after",
    "Slowest healthy",
    "Worst save",
    "Also",
)


def render(rows: Sequence[Row], results: Mapping[Row, Outcome]) -> str:
    """Markdown: a heading and a table for each section."""
    lines: list[str] = []
    section = fault = ""
    for row in rows:
        if row.section != section:
            section, fault = row.section, ""
            lines += ["", f"### {section}", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
        first = row.fault != fault
        fault = row.fault
        lines.append(
            _line(
                [
                    row.fault if first else "",
                    row.promise if first else "",
                    row.database,
                    row.broker,
                    *_figures(results[row]),
                ]
            )
        )
    return "\n".join(lines).strip()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figures(outcome: Outcome) -> list[str]:
    def count(value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    def time(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"

    return [
        count(outcome.events),
        count(outcome.duplicates),
        time(outcome.recovery),
        time(outcome.slowest),
        time(outcome.worst_save),
        outcome.note,
    ]


def structure(text: str) -> list[Row]:
    """The lines of the tables in a document, without their figures."""
    rows: list[Row] = []
    section = fault = promise = ""
    for line in _between(text)[1].splitlines():
        if line.startswith("### "):
            section = line[4:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[0] in {COLUMNS[0], "---"}:
            continue
        fault, promise = cells[0] or fault, cells[1] or promise
        rows.append(
            Row(section=section, fault=fault, promise=promise, database=cells[2], broker=cells[3])
        )
    return rows


def replace(text: str, tables: str) -> str:
    before, _, after = _between(text)
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _between(text: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{DOCUMENT.name} lacks the marks {BEGIN} and {END}.")
    return before, inside, after
