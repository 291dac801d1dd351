"""HMAC-SHA256: a secret that the receiver shares, and the signature that seed 004 makes with it."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.utils.translation import gettext as _

from .base import InvalidSecret, Parsed, b64, unb64

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
SECRET_BYTES = range(24, 65)  # Standard Webhooks 1.0.0, "Signature scheme"
OWN_SECRET_LENGTH = range(16, 257)  # characters of a secret that someone chose
HEX_PREFIX = "sha256="


def parse(secret: str, *, stored: bool) -> Parsed:
    key = content_key(secret)
    return Parsed(lambda content: hmac.digest(key, content, "sha256"), text=secret.encode())


def generate() -> str:
    return SECRET_PREFIX + b64(secrets.token_bytes(32))


def content_key(secret: str) -> bytes:
    """What Standard Webhooks keys with: the bytes after `whsec_`, else the text's.

    :raises InvalidSecret: the secret cannot be used.
    """
    if secret.startswith(SECRET_PREFIX):
        raw = unb64(secret, SECRET_PREFIX)
        if len(raw) not in SECRET_BYTES:
            raise InvalidSecret(
                _("After “whsec_” there must be 24 to 64 bytes in base64, not %(count)d.")
                % {"count": len(raw)}
            )
        return raw
    if len(secret) not in OWN_SECRET_LENGTH:
        raise InvalidSecret(
            _("A secret must have 16 to 256 characters, not %(count)d.") % {"count": len(secret)}
        )
    if not secret.isprintable() or secret != secret.strip():
        raise InvalidSecret(
            _("A secret must be of printable characters, without a space at either end.")
        )
    return secret.encode()


def verify_hex(secret: str, body: bytes, header: str | None) -> bool:
    """Whether `X-Webhook-Signature` was made with this secret over these bytes.

    As strict as the strictest receiver: `sha256=` and lowercase hex, nothing else.
    """
    expected = HEX_PREFIX + hex_digest(secret, body)
    return hmac.compare_digest(expected.encode(), (header or "").encode("utf-8", "replace"))


def hex_digest(secret: str, content: bytes) -> str:
    """Keyed with the secret's text, as seeds 002 and 004 do."""
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
