"""Somebody else's project, with the built wheel and its extras alone."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.project.quickstart import Shop
from tests.services import Postgres, Redis

pytestmark = pytest.mark.slow


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    name = f"shop_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_foreign_project_delivers_with_redis_and_postgresql(
    wheel_environment: Path, postgres: Postgres, redis: Redis, database: str, tmp_path: Path
) -> None:
    settings = f"""
CELERY_BROKER_URL = "{redis.url}"
del CELERY_BROKER_TRANSPORT, CELERY_BROKER_TRANSPORT_OPTIONS
WEBHOOKS["POLL_SECONDS"] = 60  # what arrives sooner was hinted at over Redis
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql",
    "NAME": "{database}",
    "HOST": "127.0.0.1",
    "PORT": {postgres.port},
    "USER": "{postgres.user}",
    "PASSWORD": "{postgres.password}",
}}}}
"""
    with contextlib.closing(Shop(tmp_path, wheel_environment / "bin" / "python")) as shop:
        shop.make(settings)
        assert "webhooks.E" not in shop.manage("check")
        worker = shop.watch_one_arrive()
        worker.wait_for(r"transport: +redis://")
        assert worker.stop() == 0
