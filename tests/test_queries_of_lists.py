"""No list asks the database once more for each of its rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from api_common import tokens
from chamados.models import Departamento, Resposta
from tests.api.conftest import Caller
from tests.crm import make_chamado, make_cliente, make_tarefa
from tests.webhooks.makers import a_delivery, a_tally, a_webhook, ago, an_attempt, an_event
from webhooks import audit
from webhooks.api import rd_station
from webhooks.models import BulkJob, Delivery, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def somebody(number: int) -> User:
    return User.objects.create_user(f"user{User.objects.count()}-{number}", is_staff=True)


# --- rows, each with others of its own --------------------------------------------------------
def a_cliente(number: int) -> None:
    make_cliente(nome=f"Ana {number}", telefone="(11) 99999-9999", etiquetas=["VIP"])


def a_tarefa(number: int) -> None:
    make_tarefa(cliente=make_cliente(), responsavel=somebody(number), status="CONCLUIDA")


def a_chamado(number: int) -> None:
    chamado = make_chamado(departamento=Departamento.objects.create(nome=f"Setor {number}"))
    Resposta.objects.create(chamado=chamado, mensagem="Oi", usuario=somebody(number))
    chamado.usuario_resolucao = somebody(number)
    chamado.change_status("RESOLVIDO")


def an_api_token(number: int) -> None:
    tokens.create(somebody(number), "test")


def a_busy_webhook(number: int) -> None:
    webhook = a_webhook(name=f"ERP {number}", owner=somebody(number), failing_since=ago(hours=1))
    a_tally(webhook, failures=1, took=[5])
    an_attempt(a_delivery(webhook, last_error="status"))
    a_delivery(webhook, status=Delivery.Status.PENDING)


def a_retried_delivery(number: int) -> None:
    """It waits, and its receiver said how long."""
    delivery = a_delivery(
        a_webhook(),
        an_event(subject=make_cliente().public_id),
        status=Delivery.Status.PENDING,
        at=timezone.now() + timedelta(hours=1),
        schedule_position=1,
        attempt_count=1,
        fence=1,
        last_error="status",
    )
    an_attempt(delivery)
    an_attempt(delivery, number=2, response_headers={"retry-after": "3600"})


def any_delivery(number: int) -> None:
    a_retried_delivery(number)
    for status in Delivery.Status.values:
        a_delivery(a_webhook(), an_event(subject=make_cliente().public_id), status=status)


def a_job(number: int) -> None:
    BulkJob.objects.create(chosen={}, user=somebody(number), total=1, rate=1, until_id=1)


def an_entry(number: int) -> None:
    audit.record(audit.Action.PAUSED, subject=audit.of(a_webhook()))


LISTS: dict[str, Callable[[int], Any]] = {
    "/api/v1/chamados/": a_chamado,
    "/api/v1/clientes/": a_cliente,
    "/api/v1/deliveries/": any_delivery,
    "/api/v1/departamentos/": a_chamado,
    "/api/v1/event-types/": a_cliente,
    "/api/v1/events/": a_retried_delivery,
    "/api/v1/tarefas/": a_tarefa,
    "/api/v1/usuarios/": somebody,
    "/api/v1/webhooks/": a_busy_webhook,
    "/integrations/webhooks": lambda number: a_webhook(
        format="rd-station", events=[next(iter(rd_station.TYPES.values()))]
    ),
    "/admin/": any_delivery,
    "/admin/api_common/token/": an_api_token,
    "/admin/auth/user/": somebody,
    "/admin/chamados/chamado/": a_chamado,
    "/admin/chamados/departamento/": a_chamado,
    "/admin/clientes/cliente/": a_cliente,
    "/admin/tarefas/tarefa/": a_tarefa,
    "/admin/webhooks/auditentry/": an_entry,
    "/admin/webhooks/delivery/": any_delivery,
    "/admin/webhooks/event/": a_retried_delivery,
    "/admin/webhooks/bulkjob/": a_job,
    "/admin/webhooks/webhook/": a_busy_webhook,
}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_fifty_takes_as_many_queries_as_one_of_five(
    path: str, admin_client: Client
) -> None:
    ask = admin_client.get if "/admin/" in path else Caller(somebody(0)).get
    if "/admin/" not in path:
        User.objects.update(is_superuser=True)

    def queries(rows: int) -> list[str]:
        for number in range(rows, 2 * rows):  # no name twice
            LISTS[path](number)
        ask(path)  # what is read once, such as content types
        with CaptureQueriesContext(
            connection,
        ) as found:
            response = ask(path)
        assert response.status_code == 200, response.content[:300]
        return [query["sql"] for query in found]

    few, many = queries(5), queries(45)
    assert len(many) == len(few), "\n".join(sql[:300] for sql in many)


def test_a_list_says_what_each_retried_delivery_waits_for(db: None) -> None:
    caller = Caller(User.objects.create_superuser("root"))
    for number in range(3):
        a_retried_delivery(number)
    Webhook.objects.update(hold_until=None)
    found = caller.get("deliveries/").json()["results"]
    assert len(found) == 3
    for each in found:
        assert each["waitingFor"].endswith("The receiver asked for 1 h.")
