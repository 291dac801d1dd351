"""Which faults there are: what each promises, on which databases and brokers it is tried."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"
BOTH = (POSTGRESQL, SQLITE)
FILES, REDIS, RABBITMQ = "files", "Redis", "RabbitMQ"

# The test modules, in the document's order, with their headings there.
SECTIONS = {
    "test_workers": "Workers that die, stall and race",
    "test_brokers": "The broker",
    "test_databases": "The database",
    "test_clocks": "Clocks",
    "test_receivers": "Receivers and name servers",
    "test_changes": "Changes while deliveries are under way",
    "test_old_rows": "Rows from another time",
    "test_load": "A lot at once",
}

TestT = TypeVar("TestT", bound=Callable[..., None])


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault as it was tried once: what names a line of the document's table."""

    section: str
    fault: str
    promise: str
    database: str
    broker: str


@dataclass(frozen=True, kw_only=True)
class Fault:
    name: str
    promise: str
    databases: Sequence[str]
    brokers: Sequence[str]
    cases: Mapping[str, Any]

    def row(self, section: str, case: str, database: str, broker: str) -> Row:
        return Row(
            section=section,
            fault=self.name.format(case=case),
            promise=self.promise,
            database=database,
            broker=broker,
        )

    def rows(self, section: str) -> list[Row]:
        return [
            self.row(section, case, database, broker)
            for case in self.cases or [""]
            for database in self.databases
            for broker in self.brokers
        ]


def fault(
    name: str,
    *,
    promise: str,
    databases: Sequence[str] = BOTH,
    brokers: Sequence[str] = (FILES,),
    cases: Mapping[str, Any] | None = None,
) -> Callable[[TestT], TestT]:
    """Declare a test as one of the suite's faults.

    :param promise: what holds nevertheless, beyond the invariant of all.
    :param brokers: the test is run with each; see the fixture `broker`.
    :param cases: words that take the place of `{case}` in the name, and what the test is then
        given as its argument `case`.
    """
    found = Fault(
        name=name, promise=promise, databases=databases, brokers=brokers, cases=cases or {}
    )

    def declare(test: TestT) -> TestT:
        marks = [
            pytest.mark.fault(found),
            pytest.mark.slow,
            # kombu leaves connections to brokers that went away to the garbage collector.
            pytest.mark.filterwarnings(
                "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
            ),
            pytest.mark.parametrize("broker", brokers, indirect=True, ids=str.lower),
        ]
        if tuple(databases) == BOTH:
            marks.append(pytest.mark.both_databases)
        elif POSTGRESQL in databases:
            marks.append(pytest.mark.postgres_only)
        else:
            marks.append(pytest.mark.sqlite_only)
        if cases:
            words = [pytest.param(words, id=words.replace(" ", "-")) for words in cases]
            marks.append(pytest.mark.parametrize("case", words, indirect=True))
        for mark in marks:
            test = mark(test)
        return test

    return declare


def all_rows() -> list[Row]:
    """Every line that the document's table must have, in its order."""
    rows: list[Row] = []
    for name, section in SECTIONS.items():
        module = importlib.import_module(f"tests.faults.{name}")
        for test in vars(module).values():
            for mark in getattr(test, "pytestmark", ()):
                if mark.name == "fault":
                    rows += mark.args[0].rows(section)
    return rows
