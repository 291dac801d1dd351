"""Tasks, tickets, their replies and departments over the API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chamados.api import DepartamentoSerializer
from chamados.eventos import ChamadoEventos, RespostaEventos
from chamados.models import Chamado, Departamento, Resposta
from tarefas.eventos import TarefaEventos
from tarefas.models import Tarefa
from tests.api.conftest import Caller, field_errors, problem
from tests.crm import forget, make_chamado, make_cliente, make_tarefa, make_user, names_told, told

pytestmark = pytest.mark.django_db


# --- tasks ------------------------------------------------------------------------------------
def test_a_task_is_answered_as_its_events_tell_it(root: Caller) -> None:
    client, ana = make_cliente(), make_user("ana")
    forget()
    body = {
        "titulo": "Configurar sistema",
        "descricao": "Configurar o sistema CRM",
        "prioridade": "ALTA",
        "dataVencimento": "2024-01-05T07:00:00-03:00",
        "clienteId": client.public_id,
        "responsavelId": f"usuario_{ana.pk}",
    }
    answer = root.post("tarefas/", body).json()

    assert list(answer) == list(TarefaEventos.record)
    assert answer["dataVencimento"] == "2024-01-05T10:00:00Z" and answer["status"] == "PENDENTE"
    assert {k: answer[k] for k in body if k != "dataVencimento"} == {
        k: v for k, v in body.items() if k != "dataVencimento"
    }
    [(name, data)] = told()
    assert name == "tarefa.criada" and data == {key: answer[key] for key in data}


def test_concluding_a_task_tells_it_once_however_often_asked(root: Caller) -> None:
    path = f"tarefas/{make_tarefa().public_id}/"
    forget()
    first = root.post(path + "concluir/")
    second = root.post(path + "concluir/")

    assert first.status_code == second.status_code == 200
    assert first.json()["status"] == "CONCLUIDA" and first.json()["dataConclusao"]
    assert first.json() == second.json() == root.get(path).json()
    assert names_told() == ["tarefa.atualizada", "tarefa.concluida"]


def test_a_status_that_may_not_follow_is_a_conflict_that_says_what_may(root: Caller) -> None:
    path = f"tarefas/{make_tarefa(status='CANCELADA').public_id}/"
    for response in (
        root.post(path + "concluir/"),
        root.patch(path, {"status": "CONCLUIDA"}),
    ):
        data = problem(response, "conflict")
        assert "PENDENTE" in data["detail"]
        assert [(e["field"], e["code"]) for e in data["errors"]] == [
            ("status", "invalid_transition")
        ]
    assert root.patch(path, {"status": "PENDENTE"}).status_code == 200


def test_put_leaves_a_status_that_it_does_not_name(root: Caller) -> None:
    path = f"tarefas/{make_tarefa(status='EM_ANDAMENTO').public_id}/"
    assert root.put(path, {"titulo": "Outra"}).json()["status"] == "EM_ANDAMENTO"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"titulo": ""}, "titulo"),
        ({"status": "FEITA"}, "status"),
        ({"prioridade": 1}, "prioridade"),
        ({"dataVencimento": "amanhã"}, "dataVencimento"),
        ({"dataVencimento": "2024-01-05"}, "dataVencimento"),
        ({"dataVencimento": "2024-01-05T10:00:00"}, "dataVencimento"),
        ({"dataVencimento": "9999-12-31T23:59:59-23:59"}, "dataVencimento"),
        ({"dataVencimento": 5}, "dataVencimento"),
        ({"clienteId": "cliente_999"}, "clienteId"),
        ({"clienteId": "tarefa_1"}, "clienteId"),
        ({"clienteId": 1}, "clienteId"),
        ({"responsavelId": "usuario_999"}, "responsavelId"),
    ],
)
def test_what_is_no_task_is_refused(root: Caller, changes: dict[str, Any], where: str) -> None:
    response = root.post("tarefas/", {"titulo": "Ligar", **changes})
    assert list(field_errors(response)) == [where]


def test_tasks_are_found_by_what_people_ask_for(root: Caller) -> None:
    client = make_cliente()
    yesterday = timezone.now() - timedelta(days=1)
    late = make_tarefa(titulo="Ligar", cliente=client, data_vencimento=yesterday)
    done = make_tarefa(titulo="Pagar", status="CONCLUIDA", prioridade="ALTA")
    done.responsavel = make_user("ana")
    done.save()

    def found(query: str) -> list[str]:
        response = root.get(f"tarefas/?{query}")
        assert response.status_code == 200, response.json()
        return [each["titulo"] for each in response.json()["results"]]

    assert found(f"clienteId={client.public_id}") == ["Ligar"]
    assert found(f"responsavelId=usuario_{done.responsavel_id}") == ["Pagar"]
    assert found("status=CONCLUIDA") == ["Pagar"]
    assert found("status=PENDENTE,CONCLUIDA") == ["Pagar", "Ligar"]
    assert found("prioridade=ALTA") == ["Pagar"]
    assert found("vencidas=true") == ["Ligar"]
    assert found("vencidas=false") == ["Pagar"]
    assert found("dataVencimentoUntil=2999-01-01T00:00:00Z") == ["Ligar"]
    assert found("q=LIG") == ["Ligar"]
    assert late.public_id == root.get("tarefas/?ordering=dataVencimento").json()["results"][0]["id"]
    [error] = problem(root.get("tarefas/?status=FEITA"), "invalid")["errors"]
    assert "PENDENTE" in error["detail"]
    for query in ("clienteId=nada", "clienteId=usuario_1", "responsavelId="):
        [error] = problem(root.get(f"tarefas/?{query}"), "invalid")["errors"]
        assert error["field"] == query.partition("=")[0]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("ordering", "values"),
    [
        ("prioridade", ["BAIXA", "MEDIA", "ALTA", "URGENTE"]),
        ("status", ["PENDENTE", "EM_ANDAMENTO", "CONCLUIDA", "CANCELADA"]),
    ],
)
def test_what_has_a_rank_is_ordered_by_it_and_not_by_the_alphabet(
    root: Caller, ordering: str, values: list[str]
) -> None:
    for value in sorted(values):
        make_tarefa(**{ordering: value})
    for sign, expected in (("", values), ("-", values[::-1])):
        page = root.get(f"tarefas/?pageSize=3&ordering={sign}{ordering}").json()
        rest = root.get(page["next"]).json()
        assert [each[ordering] for each in page["results"] + rest["results"]] == expected
        assert root.get(rest["previous"]).json()["results"] == page["results"]


@pytest.mark.both_databases
@pytest.mark.parametrize("pk", [1, 10**30])
def test_a_cursor_of_a_rank_that_is_made_up_does_no_harm(root: Caller, pk: int) -> None:
    for value in (0, 10**30, "x", None):
        plain = json.dumps([value, pk, 0, "prioridade"]).encode()
        text = base64.urlsafe_b64encode(plain).decode().rstrip("=")
        response = root.get(f"tarefas/?ordering=prioridade&cursor={text}")
        assert response.status_code in (200, 400)


def test_a_task_keeps_the_date_that_follows_from_its_status(root: Caller) -> None:
    path = f"tarefas/{make_tarefa(status='CONCLUIDA').public_id}/"
    done = root.get(path).json()
    for date in (None, "2024-01-01T00:00:00Z"):
        errors = field_errors(root.patch(path, {"dataConclusao": date}))
        assert list(errors) == ["dataConclusao"] and done["dataConclusao"] in str(errors)
    assert root.put(path, done).status_code == 200
    reopened = root.put(path, {**done, "status": "EM_ANDAMENTO"}).json()
    assert reopened["dataConclusao"] is None

    new = {"titulo": "Ligar", "status": "CONCLUIDA", "dataConclusao": "2024-01-01T00:00:00Z"}
    assert list(field_errors(root.post("tarefas/", new))) == ["dataConclusao"]
    assert root.post("tarefas/", {**new, "dataConclusao": None}).status_code == 201


@pytest.mark.parametrize("ordering", ["dataVencimento", "-dataVencimento", "prioridade", "-status"])
def test_pages_by_what_is_often_missing_or_equal_neither_lose_nor_repeat(
    root: Caller, ordering: str
) -> None:
    now = timezone.now()
    for index in range(10):
        due = now + timedelta(days=index // 2) if index % 2 else None
        make_tarefa(titulo=str(index), data_vencimento=due, prioridade=["ALTA", "BAIXA"][index % 2])
    url = f"tarefas/?pageSize=3&ordering={ordering}"
    pages = []
    while url:
        pages.append(root.get(url).json())
        url = pages[-1]["next"]
    seen = [each["titulo"] for page in pages for each in page["results"]]
    assert sorted(seen) == sorted(map(str, range(10)))
    if "dataVencimento" in ordering:  # what has no date comes last, either way
        assert {int(title) % 2 for title in seen[:5]} == {1}

    back, url = [], pages[-1]["previous"]
    while url:
        page = root.get(url).json()
        back.append(page["results"])
        url = page["previous"]
    assert back == [page["results"] for page in reversed(pages[:-1])]


# --- tickets ----------------------------------------------------------------------------------
def test_a_ticket_is_opened_answered_and_resolved(root: Caller) -> None:
    client, department = make_cliente(), Departamento.objects.create(nome="Suporte")
    forget()
    body = {
        "titulo": "Problema no sistema",
        "prioridade": "URGENTE",
        "departamentoId": department.public_id,
        "clienteId": client.public_id,
    }
    response = root.post("chamados/", body)
    ticket = response.json()
    assert list(ticket) == list(ChamadoEventos.record)
    path = response["Location"]

    reply = root.post(path + "responder/", {"mensagem": "Estamos verificando"})
    assert reply.status_code == 201
    assert list(reply.json()) == list(RespostaEventos.record)
    assert reply.json()["usuarioId"] == f"usuario_{root.user.pk}"
    assert root.get(path + "respostas/").json()["results"] == [reply.json()]

    resolved = root.post(path + "resolver/").json()
    assert resolved["status"] == "RESOLVIDO"
    assert resolved["usuarioResolucao"] == f"usuario_{root.user.pk}"
    assert root.post(path + "resolver/").json() == resolved
    events = told(ticket["id"])
    assert [name for name, _data in events] == [
        "chamado.aberto",
        "chamado.respondido",
        "chamado.atualizado",
        "chamado.resolvido",
    ]
    assert events[0][1] == {key: ticket[key] for key in events[0][1]}
    assert events[1][1] == reply.json()
    assert events[3][1] == {key: resolved[key] for key in events[3][1]}


def test_who_sets_a_ticket_to_resolved_resolved_it(root: Caller) -> None:
    path = f"chamados/{make_chamado().public_id}/"
    answer = root.patch(path, {"status": "RESOLVIDO"}).json()
    assert answer["usuarioResolucao"] == f"usuario_{root.user.pk}"
    reopened = root.patch(path, {"status": "EM_ANDAMENTO"}).json()
    assert reopened["usuarioResolucao"] is None and reopened["dataResolucao"] is None


def test_a_closed_ticket_takes_no_reply(root: Caller) -> None:
    path = f"chamados/{make_chamado(status='FECHADO').public_id}/"
    detail = problem(root.post(path + "responder/", {"mensagem": "Olá"}), "conflict")["detail"]
    assert detail == "A closed ticket takes no replies: open a new one."
    problem(root.post(path + "resolver/"), "conflict")
    assert not Resposta.objects.exists()


def test_a_ticket_that_changed_meanwhile_is_not_replied_to(root: Caller) -> None:
    path = f"chamados/{make_chamado().public_id}/"
    tag = root.get(path)["ETag"]
    root.patch(path, {"status": "RESOLVIDO"})
    body = {"mensagem": "Olá"}
    problem(root.post(path + "responder/", body, if_match=tag), "changed-meanwhile")
    assert not Resposta.objects.exists()
    current = root.get(path)["ETag"]
    assert root.post(path + "responder/", body, if_match=current).status_code == 201


@pytest.mark.parametrize("body", [{}, {"mensagem": " "}, {"mensagem": "x" * 10_001}])
def test_a_reply_says_something_bounded(root: Caller, body: dict[str, str]) -> None:
    response = root.post(f"chamados/{make_chamado().public_id}/responder/", body)
    assert list(field_errors(response)) == ["mensagem"]


def test_replying_and_reading_replies_take_permissions_of_their_own(
    caller: Callable[..., Caller],
) -> None:
    path = f"chamados/{make_chamado().public_id}/"
    reader = caller("chamados.view_chamado", "chamados.change_chamado")
    assert (
        problem(reader.post(path + "responder/", {"mensagem": "x"}), "forbidden")["permission"]
        == "chamados.add_resposta"
    )
    assert (
        problem(reader.get(path + "respostas/"), "forbidden")["permission"]
        == "chamados.view_resposta"
    )
    changer = caller("chamados.change_chamado")
    assert (
        problem(changer.post(path + "resolver/"), "forbidden")["permission"]
        == "chamados.view_chamado"
    )
    writer = caller("chamados.view_chamado", "chamados.add_resposta")
    assert writer.post(path + "responder/", {"mensagem": "x"}).status_code == 201
    assert (
        problem(writer.post(path + "resolver/"), "forbidden")["permission"]
        == "chamados.change_chamado"
    )


def test_a_ticket_needs_its_client_and_department(root: Caller) -> None:
    errors = field_errors(root.post("chamados/", {"titulo": "x"}))
    assert set(errors) == {"clienteId", "departamentoId"}
    body = {"titulo": "x", "clienteId": None, "departamentoId": "dept_999"}
    assert set(field_errors(root.post("chamados/", body))) == {"clienteId", "departamentoId"}


# --- whom one may name ------------------------------------------------------------------------
def test_who_may_not_see_clients_or_users_does_not_learn_which_exist(
    caller: Callable[..., Caller],
) -> None:
    client, ana = make_cliente(), make_user("ana")
    kept = make_tarefa(cliente=client, responsavel=ana)
    own = ["tarefas.add_tarefa", "tarefas.change_tarefa", "tarefas.view_tarefa"]
    api = caller(*own)
    for body, needed in (
        ({"clienteId": client.public_id}, "clientes.view_cliente"),
        ({"clienteId": "cliente_999"}, "clientes.view_cliente"),
        ({"responsavelId": f"usuario_{ana.pk}"}, "auth.view_user"),
        ({"responsavelId": "usuario_999"}, "auth.view_user"),
    ):
        response = api.post("tarefas/", {"titulo": "Ligar", **body})
        assert problem(response, "forbidden")["permission"] == needed
    # What is stored is no news.
    path = f"tarefas/{kept.public_id}/"
    assert api.put(path, api.get(path).json()).status_code == 200
    assert api.patch(path, {"responsavelId": None}).status_code == 200
    seer = caller(*own, "clientes.view_cliente", "auth.view_user")
    body = {"clienteId": client.public_id, "responsavelId": f"usuario_{ana.pk}"}
    assert seer.post("tarefas/", {"titulo": "Ligar", **body}).status_code == 201


# --- departments ------------------------------------------------------------------------------
def test_departments_are_kept_like_the_rest(root: Caller) -> None:
    created = root.post("departamentos/", {"nome": "Suporte"}).json()
    assert list(created) == list(DepartamentoSerializer.record)
    assert "nome" in field_errors(root.post("departamentos/", {"nome": "Suporte"}))
    path = f"departamentos/{created['id']}/"
    assert root.patch(path, {"descricao": "Ajuda"}).json()["descricao"] == "Ajuda"
    assert root.get("departamentos/?q=supo").json()["results"][0]["id"] == created["id"]
    assert root.delete(path).status_code == 204


def test_a_department_with_tickets_is_not_deleted(root: Caller) -> None:
    ticket = make_chamado()
    response = root.delete(f"departamentos/{ticket.departamento.public_id}/")
    assert "tickets" in problem(response, "in-use")["detail"]
    assert Departamento.objects.exists() and Chamado.objects.exists()


# --- users ------------------------------------------------------------------------------------
def test_users_are_found_to_give_tasks_to(caller: Callable[..., Caller]) -> None:
    ana = make_user("ana")
    User.objects.filter(pk=ana.pk).update(first_name="Ana", last_name="Souza")
    User.objects.create_user("rui", is_active=False)
    api = caller("auth.view_user")
    expected = {"id": f"usuario_{ana.pk}", "nome": "Ana Souza", "ativo": True}

    assert api.get("usuarios/?q=souza").json()["results"] == [expected]
    assert api.get(f"usuarios/usuario_{ana.pk}/").json() == expected
    assert [each["nome"] for each in api.get("usuarios/?ativo=false").json()["results"]] == ["rui"]
    for id in ("usuario_999", "cliente_1", "x"):
        problem(api.get(f"usuarios/{id}/"), "not-found")
    problem(api.post("usuarios/", {"nome": "x"}), "method-not-allowed")
    for path in ("usuarios/", f"usuarios/usuario_{ana.pk}/"):
        refused = problem(caller("tarefas.view_tarefa").get(path), "forbidden")
        assert refused["permission"] == "auth.view_user"


# --- costs ------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["tarefas", "chamados", "departamentos"])
def test_lists_and_details_cost_a_constant_number_of_queries(
    caller: Callable[..., Caller], path: str
) -> None:
    permission = {"tarefas": "tarefas.view_tarefa"}.get(path, f"chamados.view_{path[:-1]}")
    api = caller(permission)
    first: Any = {
        "tarefas": lambda: make_tarefa(cliente=make_cliente(), responsavel=api.user),
        "chamados": make_chamado,
        "departamentos": lambda: Departamento.objects.create(nome=str(timezone.now())),
    }[path]
    record = first()
    api.get(f"{path}/")
    counts = []
    for _round in range(2):
        first()
        for address in (f"{path}/", f"{path}/{record.public_id}/"):
            with CaptureQueriesContext(connection) as queries:
                assert api.get(address).status_code == 200
            counts.append(len(queries))
    assert counts == [4, 4, 4, 4]


def test_a_deleted_responsible_leaves_the_task(root: Caller) -> None:
    ana = make_user("ana")
    task = make_tarefa(responsavel=ana)
    User.objects.filter(pk=ana.pk).delete()
    assert root.get(f"tarefas/{task.public_id}/").json()["responsavelId"] is None
    assert Tarefa.objects.exists()
