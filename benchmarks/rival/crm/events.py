"""What django-outbound-webhooks tells: events of one's own."""

from dataclasses import dataclass

from django_domain_events import event


@event
@dataclass(frozen=True, slots=True)
class ClientCreated:
    id: str
    nome: str
    email: str
    telefone: str
    createdAt: str  # noqa: N815 - as receivers see it
