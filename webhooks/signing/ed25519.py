"""Ed25519: a pair of keys, in the notation of Standard Webhooks 1.0.0 and in PEM."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from django.utils.translation import gettext as _

from .base import InvalidSecret, Parsed, b64, unb64

PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"


def parse(secret: str, *, stored: bool) -> Parsed:
    private = private_key(secret)
    public = private.public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Parsed(
        private.sign,
        public_text=PUBLIC_PREFIX + b64(public.public_bytes_raw()),
        public_pem=pem.decode(),
    )


def generate() -> str:
    private = ed25519.Ed25519PrivateKey.generate()
    return PRIVATE_PREFIX + b64(
        private.private_bytes_raw() + private.public_key().public_bytes_raw()
    )


def private_key(secret: str) -> ed25519.Ed25519PrivateKey:
    """:raises InvalidSecret: it is no `whsk_…`."""
    if not secret.startswith(PRIVATE_PREFIX):
        raise InvalidSecret(_("An Ed25519 private key begins with “whsk_”."))
    raw = unb64(secret, PRIVATE_PREFIX)
    if len(raw) != 64:
        raise InvalidSecret(
            _("After “whsk_” there must be 64 bytes in base64 (seed and public key).")
        )
    private = ed25519.Ed25519PrivateKey.from_private_bytes(raw[:32])
    if private.public_key().public_bytes_raw() != raw[32:]:
        raise InvalidSecret(_("The two halves of the Ed25519 private key do not fit together."))
    return private


def public_key(text: str) -> ed25519.Ed25519PublicKey:
    """Of `whpk_…`, or of the pair that `whsk_…` is.

    :raises InvalidSecret: it is neither.
    """
    if not text.startswith(PUBLIC_PREFIX):
        return private_key(text).public_key()
    raw = unb64(text, PUBLIC_PREFIX)
    if len(raw) != 32:
        raise InvalidSecret(_("After “whpk_” there must be 32 bytes in base64."))
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)
