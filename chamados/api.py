"""The help desk in the API."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import fields, filters
from api_common.describe import Named, Operation, object_of, page_of
from api_common.pagination import Ranked
from api_common.problems import Problem, django_problem, drf_errors
from crm_common.api import (
    PublicId,
    PublicIdFilter,
    RecordFilters,
    RecordSerializer,
    RecordViewSet,
    SearchFilter,
)
from crm_common.validators import MAX_TEXT_LENGTH
from webhooks import events

from .eventos import ChamadoEventos, RespostaEventos
from .models import Chamado, Departamento


class DepartamentoSerializer(RecordSerializer):
    model = Departamento
    # Departments tell nothing, so their record is only here.
    record = {
        "id": events.public_id(Departamento.PUBLIC_PREFIX),
        "nome": events.text("nome"),
        "descricao": events.text("descricao"),
        "createdAt": events.time("created_at"),
        "updatedAt": events.time("updated_at"),
    }

    nome = fields.Text()
    descricao = fields.Text(required=False)


class DepartamentoFilters(RecordFilters):
    q = SearchFilter("nome", "descricao")


class DepartamentoViewSet(RecordViewSet):
    acting = events.acting
    refusals = events.REFUSALS
    serializer_class = DepartamentoSerializer
    filterset_class = DepartamentoFilters
    orderings = {**RecordViewSet.orderings, "nome": "nome"}


class ChamadoSerializer(RecordSerializer):
    model = Chamado
    record = ChamadoEventos.record
    kept = ("status",)
    as_it_is = ("dataResolucao", "usuarioResolucao")

    titulo = fields.Text()
    descricao = fields.Text(required=False)
    status = fields.Choice(Chamado.Status.choices, required=False)
    prioridade = fields.Choice(Chamado.Prioridade.choices, required=False)
    departamentoId = PublicId("dept", Chamado, source="departamento_id")  # noqa: N815
    clienteId = PublicId("cliente", Chamado, source="cliente_id")  # noqa: N815


class ChamadoFilters(RecordFilters):
    q = SearchFilter("titulo", "descricao")
    status = filters.ChoicesFilter("status", choices=Chamado.Status.choices)
    prioridade = filters.ChoicesFilter("prioridade", choices=Chamado.Prioridade.choices)
    clienteId = PublicIdFilter("cliente_id", prefix="cliente")  # noqa: N815
    departamentoId = PublicIdFilter("departamento_id", prefix="dept")  # noqa: N815
    dataResolucaoSince = filters.MomentFilter("data_resolucao", lookup_expr="gte")  # noqa: N815
    dataResolucaoUntil = filters.MomentFilter("data_resolucao", lookup_expr="lt")  # noqa: N815


class RespostaSerializer(fields.Body):
    """What a reply's body may say."""

    record: ClassVar[Any] = RespostaEventos.record

    mensagem = fields.Text()

    @classmethod
    def answer_schema(cls) -> Named:
        """JSON Schema of `represent`."""
        properties = {key: value.schema for key, value in cls.record.items()}
        return Named("Resposta", object_of(properties))

    @classmethod
    def body_schema(cls) -> Named:
        """JSON Schema of what is sent."""
        mensagem = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_LENGTH}
        return Named("RespostaBody", object_of({"mensagem": mensagem}))

    @classmethod
    def represent(cls, resposta: Any) -> dict[str, Any]:
        return {key: value.read(resposta) for key, value in cls.record.items()}


class ChamadoViewSet(RecordViewSet):
    acting = events.acting
    refusals = events.REFUSALS
    serializer_class = ChamadoSerializer
    filterset_class = ChamadoFilters
    orderings = {
        **RecordViewSet.orderings,
        "dataResolucao": "data_resolucao",
        "prioridade": Ranked("prioridade", Chamado.Prioridade),
        "status": Ranked("status", Chamado.Status),
        "titulo": "titulo",
    }
    action_permissions = {
        "resolver": ["chamados.view_chamado", "chamados.change_chamado"],
        "responder": ["chamados.view_chamado", "chamados.add_resposta"],
        "respostas": ["chamados.view_chamado", "chamados.view_resposta"],
    }

    descriptions = {
        "resolver": Operation(
            summary=_("Mark a ticket as resolved"),
            description=_("By the caller; who resolved it before stays."),
            answer=ChamadoSerializer.answer_schema(),
            tagged=True,
            changes=True,
        ),
        "responder": Operation(
            summary=_("Reply to a ticket"),
            description=_("In the caller's name."),
            body=RespostaSerializer.body_schema(),
            answer=RespostaSerializer.answer_schema(),
            status=201,
            changes=True,
        ),
        "respostas": Operation(
            summary=_("List a ticket's replies"),
            answer=page_of(RespostaSerializer.answer_schema()),
            orderings=["respondidoEm"],
        ),
    }

    def before_save(self, instance: Chamado) -> None:
        if instance.status == Chamado.Status.RESOLVIDO and instance.data_resolucao is None:
            instance.usuario_resolucao = self.request.user

    @action(detail=True, methods=["post"])
    def resolver(self, request: Request, public_id: str) -> Response:
        """Mark the ticket as resolved by the caller; who resolved it before stays."""
        chamado = self.record(public_id, to_change=True)
        chamado.resolver(request.user)
        return self.changed(chamado)

    @action(detail=True, methods=["post"])
    def responder(self, request: Request, public_id: str) -> Response:
        """Add a reply, in the caller's name."""
        body = RespostaSerializer(data=request.data)
        if not body.is_valid():
            raise Problem("invalid", errors=drf_errors(body.errors))
        chamado = self.record(public_id, to_change=True)
        try:
            resposta = chamado.responder(request.user, body.validated_data["mensagem"])
        except ValidationError as error:
            raise django_problem(error) from error
        return Response(RespostaSerializer.represent(resposta), status=201)

    @action(detail=True, methods=["get"])
    def respostas(self, request: Request, public_id: str) -> Response:
        """The ticket's replies, the newest first."""
        return self.page(
            self.record(public_id).respostas.all(),
            RespostaSerializer.represent,
            orderings={"respondidoEm": "pk"},
        )
