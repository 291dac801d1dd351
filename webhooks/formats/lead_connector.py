"""LeadConnector's bodies (seed 000): flat, of the moment of the attempt, signed twice.

What LeadConnector knows of a contact and this CRM does not is null or empty. Deals, appointments
and invoices are told by LeadConnector's own names, from the record of whoever tells of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from .. import exactjson
from ..signing import BODY_HEADERS, ED25519, RSA_SHA256, Key, body_signature
from .base import Format, Message, moment

Json = dict[str, Any]

_CHANNELS = ("SMS", "Call", "Email", "GMB", "FB", "WhatsApp")
_OPPORTUNITY = (
    *("id", "assignedTo", "contactId", "monetaryValue", "name", "pipelineId", "pipelineStageId"),
    *("source", "status", "dateAdded"),
)
_APPOINTMENT = (
    *("id", "title", "calendarId", "contactId", "appointmentStatus", "assignedUserId", "notes"),
    *("source", "startTime", "endTime", "dateAdded", "dateUpdated"),
)
_INVOICE = (
    *("_id", "status", "liveMode", "amountPaid", "altId", "altType", "name", "invoiceNumber"),
    *("currency", "contactDetails", "issueDate", "dueDate", "invoiceItems", "total", "title"),
    *("amountDue", "createdAt", "updatedAt"),
)
_AMOUNTS = frozenset({"monetaryValue", "amountPaid", "amountDue", "total"})
_COUNTRY_CODE = "55"  # of a telephone number that is written without one
_NATIONAL_DIGITS = (10, 11)  # with the area code


# --- What is told ---------------------------------------------------------------------------


def _contact(message: Message) -> Json:
    record = message.record
    name = record.get("nome")
    first, _space, last = (name or "").strip().partition(" ")
    return {
        "id": record.get("id"),
        "name": name,
        "firstName": first or None,
        "lastName": last.strip() or None,
        "email": record.get("email"),
        "phone": _e164(record.get("telefone")),
        "companyName": record.get("empresa"),
        "address1": None,
        "city": None,
        "state": None,
        "country": None,
        "postalCode": None,
        "source": record.get("origem"),
        "dateAdded": record.get("createdAt"),
        "dateOfBirth": None,
        "dnd": bool(record.get("naoPerturbe")),
        "tags": record.get("etiquetas") or [],
        "website": None,
        "attachments": [],
        "assignedTo": None,
        "customFields": [
            {"id": id, "value": value}
            for id, value in (record.get("camposPersonalizados") or {}).items()
        ],
        **(_dnd_settings(record) if _asks_for_peace(message) else {}),
    }


def _asks_for_peace(message: Message) -> bool:
    """Whether the change is (also) of do-not-disturb, of which LeadConnector has a type."""
    return "naoPerturbe" in message.snapshot.get("changes", {})


def _dnd_settings(record: Mapping[str, Any]) -> Json:
    """All channels alike: this CRM tells none from another. What is active is the asking."""
    status = "active" if record.get("naoPerturbe") else "inactive"
    return {
        "dndSettings": {
            channel: {"status": status, "message": "", "code": ""} for channel in _CHANNELS
        }
    }


def _task(message: Message) -> Json:
    record = message.record
    return {
        "id": record.get("id"),
        "assignedTo": record.get("responsavelId"),
        "body": record.get("descricao"),
        "contactId": record.get("clienteId"),
        "title": record.get("titulo"),
        "dateAdded": record.get("createdAt"),
        "dueDate": record.get("dataVencimento"),
    }


def _note(message: Message) -> Json:
    record = message.record
    return {
        "id": record.get("respostaId"),
        "body": record.get("mensagem"),
        "contactId": _contact_id(message),
        "dateAdded": record.get("respondidoEm"),
    }


def _message(message: Message, direction: str) -> Json:
    """Of WhatsApp; the keys are those of seed 004, "Eventos de WhatsApp" and "Eventos de Email"."""
    record = message.record
    inbound = direction == "inbound"
    return {
        "attachments": [],
        "body": record.get("conteudo"),
        "contactId": _contact_id(message),
        "contentType": "text/plain",
        "conversationId": record.get("conversaId"),
        "dateAdded": record.get("recebidoEm" if inbound else "enviadoEm"),
        "direction": direction,
        "messageType": "WhatsApp",
        "status": "delivered" if inbound else "sent",
        "messageId": record.get("mensagemId"),
        "userId": record.get("usuarioId"),
    }


def _email(message: Message, direction: str) -> Json:
    record = message.record
    to = record.get("destinatario")
    return {
        **_message(message, direction),
        "messageType": "Email",
        "emailMessageId": record.get("mensagemId"),
        "threadId": record.get("conversaId"),
        "subject": record.get("assunto"),
        "from": record.get("remetente"),
        "to": [to] if to else [],
    }


def _opportunity(message: Message) -> Json:
    return _named(_OPPORTUNITY, message)


def _appointment(message: Message) -> Json:
    return {"appointment": _named(_APPOINTMENT, message)}


def _invoice(message: Message) -> Json:
    return {**_named(_INVOICE, message), "altType": "location"}


def _as_it_is(message: Message) -> Json:
    """Of a test event, which LeadConnector has not."""
    return message.data


def _named(names: Sequence[str], message: Message) -> Json:
    """What the record has by LeadConnector's names; amounts, which events tell as texts, as the
    numbers that its receivers reckon with."""
    found = {name: message.record.get(name) for name in names}
    return {name: _amount(each) if name in _AMOUNTS else each for name, each in found.items()}


# --- Which type says it ---------------------------------------------------------------------


def _contact_updated(message: Message) -> str:
    return "ContactDndUpdate" if _asks_for_peace(message) else "ContactUpdate"


def _opportunity_updated(message: Message) -> str:
    moved = "pipelineStageId" in message.snapshot.get("changes", {})
    return "OpportunityStageUpdate" if moved else "OpportunityUpdate"


Told = tuple[str | Callable[[Message], str], Callable[[Message], Json]]

_TOLD: Mapping[str, Told] = {
    "cliente.criado": ("ContactCreate", _contact),
    "cliente.atualizado": (_contact_updated, _contact),
    "cliente.excluido": ("ContactDelete", _contact),
    "tarefa.criada": ("TaskCreate", _task),
    "tarefa.concluida": ("TaskComplete", _task),
    "tarefa.excluida": ("TaskDelete", _task),
    "chamado.respondido": ("NoteCreate", _note),
    # Told as soon as an app tells them.
    "whatsapp.mensagem.recebida": ("InboundMessage", lambda each: _message(each, "inbound")),
    "whatsapp.mensagem.enviada": ("OutboundMessage", lambda each: _message(each, "outbound")),
    "email.recebido": ("InboundMessage", lambda each: _email(each, "inbound")),
    "email.enviado": ("OutboundMessage", lambda each: _email(each, "outbound")),
    "negociacao.criada": ("OpportunityCreate", _opportunity),
    "negociacao.atualizada": (_opportunity_updated, _opportunity),
    "negociacao.excluida": ("OpportunityDelete", _opportunity),
    "compromisso.criado": ("AppointmentCreate", _appointment),
    "fatura.paga": ("InvoicePaid", _invoice),
}


class LeadConnector(Format):
    name = "lead-connector"
    label = "LeadConnector"
    description = _("LeadConnector's flat bodies; signed with RSA and with Ed25519.")
    algorithms = (RSA_SHA256, ED25519)
    signs_with_all = True
    needs_snapshot = True
    event_types = frozenset(_TOLD)
    options = {
        "locationId": {
            "title": "locationId",
            "description": _("The account that the receiver knows the sender by. Empty: null."),
            "type": "string",
            "maxLength": 100,
        }
    }

    def tells(self, event_type: str) -> bool:
        return event_type in self.event_types

    def body(self, message: Message) -> str:
        type, fields = _TOLD.get(message.type, (message.type, _as_it_is))
        envelope = {
            "type": type(message) if callable(type) else type,
            # Of this attempt, and signed with it: receivers take what is five minutes old at most.
            "timestamp": moment(message.sent_at),
            "webhookId": message.uuid,
            "locationId": message.options.get("locationId") or None,
        }
        return exactjson.dumps({**envelope, **fields(message), **envelope})

    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        # A header has room for one signature, and a receiver for one public key. The oldest key in
        # force signs: the receiver has that one until it is given the next.
        oldest = {key.algorithm: key for key in keys}
        return {
            "webhook-id": message.id,  # not theirs; the same in all formats
            **{
                name: body_signature(oldest[algorithm], body)
                for algorithm, name in BODY_HEADERS.items()
                if algorithm in oldest
            },
        }

    def public_key(self, key: Key) -> str | None:
        return key.public_pem()


# --- Parts ----------------------------------------------------------------------------------


def _contact_id(message: Message) -> str | None:
    """The client whom the event's data is of."""
    subject: str = message.record.get("clienteId") or message.snapshot.get("dataSubject") or ""
    return subject or None


def _amount(value: Any) -> Any:
    is_one = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]+)?", value)
    return float(value) if is_one else value


def _e164(number: str | None) -> str | None:
    """`+5511999999999`, of a number as people write it; another text as it is."""
    if not number or not re.fullmatch(r"\+?[0-9\s().\-/]+", number):
        return number or None
    digits = re.sub(r"\D", "", number)
    if number.startswith("+"):
        return f"+{digits}"
    national = digits.lstrip("0")
    return f"+{_COUNTRY_CODE}{national}" if len(national) in _NATIONAL_DIGITS else number
