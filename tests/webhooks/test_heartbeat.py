"""A worker says that it lives, and who lives is known by it."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from django.db import connections

from tests.services.base import PATIENCE
from tests.webhooks.makers import ago
from webhooks import heartbeat
from webhooks.engine import Engine
from webhooks.heartbeat import Heart
from webhooks.models import Worker
from webhooks.signals import worker_alive


@pytest.mark.django_db
def test_a_sign_of_life_is_written_now_and_then(django_assert_num_queries: Any) -> None:
    heart = Heart()
    assert heart.beat()
    [worker] = heartbeat.alive()
    assert worker.pk.endswith(f":{os.getpid()}")
    with django_assert_num_queries(0):
        assert not heart.beat()
    heart.stop()
    assert heartbeat.alive() == []


@pytest.mark.django_db
def test_who_was_silent_for_long_does_not_count_and_is_forgotten_at_last() -> None:
    Worker.objects.create(id="quiet:1", seen_at=ago(minutes=1))
    Worker.objects.create(id="killed:2", seen_at=ago(days=2))
    assert heartbeat.alive() == []
    Heart().beat()
    assert set(Worker.objects.values_list("pk", flat=True)) > {"quiet:1"}
    assert not Worker.objects.filter(pk="killed:2").exists()


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_the_engine_lives_while_it_runs() -> None:
    told = threading.Event()

    def hear(**kwargs: Any) -> None:
        told.set()

    worker_alive.connect(hear)
    engine = Engine()
    thread = threading.Thread(target=engine.run)
    thread.start()
    try:
        assert told.wait(PATIENCE)
        assert len(heartbeat.alive()) == 1
    finally:
        worker_alive.disconnect(hear)
        engine.stop()
        thread.join(PATIENCE)
    assert heartbeat.alive() == []
    connections.close_all()
