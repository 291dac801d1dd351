"""4: from a commit until the receiver has the request, with PostgreSQL and Redis.

Saves at 10 and at 200 a second, one receiver, one worker. Bars: p95 ≤ 50 ms and ≤ 60 ms.
"""

from __future__ import annotations

from benchmarks.harness import Bar, Measure, medians, percentile, wait_until
from benchmarks.stage import Hand, Sink, Stage

BARS = {10: Bar(limit=50), 200: Bar(limit=60)}
_WARM = 1.0  # seconds that are not counted


def measure(stage: Stage) -> list[Measure]:
    database = stage.database()
    found: dict[int, list[dict[str, float]]] = {rate: [] for rate in BARS}
    seconds = stage.amount(12, 3)
    with stage.hand(DATABASE_URL=database) as web, stage.worker(DATABASE_URL=database):
        web.call("add_webhooks", urls=[stage.sink.url()], events=[["cliente.*"]])
        arrivals(web, stage.sink, 10, 3)  # the first connections are made
        for _ in stage.rounds(3):
            for rate, rounds in found.items():
                rounds.append(arrivals(web, stage.sink, rate, seconds))
    return [
        Measure(
            figure=4,
            what=f"commit to received at {rate}/s, p95",
            values=[each["p95"] for each in rounds],
            bar=BARS[rate],
            unit=" ms",
            details={f"{name} ms": value for name, value in medians(rounds).items()},
        )
        for rate, rounds in found.items()
    ]


def arrivals(web: Hand, sink: Sink, rate: float, seconds: float) -> dict[str, float]:
    """Save clients at that rate. :returns: milliseconds until they were received, by percentile."""
    web.call("clear")
    sink.ask("reset")
    saved: dict[str, float] = web.call("create_at", rate=rate, seconds=seconds)
    wait_until(lambda: saved.keys() <= sink.ask("arrivals").keys(), seconds=30, what="all arrivals")
    arrived = sink.ask("arrivals")
    first = min(saved.values()) + _WARM
    waits = [(arrived[id] - at) * 1000 for id, at in saved.items() if at >= first]
    return {f"p{share:.0%}".rstrip("%"): percentile(waits, share) for share in (0.5, 0.95, 0.99)}
