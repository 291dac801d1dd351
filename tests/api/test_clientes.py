"""Clients over the API: read as their events tell them, written as their model allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clientes.eventos import ClienteEventos
from clientes.models import Cliente
from tests.api.conftest import Caller, field_errors, problem
from tests.crm import forget, make_cliente, names_told, told
from webhooks.models import Event

pytestmark = pytest.mark.django_db

WHOLE = {
    "nome": "João Silva",
    "email": "joao@example.com",
    "telefone": "(11) 99999-9999",
    "documento": "529.982.247-25",
    "empresa": "Silva & Filhos",
    "origem": "site",
    "etiquetas": ["VIP"],
    "naoPerturbe": True,
    "camposPersonalizados": {"plano": "ouro"},
    "observacoes": "Prefere e-mail.",
}


def test_what_is_created_is_answered_as_its_event_tells_it(root: Caller) -> None:
    response = root.post("clientes/", WHOLE)

    assert response.status_code == 201
    answer = response.json()
    assert {name: answer[name] for name in WHOLE} == WHOLE
    [(name, data)] = told(answer["id"])
    assert name == "cliente.criado"
    assert data == {key: answer[key] for key in data}
    assert list(answer) == list(ClienteEventos.record)
    assert response["Location"] == f"/api/v1/clientes/{answer['id']}/"
    assert root.get(response["Location"]).json() == answer


def test_events_say_that_they_came_through_the_api_and_from_whom(root: Caller) -> None:
    root.post("clientes/", WHOLE)

    event = Event.objects.get()
    assert (event.origin, event.actor) == ("api", f"usuario_{root.user.pk}")


def test_what_is_not_known_of_a_client_is_null(root: Caller) -> None:
    answer = root.post("clientes/", {"nome": "Ana", "email": None}).json()

    assert answer["email"] is answer["telefone"] is answer["documento"] is None
    assert answer["etiquetas"] == [] and answer["camposPersonalizados"] == {}


def test_an_answer_can_be_sent_back_as_it_is(root: Caller) -> None:
    answer = root.post("clientes/", WHOLE).json()
    forget()

    response = root.put(f"clientes/{answer['id']}/", answer)

    assert response.status_code == 200
    assert {**response.json(), "updatedAt": ""} == {**answer, "updatedAt": ""}
    assert names_told() == []


def test_patch_changes_what_it_names_and_put_sets_the_rest_to_its_default(root: Caller) -> None:
    id = root.post("clientes/", WHOLE).json()["id"]

    patched = root.patch(f"clientes/{id}/", {"empresa": None}).json()
    assert patched["empresa"] is None and patched["email"] == WHOLE["email"]

    put = root.put(f"clientes/{id}/", {"nome": "João"}).json()
    assert put["nome"] == "João"
    assert put["email"] is None and put["naoPerturbe"] is False and put["etiquetas"] == []


def test_every_field_that_is_wrong_is_named_in_the_callers_language(root: Caller) -> None:
    body = {
        "nome": "",
        "email": "joao",
        "telefone": "123",
        "documento": "529.982.247-26",
        "naoPerturbe": "sim",
        "etiquetas": "VIP",
        "sobrenome": "Silva",
    }
    assert set(field_errors(root.post("clientes/", body))) == {"sobrenome", "naoPerturbe"}

    del body["sobrenome"], body["naoPerturbe"]
    errors = field_errors(root.post("clientes/", body))
    assert set(errors) == {"nome", "email", "telefone", "documento", "etiquetas"}
    assert errors["documento"] == (
        "“529.982.247-26” is not a valid CPF: its check digits do not match."
    )
    answer = root.post("clientes/", body, accept_language="pt-BR")
    assert problem(answer, "invalid")["title"] == "Requisição inválida"
    assert "dígitos" in field_errors(answer)["documento"]
    assert not Cliente.objects.exists()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "nome"),
        ({"nome": None}, "nome"),
        ({"nome": 5}, "nome"),
        ({"nome": "x" * 201}, "nome"),
        ({"nome": "Ana", "camposPersonalizados": {"1": 2}}, "camposPersonalizados"),
        ({"nome": "Ana", "observacoes": "x" * 10_001}, "observacoes"),
        ([], ""),
        ('"Ana"', ""),
        (None, ""),
    ],
)
def test_what_is_no_client_is_refused(root: Caller, body: object, where: str) -> None:
    response = root.post("clientes/", "null" if body is None else body)
    assert where in field_errors(response)


@pytest.mark.parametrize("setting", ["BODY_MAX_BYTES", "SNAPSHOT_MAX_BYTES"])
def test_what_no_event_has_room_for_is_refused_and_not_saved(
    root: Caller, settings: Any, setting: str
) -> None:
    made = root.post("clientes/", {"nome": "Ana"}).json()
    settings.WEBHOOKS = {**settings.WEBHOOKS, setting: 1_500}
    large = {"observacoes": "x" * 3_000}
    answers = [root.patch(f"clientes/{made['id']}/", large)]
    if setting == "SNAPSHOT_MAX_BYTES":  # notes are in no body of `cliente.criado`
        answers.append(root.post("clientes/", {"nome": "Bia", **large}))
    for answer in answers:
        assert answer.status_code == 400, answer.content
        assert setting in answer.content.decode()
    assert [each["nome"] for each in root.get("clientes/").json()["results"]] == ["Ana"]
    assert root.get(f"clientes/{made['id']}/").json()["observacoes"] != large["observacoes"]


def test_a_document_is_one_clients(root: Caller) -> None:
    make_cliente(documento="52998224725")
    response = root.post("clientes/", WHOLE)
    assert field_errors(response) == {
        "documento": "There is a client with this CPF or CNPJ already."
    }
    [error] = response.json()["errors"]
    [of_the_batch] = root.post("clientes/lote/", {"clientes": [WHOLE]}).json()["errors"]
    assert error["code"] == of_the_batch["code"] == "unique"


@pytest.mark.both_databases
def test_numbers_in_custom_fields_are_answered_as_they_are_told(root: Caller) -> None:
    body = """{"nome": "Ana", "camposPersonalizados": {"um": 1.0, "mil": 1e3, "zero": -0.0,
        "grande": 9007199254740993, "enorme": 1.5e300, "meio": 0.5}}"""
    told_as = {
        "um": 1,
        "mil": 1000,
        "zero": 0,
        "grande": "9007199254740993",
        "enorme": "1.5e+300",
        "meio": 0.5,
    }
    response = root.post("clientes/", body)
    custom = response.json()["camposPersonalizados"]
    assert json.dumps(custom) == json.dumps(told_as)
    assert json.dumps(
        json.loads(Event.objects.get().snapshot)["record"]["camposPersonalizados"]
    ) == (json.dumps(told_as))
    read = root.get(response["Location"])
    assert read["ETag"] == response["ETag"] and read.json() == response.json()
    forget()
    batch = {"clientes": [json.loads(body)]}
    [client] = root.post("clientes/lote/", batch).json()["clientes"]
    assert client["camposPersonalizados"] == told_as
    assert root.get(f"clientes/{client['id']}/").json() == client


def test_a_client_is_deleted_and_that_is_told(root: Caller) -> None:
    client = make_cliente()
    response = root.delete(f"clientes/{client.public_id}/")

    assert response.status_code == 204 and response.content == b""
    assert names_told() == ["cliente.criado", "cliente.excluido"]
    problem(root.get(f"clientes/{client.public_id}/"), "not-found")


@pytest.mark.parametrize("id", ["cliente_0", "cliente_01", "tarefa_1", "1", "cliente_9", "x" * 300])
def test_what_names_no_client_is_not_found(root: Caller, id: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        problem(root(method, f"clientes/{id}/", {}), "not-found")


# --- lists ------------------------------------------------------------------------------------
def test_filters_find_what_people_look_for(root: Caller) -> None:
    joao = make_cliente(telefone="+5511999999999", documento="52998224725", nao_perturbe=True)
    ana = make_cliente(nome="Ana Souza", email="ana@example.com", origem="Site")

    def found(query: str) -> list[str]:
        response = root.get(f"clientes/?{query}")
        assert response.status_code == 200, response.json()
        return [each["id"] for each in response.json()["results"]]

    assert found("") == [ana.public_id, joao.public_id]
    assert found("q=silva%20jo") == [joao.public_id]
    assert found("q=(11)%2099999-9999") == [joao.public_id]
    assert found("telefone=(11)%2099999-9999") == [joao.public_id]
    assert found("documento=529.982.247-25") == [joao.public_id]
    assert found("email=ANA@example.com") == [ana.public_id]
    assert found("origem=site") == [ana.public_id]
    assert found("naoPerturbe=true") == [joao.public_id]
    assert found("ordering=nome") == [ana.public_id, joao.public_id]
    assert found("createdSince=2999-01-01T00:00:00Z") == []
    assert found("createdUntil=2999-01-01T00:00:00-03:00") != []
    assert found("telefone=abc") == []


@pytest.mark.parametrize(
    "query",
    [
        "nme=silva",
        "naoPerturbe=1",
        "naoPerturbe=",
        "createdSince=",
        "createdSince=ontem",
        "createdSince=2024-01-01T10:00:00",
        "createdSince=9999-12-31T23:59:59-23:59",
        "ordering=observacoes",
        "ordering=--nome",
        "pageSize=0",
        "pageSize=201",
        "pageSize=x",
        "cursor=x",
        "cursor=WzEsMl0",
        "q=a&q=b",
    ],
)
def test_a_query_that_is_not_understood_is_refused(root: Caller, query: str) -> None:
    [error] = problem(root.get(f"clientes/?{query}"), "invalid")["errors"]
    assert error["in"] == "query" and error["field"] == query.partition("=")[0]


@pytest.mark.parametrize("ordering", ["createdAt", "-createdAt", "nome", "-nome"])
def test_pages_go_forth_and_back_without_losing_or_repeating(root: Caller, ordering: str) -> None:
    ids = [make_cliente(nome=f"Cliente {index // 4}").public_id for index in range(11)]
    url = f"clientes/?pageSize=3&ordering={ordering}"
    seen, pages = [], []
    while url:
        page = root.get(url).json()
        pages.append(page)
        seen += [each["id"] for each in page["results"]]
        url = page["next"]
    assert sorted(seen) == sorted(ids) and len(pages) == 4
    assert pages[0]["previous"] is None

    back = root.get(pages[-1]["previous"]).json()
    assert back["results"] == pages[-2]["results"]
    assert root.get(back["previous"]).json()["results"] == pages[-3]["results"]
    assert root.get(back["next"]).json()["results"] == pages[-1]["results"]


def test_a_list_costs_as_many_queries_for_one_as_for_many(
    caller: Callable[..., Caller],
) -> None:
    api = caller("clientes.view_cliente")
    api.get("clientes/")  # the token's use is noted once in a while
    counts = []
    for _more in range(2):
        make_cliente()
        make_cliente()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert api.get("clientes/").status_code == 200
        counts.append(len(queries))
    # The token with its user, the user's permissions and their groups', the page.
    assert counts == [4, 4]


# --- many at once -----------------------------------------------------------------------------
def test_a_batch_is_created_whole_each_with_its_event(root: Caller) -> None:
    batch = {"clientes": [{"nome": f"Cliente {number}"} for number in range(1000)]}
    with CaptureQueriesContext(connection) as queries:
        response = root.post("clientes/lote/", batch)

    assert response.status_code == 201
    answered = response.json()["clientes"]
    assert [each["nome"] for each in answered] == [each["nome"] for each in batch["clientes"]]
    assert Event.objects.filter(type="cliente.criado").count() == 1000
    assert set(Event.objects.values_list("subject", flat=True)) == {e["id"] for e in answered}
    assert Event.objects.filter(origin="api").count() == 1000
    if connection.vendor == "postgresql":
        assert len(queries) < 15


def test_a_batch_with_one_wrong_client_creates_none(root: Caller) -> None:
    make_cliente(documento="52998224725")
    batch = [
        {"nome": "Ana"},
        {"nome": "João", "documento": "529.982.247-25"},
        {"nome": "", "email": "x"},
        {"nome": "Um", "documento": "11.222.333/0001-81"},
        {"nome": "Outro", "documento": "11222333000181"},
        "Eva",
    ]
    errors = field_errors(root.post("clientes/lote/", {"clientes": batch}))

    assert set(errors) == {
        "clientes[1].documento",
        "clientes[2].nome",
        "clientes[2].email",
        "clientes[4].documento",
        "clientes[5]",
    }
    assert Cliente.objects.count() == 1 and names_told() == ["cliente.criado"]


@pytest.mark.parametrize("batch", [[], [{"nome": "Ana"}] * 1001, {"nome": "Ana"}, None])
def test_a_batch_has_one_to_a_thousand_clients(root: Caller, batch: object) -> None:
    assert list(field_errors(root.post("clientes/lote/", {"clientes": batch}))) == ["clientes"]
