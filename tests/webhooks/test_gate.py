"""A few web requests wait for other machines at one time; the others are turned away at once."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.services.base import PATIENCE
from tests.webhooks.makers import a_webhook, receiver
from webhooks import gate, operations
from webhooks.models import AuditEntry, Delivery, Event


@pytest.fixture
def full() -> Iterator[ExitStack]:
    """As many wait as may."""
    with ExitStack() as waiting:
        for _ in range(2):
            waiting.enter_context(gate.passing(30))
        yield waiting


def test_whoever_comes_when_it_is_full_is_told_when_to_come_again(full: ExitStack) -> None:
    with pytest.raises(gate.Busy) as refused, gate.passing(1):
        pass
    assert 1 <= refused.value.retry_after <= 30


def test_a_place_is_given_back_however_one_leaves(full: ExitStack) -> None:
    full.close()
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        for _ in range(3):
            with pytest.raises(error), gate.passing(1):
                raise error
    with gate.passing(1), gate.passing(1):
        pass


def test_a_setting_says_how_many(settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "TEST_CONCURRENCY": 1}
    with gate.passing(1), pytest.raises(gate.Busy), gate.passing(1):
        pass


def test_in_a_process_of_one_thread_others_are_served_after_one_that_hung() -> None:
    with gate.passing(0.01, alone=True):
        time.sleep(0.5)
    with pytest.raises(gate.Busy) as refused, gate.passing(1):
        pass
    assert refused.value.retry_after == 1
    gate.reset()
    with gate.passing(30, alone=True):
        pass
    with gate.passing(1):
        pass


def test_a_process_that_is_forked_begins_with_nobody_inside(full: ExitStack) -> None:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            with gate.passing(1), gate.passing(1):
                code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.django_db(transaction=True)
def test_the_button_says_so_and_records_nothing(full: ExitStack) -> None:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("root"))
    with receiver() as (url, got):
        webhook = a_webhook(url=url)
        page = reverse("admin:webhooks_webhook_change", args=[webhook.pk])
        button = reverse("admin:webhooks_webhook_test", args=[webhook.pk])
        answer = client.post(button)
        assert answer["Location"] == page
        assert "too many tests" in client.get(page).content.decode()
        listed = reverse("admin:webhooks_webhook_changelist")
        several = {"action": "test_selected", "_selected_action": [webhook.pk]}
        assert "Not tested" in client.post(listed, several, follow=True).content.decode()
        assert not got
        for model in (Event, Delivery, AuditEntry, LogEntry):
            assert not model._default_manager.exists()
        full.close()
        client.post(button)
        assert len(got) == 1
    assert Delivery.objects.get().status == Delivery.Status.DELIVERED


@pytest.mark.django_db(transaction=True)
def test_a_command_waits_as_it_likes(full: ExitStack, settings: Any) -> None:
    with receiver() as (url, _got):
        assert operations.send_test(a_webhook(url=url)).succeeded


def test_an_address_is_saved_unresolved_when_too_many_are_looked_up(
    full: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its look-up hangs, and nobody waits for it for as long as usual."""
    end = threading.Event()

    def hang(*args: Any, **kwargs: Any) -> Any:
        end.wait(PATIENCE)
        raise OSError("hung")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    took = []
    for number in range(3):
        warnings: list[str] = []
        began = time.monotonic()
        operations.clean_url(f"https://hangs{number}.example.com/", warnings)
        took.append(time.monotonic() - began)
        assert len(warnings) == 1
    end.set()
    assert min(took) < 1.5  # of the two seconds that it has otherwise
