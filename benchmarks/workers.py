"""12: the rate of two worker processes against one.

A backlog for 20 receivers; PostgreSQL, the receiver and the workers share the machine's cores. Bar,
where there is a core for each worker: ≥ 1.8×.
"""

from __future__ import annotations

from benchmarks.harness import Bar, Measure, medians
from benchmarks.stage import Stage

DELIVERIES, RECEIVERS = 3000, 20


def measure(stage: Stage) -> list[Measure]:
    database = stage.database()
    rounds = []
    with (
        stage.hand(DATABASE_URL=database) as hand,
        stage.worker("--hostname=one@%h", DATABASE_URL=database) as one,
        stage.worker("--hostname=two@%h", DATABASE_URL=database) as two,
    ):
        hand.call(
            "add_webhooks",
            urls=[stage.sink.url(str(n)) for n in range(RECEIVERS)],
            events=[[f"medida{n}.feita"] for n in range(RECEIVERS)],
        )
        stage.drain(hand, [one, two], 200, types=RECEIVERS)
        for _ in stage.rounds(3):
            both = stage.drain(hand, [one, two], DELIVERIES, types=RECEIVERS)
            two.pause()
            alone = stage.drain(hand, [one], DELIVERIES, types=RECEIVERS)
            two.resume()
            rounds.append(
                {
                    "one per second": alone["rate"],
                    "two per second": both["rate"],
                    "one's CPU ms": alone["worker"],
                    "two's CPU ms": both["worker"],
                }
            )
    return [
        Measure(
            figure=12,
            what="rate of two worker processes against one",
            values=[each["two per second"] / each["one per second"] for each in rounds],
            bar=Bar(limit=1.8, at_least=True),
            details=medians(rounds),
        )
    ]
