"""Requests at the same moment, each with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from rest_framework.settings import api_settings

from api_common.models import KeptAnswer
from clientes.models import Cliente
from tarefas.models import Tarefa
from tests.api.conftest import Caller, problem
from tests.crm import make_cliente, make_tarefa, names_told
from tests.services.base import PATIENCE
from tests.webhooks.makers import a_webhook, receiver
from webhooks import operations
from webhooks.models import Webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def root(transactional_db: None) -> Caller:
    return Caller(User.objects.create_superuser("root"))


def at_once(count: int, ask: Callable[[int], Any]) -> list[Any]:
    """What `ask(0)`, `ask(1)` … answer, all begun at the same moment."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            start.wait(PATIENCE)
            return ask(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@contextmanager
def held() -> Iterator[tuple[threading.Event, threading.Event]]:
    """(reached, go on): where a thread stops until told."""
    reached, proceed = threading.Event(), threading.Event()
    try:
        yield reached, proceed
    finally:
        proceed.set()


def test_one_key_at_the_same_moment_creates_one_client(root: Caller) -> None:
    answers = at_once(
        8, lambda _number: root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")
    )

    created = [answer for answer in answers if answer.status_code == 201]
    assert created and len({answer.content for answer in created}) == 1
    for answer in answers:
        if answer.status_code != 201:
            problem(answer, "request-in-progress")
            assert answer["Retry-After"] == "1"
    assert Cliente.objects.count() == 1 and names_told() == ["cliente.criado"]
    again = root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")
    assert again.content == created[0].content


@pytest.mark.postgres_only
def test_a_key_whose_request_is_under_way_is_told_so_without_waiting(
    root: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Cliente.save
    with held() as (reached, proceed):

        def slow(self: Cliente, *args: Any, **kwargs: Any) -> None:
            reached.set()
            assert proceed.wait(PATIENCE)
            save(self, *args, **kwargs)

        monkeypatch.setattr(Cliente, "save", slow)

        def ask(number: int) -> Any:
            if number == 0:
                return root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")
            assert reached.wait(PATIENCE)
            try:
                return root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")
            finally:
                proceed.set()

        first, second = at_once(2, ask)
    assert first.status_code == 201
    problem(second, "request-in-progress")
    assert Cliente.objects.count() == 1


def test_a_test_with_a_key_is_sent_once_however_many_ask(root: Caller) -> None:
    with receiver() as (url, got):
        path = f"webhooks/{a_webhook(url=url).pk}/test/"
        answers = at_once(4, lambda _number: root.post(path, idempotency_key="k1"))
    assert len(got) == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert KeptAnswer.objects.get().busy_until is None


def test_a_key_whose_process_died_can_be_used_again(
    root: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from django.utils import timezone

    class Killed(BaseException):
        pass

    def die(webhook: Webhook, **options: Any) -> None:
        raise Killed

    with receiver() as (url, got):
        path = f"webhooks/{a_webhook(url=url).pk}/test/"
        with monkeypatch.context() as patch:
            patch.setattr(operations, "send_test", die)
            patch.setattr(KeptAnswer, "delete", lambda self: None)  # as if nobody were left to
            with pytest.raises(Killed):
                root.post(path, idempotency_key="k1")
        problem(root.post(path, idempotency_key="k1"), "request-in-progress")
        KeptAnswer.objects.update(busy_until=timezone.now() - timedelta(seconds=1))
        assert root.post(path, idempotency_key="k1").status_code == 200
    assert len(got) == 1


def test_of_many_changes_of_one_state_one_is_made(root: Caller) -> None:
    client = make_cliente()
    path = f"clientes/{client.public_id}/"
    tag = root.get(path)["ETag"]

    answers = at_once(
        6, lambda number: root.patch(path, {"empresa": f"Empresa {number}"}, if_match=tag)
    )

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 412, 412, 412, 412, 412]
    [winner] = [answer.json() for answer in answers if answer.status_code == 200]
    client.refresh_from_db()
    assert client.empresa == winner["empresa"]
    assert names_told() == ["cliente.criado", "cliente.atualizado"]


def test_changes_of_different_columns_are_all_kept(root: Caller) -> None:
    path = f"clientes/{make_cliente().public_id}/"
    changes = [{"empresa": "A"}, {"origem": "B"}, {"observacoes": "C"}, {"naoPerturbe": True}]
    answers = at_once(4, lambda number: root.patch(path, changes[number]))
    assert [answer.status_code for answer in answers] == [200] * 4
    after = root.get(path).json()
    assert [after[name] for change in changes for name in change] == ["A", "B", "C", True]


def test_changes_of_different_fields_of_a_webhook_are_all_kept(root: Caller) -> None:
    path = f"webhooks/{a_webhook().pk}/"
    changes = [{"name": "A"}, {"timeoutSeconds": 3}, {"rateLimit": 7}, {"events": ["tarefa.*"]}]
    answers = at_once(4, lambda number: root.patch(path, changes[number]))
    assert [answer.status_code for answer in answers] == [200] * 4
    after = root.get(path).json()
    assert {name: after[name] for change in changes for name in change} == {
        "name": "A",
        "timeoutSeconds": 3,
        "rateLimit": 7,
        "events": ["tarefa.*"],
    }


def test_a_document_given_to_two_clients_at_once_goes_to_one(root: Caller) -> None:
    body = {"nome": "Ana", "documento": "529.982.247-25"}
    answers = at_once(6, lambda _number: root.post("clientes/", body))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 201 and set(codes[1:]) <= {400, 409}
    assert Cliente.objects.count() == 1 and names_told() == ["cliente.criado"]


def test_a_task_that_all_conclude_at_once_is_told_once(root: Caller) -> None:
    task = make_tarefa()
    path = f"tarefas/{task.public_id}/concluir/"
    answers = at_once(6, lambda _number: root.post(path))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert names_told().count("tarefa.concluida") == 1
    assert Tarefa.objects.get().status == "CONCLUIDA"


def test_every_request_of_a_burst_is_counted(root: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"user": "5/d"})
    answers = at_once(12, lambda _number: root.get("clientes/"))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * 5 + [429] * 7


def test_a_rollback_keeps_neither_the_client_nor_the_answer(
    root: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = KeptAnswer.save

    def fail(self: KeptAnswer, **kwargs: Any) -> None:
        seal(self, **kwargs)
        assert transaction.get_connection().in_atomic_block
        raise RuntimeError

    root.client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(KeptAnswer, "save", fail)
        problem(root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1"), "internal")
    assert not Cliente.objects.exists() and not KeptAnswer.objects.exists() and not names_told()
    assert root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1").status_code == 201
