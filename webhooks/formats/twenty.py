"""Twenty's bodies (seed 002): `person.created` and its like, in either of two shapes.

Unlike Twenty's, an event's `webhook-id` is sent too: nothing else tells a duplicate from another
event.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from .. import exactjson
from ..signing import Key, twenty_headers
from .base import Format, Message, key_in_turn, moment

Record = dict[str, Any]

EVENTS: Mapping[str, str] = {
    "cliente.criado": "person.created",
    "cliente.atualizado": "person.updated",
    "cliente.excluido": "person.deleted",
    "tarefa.criada": "task.created",
    "tarefa.atualizada": "task.updated",
    "tarefa.concluida": "task.updated",
    "tarefa.excluida": "task.deleted",
    # Theirs have no tickets; an object of one's own is told like this.
    "chamado.aberto": "ticket.created",
    "chamado.atualizado": "ticket.updated",
    "chamado.resolvido": "ticket.updated",
    "chamado.excluido": "ticket.deleted",
    "chamado.respondido": "note.created",
    "whatsapp.mensagem.recebida": "message.created",
    "whatsapp.mensagem.enviada": "message.created",
    "email.recebido": "message.created",
    "email.enviado": "message.created",
    "negociacao.criada": "opportunity.created",
    "negociacao.atualizada": "opportunity.updated",
    "negociacao.excluida": "opportunity.deleted",
}
# They tell of one change, whatever else changed with it.
_ABOUT_STATUS = frozenset({"tarefa.concluida", "chamado.resolvido"})

# Our keys in theirs, object by object. What is not here is told as whoever tells it declares it.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "person": {
        "id": "id",
        "email": "email",
        "telefone": "phone",
        "documento": "document",
        "empresa": "companyName",
        "origem": "source",
        "etiquetas": "tags",
        "naoPerturbe": "doNotDisturb",
        "camposPersonalizados": "customFields",
        "observacoes": "notes",
        "createdAt": "createdAt",
        "updatedAt": "updatedAt",
    },
    "task": {
        "id": "id",
        "titulo": "title",
        "descricao": "body",
        "status": "status",
        "prioridade": "priority",
        "dataVencimento": "dueAt",
        "clienteId": "personId",
        "responsavelId": "assigneeId",
        "dataConclusao": "completedAt",
        "tempoTotal": "totalTime",
        "createdAt": "createdAt",
        "updatedAt": "updatedAt",
    },
    "ticket": {
        "id": "id",
        "titulo": "title",
        "descricao": "description",
        "status": "status",
        "prioridade": "priority",
        "departamentoId": "departmentId",
        "clienteId": "personId",
        "dataResolucao": "resolvedAt",
        "tempoResolucao": "resolutionTime",
        "usuarioResolucao": "resolvedById",
        "createdAt": "createdAt",
        "updatedAt": "updatedAt",
    },
    "note": {
        "respostaId": "id",
        "mensagem": "body",
        "chamadoId": "ticketId",
        "usuarioId": "authorId",
        "respondidoEm": "createdAt",
    },
}
_TASK_STATUS = {
    "PENDENTE": "TODO",
    "EM_ANDAMENTO": "IN_PROGRESS",
    "CONCLUIDA": "DONE",
    "CANCELADA": "CANCELED",
}
# Fields that hold several values in the body that is sent today, and what they are called there.
_COMPOSITE = {"nome": "name", "email": "emails", "phone": "phones", "body": "bodyV2"}

_OBJECT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "https://twenty.com/objects")


class Twenty(Format):
    name = "twenty"
    label = "Twenty"
    description = _("Twenty's bodies and X-Twenty-Webhook-Signature: person.created and its like.")
    needs_snapshot = True
    event_types = frozenset(EVENTS)
    options = {
        "payload": {
            "title": _("Body"),
            "oneOf": [
                {
                    "const": "documented",
                    "title": _("as Twenty documents it: {event, data, timestamp}"),
                },
                {
                    "const": "current",
                    "title": _("as Twenty sends it today: {targetUrl, eventName, record, …}"),
                },
            ],
            "default": "documented",
        },
        "workspaceId": {
            "title": "workspaceId",
            "description": _("Told in the body that Twenty sends today. Empty: null."),
            "type": "string",
            "maxLength": 100,
        },
    }

    def tells(self, event_type: str) -> bool:
        return event_type in EVENTS

    def body(self, message: Message) -> str:
        if message.options.get("payload") == "current":
            return exactjson.dumps(_current(message))
        return exactjson.dumps(
            {
                "event": _event(message),
                "data": _record(message),
                "timestamp": message.occurred_at,
            }
        )

    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        headers = {"webhook-id": message.id}
        if key := key_in_turn(message, keys):
            milliseconds = int(message.sent_at.timestamp() * 1000)
            headers |= twenty_headers(key, milliseconds, message.nonce, body)
        return headers


def _event(message: Message) -> str:
    return EVENTS.get(message.type, message.type)


def _object(message: Message) -> str:
    return _event(message).partition(".")[0]


def _record(message: Message) -> Record:
    """The record, flat."""
    ours = message.record
    name = _object(message)
    fields = _FIELDS.get(name)
    if fields is None:
        return ours
    theirs = {key: ours.get(our_key) for our_key, key in fields.items()}
    if name == "person":
        first, _space, last = str(ours.get("nome") or "").partition(" ")
        names = {"id": theirs.pop("id"), "firstName": first, "lastName": last.strip()}
        theirs = {**names, **theirs, "createdBy": None}
    if name == "task":
        theirs["status"] = _TASK_STATUS.get(str(theirs["status"]), theirs["status"])
    return theirs


def _current(message: Message) -> Record:
    name = _object(message)
    event = _event(message)
    record = _composite(name, _record(message))
    if name in _FIELDS:
        deleted = event.endswith(".deleted")
        record["deletedAt"] = moment(message.occurred_at) if deleted else None
    body: Record = {
        "targetUrl": message.url,
        "eventName": event,
        "objectMetadata": {"id": str(uuid.uuid5(_OBJECT_IDS, name)), "nameSingular": name},
        "workspaceId": message.options.get("workspaceId") or None,
        "webhookId": message.webhook_id,
        "eventDate": moment(message.occurred_at),
        "userId": None,
        "workspaceMemberId": None,
        "record": record,
    }
    if event.endswith(".updated"):
        body["updatedFields"] = _updated_fields(message)
    return body


def _updated_fields(message: Message) -> list[str]:
    if message.type in _ABOUT_STATUS:
        return ["status"]
    known = _FIELDS.get(_object(message), {})
    changed = [known.get(key, key) for key in message.snapshot.get("changes", {})]
    return [_COMPOSITE.get(key, key) for key in changed]


def _composite(name: str, record: Record) -> Record:
    """The record as today's body has it: some of its fields hold several values."""
    compose = _COMPOSE.get(name)
    return record if compose is None else compose(record)


def _person(record: Record) -> Record:
    record = dict(record)
    names = {key: record.pop(key) for key in ("firstName", "lastName")}
    email, phone = record.pop("email"), record.pop("phone") or ""
    abroad = phone.startswith("+")
    return {
        "id": record.pop("id"),
        "name": names,
        "emails": {"primaryEmail": email or "", "additionalEmails": []},
        "phones": {
            "primaryPhoneNumber": phone if abroad else re.sub(r"\D", "", phone),
            "primaryPhoneCountryCode": "BR" if phone and not abroad else "",
            "primaryPhoneCallingCode": "+55" if phone and not abroad else "",
            "additionalPhones": [],
        },
        **record,
    }


def _with_rich_text(record: Record) -> Record:
    body = {"blocknote": None, "markdown": record["body"]}
    return {("bodyV2" if key == "body" else key): value for key, value in record.items()} | {
        "bodyV2": body
    }


_COMPOSE: Mapping[str, Callable[[Record], Record]] = {
    "person": _person,
    "task": _with_rich_text,
    "note": _with_rich_text,
}
