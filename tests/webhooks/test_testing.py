from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from clientes.models import Cliente
from webhooks import events
from webhooks.models import Delivery, Event, SigningKey, Webhook
from webhooks.signing import generate_secret
from webhooks.testing import Answer, Receiver, captured_events, deliver_all

pytestmark = pytest.mark.django_db


def test_events_of_a_block_are_captured_oldest_first() -> None:
    before = Cliente.objects.create(nome="Antes")
    with captured_events() as captured:
        assert captured.types == []
        cliente = Cliente.objects.create(nome="João Silva")
        assert captured.types == ["cliente.criado"]  # so far
        cliente.nome = "João da Silva"
        cliente.save()
        before.delete()
    Cliente.objects.create(nome="Depois")

    assert captured.types == ["cliente.criado", "cliente.atualizado", "cliente.excluido"]
    assert len(captured) == 3
    created, changed, _deleted = captured
    assert created.data["nome"] == "João Silva"
    assert created.subject == changed.subject == cliente.public_id
    assert (created.sequence, changed.sequence) == (1, 2)
    assert isinstance(created.event, Event)
    assert captured[0] == created
    assert captured[1:][0] == changed
    assert captured.of("cliente.atualizado") == [changed]
    assert "cliente.criado" in repr(captured)


def test_what_was_rolled_back_or_silenced_is_not_captured() -> None:
    class Abort(Exception):
        pass

    with captured_events() as captured:
        with pytest.raises(Abort), transaction.atomic():
            Cliente.objects.create(nome="João Silva")
            raise Abort
        with events.silenced():
            Cliente.objects.create(nome="João Silva")
    assert captured.types == []


def test_a_block_that_fails_fails_as_it_would_without() -> None:
    with pytest.raises(ZeroDivisionError), captured_events():
        _ = 1 / 0


def make_webhook(receiver: Receiver, secret: str, **values: Any) -> Webhook:
    webhook = Webhook.objects.create(name="Teste", url=receiver.url, events=["cliente.*"], **values)
    SigningKey.objects.create(webhook=webhook, secret=secret)
    return webhook


@pytest.mark.both_databases
def test_deliver_all_sends_what_is_due_within_a_tests_transaction() -> None:
    secret = generate_secret()
    with Receiver(secrets=[secret]) as receiver:
        make_webhook(receiver, secret)
        for number in range(5):
            Cliente.objects.create(nome=f"Cliente {number}")
        attempts = deliver_all()
        assert len(attempts) == 5
        assert all(each.succeeded for each in attempts)
        assert sorted(each.json()["data"]["nome"] for each in receiver.requests) == [
            f"Cliente {number}" for number in range(5)
        ]
        assert all(each.verified for each in receiver.requests)
        assert deliver_all() == []
        assert receiver.count == 5


def test_deliver_all_leaves_what_is_to_be_retried_later() -> None:
    secret = generate_secret()
    with Receiver(secrets=[secret]) as receiver:
        receiver.script(Answer(status=500), Answer(status=500))
        make_webhook(receiver, secret, retry_schedule=[0, 0, 60])
        Cliente.objects.create(nome="João Silva")
        attempts = deliver_all()
        assert [each.status_code for each in attempts] == [500, 500]
        assert [each.attempt for each in receiver.requests] == ["1", "2"]
    assert Delivery.objects.get().status == Delivery.Status.PENDING
