"""The default format: seed 004, with the Standard Webhooks headers beside its own."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from ..signing import Key, hex_signature
from .base import Format, Message, key_in_turn
from .standard_webhooks import standard_headers


class SistemaCRM(Format):
    name = "sistema-crm"
    label = _("Sistema CRM")
    description = _("Body {event, timestamp, data}; X-Webhook-Signature and Standard Webhooks.")
    algorithms = ("hmac-sha256", "ed25519")

    def body(self, message: Message) -> str:
        return message.default_body

    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        headers = {
            "X-Webhook-Event": message.type,
            "X-Webhook-Id": message.id,
            "X-Webhook-Attempt": str(message.attempt),
        }
        if message.sequence:
            headers["X-Webhook-Sequence"] = str(message.sequence)
        if key := key_in_turn(message, keys):
            headers["X-Webhook-Signature"] = hex_signature(key, body)
        return headers | standard_headers(message, body, keys)
