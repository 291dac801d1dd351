"""Tests of receivers that never answer, on a real web server: others are served meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.contrib.auth.models import User

from api_common import tokens
from tests.processes import Process
from tests.receivers.hostile import Receiver, hang
from tests.services import free_port
from tests.services.base import PATIENCE
from tests.webhooks.makers import a_webhook, receiver
from tests.webhooks.posting import until
from webhooks.models import AuditEntry, Delivery, Event

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


class Site:
    """A web server, and two users of its API: each may send ten tests a minute."""

    def __init__(self, start: Callable[..., Process], *options: str, seconds: float) -> None:
        port = free_port()
        command = ("-m", "gunicorn", "crm_project.wsgi", "--bind", f"127.0.0.1:{port}")
        server = start(*command, *options, WEBHOOKS_TEST_TIMEOUT_SECONDS=f"{seconds}")
        server.wait_for("Booting worker")
        self.root = f"http://127.0.0.1:{port}/api/v1"
        self.headers = [_token_of(name) for name in ("ana", "bia")]
        self.get()  # it is there, and has read its code

    def get(self) -> float:
        """:returns: for how many seconds it let its caller wait."""
        began = time.monotonic()
        answer = requests.get(
            f"{self.root}/webhooks/", headers=self.headers[0], timeout=10 * PATIENCE
        )
        assert answer.status_code == 200
        return time.monotonic() - began

    def test(self, webhook: object, number: int = 0) -> requests.Response:
        url = f"{self.root}/webhooks/{webhook}/test/"
        return requests.post(url, headers=self.headers[number % 2], timeout=10 * PATIENCE)


def _token_of(name: str) -> dict[str, str]:
    _token, text = tokens.create(User.objects.create_superuser(name), "test")
    return {"Authorization": f"Bearer {text}"}


def ten_tests(site: Site, silent: Receiver) -> tuple[list[requests.Response], float]:
    """Ten at once, and what an unrelated request waits for once one of them hangs."""
    webhook = a_webhook(url=silent.url, timeout_seconds=30)
    begin = threading.Barrier(10)

    def test(number: int) -> requests.Response:
        begin.wait(PATIENCE)
        return site.test(webhook.pk, number)

    with ThreadPoolExecutor(10) as pool:
        sent = [pool.submit(test, number) for number in range(10)]
        until(lambda: bool(silent.requests))
        waited = site.get()
        return [each.result() for each in sent], waited


def refused_and_unrecorded(answers: list[requests.Response]) -> int:
    """:returns: how many were not refused."""
    refused = [each for each in answers if each.status_code == 429]
    for each in refused:
        assert each.headers["Content-Type"] == "application/problem+json"
        assert each.json()["code"] == "too-many-requests"
        assert int(each.headers["Retry-After"]) >= 1
    sent = [each for each in answers if each.status_code == 200]
    assert len(sent) + len(refused) == len(answers) and sent
    assert not any(each.json()["succeeded"] for each in sent)
    for model in (Event, Delivery, AuditEntry):
        assert model._default_manager.count() == len(sent)
    return len(sent)


def test_tests_that_hang_leave_the_other_threads_to_others(start: Callable[..., Process]) -> None:
    seconds = 10.0
    site = Site(start, seconds=seconds)
    with Receiver(hang) as silent, receiver() as (url, got):
        answers, waited = ten_tests(site, silent)
        assert waited < seconds / 2
        assert refused_and_unrecorded(answers) <= 4  # two at a time, however slow the machine
        # The places are free again, and a test of what answers needs none for long.
        well = a_webhook(url=url)
        for number in range(3):
            assert site.test(well.pk, number).json()["succeeded"]
        assert len(got) == 3


def test_a_server_of_one_thread_serves_others_in_between(start: Callable[..., Process]) -> None:
    seconds = 3.0
    site = Site(start, "--threads", "1", seconds=seconds)
    with Receiver(hang) as silent, receiver() as (url, _got):
        answers, waited = ten_tests(site, silent)
        assert waited < 10 * seconds / 2
        assert refused_and_unrecorded(answers) <= 5
        well = a_webhook(url=url)
        again = site.test(well.pk)
        if again.status_code == 429:
            time.sleep(int(again.headers["Retry-After"]))
            again = site.test(well.pk)
        assert again.json()["succeeded"]
