"""pytest's `--db` option, which must be known before the settings are read."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

ONLY = {"postgres": "sqlite_only", "sqlite": "postgres_only"}
SERVERS = {"postgres", "pgbouncer", "redis", "rabbitmq", "deployment", "plain_nginx", "browser"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db",
        choices=("postgres", "sqlite"),
        default="sqlite",
        help="the database of the tests: sqlite (default; a file) or postgres (a server of their "
        "own, started when first needed)",
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
