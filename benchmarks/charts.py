"""Which figures are drawn, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.harness import Measure
from benchmarks.plots import Chart, Row


def charts(measures: Sequence[Measure]) -> dict[str, Chart]:
    """By the name of the picture; those whose figures were measured."""
    by_figure: dict[int, list[Measure]] = {}
    for each in measures:
        by_figure.setdefault(each.figure, []).append(each)
    made = {
        name: draw([each for figure in figures for each in by_figure.get(figure, [])])
        for name, (draw, figures) in DRAWN.items()
    }
    return {name: chart for name, chart in made.items() if chart.rows}


def _cpu(measures: Sequence[Measure]) -> Chart:
    rows = []
    for each in measures:
        said = each.what.rpartition(", ")[2]
        ms = each.details
        if not rows:
            rows.append(Row("bare requests.post, records nothing", {"process": ms["bare ms"]}))
        rows.append(Row(said, {"worker": ms["worker ms"], "PostgreSQL": ms["database ms"]}))
    return Chart("CPU of a delivery", " ms", rows)


def _saves(measures: Sequence[Measure]) -> Chart:
    rows = []
    for each in measures:
        if "plain web ms" in each.details:
            kind = each.what.split()[1]
            for said, prefix in (("plain", "plain "), ("recorded", "")):
                parts = {
                    "web": each.details[f"{prefix}web ms"],
                    "PostgreSQL": each.details[f"{prefix}database ms"],
                }
                rows.append(Row(f"{kind}, {said}", parts))
    return Chart("CPU of a save", " ms", rows)


def _latency(measures: Sequence[Measure]) -> Chart:
    rows = []
    for each in measures:
        if "p50 ms" in each.details:
            for share in ("p50", "p95", "p99"):
                name = each.what.removeprefix("embedded: ").removesuffix(", p95")
                where = "embedded" if each.figure == 9 else "servers"
                rate = name.rpartition(" ")[2]
                limit = each.bar.limit if share == "p95" else None
                rows.append(
                    Row(f"{where}, {rate}, {share}", {"": each.details[f"{share} ms"]}, limit)
                )
    return Chart("From commit to received", " ms", rows)


def _hanging(measures: Sequence[Measure]) -> Chart:
    rows = []
    for each in measures:
        none = each.details["p99 with none hanging ms"]
        if not rows:
            rows.append(Row("none hanging", {"": none}))
        hanging = each.what.split()[5]
        rows.append(Row(f"{hanging} hang", {"": each.details["p99 ms"]}, each.bar.limit * none))
    return Chart("p99 of the healthy receivers", " ms", rows)


def _backlog(measures: Sequence[Measure]) -> Chart:
    rates: Mapping[str, float] = {}
    for each in measures:
        if "1. tenth per second" in each.details:
            rates = each.details
    rows = [
        Row(f"{tenth}. tenth", {"": rates[f"{tenth}. tenth per second"]})
        for tenth in range(1, 11)
        if rates
    ]
    return Chart("Deliveries per second while a backlog is drained", "/s", rows)


def _rivals(measures: Sequence[Measure]) -> Chart:
    rows = []
    parts = ("web", "worker", "database", "broker")
    for mode in ("as they are saved", "a burst"):
        some = [each for each in measures if each.what.endswith(mode)]
        for each in some[:1]:
            rows.append(
                Row(f"ours, {mode}", {part: each.details[f"our {part} ms"] for part in parts})
            )
        for each in some:
            name = each.what.split(" against ")[1].partition("'s")[0]
            rows.append(
                Row(f"{name}, {mode}", {part: each.details[f"its {part} ms"] for part in parts})
            )
    return Chart("CPU of a save and its delivery", " ms", rows)


DRAWN: dict[str, tuple[Callable[[Sequence[Measure]], Chart], Sequence[int]]] = {
    "cpu": (_cpu, (2,)),
    "saves": (_saves, (3,)),
    "latency": (_latency, (4, 9)),
    "hanging": (_hanging, (5,)),
    "backlog": (_backlog, (7,)),
    "rivals": (_rivals, (10,)),
}
"""By the name of the picture: what draws it, and of which figures."""
