"""3: CPU of a recorded save against the same save, atomic, with no event registered.

Web and database together. Bars: ≤ 2.0× (aim 1.6×); and the same, ±5%, at 1, 10 and 1,000 webhooks
as at none.
"""

from __future__ import annotations

from benchmarks.harness import Bar, Measure, Meter, medians
from benchmarks.stage import Hand, Stage

RECORDED = Bar(limit=2.0, aim=1.6)
SAME = Bar(limit=1.05)
WEBHOOKS = (1, 10, 1000)
_AT_ONCE = 100  # saves before it is the other's turn


def measure(stage: Stage) -> list[Measure]:
    database = stage.database()
    turns = stage.amount(10, 2)

    def costs(kind: str, *hands: Hand) -> list[dict[str, float]]:
        """Milliseconds a save, of each of the hands: web, and the database's session for it."""
        meters = [Meter(web=hand.pid, database=hand.call("session")) for hand in hands]
        for _ in range(turns):
            for hand in hands:
                hand.call(kind, count=_AT_ONCE)
        scale = 1000 / (turns * _AT_ONCE)
        return [{name: spent * scale for name, spent in meter.read().items()} for meter in meters]

    plain: dict[str, list[dict[str, float]]] = {"create": [], "update": []}
    told: dict[str, list[dict[str, float]]] = {"create": [], "update": []}
    listened: dict[int, list[float]] = {count: [] for count in WEBHOOKS}
    nobody = stage.database()
    with (
        stage.hand(DATABASE_URL=database) as ours,
        stage.hand(DATABASE_URL=database) as bare,
        stage.hand(DATABASE_URL=nobody) as unheard,
    ):
        bare.call("track_nothing")
        for hand in (ours, bare, unheard):
            hand.call("create", count=_AT_ONCE)
            hand.call("update", count=_AT_ONCE)
        for _ in stage.rounds(5):
            for hand in (ours, unheard):
                hand.call("clear")
            for kind, rounds in told.items():
                mine, other = costs(kind, ours, bare)
                rounds.append(mine)
                plain[kind].append(other)
            for count, values in listened.items():
                urls = [stage.sink.url(str(n)) for n in range(count)]
                ours.call("add_webhooks", urls=urls, events=[["cliente.*"]] * count)
                mine, other = costs("create", ours, unheard)
                values.append(sum(mine.values()) / sum(other.values()))
    return [
        *(
            Measure(
                figure=3,
                what=f"recorded {kind} against a plain one",
                values=[
                    sum(mine.values()) / sum(other.values())
                    for mine, other in zip(told[kind], plain[kind], strict=True)
                ],
                bar=RECORDED,
                details={f"{name} ms": value for name, value in medians(told[kind]).items()}
                | {f"plain {name} ms": value for name, value in medians(plain[kind]).items()},
            )
            for kind in plain
        ),
        *(
            Measure(
                figure=3,
                what=f"recorded create at {count:,} webhooks against none",
                values=values,
                bar=SAME,
            )
            for count, values in listened.items()
        ),
    ]
