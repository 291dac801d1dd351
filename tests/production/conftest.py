"""Production as deploy/ describes it, in environments that hold nothing of the tests'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.production import environments
from tests.production.curl import Visitor
from tests.production.deployment import Deployment, Service, nginx_for
from tests.services import Nginx, Postgres, Redis

USER, PASSWORD = "ana", "uma senha comprida"


@pytest.fixture(scope="session")
def requirements_environment() -> Path:
    return environments.of_requirements()


@pytest.fixture(scope="session")
def wheel_environment() -> Path:
    return environments.of_wheel()


@pytest.fixture(scope="session")
def deployment(requirements_environment: Path, _postgres: Postgres, _redis: Redis) -> Deployment:
    """Released, with a superuser; no unit of it runs yet."""
    deployment = Deployment(
        requirements_environment,
        _postgres,
        {
            "CELERY_BROKER_URL": _redis.url,
            # Receivers of the tests are on this machine.
            "WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
            "WEBHOOKS_REQUIRE_HTTPS": "false",
            "WEB_CONCURRENCY": "2",
        },
    )
    deployment.released = deployment.release()
    deployment.manage(
        *("createsuperuser", "--no-input", "--username", USER, "--email", "ana@example.com"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    return deployment


Start = Callable[..., list[Service]]


def _starting(deployment: Deployment) -> Iterator[Start]:
    started: list[Service] = []

    def start(*names: str) -> list[Service]:
        services = [Service(deployment, name) for name in names]
        started.extend(services)
        for service in services:
            service.wait_until_ready()
        return services

    yield start
    for service in started:
        service.close()


@pytest.fixture
def start_units(deployment: Deployment) -> Iterator[Start]:
    """`start_units("crm-web", "crm-worker")`: units that are ready; ended with the test."""
    yield from _starting(deployment)


@pytest.fixture(scope="module")
def start_units_once(deployment: Deployment) -> Iterator[Start]:
    """The same for all tests of a module."""
    yield from _starting(deployment)


@pytest.fixture(scope="module")
def nginx(deployment: Deployment) -> Iterator[tuple[Nginx, Path]]:
    """The site, and whom its visitors trust."""
    server, trusted = nginx_for(deployment.site())
    with server:
        yield server, trusted


@pytest.fixture
def visitor(nginx: tuple[Nginx, Path], tmp_path: Path) -> Visitor:
    return Visitor(*nginx, tmp_path / "cookies")
