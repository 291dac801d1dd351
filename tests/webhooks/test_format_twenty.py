"""Twenty's bodies and signatures, from what this CRM's events tell (seed 002)."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import pytest

from tests.crm import make_chamado, make_cliente, make_tarefa, make_user
from tests.webhooks import makers
from webhooks import events, operations
from webhooks.formats.base import Message
from webhooks.formats.twenty import EVENTS, Twenty
from webhooks.signing import Key, generate_secret
from webhooks.testing import Answer, Receiver, Request, deliver_all

pytestmark = pytest.mark.both_databases

OLD, NEW = "the-old-shared-secret", generate_secret()
CLIENT = {
    "id": "cliente_123",
    "nome": "João da Silva",
    "email": "joao@example.com",
    "telefone": "(11) 99999-9999",
    "documento": None,
    "empresa": "Silva & Filhos",
    "origem": "site",
    "etiquetas": ["vip"],
    "naoPerturbe": False,
    "camposPersonalizados": {"plano": "ouro"},
    "observacoes": None,
    "createdAt": "2024-01-01T10:00:00Z",
    "updatedAt": "2024-01-02T10:00:00Z",
}


def a_message(*args: Any, **values: Any) -> Message:
    moment = dt.datetime(2024, 1, 1, 7, 0, 0, 123_000, tzinfo=BRASILIA)
    values = {"occurred_at": moment, "url": "https://example.com/twenty", **values}
    return makers.a_message(*args, **values)


BRASILIA = dt.timezone(dt.timedelta(hours=-3))


def body(*args: Any, **options: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(Twenty().body(a_message(*args, options=options)))
    return told


def is_signed(secret: str, body: bytes, headers: Any) -> bool:
    """As Twenty's documentation says to verify, and by nothing of ours."""
    content = headers["X-Twenty-Webhook-Timestamp"].encode() + b":" + body
    signature = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    return bool(signature == headers["X-Twenty-Webhook-Signature"])


def test_the_documented_body_is_event_data_and_timestamp() -> None:
    told = body("cliente.criado", CLIENT)
    assert list(told) == ["event", "data", "timestamp"]
    assert (told["event"], told["timestamp"]) == ("person.created", "2024-01-01T10:00:00Z")
    assert list(told["data"])[:4] == ["id", "firstName", "lastName", "email"]
    assert {name: value for name, value in told["data"].items() if value} == {
        "id": "cliente_123",
        "firstName": "João",
        "lastName": "da Silva",
        "email": "joao@example.com",
        "phone": "(11) 99999-9999",
        "companyName": "Silva & Filhos",
        "source": "site",
        "tags": ["vip"],
        "customFields": {"plano": "ouro"},
        "createdAt": "2024-01-01T10:00:00Z",
        "updatedAt": "2024-01-02T10:00:00Z",
    }
    assert told["data"]["createdBy"] is None


def test_todays_body_tells_the_webhook_too_and_the_record_in_its_composites() -> None:
    told = body("cliente.criado", CLIENT, payload="current", workspaceId="w-1")
    record, metadata = told.pop("record"), told.pop("objectMetadata")
    assert told == {
        "targetUrl": "https://example.com/twenty",
        "eventName": "person.created",
        "workspaceId": "w-1",
        "webhookId": "018cc251-f400-7000-8000-000000000000",
        "eventDate": "2024-01-01T10:00:00.123Z",
        "userId": None,
        "workspaceMemberId": None,
    }
    assert metadata["nameSingular"] == "person"
    assert UUID(metadata["id"])
    assert record["name"] == {"firstName": "João", "lastName": "da Silva"}
    assert record["emails"] == {"primaryEmail": "joao@example.com", "additionalEmails": []}
    assert record["phones"] == {
        "primaryPhoneNumber": "11999999999",
        "primaryPhoneCountryCode": "BR",
        "primaryPhoneCallingCode": "+55",
        "additionalPhones": [],
    }
    assert record["deletedAt"] is None
    assert not {"firstName", "email", "phone"} & set(record)


def test_a_client_of_whom_little_is_known_can_be_told() -> None:
    record = {**CLIENT, "nome": "Ana", "email": None, "telefone": None}
    assert body("cliente.criado", record)["data"]["lastName"] == ""
    told = body("cliente.criado", record, payload="current")["record"]
    assert told["emails"]["primaryEmail"] == told["phones"]["primaryPhoneNumber"] == ""
    told = body("cliente.criado", {**CLIENT, "telefone": "+351 912 345 678"}, payload="current")
    assert told["record"]["phones"]["primaryPhoneNumber"] == "+351 912 345 678"
    assert told["record"]["phones"]["primaryPhoneCountryCode"] == ""


def test_updates_and_only_they_say_which_fields_changed() -> None:
    changes: dict[str, Any] = {key: {"anterior": None, "novo": None} for key in CLIENT}
    del changes["id"], changes["createdAt"], changes["updatedAt"]
    told = body("cliente.atualizado", CLIENT, changes, payload="current")
    assert told["updatedFields"] == [
        *("name", "emails", "phones", "document", "companyName", "source", "tags"),
        *("doNotDisturb", "customFields", "notes"),
    ]
    assert set(told["updatedFields"]) <= set(told["record"])
    assert "updatedFields" not in body("cliente.criado", CLIENT, payload="current")
    assert "updatedFields" not in body("cliente.atualizado", CLIENT, changes)


def test_a_deletion_tells_the_whole_record_and_when() -> None:
    told = body("cliente.excluido", CLIENT, payload="current")
    assert told["eventName"] == "person.deleted"
    assert told["record"]["deletedAt"] == "2024-01-01T10:00:00.123Z"
    assert told["record"]["name"]["firstName"] == "João"


def test_what_nobody_here_tells_is_passed_on_as_it_is_declared() -> None:
    deal = {"id": "negociacao_1", "name": "Venda", "amount": 10}
    changes = {"amount": {"anterior": 1, "novo": 10}}
    assert body("negociacao.criada", deal)["data"] == deal
    told = body("negociacao.atualizada", deal, changes, payload="current")
    assert told["eventName"] == "opportunity.updated"
    assert (told["record"], told["updatedFields"]) == (deal, ["amount"])


def test_what_has_no_equivalent_is_not_told() -> None:
    assert Twenty().tells("tarefa.concluida")
    for type in ("cliente.conversao", "compromisso.criado", "fatura.paga", "webhook.desativado"):
        assert not Twenty().tells(type)
    assert {each.partition(".")[2] for each in EVENTS.values()} == {"created", "updated", "deleted"}


def test_the_signature_covers_milliseconds_and_the_exact_body() -> None:
    message = a_message("cliente.criado", CLIENT)
    text = Twenty().body(message).encode()
    headers = Twenty().headers(message, text, [Key.parse("hmac-sha256", NEW)])
    assert headers["X-Twenty-Webhook-Timestamp"] == "1704103500600"
    assert is_signed(NEW, text, headers)
    assert not is_signed(OLD, text, headers)
    assert headers["X-Twenty-Webhook-Nonce"] == message.nonce
    assert len(bytes.fromhex(message.nonce)) == 16
    assert message.nonce != a_message("cliente.criado", CLIENT).nonce


def test_without_a_secret_none_of_its_headers_is_sent() -> None:
    message = a_message("cliente.criado", CLIENT)
    assert list(Twenty().headers(message, b"{}", [])) == ["webhook-id"]


def test_during_a_rotation_the_attempts_take_turns() -> None:
    keys = [Key.parse("hmac-sha256", secret) for secret in (NEW, OLD)]
    for attempt, secret in ((1, NEW), (2, OLD), (3, NEW)):
        message = a_message("cliente.criado", CLIENT, attempt=attempt)
        assert is_signed(secret, b"{}", Twenty().headers(message, b"{}", keys))


# --- through the worker -------------------------------------------------------------------------


def subscribe(url: str, *types: str, **values: Any) -> str:
    _webhook, secret = operations.create_webhook(
        name="Twenty", url=url, events=types, format="twenty", **values
    )
    return secret


@pytest.mark.django_db(transaction=True)
def test_a_retry_has_a_time_a_nonce_and_a_signature_of_its_own() -> None:
    with Receiver() as receiver:
        secret = subscribe(receiver.url, "cliente.criado", retry_schedule=[0, 0])
        receiver.script(Answer(status=500))
        make_cliente(nome="João Silva")
        deliver_all()
        first, second = receiver.requests
    for request in (first, second):
        assert is_signed(secret, request.body, request.headers)
        assert request.headers["Content-Type"] == "application/json"
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    of_its_own = ("Timestamp", "Nonce", "Signature")
    for name in (f"X-Twenty-Webhook-{each}" for each in of_its_own):
        assert first.headers[name] != second.headers[name], name
    assert len(first.headers["X-Twenty-Webhook-Nonce"]) == 32


@pytest.mark.django_db(transaction=True)
def test_the_crms_events_arrive_under_twentys_names() -> None:
    with Receiver() as receiver:
        subscribe(receiver.url, "*", format_options={"payload": "current"})
        client = make_cliente()
        client.nome = "João Souza"
        client.save()
        make_tarefa().concluir()
        ticket = make_chamado(cliente=client)
        user = make_user()
        ticket.responder(user, "Olá")
        ticket.resolver(user)
        ticket.delete()
        deliver_all()
        requests = receiver.requests
    told = [_of(request) for request in requests]
    assert {each["targetUrl"] for each in told} == {receiver.url}
    by_name = [(each["eventName"], each.get("updatedFields")) for each in told]
    assert sorted(by_name, key=str) == sorted(
        [
            ("person.created", None),
            ("person.updated", ["name"]),
            ("task.created", None),
            ("task.updated", ["status", "completedAt"]),
            ("task.updated", ["status"]),
            ("ticket.created", None),
            ("note.created", None),
            ("ticket.updated", ["status", "resolvedAt", "resolvedById"]),
            ("ticket.updated", ["status"]),
            ("ticket.deleted", None),
        ],
        key=str,
    )
    [done, _done] = [each for each in told if each["eventName"] == "task.updated"]
    assert done["record"]["status"] == "DONE"
    [note] = [each["record"] for each in told if each["eventName"] == "note.created"]
    assert note["bodyV2"] == {"blocknote": None, "markdown": "Olá"}


@pytest.mark.django_db(transaction=True)
def test_a_test_event_arrives_too_and_what_has_no_equivalent_does_not() -> None:
    with Receiver() as receiver:
        webhook, _secret = operations.create_webhook(
            name="Twenty", url=receiver.url, events=["*"], format="twenty"
        )
        assert operations.send_test(webhook).succeeded
        events.emit(
            "webhook.desativado",
            data={"webhookId": "1", "nome": "x", "motivo": "x", "desativadoEm": "x"},
        )
        deliver_all()
        [request] = receiver.requests
    assert _of(request)["event"] == "webhook.teste"
    assert _of(request)["data"]["webhookId"] == str(webhook.pk)


def _of(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.body)
    return found
