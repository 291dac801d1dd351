"""RD Station's bodies, from what this CRM's events tell (seed 001)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from tests.crm import make_cliente, make_tarefa
from tests.webhooks import makers
from webhooks import catalog, events, operations
from webhooks.formats.base import Message
from webhooks.formats.rd_station import RDStation
from webhooks.models import Delivery, Webhook
from webhooks.testing import Receiver, deliver_all

pytestmark = pytest.mark.both_databases

CLIENT = {
    "id": "cliente_123",
    "nome": "João Silva",
    "email": "joao@example.com",
    "telefone": "(11) 99999-9999",
    "empresa": "Silva & Filhos",
    "origem": "site",
    "etiquetas": ["vip"],
    "naoPerturbe": False,
    "camposPersonalizados": {"plano": "ouro", "vazio": ""},
    "observacoes": None,
    "createdAt": "2024-01-01T10:00:00Z",
    "updatedAt": "2024-01-02T10:00:00Z",
}


def a_message(type: str, record: dict[str, Any], **options: Any) -> Message:
    return makers.a_message(type, record, options=options)


def body(*args: Any, **options: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(RDStation().body(a_message(*args, **options)))
    return told


def test_a_conversion_tells_the_contact_and_its_identifier() -> None:
    told = body("cliente.conversao", {**CLIENT, "identificador": "newsletter"})
    contact = told.pop("contact")
    assert told == {
        "event_type": "WEBHOOK.CONVERTED",
        "entity_type": "CONTACT",
        "event_identifier": "newsletter",
        "timestamp": "2024-01-01T07:05:00.600-03:00",
        "event_timestamp": "2024-01-01T07:00:00.000-03:00",
    }
    assert {name: value for name, value in contact.items() if value} == {
        "uuid": "cliente_123",
        "email": "joao@example.com",
        "name": "João Silva",
        "personal_phone": "(11) 99999-9999",
        "tags": ["vip"],
        "cf_plano": "ouro",
    }
    assert {"job_title", "bio", "website", "mobile_phone", "city", "facebook"} <= set(contact)
    assert contact["legal_bases"] == []


def test_relations_come_only_when_asked_for() -> None:
    assert not {"company", "funnel"} & set(body("cliente.oportunidade", CLIENT)["contact"])
    relations = ["COMPANY", "CONTACT_FUNNEL"]
    told = body("cliente.oportunidade", CLIENT, include_relations=relations)
    assert told["event_type"] == "WEBHOOK.MARKED_OPPORTUNITY"
    assert told["event_identifier"] == "default"
    assert told["contact"]["company"] == {"name": "Silva & Filhos"}
    assert told["contact"]["funnel"]["opportunity"] is True
    assert told["contact"]["funnel"]["origin"] == "site"


def test_who_is_not_to_be_disturbed_declined() -> None:
    [basis] = body("cliente.oportunidade", {**CLIENT, "naoPerturbe": True})["contact"][
        "legal_bases"
    ]
    assert basis == {"category": "communications", "type": "consent", "status": "declined"}


def test_the_crms_types_tell_a_document_and_what_duplicates_are_known_by() -> None:
    told = body("cliente.criado", CLIENT)
    document = told.pop("document")
    assert told == {
        "event_name": "crm_contact_created",
        "event_timestamp": "2024-01-01T10:00:00.000Z",
        "transaction_uuid": "018cc251-f400-7000-8000-00000000abcd",
    }
    assert document["emails"] == [{"email": "joao@example.com"}]
    assert document["organization"] == {"name": "Silva & Filhos"}
    gone = body("cliente.excluido", CLIENT)
    assert gone["document"] == {"id": "cliente_123", "name": "João Silva"}
    deal = {"id": "negociacao_1", "name": "Venda", "amount_total": 10}
    assert body("negociacao.criada", deal)["event_name"] == "crm_deal_created"
    assert body("negociacao.criada", deal)["document"] == deal


def test_a_conversion_may_tell_little() -> None:
    told = body("cliente.conversao", {"id": "cliente_123", "camposPersonalizados": None})
    assert told["event_identifier"] == "default"
    assert told["contact"]["uuid"] == "cliente_123" and told["contact"]["email"] is None


def test_what_has_no_equivalent_is_not_told() -> None:
    assert not RDStation().tells("chamado.aberto")
    assert not RDStation().tells("tarefa.concluida")


@pytest.mark.parametrize(
    ("chosen", "wanted"), [(["newsletter"], True), (["ebook"], False), ([], True)]
)
def test_a_subscription_may_be_limited_to_some_conversions(chosen: list[str], wanted: bool) -> None:
    record = {**CLIENT, "identificador": "newsletter"}
    message = a_message("cliente.conversao", record, event_identifiers=chosen)
    assert RDStation().wants(message) is wanted
    assert RDStation().wants(a_message("cliente.oportunidade", record, event_identifiers=chosen))


# --- through the worker -------------------------------------------------------------------------


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that tells conversions."""
    monkeypatch.setattr(catalog, "_types", dict(catalog._types))
    events.declare(
        "cliente.conversao", description="", area="", data_schema={"type": "object"}, example={}
    )


def subscribe(url: str, *types: str, **options: Any) -> Webhook:
    webhook, secret = operations.create_webhook(
        name="RD", url=url, events=types, format="rd-station", format_options=options
    )
    assert secret == ""
    return webhook


@pytest.mark.django_db(transaction=True)
def test_records_arrive_whole_and_unsigned() -> None:
    with Receiver() as receiver:
        subscribe(receiver.url, "cliente.criado", "tarefa.*")
        make_cliente(empresa="Silva & Filhos")
        make_tarefa().concluir()
        deliver_all()
        told = [json.loads(request.body) for request in receiver.requests]
        headers = receiver.requests[0].headers
    by_name = {each["event_name"]: each["document"] for each in told}
    assert sorted(by_name) == ["crm_contact_created", "crm_task_created", "crm_task_updated"]
    # not in `cliente.criado`, but in the record
    assert by_name["crm_contact_created"]["organization"] == {"name": "Silva & Filhos"}
    assert by_name["crm_task_updated"]["done"] is True
    assert not [name for name in headers if "signature" in name.lower()]


@pytest.mark.django_db(transaction=True)
def test_a_conversion_that_was_not_chosen_is_not_sent(conversions: None) -> None:
    with Receiver() as receiver:
        webhook = subscribe(receiver.url, "cliente.conversao", event_identifiers=["newsletter"])
        for identifier in ("newsletter", "ebook"):
            events.emit("cliente.conversao", data={**CLIENT, "identificador": identifier})
        deliver_all()
        [request] = receiver.requests
    assert json.loads(request.body)["event_identifier"] == "newsletter"
    found = webhook.deliveries.order_by("event_id")
    assert [each.status for each in found] == [
        Delivery.Status.DELIVERED,
        Delivery.Status.CANCELLED,
    ]
    with translation.override("en"):
        assert operations.cancelled(found[0]) == ""
        assert "limited to other events" in operations.cancelled(found[1])
        operations.delete_webhook(webhook)
        assert "deleted" in operations.cancelled(Delivery.objects.get(pk=found[1].pk))


@pytest.mark.django_db(transaction=True)
def test_a_test_event_arrives_too() -> None:
    with Receiver() as receiver:
        webhook = subscribe(receiver.url, "negociacao.criada")
        assert operations.send_test(webhook).succeeded
        [request] = receiver.requests
    told = json.loads(request.body)
    assert told["event_name"] == "webhook.teste"
    assert told["document"]["webhookId"] == str(webhook.pk)


@pytest.mark.django_db
def test_a_secret_that_would_sign_nothing_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        operations.create_webhook(
            name="RD",
            url="http://127.0.0.1:9/",
            events=["cliente.criado"],
            format="rd-station",
            secret="a-secret-for-tests-only",
        )
    assert list(caught.value.message_dict) == ["secret"]


@pytest.mark.django_db
def test_types_that_nothing_tells_yet_are_accepted_with_a_warning() -> None:
    webhook = Webhook(name="RD", url="http://127.0.0.1:9/", events=["negociacao.criada"])
    webhook.format = "rd-station"
    assert any("negociacao.criada" in each for each in operations.clean_webhook(webhook))
    webhook.format = "sistema-crm"
    with pytest.raises(ValidationError, match=r"negociacao\.criada"):
        operations.clean_webhook(webhook)
