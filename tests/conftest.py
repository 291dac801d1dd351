"""Fixtures for all tests: servers, other processes of the project.

A server starts for the first test that asks for it and lives as long as the session. A test may
stop, kill or pause it: it is running again for the next one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import kombu.pools
import pytest
from celery import Celery
from django.db import connections
from django.utils import translation

from tests import environment
from tests.processes import Process
from tests.receivers.fixtures import _express, node_receiver, python_receiver  # noqa: F401
from tests.services import PgBouncer, Postgres, RabbitMQ, Redis, Service
from tests.services.warden import warden
from webhooks import gate


def pytest_unconfigure() -> None:
    warden.close()


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    """A request leaves its visitor's language behind; the next test starts with the project's."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def _gate() -> Iterator[None]:
    """A request that ran out of time turns nobody of the next test away."""
    yield
    gate.reset()


# --- Servers ----------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def _postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _pgbouncer(_postgres: Postgres) -> Iterator[PgBouncer]:
    with PgBouncer(_postgres) as server:
        yield server


@pytest.fixture(scope="session")
def _redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def _rabbitmq() -> Iterator[RabbitMQ]:
    with RabbitMQ() as server:
        yield server


def _make_sure_it_runs(server: Service) -> None:
    if server.running:
        server.resume()
    else:
        server.start()


@pytest.fixture
def postgres(_postgres: Postgres) -> Iterator[Postgres]:
    """The PostgreSQL server; with `--db=postgres`, the one that holds the tests' database."""
    yield _postgres
    _make_sure_it_runs(_postgres)
    connections.close_all()  # a connection from before a restart is of no use


@pytest.fixture
def pgbouncer(_pgbouncer: PgBouncer, postgres: Postgres) -> Iterator[PgBouncer]:
    """A PgBouncer before it; `pgbouncer.database_url(name)` is a database's address there."""
    yield _pgbouncer
    _make_sure_it_runs(_pgbouncer)


@pytest.fixture
def redis(_redis: Redis) -> Iterator[Redis]:
    """An empty Redis server; `redis.url` is a broker address."""
    _redis.flush()
    yield _redis
    _make_sure_it_runs(_redis)


@pytest.fixture
def rabbitmq(_rabbitmq: RabbitMQ) -> Iterator[RabbitMQ]:
    """A RabbitMQ server; `rabbitmq.url` is a broker address."""
    yield _rabbitmq
    _make_sure_it_runs(_rabbitmq)


# --- The database -----------------------------------------------------------------------------
@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, request: pytest.FixtureRequest
) -> None:
    """pytest-django asks for this before it makes the tests' database: the moment to start the
    server."""
    if request.config.getoption("db") == "postgres":
        server: Postgres = request.getfixturevalue("_postgres")
        connections["default"].settings_dict.update(
            HOST="127.0.0.1", PORT=str(server.port), USER=server.user, PASSWORD=server.password
        )


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The address of the tests' database, for other processes. What a test commits, they see."""
    settings = connections["default"].settings_dict
    if connections["default"].vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**settings)


# --- Other processes of the project -----------------------------------------------------------
@pytest.fixture
def project_environment(database_url: str, tmp_path: Path) -> Callable[..., Mapping[str, str]]:
    """`project_environment(**changes)`: the environment of another process on the same database.

    Its broker is one of files, this test's own, unless `CELERY_BROKER_URL=` says otherwise.
    """

    def make(**changes: str) -> Mapping[str, str]:
        defaults = {
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": "filesystem://",
            "VAR_DIR": str(tmp_path / "var"),
        }
        return environment.for_process(**{**defaults, **changes})

    return make


@pytest.fixture
def start(
    project_environment: Callable[..., Mapping[str, str]],
) -> Iterator[Callable[..., Process]]:
    """`start("manage.py", "webhooks_status", NAME="value")` starts a process of the project.

    The first word is a Python file, or `-m`; keywords change its environment. Whatever is still
    running is ended with the test.
    """
    started: list[Process] = []

    def run(*command: str, **changes: str) -> Process:
        process = Process([sys.executable, *command], project_environment(**changes))
        started.append(process)
        return process

    yield run
    for process in started:
        process.close()


# A machine that is busy is no receiver that is slow.
_PATIENT = {"WEBHOOKS_TIMEOUT_SECONDS": "50", "WEBHOOKS_LEASE_SECONDS": "120"}


@pytest.fixture
def start_worker(start: Callable[..., Process]) -> Callable[..., Process]:
    """`start_worker(CELERY_BROKER_URL=redis.url)`: a Celery worker, ready when this returns."""

    def run(*options: str, **changes: str) -> Process:
        command = ("-m", "celery", "-A", "crm_project", "worker", "--loglevel=INFO")
        process = start(*command, *options, **{**_PATIENT, **changes})
        process.wait_for(r"celery@\S+ ready")
        return process

    return run


@pytest.fixture
def use_broker() -> Iterator[Callable[..., None]]:
    """`use_broker(redis.url)`: where this process publishes to for the rest of the test.

    For the broker of files: `use_broker("filesystem://", **transport_options)`.
    """
    from crm_project.celery import app

    before = (app.conf.broker_url, app.conf.broker_transport_options)

    def use(url: str, **transport_options: object) -> None:
        _connect_to(app, url, transport_options)

    yield use
    _connect_to(app, *before)


FILE_BROKER = "webhooks.filebroker:Transport"


def _connect_to(app: Celery, url: str, transport_options: Mapping[str, object]) -> None:
    if app._pool is not None:
        app._pool.force_close_all()
    kombu.pools.reset()
    app._pool = None
    app.amqp._producer_pool = None
    # Celery asks the environment first, whatever the configuration says.
    os.environ["CELERY_BROKER_URL"] = url
    app.conf.update(
        broker_url=url,
        broker_transport=FILE_BROKER if url.startswith("filesystem:") else None,
        broker_transport_options=dict(transport_options),
    )
