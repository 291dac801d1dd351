"""What clients tell (seed 004, "Eventos de Clientes")."""

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from webhooks import events

from .models import Cliente


@events.register(Cliente)
class ClienteEventos(events.ModelEvents):
    prefix = Cliente.PUBLIC_PREFIX
    area = _("Clients")
    # What is not known of a client is null, never "".
    record = {
        "id": events.public_id(prefix),
        "nome": events.text("nome"),
        "email": events.text("email", null=True),
        "telefone": events.text("telefone_formatado", null=True),
        "documento": events.text("documento_formatado", null=True),
        "empresa": events.text("empresa", null=True),
        "origem": events.text("origem", null=True),
        "etiquetas": events.array("etiquetas"),
        "naoPerturbe": events.boolean("nao_perturbe"),
        "camposPersonalizados": events.object("campos_personalizados"),
        "observacoes": events.text("observacoes", null=True),
        "createdAt": events.time("created_at"),
        "updatedAt": events.time("updated_at"),
    }
    created = events.Told(
        "cliente.criado",
        ("id", "nome", "email", "telefone", "createdAt"),
        description=_("A new client was registered."),
        example={
            "id": "cliente_123",
            "nome": "João Silva",
            "email": "joao@example.com",
            "telefone": "(11) 99999-9999",
            "createdAt": "2024-01-01T10:00:00Z",
        },
    )
    updated = events.Told(
        "cliente.atualizado",
        ("id", "nome", "email", "telefone", "updatedAt", "alteracoes"),
        description=_("A client's data changed."),
        example={
            "id": "cliente_123",
            "nome": "João Silva",
            "email": "joao@example.com",
            "telefone": "(11) 99999-9999",
            "updatedAt": "2024-01-01T10:00:00Z",
            "alteracoes": {
                "telefone": {"anterior": "(11) 88888-8888", "novo": "(11) 99999-9999"},
            },
        },
    )
    deleted = events.Told(
        "cliente.excluido",
        ("id", "nome", ("excluidoEm", events.moment())),
        description=_("A client was deleted."),
        example={
            "id": "cliente_123",
            "nome": "João Silva",
            "excluidoEm": "2024-01-01T10:00:00Z",
        },
    )

    def data_subject(self, instance: Model) -> str:
        return self.subject(instance)
