"""What other apps import: declare what your models tell, and tell what no single save does.

::

    # tarefas/models.py
    class Tarefa(events.TrackedModel): ...

    # tarefas/eventos.py
    @events.register(Tarefa)
    class TarefaEventos(events.ModelEvents):
        prefix = "tarefa"
        record = {"id": events.public_id("tarefa"), "titulo": events.text("titulo"), ...}
        created = events.Told("tarefa.criada", ("id", "titulo"))

`eventos.py` (or `events.py`) of every installed app is imported when Django starts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.utils import timezone

from . import bulk, catalog, exactjson, outbox
from .bulk import watch
from .catalog import EventType, UnknownEventType
from .context import acting, is_silenced, silenced
from .exactjson import MAX_INPUT_DEPTH, NotExact, TooDeep
from .exactjson import dumps as _dumps
from .modelevents import Changes, Draft, ModelEvents, Told, became
from .outbox import BodyTooLarge, SnapshotTooLarge
from .tracking import TrackedModel, register
from .values import (
    Value,
    array,
    boolean,
    changes,
    choice,
    day,
    decimal,
    instant,
    integer,
    moment,
    number,
    object,
    public_id,
    text,
    time,
)

__all__ = [
    "MAX_INPUT_DEPTH",
    "REFUSALS",
    "BodyTooLarge",
    "EventType",
    "ModelEvents",
    "NotExact",
    "SnapshotTooLarge",
    "Told",
    "TooDeep",
    "TrackedModel",
    "UnknownEventType",
    "Value",
    "acting",
    "array",
    "became",
    "boolean",
    "changes",
    "check_json",
    "choice",
    "day",
    "decimal",
    "declare",
    "emit",
    "exact_json",
    "instant",
    "integer",
    "moment",
    "number",
    "object",
    "public_id",
    "register",
    "silenced",
    "text",
    "time",
    "watch",
]

# What saving a tracked row raises where an event cannot say what is saved.
REFUSALS = (NotExact, BodyTooLarge)


def declare(
    name: str,
    *,
    description: Any,
    area: Any,
    data_schema: dict[str, Any],
    example: dict[str, Any],
) -> EventType:
    """Declare a type of event that is no model's own; `emit()` it with its `data`."""
    return catalog.declare(
        EventType(
            name=name,
            description=description,
            area=area,
            data_schema=data_schema,
            data_example=example,
        )
    )


def emit(
    event_type: str,
    objects: models.Model | Iterable[models.Model] | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    subject: str = "",
    data_subject: str = "",
    changes: Mapping[Any, Changes] | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> list[UUID]:
    """Tell what no single-row save tells.

    Of rows that `bulk_create()` or SQL wrote: `emit("cliente.criado", clientes)`. Of something that
    is no row: `emit("whatsapp.mensagem.recebida", data={...}, subject="conversa_123")`. Call it in
    the transaction of the change itself; outside of one it makes its own.

    :param data_subject: with `data`: whose personal data it holds, such as “cliente_123”; what
        `webhooks_forget` erases by. Of objects, their `ModelEvents` knows.
    :param changes: for types that tell `alteracoes`: by primary key,
        `{"campo": {"anterior": ..., "novo": ...}}`.
    :returns: the ids of the events recorded; none inside `silenced()`.
    :raises UnknownEventType: nobody declared the type.
    :raises LookupError: objects were given, but no registered model tells that type.
    :raises TypeError: an object is of another model than the one that tells it.
    :raises ValueError: an object has no primary key, or `alteracoes` would be empty.
    :raises NotExact: something in it cannot be written as JSON; TooDeep: `data` has more than 50
        levels of lists and objects.
    :raises BodyTooLarge: an event is larger than receivers accept.
    :raises SnapshotTooLarge: its record is larger than what is kept.
    """
    catalog.get(event_type)
    if (objects is None) == (data is None):
        raise TypeError("emit() takes either objects or data.")
    if is_silenced():
        return []
    if data is not None:
        exactjson.check_depth(data, exactjson.MAX_DATA_DEPTH)
        drafts = [
            Draft(
                event_type,
                subject,
                dict(data),
                timezone.now(),
                dict(data),
                data_subject=data_subject,
            )
        ]
    else:
        many = [objects] if isinstance(objects, models.Model) else list(objects or ())
        drafts = bulk.drafts_of(event_type, many, changes or {}, using)
    if not drafts:
        return []
    with transaction.atomic(using=using):
        return outbox.record(drafts, using=using)


def check_json(value: Any) -> None:
    """For validating what users enter as JSON, where an event will tell it.

    :raises NotExact: (a ValueError) it cannot be told exactly; the message says what and where.
    :raises TooDeep: (a NotExact) it has more than 20 levels of lists and objects.
    """
    exactjson.check_depth(value, exactjson.MAX_INPUT_DEPTH)
    _dumps(value)


def exact_json(value: Any) -> Any:
    """The value as an event tells it: 1.0 is 1, and a number that receivers would round is text.

    For fields that keep what users enter as JSON, so that what is stored is what is told.

    :raises NotExact: as `check_json`.
    """
    return json.loads(_dumps(value))
