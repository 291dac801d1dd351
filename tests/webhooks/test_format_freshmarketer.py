"""Freshmarketer's bodies, and placeholders in its addresses (seed 003)."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from tests.crm import make_cliente, make_tarefa
from tests.webhooks import makers
from webhooks import failures, operations
from webhooks.formats.base import CannotTell, Message
from webhooks.formats.freshmarketer import Freshmarketer
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.testing import Answer, Receiver, deliver_all

pytestmark = pytest.mark.both_databases

CLIENT = {
    "id": "cliente_123",
    "nome": "João da Silva",
    "email": "joao+vip@example.com",
    "telefone": "(11) 99999-9999",
    "etiquetas": ["vip", "sul"],
    "naoPerturbe": False,
    "observacoes": None,
    "camposPersonalizados": {"plano": "ouro", "n.º": 7, "salário": {"base": 1}},
}


def a_message(*args: Any, **options: Any) -> Message:
    moment = dt.datetime(2019, 7, 15, 10, 23, 6, 795_000, tzinfo=dt.UTC)
    return makers.a_message(*args, occurred_at=moment, options=options)


def body(*args: Any, **options: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(Freshmarketer().body(a_message(*args, **options)))
    return told


def test_a_new_client_is_a_contact_added_to_a_list_with_the_seeds_keys() -> None:
    text = Freshmarketer().body(a_message("cliente.criado", CLIENT, list_id="100"))
    assert text == (
        '{"event_type":"List","data":{"contact":{"first name":"João","mobile":"11999999999",'
        '"email":"joao+vip@example.com"},"event_details":{"list_id":"100",'
        '"contact_id":"cliente_123"},"custom_data":{}},'
        '"id":"018cc251-f400-7000-8000-00000000abcd","event":"list.add_contact",'
        '"event_category":"system","event_time":1563186186795}'
    )
    assert body("cliente.criado", CLIENT)["data"]["event_details"]["list_id"] is None


def test_changes_and_deletions_follow_its_pattern() -> None:
    changes = {"email": {"anterior": None, "novo": "joao@example.com"}}
    told = body("cliente.atualizado", CLIENT, changes)
    assert (told["event_type"], told["event"]) == ("Contact", "contact.update")
    assert told["data"]["event_details"] == {"contact_id": "cliente_123", "changes": changes}
    told = body("cliente.excluido", {**CLIENT, "telefone": None})
    assert told["event"] == "contact.delete"
    assert told["data"]["event_details"] == {"contact_id": "cliente_123"}
    assert told["data"]["contact"]["mobile"] is None


def test_properties_of_ones_own_are_filled_from_the_record() -> None:
    asked = {
        "nome": "{{nome}}",
        "saudação": "Olá, {{ nome }} ({{camposPersonalizados.plano}})!",
        "etiquetas": "{{etiquetas}}",
        "n": "{{camposPersonalizados.n.º}}",
        "salário": "{{camposPersonalizados.salário.base}}",
        "sim": "{{naoPerturbe}}",
        "nada": "{{observacoes}}{{camposPersonalizados.x.y}}{{nome.x}}",
        "fixo": "crm {x} }}{{",
    }
    assert body("cliente.criado", CLIENT, custom_data=asked)["data"]["custom_data"] == {
        "nome": "João da Silva",
        "saudação": "Olá, João da Silva (ouro)!",
        "etiquetas": "vip, sul",
        "n": "7",
        "salário": "1",
        "sim": "false",
        "nada": "",
        "fixo": "crm {x} }}{{",
    }


def test_what_a_record_says_is_not_read_for_placeholders() -> None:
    told = body("cliente.criado", {**CLIENT, "nome": "{{email}}"}, custom_data={"a": "{{nome}}"})
    assert told["data"]["custom_data"] == {"a": "{{email}}"}


def test_a_property_that_would_fill_the_request_is_not_sent() -> None:
    record = {**CLIENT, "observacoes": "x" * 1_000}
    with pytest.raises(CannotTell, match="property: a"):
        body("cliente.criado", record, custom_data={"a": "{{observacoes}}" * 30})


def test_only_200_counts() -> None:
    assert [each for each in range(100, 600) if Freshmarketer().accepts(each)] == [200]


@pytest.mark.parametrize("type", ["tarefa.criada", "chamado.aberto", "cliente.conversao"])
def test_what_has_no_equivalent_is_not_told(type: str) -> None:
    assert not Freshmarketer().tells(type)


# --- addresses ----------------------------------------------------------------------------------


def filled(url: str, **record: Any) -> str:
    return Freshmarketer().address(a_message("cliente.criado", {**CLIENT, **record}), url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/x", "https://example.com/x"),
        ("https://example.com/{{id}}/x?e={{email}}", "/cliente_123/x?e=joao%2Bvip%40example.com"),
        ("https://example.com?e={{nome}}", "?e=Jo%C3%A3o%20da%20Silva"),
        ("https://example.com/?e={{observacoes}}&f=1", "/?e=&f=1"),
        ("https://example.com/a-{{camposPersonalizados.plano}}", "/a-ouro"),
        ("https://example.com/{{nome", "/{{nome"),
    ],
)
def test_parts_of_the_address_are_filled_in(url: str, expected: str) -> None:
    assert filled(url) == "https://example.com" + expected.removeprefix("https://example.com")


@pytest.mark.parametrize(
    "value",
    [
        "../admin",
        "x/../../y",
        "a?b=c&d=e#f",
        "@evil.example/",
        "//evil.example/",
        "\\evil.example",
        "a\r\nHost: evil.example",
        "%2e%2e%2f",
        "\ud800",
        "{{email}}",
        "x y+z",
    ],
)
def test_a_value_never_leaves_its_place_in_the_address(value: str) -> None:
    path = filled("https://example.com/a/{{nome}}/b", nome=value)
    assert path.startswith("https://example.com/a/") and path.endswith("/b")
    assert path.count("/") == 5
    query = filled("https://example.com/a?b={{nome}}&c=d", nome=value)
    between = query.removeprefix("https://example.com/a?b=").removesuffix("&c=d")
    assert not set(between) & set("/?&#=@ \\\r\n{}")


@pytest.mark.parametrize("value", ["", None, ".", ".."])
def test_in_the_path_a_value_is_neither_missing_nor_a_step(value: str | None) -> None:
    with pytest.raises(CannotTell, match="placeholder: nome"):
        filled("https://example.com/a/{{nome}}/b", nome=value)
    with pytest.raises(CannotTell):
        filled("https://example.com/a/.{{nome}}/b", nome=".")


def test_an_address_does_not_grow_without_end() -> None:
    with pytest.raises(CannotTell, match="too long"):
        filled("https://example.com/?a={{nome}}", nome="x" * 3_000)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url",
    [
        "http://{{nome}}/",
        "http://{{nome}}.example.com/x",
        "http://127.0.0.1:{{id}}/",
        "http://{{nome}}@127.0.0.1/",
        "{{nome}}://127.0.0.1/",
        "http:/{{nome}}/x",
    ],
)
def test_scheme_host_and_port_are_never_filled_in(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_webhook(url)
    assert "url" in caught.value.message_dict
    # Nor would they be, were such an address stored.
    address = Freshmarketer().address(a_message("cliente.criado", CLIENT), url)
    assert address.partition("//")[2].partition("/")[0] == url.partition("//")[2].partition("/")[0]


# --- through the worker -------------------------------------------------------------------------


def make_webhook(url: str, *types: str, **values: Any) -> Webhook:
    webhook, secret = operations.create_webhook(
        name="Fresh", url=url, events=types or ["*"], format="freshmarketer", **values
    )
    assert secret == ""
    return webhook


@pytest.mark.django_db(transaction=True)
def test_a_contact_arrives_at_its_own_address_which_the_log_does_not_keep() -> None:
    with Receiver() as receiver:
        webhook = make_webhook(
            receiver.url + "/{{id}}?email={{email}}",
            auth_type="basic",
            auth_username="ana",
            auth_secret="a-password",
            headers={"X-Origem": "crm"},
            format_options={"custom_data": {"nome": "{{nome}}"}},
        )
        client = make_cliente(nome="João Silva", email="joao@example.com")
        make_tarefa()
        [attempt] = deliver_all()
        [request] = receiver.requests
    assert request.path == f"/webhook/cliente_{client.pk}?email=joao%40example.com"
    assert request.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.headers["X-Origem"] == "crm"
    assert not [name for name in request.headers if "signature" in name.lower()]
    told = json.loads(request.body)
    assert told["data"]["custom_data"] == {"nome": "João Silva"}
    assert isinstance(told["event_time"], int)
    assert attempt.succeeded
    assert attempt.url == webhook.url
    assert "joao" not in attempt.url


@pytest.mark.django_db(transaction=True)
def test_201_is_no_success() -> None:
    with Receiver() as receiver:
        make_webhook(receiver.url, retry_schedule=[0, 0])
        receiver.script(Answer(status=201), Answer(status=200))
        make_cliente()
        first, second = deliver_all()
    assert (first.error, first.status_code, second.error) == ("status", 201, "")
    assert Delivery.objects.get().status == Delivery.Status.DELIVERED
    with translation.override("en"):
        assert "takes another one for success" in failures.sentence("status", status=201)


@pytest.mark.django_db(transaction=True)
def test_an_event_that_cannot_fill_the_address_is_not_sent_and_says_so() -> None:
    with Receiver() as receiver:
        make_webhook(receiver.url + "/{{email}}", retry_schedule=[0])
        make_cliente(email="")
        [attempt] = deliver_all()
        assert receiver.requests == []
    assert (attempt.error, attempt.error_detail) == (Attempt.Error.FORMAT, "placeholder: email")
    with translation.override("en"):
        sentence = failures.sentence(attempt.error, detail=attempt.error_detail)
    assert "{{placeholder}} that this event cannot fill" in sentence


@pytest.mark.django_db(transaction=True)
def test_nor_does_a_refused_address_tell_what_was_filled_in(settings: Any) -> None:
    make_webhook("http://127.0.0.1:9/?e={{email}}", retry_schedule=[0])
    settings.WEBHOOKS = {**settings.WEBHOOKS, "REQUIRE_HTTPS": True}
    make_cliente(email="joao@example.com")
    [attempt] = deliver_all()
    assert attempt.error == "blocked"
    assert attempt.error_detail == "https_required: http://127.0.0.1:9/?e=••••"


@pytest.mark.django_db(transaction=True)
def test_a_test_is_sent_with_sample_data() -> None:
    with Receiver() as receiver:
        webhook = make_webhook(
            receiver.url + "/{{camposPersonalizados.conta}}/{{nome}}",
            format_options={"custom_data": {"plano": "{{camposPersonalizados.plano}}"}},
        )
        assert operations.send_test(webhook).succeeded
        [request] = receiver.requests
    assert request.path == "/webhook/camposPersonalizados.conta/Jo%C3%A3o%20Silva"
    told = json.loads(request.body)
    assert told["event"] == "list.add_contact"
    assert told["data"]["contact"] == {
        "first name": "João",
        "mobile": "11999999999",
        "email": "joao@example.com",
    }
    assert told["data"]["custom_data"] == {"plano": "camposPersonalizados.plano"}
