"""13: CPU of a POST that creates a client against the same POST with no event registered.

Of the web process and the database together, on PostgreSQL and on SQLite (which is in the web
process). Bar: ≤ 1.5×.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping

from benchmarks.harness import Bar, Measure, Meter, medians
from benchmarks.project import CLIENT
from benchmarks.stage import Hand, Stage
from tests.services.base import workspace

TOLD = Bar(limit=1.5)


def measure(stage: Stage) -> list[Measure]:
    postgres = {"DATABASE_URL": stage.database()}
    sqlite = {"DATABASE_URL": f"sqlite:///{workspace('api') / 'crm.sqlite3'}"}
    with stage.hand(**sqlite) as hand:
        hand.call("migrate")
    return [_beside(stage, "PostgreSQL", postgres), _beside(stage, "SQLite", sqlite)]


def _beside(stage: Stage, name: str, changes: Mapping[str, str]) -> Measure:
    told, silent = [], []
    posts = stage.amount(200, 100)
    changes = {**changes, "API_RATE": "1000000/min", "CONN_MAX_AGE": "3600"}
    with (
        stage.hand(**changes) as ours,
        stage.hand(**changes) as bare,
        _Poster(ours) as to_ours,
        _Poster(bare) as to_bare,
    ):
        bare.call("track_nothing")
        for poster in (to_ours, to_bare):
            poster.post(50)
        for _ in stage.rounds(5):
            ours.call("clear")
            for poster, rounds in ((to_ours, told), (to_bare, silent)):
                meter = Meter(**poster.pids)
                poster.post(posts)
                rounds.append({part: s / posts * 1000 for part, s in meter.read().items()})
            if (recorded := ours.call("owed")) != posts:
                raise RuntimeError(f"{recorded} events of {posts} POSTs.")
    return Measure(
        figure=13,
        what=f"POST that creates a client against an untold one, {name}",
        values=[
            sum(mine.values()) / sum(other.values())
            for mine, other in zip(told, silent, strict=True)
        ],
        bar=TOLD,
        details={f"{part} ms": value for part, value in medians(told).items()}
        | {f"untold {part} ms": value for part, value in medians(silent).items()},
    )


class _Poster(contextlib.AbstractContextManager["_Poster"]):
    """An integrator's program, over one connection that is kept."""

    def __init__(self, hand: Hand) -> None:
        served = hand.call("serve")
        self.pids = {"web": hand.pid}
        if served["session"] is not None:
            self.pids["database"] = served["session"]
        self._connection = http.client.HTTPConnection("127.0.0.1", served["port"], timeout=30)
        self._headers = {
            "Authorization": f"Bearer {served['token']}",
            "Content-Type": "application/json",
        }

    def post(self, count: int) -> None:
        body = json.dumps(CLIENT)
        for _ in range(count):
            self._connection.request("POST", "/api/v1/clientes/", body, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status != 201:
                raise RuntimeError(f"{answer.status}: {content.decode()}")

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()
