"""What the algorithms share: how their texts are written, and what can be wrong with them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.translation import gettext as _


class InvalidSecret(ValueError):
    """A secret cannot be used; the message is a translated sentence and never shows it."""


class VerificationError(Exception):
    """A signature does not prove that the body came from whoever holds the secret."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an algorithm makes of a secret."""

    sign: Callable[[bytes], bytes]
    """From what is signed to the raw signature."""
    text: bytes = field(default=b"", repr=False)
    """The secret's own, of HMAC: seed 004 keys with it."""
    public_text: str | None = None
    """What receivers verify with; None where they share the secret."""
    public_pem: str | None = None


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def unb64(text: str, prefix: str) -> bytes:
    """The bytes after a prefix.

    :raises InvalidSecret: what follows it is no base64.
    """
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret(
            _("After “%(prefix)s” there must be base64.") % {"prefix": prefix}
        ) from None
