"""Fixtures of the fault suite: its scene, its broker, and the outcome that is kept of each test."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import outcomes
from tests.faults.brokers import Broker
from tests.faults.catalogue import FILES, RABBITMQ, REDIS, Fault
from tests.faults.outcomes import Outcome
from tests.faults.scene import BROKER_TIMEOUT, Scene, vendor
from tests.processes import Process

_passed = pytest.StashKey[bool]()
_REDIS_WAITS = ("socket_connect_timeout", "socket_timeout")
_RABBITMQ_WAITS = ("connect_timeout", "read_timeout", "write_timeout")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(fault): one of the faults of docs/reliability.md")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.fixture
def broker(
    request: pytest.FixtureRequest, use_broker: Callable[..., None], tmp_path: Path
) -> Iterator[Broker]:
    """The broker that a `@fault` names; this process publishes to it too."""
    yield _broker(request, use_broker, tmp_path)
    gc.collect()  # what kombu leaves behind is this test's, not one's that comes later


def _broker(
    request: pytest.FixtureRequest, use_broker: Callable[..., None], tmp_path: Path
) -> Broker:
    name = request.param
    if name == FILES:
        folders = {
            "data_folder_in": tmp_path / "var/broker/queue",
            "data_folder_out": tmp_path / "var/broker/queue",
            "control_folder": tmp_path / "var/broker/control",
        }
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        use_broker("filesystem://", **{key: str(value) for key, value in folders.items()})
        return Broker(name, "filesystem://", None)
    server = request.getfixturevalue({REDIS: "redis", RABBITMQ: "rabbitmq"}[name])
    if name == REDIS:
        use_broker(server.url, **dict.fromkeys(_REDIS_WAITS, BROKER_TIMEOUT))
    else:
        use_broker(server.url, **dict.fromkeys(_RABBITMQ_WAITS, BROKER_TIMEOUT))
    return Broker(name, server.url, server)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Any:
    """What a `@fault` with cases gives for this one."""
    fault: Fault = request.node.get_closest_marker("fault").args[0]
    return fault.cases[request.param]


@pytest.fixture
def scene(
    request: pytest.FixtureRequest,
    broker: Broker,
    start: Callable[..., Process],
    start_worker: Callable[..., Process],
) -> Iterator[Scene]:
    outcome = Outcome()
    made = Scene(broker=broker, outcome=outcome, start=start, start_worker=start_worker)
    yield made
    made.close()
    if request.node.stash.get(_passed, False):
        fault: Fault = request.node.get_closest_marker("fault").args[0]
        case = request.node.callspec.params.get("case", "")
        module = request.module.__name__.rpartition(".")[2]
        outcomes.keep(fault.row(module_section(module), case, vendor(), broker.name), outcome)


def module_section(module: str) -> str:
    from tests.faults.catalogue import SECTIONS

    return SECTIONS[module]
