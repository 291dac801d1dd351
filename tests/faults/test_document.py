"""docs/reliability.md tells of exactly the faults that the suite tries."""

from __future__ import annotations

from pathlib import Path

from tests.faults import catalogue, document
from tests.faults.outcomes import Outcome, keep, read


def test_the_document_tells_of_every_fault_and_of_no_other() -> None:
    told = document.structure(document.DOCUMENT.read_text())
    tried = catalogue.all_rows()
    assert told == tried, "run the suite on both databases, then scripts/reliability-table"


def test_every_module_of_faults_has_its_section() -> None:
    modules = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    assert modules - {"test_document"} == set(catalogue.SECTIONS)


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    rows = catalogue.all_rows()
    for row in rows:
        keep(row, Outcome(events=1200, recovery=0.25), tmp_path / "results.json")
    results = read(tmp_path / "results.json")
    tables = document.render(rows, results)
    assert "| 1,200 |" in tables
    assert "| 250 ms |" in tables
    text = document.replace(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n", tables)
    assert document.structure(text) == rows
    assert text.startswith("before\n")
    assert text.endswith("after\n")
