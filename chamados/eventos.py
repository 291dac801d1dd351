"""What the help desk tells (seed 004, "Eventos de Helpdesk")."""

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from webhooks import events

from .models import Chamado, Resposta

AREA = _("Help desk")


@events.register(Chamado)
class ChamadoEventos(events.ModelEvents):
    prefix = Chamado.PUBLIC_PREFIX
    area = AREA
    record = {
        "id": events.public_id(prefix),
        "titulo": events.text("titulo"),
        "descricao": events.text("descricao"),
        "status": events.choice("status", Chamado.Status),
        "prioridade": events.choice("prioridade", Chamado.Prioridade),
        "departamentoId": events.public_id("dept", "departamento_id"),
        "clienteId": events.public_id("cliente", "cliente_id"),
        "dataResolucao": events.time("data_resolucao", null=True),
        "tempoResolucao": events.text("tempo_resolucao", null=True),
        "usuarioResolucao": events.public_id("usuario", "usuario_resolucao_id", null=True),
        "createdAt": events.time("created_at"),
        "updatedAt": events.time("updated_at"),
    }
    # The time to resolution follows from the dates, which are told.
    untracked = (*events.ModelEvents.untracked, "tempoResolucao")
    created = events.Told(
        "chamado.aberto",
        (
            "id",
            "titulo",
            "descricao",
            "status",
            "prioridade",
            "departamentoId",
            "clienteId",
            "createdAt",
        ),
        description=_("A new ticket was opened."),
        example={
            "id": "chamado_123",
            "titulo": "Problema no sistema",
            "descricao": "O sistema não está funcionando",
            "status": "ABERTO",
            "prioridade": "URGENTE",
            "departamentoId": "dept_123",
            "clienteId": "cliente_123",
            "createdAt": "2024-01-01T10:00:00Z",
        },
    )
    updated = events.Told(
        "chamado.atualizado",
        ("id", "status", "updatedAt", "alteracoes"),
        description=_("A ticket changed."),
        example={
            "id": "chamado_123",
            "status": "EM_ANDAMENTO",
            "updatedAt": "2024-01-01T10:00:00Z",
            "alteracoes": {"status": {"anterior": "ABERTO", "novo": "EM_ANDAMENTO"}},
        },
    )
    # Not in the seed; told since tickets also go when their client does.
    deleted = events.Told(
        "chamado.excluido",
        ("id", "titulo", ("excluidoEm", events.moment())),
        description=_("A ticket was deleted, by itself or with its client."),
        example={
            "id": "chamado_123",
            "titulo": "Problema no sistema",
            "excluidoEm": "2024-01-01T10:00:00Z",
        },
    )
    transitions = (
        events.Told(
            "chamado.resolvido",
            # The date is never null here (chamado_resolved_has_its_date).
            (
                "id",
                ("dataResolucao", events.time("data_resolucao")),
                ("tempoResolucao", events.text("tempo_resolucao")),
                "usuarioResolucao",
            ),
            description=_("A ticket was marked as resolved."),
            when=events.became("status", Chamado.Status.RESOLVIDO),
            example={
                "id": "chamado_123",
                "dataResolucao": "2024-01-01T10:00:00Z",
                "tempoResolucao": "4h 15m",
                "usuarioResolucao": "usuario_123",
            },
        ),
    )

    def data_subject(self, instance: Model) -> str:
        return f"cliente_{instance.cliente_id}"  # type: ignore[attr-defined]


@events.register(Resposta)
class RespostaEventos(events.ModelEvents):
    prefix = Resposta.PUBLIC_PREFIX
    area = AREA
    record = {
        "chamadoId": events.public_id("chamado", "chamado_id"),
        "respostaId": events.public_id(prefix),
        "mensagem": events.text("mensagem"),
        "usuarioId": events.public_id("usuario", "usuario_id", null=True),
        "respondidoEm": events.time("created_at"),
    }
    created = events.Told(
        "chamado.respondido",
        ("chamadoId", "respostaId", "mensagem", "usuarioId", "respondidoEm"),
        description=_("A reply was added to a ticket."),
        example={
            "chamadoId": "chamado_123",
            "respostaId": "resposta_123",
            "mensagem": "Estamos verificando o problema",
            "usuarioId": "usuario_123",
            "respondidoEm": "2024-01-01T10:00:00Z",
        },
    )

    def subject(self, instance: Model) -> str:
        """The ticket: a reply is something that happens to it."""
        return f"chamado_{instance.chamado_id}"  # type: ignore[attr-defined]

    def data_subject(self, instance: Model) -> str:
        """The ticket's client: one query, since a reply's row names its ticket only."""
        return f"cliente_{instance.chamado.cliente_id}"  # type: ignore[attr-defined]
