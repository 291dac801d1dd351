"""Tasks in the API."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import fields, filters
from api_common.describe import Operation
from api_common.pagination import Ranked
from crm_common.api import (
    PublicId,
    PublicIdFilter,
    RecordFilters,
    RecordSerializer,
    RecordViewSet,
    SearchFilter,
)
from webhooks import events

from .eventos import TarefaEventos
from .models import Tarefa


class TarefaSerializer(RecordSerializer):
    model = Tarefa
    record = TarefaEventos.record
    kept = ("status",)
    as_it_is = ("dataConclusao",)

    titulo = fields.Text()
    descricao = fields.Text(required=False)
    status = fields.Choice(Tarefa.Status.choices, required=False)
    prioridade = fields.Choice(Tarefa.Prioridade.choices, required=False)
    dataVencimento = fields.Moment(  # noqa: N815
        required=False, allow_null=True, source="data_vencimento"
    )
    clienteId = PublicId(  # noqa: N815
        "cliente", Tarefa, required=False, allow_null=True, source="cliente_id"
    )
    responsavelId = PublicId(  # noqa: N815
        "usuario", Tarefa, required=False, allow_null=True, source="responsavel_id"
    )


class OverdueFilter(filters.BooleanFilter):
    """`?vencidas=true`: still to be done though due before now."""

    help_text = _("Whether it is still to be done though it was due before now.")

    def filter(self, qs: Any, value: bool | None) -> Any:
        if value is None:
            return qs
        overdue = Tarefa.objects.vencidas()
        return qs.filter(pk__in=overdue) if value else qs.exclude(pk__in=overdue)


class TarefaFilters(RecordFilters):
    q = SearchFilter("titulo", "descricao")
    status = filters.ChoicesFilter("status", choices=Tarefa.Status.choices)
    prioridade = filters.ChoicesFilter("prioridade", choices=Tarefa.Prioridade.choices)
    clienteId = PublicIdFilter("cliente_id", prefix="cliente")  # noqa: N815
    responsavelId = PublicIdFilter("responsavel_id", prefix="usuario")  # noqa: N815
    dataVencimentoSince = filters.MomentFilter(  # noqa: N815
        "data_vencimento", lookup_expr="gte"
    )
    dataVencimentoUntil = filters.MomentFilter(  # noqa: N815
        "data_vencimento", lookup_expr="lt"
    )
    vencidas = OverdueFilter("pk")


class TarefaViewSet(RecordViewSet):
    acting = events.acting
    refusals = events.REFUSALS
    serializer_class = TarefaSerializer
    filterset_class = TarefaFilters
    orderings = {
        **RecordViewSet.orderings,
        "dataVencimento": "data_vencimento",
        "prioridade": Ranked("prioridade", Tarefa.Prioridade),
        "status": Ranked("status", Tarefa.Status),
        "titulo": "titulo",
    }
    action_permissions = {"concluir": ["tarefas.view_tarefa", "tarefas.change_tarefa"]}
    descriptions = {
        "concluir": Operation(
            summary=_("Mark a task as done"),
            description=_("One that is done already stays as it is."),
            answer=TarefaSerializer.answer_schema(),
            tagged=True,
            changes=True,
        )
    }

    @action(detail=True, methods=["post"])
    def concluir(self, request: Request, public_id: str) -> Response:
        """Mark the task as done; one that is done already stays as it is."""
        tarefa = self.record(public_id, to_change=True)
        tarefa.concluir()
        return self.changed(tarefa)
