"""7: a backlog of 100,000: what the worker holds at its end, and whether it slows down.

10,000 events for ten receivers each. Bars: the worker's memory at the end ≤ 1.1× that after the
first 5,000; the rate of the last tenth ≥ 0.9× that of the first.
"""

from __future__ import annotations

import bisect
import time

from benchmarks.harness import Bar, Measure, memory_of
from benchmarks.stage import Stage

RECEIVERS = 10
_SETTLED = 20  # the memory is first looked at after a twentieth


def measure(stage: Stage) -> list[Measure]:
    events = stage.amount(10_000, 800)
    deliveries = events * RECEIVERS
    database = stage.database()
    counts: list[int] = []
    times: list[float] = []
    early = 0.0
    with stage.hand(DATABASE_URL=database) as hand, stage.worker(DATABASE_URL=database) as worker:
        hand.call(
            "add_webhooks",
            urls=[stage.sink.url(str(n)) for n in range(RECEIVERS)],
            events=[["medida0.feita"]] * RECEIVERS,
        )
        worker.pause()
        stage.sink.ask("reset")
        hand.call("backlog", count=events)
        worker.resume()
        started = time.monotonic()
        while (count := stage.sink.ask("count")["requests"]) < deliveries:
            counts.append(count)
            times.append(time.monotonic() - started)
            if not early and count >= deliveries / _SETTLED:
                early = memory_of(worker.pid)
            if times[-1] > 600:
                raise TimeoutError(f"Only {count} of {deliveries} arrived in 600 seconds.")
            time.sleep(0.05)
        counts.append(count)
        times.append(time.monotonic() - started)
        late = memory_of(worker.pid)

    def at(share: float) -> float:
        """When so much of it had arrived: between two looks, in proportion."""
        wanted = deliveries * share
        place = max(1, bisect.bisect_left(counts, wanted))
        had, has = counts[place - 1 : place + 1]
        then, now = times[place - 1 : place + 1]
        return then + (now - then) * (wanted - had) / (has - had)

    # From the first answer on: nothing is sent while the first events are fanned out.
    first = deliveries * 0.1 / (at(0.1) - at(0.001))
    last = deliveries * 0.1 / (at(1) - at(0.9))
    return [
        Measure(
            figure=7,
            what=f"worker's memory after {deliveries:,}, against after a twentieth of them",
            values=[late / early],
            bar=Bar(limit=1.1),
            details={"early MB": early / 1e6, "late MB": late / 1e6},
        ),
        Measure(
            figure=7,
            what="rate of the last tenth against the first",
            values=[last / first],
            bar=Bar(limit=0.9, at_least=True),
            details={
                f"{tenth}. tenth per second": deliveries
                * 0.1
                / (at(tenth / 10) - at(tenth / 10 - 0.1))
                for tenth in range(2, 11)
            }
            | {"1. tenth per second": first},
        ),
    ]
