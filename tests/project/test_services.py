"""The tests' own servers: each really starts, and each can be stopped, killed and paused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from tests.processes import ROOT, Process
from tests.services import Nginx, Postgres, Redis, Service
from tests.services.base import is_running, wait_until


@pytest.fixture
def plain_nginx() -> Iterator[Nginx]:
    with Nginx("server { listen 127.0.0.1:{http_port}; return 204; }") as server:
        yield server


@pytest.fixture(params=["postgres", "redis", "rabbitmq", "plain_nginx"])
def server(request: pytest.FixtureRequest) -> Service:
    return request.getfixturevalue(request.param)


@pytest.mark.slow
def test_a_server_comes_back_after_a_stop_a_kill_and_a_pause(server: Service) -> None:
    wait_until(server.is_ready, what="an answer")
    address = server.url

    server.stop()
    assert not server.is_ready()
    server.start()

    server.kill()
    assert not server.is_ready()
    server.start()

    server.pause()
    assert not server.is_ready()
    server.resume()
    wait_until(server.is_ready, what="an answer after the pause")
    assert server.url == address


def test_postgres_keeps_what_was_committed_over_a_kill(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as client:
        client.execute("CREATE TABLE kept (n int)")
        client.execute("INSERT INTO kept VALUES (1)")
    postgres.kill()
    postgres.start()
    with psycopg.connect(postgres.url, autocommit=True) as client:
        assert client.execute("SELECT n FROM kept").fetchall() == [(1,)]
        client.execute("DROP TABLE kept")


def test_redis_is_empty_for_every_test(redis: Redis) -> None:
    import redis as client

    with client.Redis.from_url(redis.url) as connected:
        assert connected.dbsize() == 0
        connected.set("left", "behind")
        redis.flush()
        assert connected.dbsize() == 0


def test_servers_end_with_a_test_run_that_was_killed(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, time
        from tests.services import Redis
        server = Redis()
        server.start()
        print(server.pid, server.folder, flush=True)
        time.sleep(60)
    """)
    run = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    pid, folder = run.stdout.readline().split()
    assert is_running(int(pid))

    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()

    wait_until(lambda: not is_running(int(pid)), what="the server's end")
    wait_until(lambda: not Path(folder).exists(), what="its folder's removal")


def test_nothing_of_the_developers_environment_reaches_the_tests(settings: object) -> None:
    assert settings.SECRET_KEY == "tests-only"  # type: ignore[attr-defined]
    assert os.environ["ENV_FILE"] == os.devnull


@pytest.mark.both_databases
def test_another_process_sees_what_this_one_committed(
    transactional_db: None, start: Callable[..., Process]
) -> None:
    get_user_model().objects.create_user("committed")
    script = (
        "import django; django.setup(); from django.contrib.auth.models import User; "
        "print('users:', *User.objects.values_list('username', flat=True))"
    )
    process = start("-c", script)
    process.wait_for(r"users: committed$")
    assert process.wait() == 0


@pytest.mark.both_databases
def test_the_database_is_the_one_asked_for(db: None, request: pytest.FixtureRequest) -> None:
    expected = {"postgres": "postgresql", "sqlite": "sqlite"}[request.config.getoption("db")]
    assert connection.vendor == expected


def test_a_worker_answers_over_each_broker(
    start_worker: Callable[..., Process],
    start: Callable[..., Process],
    redis: Redis,
) -> None:
    worker = start_worker("--hostname=celery@here", CELERY_BROKER_URL=redis.url)
    ping = start(
        *("-m", "celery", "-A", "crm_project", "inspect", "ping"),
        *("--destination=celery@here", "--timeout=50"),
        CELERY_BROKER_URL=redis.url,
    )
    ping.wait_for("pong")
    ping.wait()
    assert worker.stop() == 0
