"""11: what a delivery costs that is signed with pairs of keys, against HMAC.

A backlog of one type of event for one receiver, worker and PostgreSQL together. Ed25519 signs as
the default format does; RSA-2048 as LeadConnector's does, with Ed25519 beside it and over a body
that is told anew at each attempt. Bars: ≤ 1.15× and ≤ 2.2×.
"""

from __future__ import annotations

from statistics import median

from benchmarks.harness import Bar, Measure
from benchmarks.stage import Stage
from webhooks.signing import ED25519, HMAC_SHA256, RSA_SHA256, generate_secret

DELIVERIES = 1000
EVENT = "cliente.criado"  # which every format tells
# By what the table says: the format, and the algorithms of a webhook's keys.
WAYS = {
    "HMAC": ("sistema-crm", (HMAC_SHA256,)),
    "Ed25519": ("sistema-crm", (ED25519,)),
    "RSA-2048 and Ed25519": ("lead-connector", (RSA_SHA256, ED25519)),
    "nothing": ("lead-connector", ()),
}
BARS = {"Ed25519": Bar(limit=1.15), "RSA-2048 and Ed25519": Bar(limit=2.2)}


def measure(stage: Stage) -> list[Measure]:
    secrets = {each: generate_secret(each) for _, kinds in WAYS.values() for each in kinds}
    database = stage.database()
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    with stage.hand(DATABASE_URL=database) as hand, stage.worker(DATABASE_URL=database) as worker:
        for _ in stage.rounds(5):
            for way, (format, algorithms) in WAYS.items():
                hand.call("clear")
                hand.call(
                    "add_webhooks",
                    urls=[stage.sink.url(format)],
                    events=[[EVENT]],
                    format=format,
                    keys=[(each, secrets[each]) for each in algorithms],
                )
                found = stage.drain(hand, [worker], DELIVERIES, event=EVENT)
                spent[way].append(found["worker"] + found["database"])
    hmac = spent["HMAC"]
    unsigned = [mine / other for mine, other in zip(spent["nothing"], hmac, strict=True)]
    return [
        Measure(
            figure=11,
            what=f"CPU per delivery signed by {way}, against HMAC",
            values=[mine / other for mine, other in zip(spent[way], hmac, strict=True)],
            bar=bar,
            details={"the same unsigned ×": median(unsigned)} if RSA_SHA256 in WAYS[way][1] else {},
        )
        for way, bar in BARS.items()
    ]
