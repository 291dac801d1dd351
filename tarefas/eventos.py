"""What tasks tell (seed 004, "Eventos de Tarefas")."""

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from webhooks import events

from .models import Tarefa


@events.register(Tarefa)
class TarefaEventos(events.ModelEvents):
    prefix = Tarefa.PUBLIC_PREFIX
    area = _("Tasks")
    record = {
        "id": events.public_id(prefix),
        "titulo": events.text("titulo"),
        "descricao": events.text("descricao"),
        "status": events.choice("status", Tarefa.Status),
        "prioridade": events.choice("prioridade", Tarefa.Prioridade),
        "dataVencimento": events.time("data_vencimento", null=True),
        "clienteId": events.public_id("cliente", "cliente_id", null=True),
        "responsavelId": events.public_id("usuario", "responsavel_id", null=True),
        "dataConclusao": events.time("data_conclusao", null=True),
        "tempoTotal": events.text("tempo_total", null=True),
        "createdAt": events.time("created_at"),
        "updatedAt": events.time("updated_at"),
    }
    # The total time follows from the dates, which are told.
    untracked = (*events.ModelEvents.untracked, "tempoTotal")
    created = events.Told(
        "tarefa.criada",
        (
            "id",
            "titulo",
            "descricao",
            "status",
            "prioridade",
            "dataVencimento",
            "clienteId",
            "createdAt",
        ),
        description=_("A new task was created."),
        example={
            "id": "tarefa_123",
            "titulo": "Configurar sistema",
            "descricao": "Configurar o sistema CRM",
            "status": "PENDENTE",
            "prioridade": "ALTA",
            "dataVencimento": "2024-01-05T10:00:00Z",
            "clienteId": "cliente_123",
            "createdAt": "2024-01-01T10:00:00Z",
        },
    )
    updated = events.Told(
        "tarefa.atualizada",
        ("id", "titulo", "status", "prioridade", "updatedAt", "alteracoes"),
        description=_("A task changed."),
        example={
            "id": "tarefa_123",
            "titulo": "Configurar sistema",
            "status": "EM_ANDAMENTO",
            "prioridade": "ALTA",
            "updatedAt": "2024-01-01T10:00:00Z",
            "alteracoes": {"status": {"anterior": "PENDENTE", "novo": "EM_ANDAMENTO"}},
        },
    )
    # Not in the seed; told since tasks also go when their client does.
    deleted = events.Told(
        "tarefa.excluida",
        ("id", "titulo", ("excluidoEm", events.moment())),
        description=_("A task was deleted, by itself or with its client."),
        example={
            "id": "tarefa_123",
            "titulo": "Configurar sistema",
            "excluidoEm": "2024-01-01T10:00:00Z",
        },
    )
    transitions = (
        events.Told(
            "tarefa.concluida",
            # Never null here: a task that is done has its date (tarefa_done_has_its_date).
            (
                "id",
                "titulo",
                ("dataConclusao", events.time("data_conclusao")),
                ("tempoTotal", events.text("tempo_total")),
            ),
            description=_("A task was marked as done."),
            when=events.became("status", Tarefa.Status.CONCLUIDA),
            example={
                "id": "tarefa_123",
                "titulo": "Configurar sistema",
                "dataConclusao": "2024-01-01T10:00:00Z",
                "tempoTotal": "2h 30m",
            },
        ),
    )

    def data_subject(self, instance: Model) -> str:
        client_id = instance.cliente_id  # type: ignore[attr-defined]
        return "" if client_id is None else f"cliente_{client_id}"
