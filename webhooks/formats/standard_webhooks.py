"""Standard Webhooks 1.0.0, the field's open standard: body {type, timestamp, data}."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from django.utils.translation import gettext_lazy as _

from .. import exactjson
from ..signing import Key, standard_signature
from .base import Format, Message


def standard_headers(message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and, of every key in force, `webhook-signature`."""
    timestamp = int(message.sent_at.timestamp())
    headers = {"webhook-id": message.id, "webhook-timestamp": str(timestamp)}
    if keys:
        headers["webhook-signature"] = standard_signature(keys, message.id, timestamp, body)
    return headers


class StandardWebhooks(Format):
    name = "standard-webhooks"
    label = "Standard Webhooks"
    description = _("The open standard: body {type, timestamp, data}.")
    algorithms = ("hmac-sha256", "ed25519")

    def body(self, message: Message) -> str:
        return exactjson.dumps(
            {"type": message.type, "timestamp": message.occurred_at, "data": message.data}
        )

    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        return standard_headers(message, body, keys)

    def is_gone(self, status: int) -> bool:
        return status == HTTPStatus.GONE
