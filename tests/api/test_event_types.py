"""The catalog over the API, and previews: what would be sent, without sending it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tests.api.conftest import Caller, field_errors, problem
from tests.crm import forget, make_chamado, make_cliente, make_tarefa, told
from tests.webhooks.makers import NOBODY, SECRET, a_webhook
from webhooks import catalog, signing
from webhooks.fields import MASK
from webhooks.models import AuditEntry, Delivery, Event

pytestmark = pytest.mark.django_db


def test_every_type_has_its_words_schema_and_example(caller: Callable[..., Caller]) -> None:
    results = caller().get("event-types/", accept_language="pt-br").json()["results"]
    assert [each["name"] for each in results] == [each.name for each in catalog.all_types()]
    for each in results:
        assert each["description"] and each["area"]
        jsonschema.Draft202012Validator(each["schema"]).validate(each["example"])
    assert (
        results[0]["description"]
        != caller().get("event-types/").json()["results"][0]["description"]
    )


def test_one_type_is_read_by_its_name(caller: Callable[..., Caller]) -> None:
    api = caller()
    assert api.get("event-types/cliente.criado/").json()["name"] == "cliente.criado"
    problem(api.get("event-types/cliente.nunca/"), "not-found")
    problem(api.get("event-types/cliente.criado/?x=1"), "invalid")


def test_a_preview_is_what_would_be_sent_and_sends_nothing(root: Caller) -> None:
    client = make_cliente(email="joao@example.com")
    [(_name, data)] = told()
    headers = {"X-Api-Key": "secret"}
    webhook = a_webhook(events=["tarefa.*"], headers=headers, url="https://example.com/x")
    path = f"event-types/cliente.criado/preview/?object={client.public_id}&webhook={webhook.pk}"
    answer = root.get(path).json()

    assert json.loads(answer["body"])["data"] == data
    assert answer["url"] == "https://example.com/x" and answer["method"] == "POST"
    assert answer["subscribed"] is False
    sent = answer["headers"]
    assert signing.verify_hex(SECRET, answer["body"].encode(), sent["X-Webhook-Signature"])
    assert sent["X-Webhook-Event"] == "cliente.criado" and sent["X-Webhook-Sequence"] == "2"
    assert sent["X-Api-Key"] == MASK
    assert Event.objects.count() == 1 and not Delivery.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject) == ("viewed_payload", client.public_id)


def test_without_an_object_the_example_is_shown_and_without_a_webhook_unsigned(
    root: Caller,
) -> None:
    answer = root.get("event-types/whatsapp.mensagem.recebida/preview/")
    if answer.status_code == 404:  # no app declares it yet
        answer = root.get("event-types/tarefa.criada/preview/")
    data = answer.json()
    example = catalog.get(data["eventType"]).data_example
    assert json.loads(data["body"])["data"] == example
    assert data["object"] is data["webhookId"] is data["url"] is None
    assert "X-Webhook-Signature" not in data["headers"]
    standard = root.get("event-types/tarefa.criada/preview/?format=standard-webhooks").json()
    assert json.loads(standard["body"])["type"] == "tarefa.criada"


def test_a_preview_of_a_change_shows_the_last_one(root: Caller) -> None:
    client = make_cliente()
    path = f"event-types/cliente.atualizado/preview/?object={client.public_id}"

    def changes() -> object:
        return json.loads(root.get(path).json()["body"])["data"]["alteracoes"]

    assert changes() == catalog.get("cliente.atualizado").data_example["alteracoes"]
    client.empresa = "Silva"
    client.save()
    assert changes() == {"empresa": {"anterior": None, "novo": "Silva"}}


@pytest.mark.parametrize(
    ("type", "make"),
    [("tarefa.concluida", make_tarefa), ("chamado.resolvido", make_chamado)],
)
def test_a_preview_of_what_did_not_become_so_says_so(
    root: Caller, type: str, make: Callable[..., Any]
) -> None:
    path = f"event-types/{type}/preview/?object="
    errors = field_errors(root.get(path + make().public_id))
    assert list(errors) == ["object"] and type in errors["object"]
    assert not AuditEntry.objects.exists()
    status = {"tarefa.concluida": "CONCLUIDA", "chamado.resolvido": "RESOLVIDO"}[type]
    assert root.get(path + make(status=status).public_id).status_code == 200


def test_a_preview_takes_the_permission_to_see_what_it_shows(
    caller: Callable[..., Caller],
) -> None:
    client, webhook = make_cliente(), a_webhook()
    forget()
    path = f"event-types/cliente.criado/preview/?object={client.public_id}&webhook={webhook.pk}"
    needed = ["webhooks.view_payload", "webhooks.view_webhook", "clientes.view_cliente"]
    for missing in needed:
        api = caller(*(name for name in needed if name != missing))
        assert problem(api.get(path), "forbidden")["permission"] == missing
    assert not AuditEntry.objects.exists()
    seen = caller(*needed).get(path)
    assert seen.status_code == 200
    # A fresh signature over what did not happen is good for forging.
    assert not [name for name in seen.json()["headers"] if "signature" in name.lower()]
    signing = caller(*needed, "webhooks.rotate_secret").get(path).json()["headers"]
    assert signing["X-Webhook-Signature"].startswith("sha256=")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("object=cliente_999", "object"),
        ("object=tarefa_1", "object"),
        ("object=cliente_x", "object"),
        ("object=cliente_01", "object"),
        ("object=cliente_" + "9" * 30, "object"),
        ("object=", "object"),
        ("webhook=x", "webhook"),
        ("webhook=00000000-0000-0000-0000-000000000000", "webhook"),
        ("format=x", "format"),
        ("objeto=cliente_1", "objeto"),
    ],
)
def test_a_preview_of_nothing_is_refused(root: Caller, query: str, where: str) -> None:
    make_cliente()
    response = root.get(f"event-types/cliente.criado/preview/?{query}")
    [error] = problem(response, "invalid")["errors"]
    assert (error["in"], error["field"]) == ("query", where)


def test_types_without_rows_preview_no_object(root: Caller) -> None:
    response = root.get("event-types/webhook.desativado/preview/?object=cliente_1")
    assert list(field_errors(response)) == ["object"]


def test_a_webhook_that_cannot_be_sent_to_is_told_as_such(root: Caller) -> None:
    """Its headers came into the table past the form; sending would refuse them as well."""
    webhook = a_webhook(headers={"Host": "other.example"})
    response = root.get(f"event-types/cliente.criado/preview/?webhook={webhook.pk}")
    assert "Host" in problem(response, "conflict")["detail"]


def test_an_address_is_previewed_filled_in_and_told_as_such_where_it_cannot_be(
    root: Caller,
) -> None:
    webhook = a_webhook(url=NOBODY + "{{email}}", format="freshmarketer")
    path = f"event-types/cliente.criado/preview/?webhook={webhook.pk}"
    assert root.get(path).json()["url"] == NOBODY + "joao%40example.com"
    client = make_cliente(email="")
    response = root.get(f"{path}&object={client.public_id}")
    assert "cannot fill" in problem(response, "conflict")["detail"]
