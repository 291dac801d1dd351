"""A little CRM to look at. Made once; what a person changed afterwards stays."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.utils import timezone

from chamados.models import Chamado, Departamento
from clientes.models import Cliente
from tarefas.models import Tarefa
from webhooks import events

ADMIN = "admin"

CLIENTES = (
    ("Maria Oliveira", "maria@example.com", "(11) 98765-4321", "Padaria Aurora", ["varejo"]),
    ("Antônio Souza", "antonio@example.com", "(21) 99876-5432", "Souza Transportes", ["frota"]),
    ("Beatriz Lima", "beatriz@example.com", "(31) 99123-4567", "Clínica Horizonte", ["saúde"]),
    ("Carlos Pereira", "carlos@example.com", "(41) 99234-5678", "", ["indicação"]),
    ("Daniela Rocha", "daniela@example.com", "(51) 99345-6789", "Rocha Engenharia", []),
)
# Who comes while one watches; the first run creates the first of them, and so on.
NOVOS = (
    ("João Silva", "joao@example.com", "(11) 99999-9999"),
    ("Fernanda Alves", "fernanda@example.com", "(19) 99456-7890"),
    ("Gustavo Ramos", "gustavo@example.com", "(71) 99567-8901"),
    ("Helena Castro", "helena@example.com", "(81) 99678-9012"),
    ("Inês Cardoso", "ines@example.com", "(85) 99789-0123"),
)


def ensure_admin(password: str) -> AbstractUser:
    """The user `admin`, with this password."""
    user, _ = get_user_model().objects.get_or_create(
        username=ADMIN,
        defaults={"is_staff": True, "is_superuser": True, "email": "admin@example.com"},
    )
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return user


@transaction.atomic
def ensure_records(user: AbstractUser) -> None:
    """Clients, tasks and tickets, where there are none. Nobody is told: they are no news."""
    if Cliente.objects.exists():
        return
    with events.silenced():
        now = timezone.now()
        maria, antonio, beatriz, carlos, _ = (
            Cliente.objects.create(
                nome=nome, email=email, telefone=telefone, empresa=empresa, etiquetas=etiquetas
            )
            for nome, email, telefone, empresa, etiquetas in CLIENTES
        )
        for titulo, cliente, days, prioridade in (
            ("Configurar sistema", maria, 2, Tarefa.Prioridade.ALTA),
            ("Enviar proposta", antonio, 1, Tarefa.Prioridade.URGENTE),
            ("Agendar demonstração", beatriz, 5, Tarefa.Prioridade.MEDIA),
            ("Revisar contrato", carlos, -1, Tarefa.Prioridade.BAIXA),
        ):
            Tarefa.objects.create(
                titulo=titulo,
                cliente=cliente,
                responsavel=user,
                prioridade=prioridade,
                data_vencimento=now + timedelta(days=days),
            )
        suporte, financeiro = (
            Departamento.objects.get_or_create(nome=nome)[0] for nome in ("Suporte", "Financeiro")
        )
        chamado = Chamado.objects.create(
            titulo="Problema no sistema",
            descricao="O sistema não está funcionando.",
            prioridade=Chamado.Prioridade.URGENTE,
            departamento=suporte,
            cliente=maria,
        )
        chamado.responder(user, "Estamos verificando o problema.")
        Chamado.objects.create(
            titulo="Segunda via do boleto",
            descricao="Não recebi o boleto deste mês.",
            departamento=financeiro,
            cliente=antonio,
        )


def new_client() -> Cliente:
    """A client that has just come: an ordinary save, told to whoever listens."""
    nome, email, telefone = NOVOS[Cliente.objects.count() % len(NOVOS)]
    with events.acting("command", "make run"):
        return Cliente.objects.create(nome=nome, email=email, telefone=telefone)
