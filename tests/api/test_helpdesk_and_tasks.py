"""Tasks, tickets, their replies and departments over the API."""

from __future__ import annotations

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
    assert found("clienteId=nada") == []
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
    errors = field_errors(root.post(path + "responder/", {"mensagem": "Olá"}))
    assert errors == {"": "A closed ticket takes no replies: open a new one."}
    problem(root.post(path + "resolver/"), "conflict")
    assert not Resposta.objects.exists()


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
