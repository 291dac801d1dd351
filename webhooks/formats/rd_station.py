"""RD Station's bodies (seed 001): a contact that converted, a record of the CRM that changed.

Unsigned, as theirs are. What RD Station knows of a contact and this CRM does not is null or empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from .. import exactjson
from ..signing import Key
from .base import Format, Message, moment

CONVERTED = "WEBHOOK.CONVERTED"
MARKED_OPPORTUNITY = "WEBHOOK.MARKED_OPPORTUNITY"
RELATIONS = ("COMPANY", "CONTACT_FUNNEL")

# RD Station Marketing's types tell a contact, RD Station CRM's a document.
MARKETING: Mapping[str, str] = {
    "cliente.conversao": CONVERTED,
    "cliente.oportunidade": MARKED_OPPORTUNITY,
}
CRM: Mapping[str, str] = {
    "cliente.criado": "crm_contact_created",
    "cliente.atualizado": "crm_contact_updated",
    "cliente.excluido": "crm_contact_deleted",
    "negociacao.criada": "crm_deal_created",
    "negociacao.atualizada": "crm_deal_updated",
    "negociacao.excluida": "crm_deal_deleted",
    "tarefa.criada": "crm_task_created",
    "tarefa.atualizada": "crm_task_updated",  # concluding a task tells this too
}

# Theirs are in Brasília's time, which has had no summer time since 2019.
_BRASILIA = dt.timezone(dt.timedelta(hours=-3))
_NO_IDENTIFIER = "default"


class RDStation(Format):
    """Its options are a subscription's."""

    name = "rd-station"
    label = "RD Station"
    description = _("RD Station's bodies: contacts, deals and tasks. Unsigned.")
    algorithms = ()
    needs_snapshot = True
    event_types = frozenset({*MARKETING, *CRM})
    options = {
        "event_identifiers": {
            "title": _("Conversions"),
            "description": _("Only those with these identifiers are sent. None given: all."),
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 255},
            "maxItems": 100,
        },
        "include_relations": {
            "title": _("Relations"),
            "description": _("What a contact is sent with."),
            "type": "array",
            "items": {
                "oneOf": [
                    {"const": "COMPANY", "title": _("its company")},
                    {"const": "CONTACT_FUNNEL", "title": _("its place in the funnel")},
                ]
            },
            "maxItems": len(RELATIONS),
        },
        "entity_type": {
            "title": _("Kind of record"),
            "description": _("What RD Station's clients say, and are answered, that it is about."),
            "enum": ["CONTACT", "DEAL", "TASK"],
        },
    }

    def tells(self, event_type: str) -> bool:
        return event_type in self.event_types

    def wants(self, message: Message) -> bool:
        chosen = message.options.get("event_identifiers")
        if MARKETING.get(message.type) != CONVERTED or not chosen:
            return True
        return _identifier(message) in chosen

    def body(self, message: Message) -> str:
        if message.type in MARKETING:
            return exactjson.dumps(_conversion(message))
        return exactjson.dumps(
            {
                "event_name": CRM.get(message.type, message.type),
                "document": _document(message),
                "event_timestamp": moment(message.occurred_at),
                "transaction_uuid": message.uuid,
            }
        )

    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        # Not theirs: a conversion's body has nothing to recognise a duplicate by.
        return {"webhook-id": message.id}


def _identifier(message: Message) -> str:
    """Of a conversion: `identificador`, beside the client's record."""
    return str(message.record.get("identificador") or _NO_IDENTIFIER)


def _conversion(message: Message) -> dict[str, Any]:
    return {
        "event_type": MARKETING[message.type],
        "entity_type": "CONTACT",
        "event_identifier": _identifier(message),
        "timestamp": moment(message.sent_at, _BRASILIA),
        "event_timestamp": moment(message.occurred_at, _BRASILIA),
        "contact": _contact(message),
    }


def _contact(message: Message) -> dict[str, Any]:
    record = message.record
    relations = message.options.get("include_relations") or ()
    contact = {
        "uuid": record.get("id"),
        "email": record.get("email"),
        "name": record.get("nome"),
        "job_title": None,
        "bio": record.get("observacoes"),
        "website": None,
        "personal_phone": record.get("telefone"),
        "mobile_phone": None,
        "city": None,
        "facebook": None,
        "linkedin": None,
        "twitter": None,
        "tags": record.get("etiquetas", []),
        **{f"cf_{name}": value for name, value in _custom_fields(record).items()},
        "legal_bases": _legal_bases(record),
    }
    if "COMPANY" in relations:
        contact["company"] = {"name": record.get("empresa")}
    if "CONTACT_FUNNEL" in relations:
        contact["funnel"] = {
            "name": "default",
            "lifecycle_stage": None,
            "opportunity": MARKETING[message.type] == MARKED_OPPORTUNITY,
            "contact_owner_email": None,
            "interest": None,
            "fit": None,
            "origin": record.get("origem"),
        }
    return contact


def _custom_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are filled in."""
    found = record.get("camposPersonalizados") or {}
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def _legal_bases(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """That a client consented is nowhere said; that one asked not to be contacted is."""
    if not record.get("naoPerturbe"):
        return []
    return [{"category": "communications", "type": "consent", "status": "declined"}]


def _document(message: Message) -> dict[str, Any]:
    """The record in the CRM's keys. A deal is told as whoever tells of deals declares it."""
    record = message.record
    if message.type == "cliente.excluido":
        return {"id": record.get("id"), "name": record.get("nome")}
    kind = message.type.split(".")[0]
    if kind == "cliente":
        return _contact_document(record)
    if kind == "tarefa":
        return _task_document(record)
    return record


def _contact_document(record: Mapping[str, Any]) -> dict[str, Any]:
    email, phone, company = (record.get(name) for name in ("email", "telefone", "empresa"))
    return {
        "id": record.get("id"),
        "name": record.get("nome"),
        "title": None,
        "notes": record.get("observacoes"),
        "emails": [{"email": email}] if email else [],
        "phones": [{"phone": phone}] if phone else [],
        "organization": {"name": company} if company else None,
        "contact_custom_fields": [
            {"label": name, "value": value} for name, value in _custom_fields(record).items()
        ],
        "created_at": record.get("createdAt"),
        "updated_at": record.get("updatedAt"),
    }


def _task_document(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": record.get("id"),
        "subject": record.get("titulo"),
        "notes": record.get("descricao"),
        "date": record.get("dataVencimento"),
        "done": record.get("status") == "CONCLUIDA",
        "done_date": record.get("dataConclusao"),
        "created_at": record.get("createdAt"),
        "updated_at": record.get("updatedAt"),
    }
