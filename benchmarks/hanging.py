"""5: what healthy receivers notice of others that take every request and never answer.

100 receivers, 200 events a second, a worker; of the receivers none, 10 or 50 hang for the whole
timeout of 5 s. Bars, of the healthy ones' p99 against that with none hanging: ≤ 1.5× and ≤ 2×.
"""

from __future__ import annotations

import contextlib
import statistics

from benchmarks.harness import Bar, Measure, percentile, wait_until
from benchmarks.stage import Stage, hanging_receiver

RECEIVERS, RATE = 100, 200
BARS = {10: Bar(limit=1.5), 50: Bar(limit=2.0)}
_WARM = 3.0  # seconds until the first timeouts are under way


def measure(stage: Stage) -> list[Measure]:
    p99: dict[int, list[float]] = {0: [], **{hanging: [] for hanging in BARS}}
    for _ in stage.rounds(3):
        for hanging, values in p99.items():
            values.append(_round(stage, hanging, seconds=stage.amount(10, 6)))
    return [
        Measure(
            figure=5,
            what=f"p99 of the healthy while {hanging}% hang, against none",
            values=[mine / none for mine, none in zip(p99[hanging], p99[0], strict=True)],
            bar=bar,
            details={
                "p99 ms": statistics.median(p99[hanging]),
                "p99 with none hanging ms": statistics.median(p99[0]),
            },
        )
        for hanging, bar in BARS.items()
    ]


def _round(stage: Stage, hanging: int, *, seconds: float) -> float:
    """The p99 in milliseconds. Everything is new: what hung is remembered, and spared."""
    database = stage.database()
    with contextlib.ExitStack() as ending:
        abyss = ending.enter_context(hanging_receiver())
        web = ending.enter_context(stage.hand(DATABASE_URL=database))
        ending.enter_context(stage.worker(DATABASE_URL=database))
        web.call(
            "add_webhooks",
            urls=[
                abyss + str(n) if n < hanging else stage.sink.url(str(n)) for n in range(RECEIVERS)
            ],
            events=[[f"medida{n}.feita"] for n in range(RECEIVERS)],
        )
        stage.sink.ask("reset")
        told = web.call("emit_at", rate=RATE, seconds=seconds, types=RECEIVERS)
        healthy = {id: at for id, (at, receiver) in told.items() if receiver >= hanging}
        wait_until(
            lambda: healthy.keys() <= stage.sink.ask("arrivals").keys(),
            seconds=30,
            what="the arrivals at the healthy",
        )
        arrived = stage.sink.ask("arrivals")
    first = min(healthy.values()) + _WARM
    waits = [(arrived[id] - at) * 1000 for id, at in healthy.items() if at >= first]
    return percentile(waits, 0.99)
