"""From ids in requests to what they name. Each thing has one spelling."""

from __future__ import annotations

import re
from uuid import UUID

from rest_framework.request import Request

from ..databases import writing
from ..models import Event, Webhook

_EVENT = re.compile(r"evt_[0-9a-f]{32}")
_DELIVERY = re.compile(r"delivery_([1-9][0-9]{0,17})")


def webhook(text: str) -> Webhook | None:
    """One that was not deleted."""
    id = webhook_id(text)
    return None if id is None else writing(Webhook).filter(pk=id).first()


def webhook_id(text: str) -> UUID | None:
    try:
        id = UUID(text)
    except ValueError:
        return None
    return id if str(id) == text else None


def event_id(text: str) -> UUID | None:
    """Of `evt_…`."""
    return UUID(text.removeprefix("evt_")) if _EVENT.fullmatch(text) else None


def event(text: str, *, payload: bool = False) -> Event | None:
    """:param payload: read what it told, too."""
    id = event_id(text)
    rows = Event.objects.all() if payload else Event.objects.defer("body", "snapshot")
    return None if id is None else rows.filter(pk=id).first()


def delivery_id(text: str) -> int | None:
    """Of `delivery_12`."""
    match = _DELIVERY.fullmatch(text)
    return int(match[1]) if match else None


def whole_urls(request: Request) -> bool:
    """Whether who asks may see the secrets that an address may have in its query."""
    return bool(request.user.has_perm("webhooks.change_webhook"))
