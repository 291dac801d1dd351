"""The benchmark's own arithmetic, and its smallest round: what is measured, no test can hold."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import charts, deliveries, report
from benchmarks.__main__ import FIGURES
from benchmarks.harness import Bar, Measure, Meter, cpu_seconds, number, percentile
from benchmarks.plots import Chart, Row
from benchmarks.stage import Stage
from tests.services import Postgres, Redis

A_MEASURE = Measure(
    figure=1, what="worker", values=[0.9, 0.7, 0.8], bar=Bar(limit=1.0, aim=0.7), unit="×"
)


def test_a_measure_is_the_median_of_its_rounds() -> None:
    assert (A_MEASURE.median, A_MEASURE.spread, A_MEASURE.met) == (0.8, (0.7, 0.9), True)


def test_a_bar_is_held_by_the_median_of_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"{report.BEGIN}\n{report.END}\n")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(report, "DOCUMENT", document)
    monkeypatch.setattr(report, "charts", lambda measures: {})

    def measured(*values: float) -> list[Measure]:
        return [replace(A_MEASURE, values=values)]

    report.write(measured(1.2, 1.1, 1.3), "One machine.")
    assert "| 1.2× | 1.2 | 1.1 to 1.3 | ≤ 1×, aim 0.7 | no |" in document.read_text()
    report.write(measured(0.9, 0.8), "Another.", add=True)
    report.write(measured(0.7), "A third.", add=True)
    text = document.read_text()
    assert "- One machine.\n- Another.\n- A third.\n" in text
    assert "| 0.85× | 1.2, 0.85, 0.7 | 0.7 to 1.3 | ≤ 1×, aim 0.7 | yes |" in text
    report.write(measured(1.5), "The code has changed.")
    assert "| 1.5× | 1.5 | 1.5 to 1.5 | ≤ 1×, aim 0.7 | no |" in document.read_text()


@pytest.mark.parametrize(
    ("value", "at_least", "met"), [(1.0, False, True), (1.1, False, False), (1.1, True, True)]
)
def test_a_bar_is_met_on_its_own_side(value: float, at_least: bool, met: bool) -> None:
    bar = Bar(limit=1.05 if value > 1 else 1.0, at_least=at_least)
    assert Measure(figure=1, what="", values=[value], bar=bar).met is met


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7], 0.99) == 7


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (1.0712, "1.07"), (64.04, "64"), (1050.4, "1,050")],
)
def test_numbers_are_as_short_as_they_may_be(value: float, text: str) -> None:
    assert number(value) == text


BURN = "import time\nwhile time.process_time() < 0.2: pass"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN!r}], check=True)
print("burnt", flush=True)
sys.stdin.read()
"""


def test_the_cpu_of_children_that_ended_counts() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        meter = Meter(it=parent.pid)
        assert parent.stdout is not None
        assert parent.stdout.readline() == "burnt\n"
        assert meter.read()["it"] >= 0.15
        assert cpu_seconds(parent.pid) >= 0.2
        parent.communicate()


def test_the_table_tells_each_measure_and_whether_its_bar_is_met() -> None:
    lines = report.table([A_MEASURE]).splitlines()
    assert lines[0].split() == ["#", "Figure", "Median", "Machines", "Rounds", "Bar", "Met"]
    assert re.split(r"  +", lines[1]) == [
        *("1", "worker", "0.8×", "0.8", "0.7 to 0.9", "≤ 1×, aim 0.7", "yes"),
    ]


def test_every_figure_has_a_module_that_says_what_it_is() -> None:
    numbers: list[int] = []
    for name in FIGURES:
        first = str(importlib.import_module(f"benchmarks.{name}").__doc__).splitlines()[0]
        numbers += map(int, first.partition(":")[0].split(", "))
    assert numbers == sorted(numbers)
    assert numbers == list(range(1, max(numbers) + 1))


def test_the_document_takes_the_figures_between_its_marks() -> None:
    text = report.DOCUMENT.read_text(encoding="utf-8")
    written = report.filled(text, [A_MEASURE], "Measured here.")
    assert written == report.filled(written, [A_MEASURE], "Measured here.")
    assert "\nMeasured here.\n" in written
    assert "\n| 1 | worker | 0.8× | 0.8 | 0.7 to 0.9 | ≤ 1×, aim 0.7 | yes |\n" in written
    assert (written.partition(report.BEGIN)[0], written.partition(report.END)[2]) == (
        text.partition(report.BEGIN)[0],
        text.partition(report.END)[2],
    )


def test_the_document_shows_every_picture_that_is_drawn() -> None:
    shown = re.findall(r"\(images/performance-(\w+)\.svg\)", report.DOCUMENT.read_text("utf-8"))
    assert sorted(shown) == sorted(charts.DRAWN)


def test_a_picture_is_the_same_for_the_same_figures_and_to_scale() -> None:
    chart = Chart("CPU & all", " ms", [Row("a", {"x": 1, "y": 2}), Row("b", {"x": 1.5}, limit=2)])
    root = ElementTree.fromstring(chart.svg())  # noqa: S314 - our own
    assert chart.svg() == chart.svg()
    widths = [float(each.get("width", 0)) for each in root.iter() if each.get("height") == "18"]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[2] == pytest.approx(1.5 * widths[0], abs=0.2)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:3] == ["CPU & all", "x", "y"]
    assert "3 ms" in texts


class _Small(Stage):
    """On the tests' servers and database."""

    def __init__(self, postgres: Postgres, redis: Redis, database_url: str) -> None:
        super().__init__(quick=True)
        self.__dict__.update(postgres=postgres, redis=redis)
        self._url = database_url

    def database(self) -> str:
        return self._url


@pytest.fixture
def stage(postgres: Postgres, redis: Redis, database_url: str) -> Iterator[Stage]:
    with _Small(postgres, redis, database_url) as stage:
        yield stage


@pytest.mark.slow
@pytest.mark.postgres_only
def test_the_smallest_round_measures_something(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "EVENTS", 60)
    monkeypatch.setattr(deliveries, "WARM_UP", 5)
    measures = deliveries.measure(stage)
    assert [each.figure for each in measures] == [1, 1, 2, 2]
    assert all(each.details["rate per second"] > 0 for each in measures)
    assert all(value >= 0 for each in measures for value in each.values)
