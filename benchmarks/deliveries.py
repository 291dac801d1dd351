"""1, 2: CPU of a delivery, end to end, against a bare `requests.Session().post()` of its bytes.

A backlog of 1,000 events for one receiver, and for 100 of them in turn. Bars: worker ≤ 1.0× (aim
0.7×), worker and PostgreSQL ≤ 1.2× (aim 0.9×).
"""

from __future__ import annotations

from benchmarks.harness import Bar, Measure, Meter, medians
from benchmarks.stage import Stage

EVENTS = 1000
WARM_UP = 200
WORKER = Bar(limit=1.0, aim=0.7)
WITH_DATABASE = Bar(limit=1.2, aim=0.9)


def measure(stage: Stage) -> list[Measure]:
    database = stage.database()
    sink, measures = stage.sink, []
    with stage.hand(DATABASE_URL=database) as hand, stage.worker(DATABASE_URL=database) as worker:
        found: dict[int, list[dict[str, float]]] = {1: [], 100: []}
        hand.call("add_webhooks", urls=[sink.url()], events=[["medida0.feita"]])
        stage.drain(hand, [worker], WARM_UP)
        body = hand.call("last_body")
        for _ in stage.rounds(5):
            for receivers, rounds in found.items():
                hand.call("clear")
                hand.call(
                    "add_webhooks",
                    urls=[sink.url(str(n)) for n in range(receivers)],
                    events=[[f"medida{n}.feita"] for n in range(receivers)],
                )
                # The worker reads its webhooks, and connects: once, not at each delivery.
                stage.drain(hand, [worker], WARM_UP, types=receivers)
                meter = Meter(bare=hand.pid)
                hand.call("post_bare", url=sink.url("bare"), body=body, count=EVENTS)
                bare = meter.read()["bare"] / EVENTS * 1000
                drained = stage.drain(hand, [worker], EVENTS, types=receivers)
                parts = hand.call("parts_of_a_delivery", count=EVENTS)
                rounds.append(drained | parts | {"bare": bare})
    for figure, parts, bar in ((1, ["worker"], WORKER), (2, ["worker", "database"], WITH_DATABASE)):
        for receivers, rounds in found.items():
            said = "one receiver" if receivers == 1 else f"{receivers} receivers"
            measures.append(
                Measure(
                    figure=figure,
                    what=f"{' + '.join(parts)} CPU per delivery, {said}",
                    values=[sum(each[part] for part in parts) / each["bare"] for each in rounds],
                    bar=bar,
                    details={
                        f"{name} {'per second' if name == 'rate' else 'ms'}": value
                        for name, value in medians(rounds).items()
                    },
                )
            )
    return measures
