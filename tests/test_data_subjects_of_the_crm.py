"""Whose personal data each event of the CRM says that it tells."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chamados.models import Resposta
from tests.crm import forget, make_chamado, make_cliente, make_tarefa
from webhooks import catalog, events
from webhooks.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def whose() -> set[tuple[str, str]]:
    return set(Event.objects.values_list("type", "data_subject"))


def test_everything_about_a_client_is_marked_with_the_client() -> None:
    client = make_cliente()
    make_tarefa(cliente=client)
    ticket = make_chamado(cliente=client)
    Resposta.objects.create(chamado=ticket, mensagem="Estamos verificando")
    client.nome = "Maria"
    client.save()
    client.delete()
    told = whose()
    assert {subject for _type, subject in told} == {f"cliente_{ticket.cliente_id}"}
    assert {name for name, _subject in told} >= {
        "cliente.criado",
        "cliente.atualizado",
        "cliente.excluido",
        "tarefa.criada",
        "tarefa.excluida",
        "chamado.aberto",
        "chamado.respondido",
        "chamado.excluido",
    }


def test_a_task_of_no_client_is_marked_with_nobody() -> None:
    make_tarefa()
    assert whose() == {("tarefa.criada", "")}


def test_what_is_no_row_is_marked_as_said() -> None:
    [name] = [each.name for each in catalog.all_types() if each.name == "webhook.teste"]
    events.emit(name, data={}, subject="conversa_1", data_subject="cliente_7")
    assert whose() == {(name, "cliente_7")}


def test_a_replys_client_costs_one_query_and_the_other_rows_none() -> None:
    ticket = make_chamado()
    client = ticket.cliente

    def tickets_read(save: Any) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            save()
        return sum(
            "chamados_chamado" in query["sql"] and query["sql"].startswith("SELECT")
            for query in queries
        )

    forget()
    reply = Resposta(chamado_id=ticket.pk, mensagem="Oi")
    assert tickets_read(reply.save) == 1
    assert tickets_read(lambda: make_tarefa(cliente_id=client.pk)) == 0
    assert tickets_read(client.save) == 0
