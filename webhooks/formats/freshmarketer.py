"""Freshmarketer's bodies (seed 003): a contact that was added, changed or deleted. Unsigned.

`{{campo}}`, in the address or in a property of one's own, stands for what the client's record says.
The seed has one event, `list.add_contact`; the other two are named after its pattern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext_lazy as _

from .. import exactjson, placeholders
from ..addresses import MAX_URL_LENGTH
from ..eventos import TEST_EVENT
from ..signing import Key
from .base import CannotTell, Format, Message

ADDED = "list.add_contact"
EVENTS: Mapping[str, str] = {
    "cliente.criado": ADDED,
    "cliente.atualizado": "contact.update",
    "cliente.excluido": "contact.delete",
}
MAX_PROPERTY_LENGTH = 20_000  # characters, filled in

# What a test tells.
SAMPLE: Mapping[str, Any] = {
    "id": "cliente_123",
    "nome": "João Silva",
    "email": "joao@example.com",
    "telefone": "(11) 99999-9999",
}


class Freshmarketer(Format):
    name = "freshmarketer"
    label = "Freshmarketer"
    description = _("Freshmarketer's bodies, of contacts only. Unsigned; only 200 means taken.")
    algorithms = ()
    needs_snapshot = True
    content_type = "application/json;charset=UTF-8"
    event_types = frozenset(EVENTS)
    options = {
        "custom_data": {
            "title": _("Properties of your own"),
            "description": _(
                "Sent as custom_data: texts, in which {{campo}} stands for what the client's "
                "record says, such as {{nome}} or {{camposPersonalizados.plano}}. In the address, "
                "behind the host, it does so too."
            ),
            "type": "object",
            "propertyNames": {
                "maxLength": 100,
                # As the form writes them: “name: text”.
                "pattern": r"^[^\s:]([^:]*[^\s:])?$",
                # What JavaScript would put elsewhere or lose.
                "not": {"pattern": "^([0-9]+|__proto__)$"},
            },
            "additionalProperties": {"type": "string", "maxLength": 500},
            "maxProperties": 20,
        },
        "list_id": {
            "title": "list_id",
            "description": _("The list that a new contact is said to be added to. Empty: null."),
            "type": "string",
            "maxLength": 100,
        },
    }

    def tells(self, event_type: str) -> bool:
        return event_type in EVENTS

    def body(self, message: Message) -> str:
        event = _event(message)
        record = _record(message)
        return exactjson.dumps(
            {
                "event_type": event.partition(".")[0].capitalize(),
                "data": {
                    "contact": _contact(record),
                    "event_details": _details(event, message, record),
                    "custom_data": _custom_data(message),
                },
                "id": message.uuid,
                "event": event,
                "event_category": "system",
                "event_time": int(message.occurred_at.timestamp() * 1000),
            }
        )

    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        return {"webhook-id": message.id}

    def address(self, message: Message, url: str) -> str:
        try:
            filled = placeholders.fill_address(url, lambda name: _found(message, name))
        except placeholders.Unfilled as error:
            raise CannotTell(f"placeholder: {error}") from None
        if len(filled) > MAX_URL_LENGTH:
            raise CannotTell("placeholder: the address becomes too long")
        return filled

    def accepts(self, status: int) -> bool:
        return status == HTTPStatus.OK


def _event(message: Message) -> str:
    """A test is told as what it tries: a contact that is added."""
    return ADDED if message.type == TEST_EVENT.name else EVENTS.get(message.type, message.type)


def _record(message: Message) -> Mapping[str, Any]:
    if message.type == TEST_EVENT.name:
        return SAMPLE
    return message.record


def _found(message: Message, name: str) -> str:
    """In a test, what the sample lacks is its own name: it stands where a value would."""
    default = name if message.type == TEST_EVENT.name else ""
    return placeholders.found_in(_record(message), name) or default


def _contact(record: Mapping[str, Any]) -> dict[str, Any]:
    phone = record.get("telefone")
    return {
        "first name": str(record.get("nome") or "").partition(" ")[0],
        "mobile": re.sub(r"[^\d+]", "", phone) if phone else None,
        "email": record.get("email"),
    }


def _details(event: str, message: Message, record: Mapping[str, Any]) -> dict[str, Any]:
    if event == ADDED:
        return {"list_id": message.options.get("list_id") or None, "contact_id": record.get("id")}
    details = {"contact_id": record.get("id")}
    if event == "contact.update":
        details["changes"] = message.snapshot.get("changes", {})
    return details


def _custom_data(message: Message) -> dict[str, str]:
    filled: dict[str, str] = {}
    chosen = message.options.get("custom_data")
    for name, text in chosen.items() if isinstance(chosen, dict) else ():
        if not isinstance(text, str):  # refused when it was entered
            continue
        filled[name] = placeholders.fill(text, lambda field: _found(message, field))
        if len(filled[name]) > MAX_PROPERTY_LENGTH:
            raise CannotTell(f"property: {name} becomes too long")
    return filled
