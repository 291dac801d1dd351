"""Records for tests, and what was told of them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from django.contrib.auth.models import Permission, User

from chamados.models import Chamado, Departamento
from clientes.models import Cliente
from tarefas.models import Tarefa
from webhooks import catalog
from webhooks.models import Event


def make_cliente(**values: Any) -> Cliente:
    return Cliente.objects.create(**{"nome": "João Silva", **values})


def make_tarefa(**values: Any) -> Tarefa:
    return Tarefa.objects.create(**{"titulo": "Configurar sistema", **values})


def make_chamado(**values: Any) -> Chamado:
    if "cliente" not in values:
        values["cliente"] = make_cliente()
    if "departamento" not in values:
        values["departamento"] = Departamento.objects.get_or_create(nome="Suporte")[0]
    return Chamado.objects.create(**{"titulo": "Problema no sistema", **values})


def make_user(username: str = "ana", *permissions: str) -> User:
    """Staff; with permissions such as "tarefas.change_tarefa"."""
    user = User.objects.create_user(username, is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


def told(subject: str = "") -> list[tuple[str, dict[str, Any]]]:
    """(event type, data) of every event so far, or of one subject's, in order.

    Each body is held against its type's schema, its keys in the schema's order.
    """
    found = []
    events = Event.objects.order_by("id")
    for event in events.filter(subject=subject) if subject else events:
        body = json.loads(event.body)
        schema = catalog.get(event.type).schema
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
            body
        )
        assert list(body["data"]) == list(schema["properties"]["data"]["properties"])
        assert body["event"] == event.type
        found.append((event.type, body["data"]))
    return found


def names_told(subject: str = "") -> list[str]:
    return [name for name, _ in told(subject)]


def forget() -> None:
    """Forgets what was told so far."""
    Event.objects.all().delete()
