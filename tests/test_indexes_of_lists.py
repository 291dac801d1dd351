"""Every filter and every order of every list is answered along an index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from rest_framework.request import Request

from api_common import filters
from api_common.pagination import KeysetPagination, Ranked
from chamados.api import ChamadoViewSet
from clientes.api import ClienteViewSet
from crm_common.api.views import RecordViewSet
from tarefas.api import TarefaViewSet
from tests.crm import make_cliente
from webhooks.api.deliveries import DeliveryFilters, DeliveryViewSet
from webhooks.api.events import EventFilters, EventViewSet
from webhooks.models import Delivery, Event

pytestmark = [pytest.mark.django_db, pytest.mark.postgres_only]

RECORDS: dict[str, type[RecordViewSet]] = {
    "clientes": ClienteViewSet,
    "tarefas": TarefaViewSet,
    "chamados": ChamadoViewSet,
}
# Of lists that grow without a bound; departments, users and webhooks are few.
LISTS: dict[str, tuple[Any, Any, Any]] = {
    **{
        name: (view.serializer_class.model.objects, view.filterset_class, view.orderings)
        for name, view in RECORDS.items()
    },
    "events": (Event.objects, EventFilters, EventViewSet.orderings),
    "deliveries": (Delivery.objects, DeliveryFilters, DeliveryViewSet.orderings),
}
MOMENT = "2024-01-01T10:00:00Z"
UUID = "018cc251-f400-7000-8000-000000000000"
VALUES = {
    "q": "silva",
    "email": "ana@example.com",
    "telefone": "11999999999",
    "documento": "52998224725",
    "naoPerturbe": "true",
    "vencidas": "true",
    "clienteId": "cliente_1",
    "departamentoId": "dept_1",
    "responsavelId": "usuario_1",
    "webhookId": UUID,
    "eventId": "evt_018cc251f4007000800000000000abcd",
    "origem": "Site",
}
# A few values that most rows share, and no list is asked for alone: a page of them is found on the
# way through the list's own order.
COMMON = {("tarefas", "prioridade"), ("chamados", "prioridade"), ("chamados", "status")}
# An order by place, not by value, has none: it is for lists that are filtered otherwise.


def asked() -> Iterator[tuple[str, str]]:
    for name, (_rows, filterset, _orderings) in LISTS.items():
        for filter in filterset.base_filters:
            if (name, filter) not in COMMON:
                yield name, filter


def orders() -> Iterator[tuple[str, str]]:
    for name, (_rows, _filterset, orderings) in LISTS.items():
        for ordering in orderings:
            if not isinstance(orderings[ordering], Ranked):
                yield name, ordering
                yield name, f"-{ordering}"


def value_of(filterset: Any, name: str) -> str:
    filter = filterset.base_filters[name]
    if isinstance(filter, filters.MomentFilter):
        return MOMENT
    if isinstance(filter, filters.ChoicesFilter):
        return str(next(iter(dict(filter.extra["choices"]))))
    return VALUES.get(name, "cliente.criado")


def plan(rows: Any) -> str:
    """How rows would be found if reading all of them, and sorting them, cost too much."""
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        for what in ("seqscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{what} = off")
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(line for (line,) in cursor.fetchall())


def request(**query: str) -> Request:
    return Request(RequestFactory().get(f"/?{urlencode(query)}"))


@pytest.mark.parametrize(("name", "filter"), list(asked()))
def test_no_filter_is_without_an_index(name: str, filter: str) -> None:
    rows, filterset, _orderings = LISTS[name]
    query = request(**{filter: value_of(filterset, filter)})
    found = plan(filters.apply(query, rows.all(), filterset).order_by())
    assert f"Seq Scan on {rows.model._meta.db_table}" not in found, found


@pytest.mark.parametrize(("name", "ordering"), list(orders()))
def test_no_order_is_without_an_index(name: str, ordering: str) -> None:
    rows, _filterset, orderings = LISTS[name]
    pages = KeysetPagination(request(ordering=ordering), orderings)
    found = plan(pages._in_order(rows.all(), backwards=False)[:51])
    assert "Seq Scan" not in found, found
    assert "->  Sort" not in found, found


@pytest.mark.parametrize("term", ["silva", "ANA@EXAMPLE", "99999999", "529982", "ação"])
def test_a_search_of_clients_in_the_admin_is_along_an_index(term: str) -> None:
    from django.contrib.admin import site

    from clientes.models import Cliente

    make_cliente()
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True)
    admin = site.get_model_admin(Cliente)
    found, _repeats = admin.get_search_results(request, Cliente.objects.all(), term)
    assert "cliente_words" in plan(found.order_by())
