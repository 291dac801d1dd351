"""pytest's `--db` option, which must be known before the settings are read, and `--failures-to`."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ONLY = {"postgres": "sqlite_only", "sqlite": "postgres_only"}
SERVERS = {"postgres", "pgbouncer", "redis", "rabbitmq", "deployment", "plain_nginx", "browser"}
SITE = {"browser", "production"}  # folders


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db",
        choices=("postgres", "sqlite"),
        default="sqlite",
        help="the database of the tests: sqlite (default; a file) or postgres (a server of their "
        "own, started when first needed)",
    )
    parser.addoption(
        "--failures-to",
        metavar="FILE",
        type=Path,
        help="append the id of each test to FILE as soon as it fails",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    os.environ["TEST_DB"] = early_config.known_args_namespace.db
    return (yield)


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.getoption('db')}"


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses among the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has no meaning on this database, and mark what starts servers."""
    unfit = [item for item in items if item.get_closest_marker(ONLY[config.getoption("db")])]
    if unfit:
        config.hook.pytest_deselected(items=unfit)
        items[:] = [item for item in items if item not in unfit]
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("services")
        if item.path.parent.name in SITE:
            item.add_marker("site")


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("failures_to"):
        config.pluginmanager.register(_Failures(file))


class _Failures:
    """Written one by one: a run that is killed has told of those before."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            with self._file.open("a") as file:
                file.write(f"{report.nodeid}\n")
