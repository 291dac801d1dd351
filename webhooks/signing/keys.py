"""A key of any algorithm: parsed once, signing many times."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from types import ModuleType
from typing import Any

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from . import ed25519, hmac_sha256, rsa_sha256
from .base import InvalidSecret, Parsed

HMAC_SHA256 = "hmac-sha256"
ED25519 = "ed25519"
RSA_SHA256 = "rsa-sha256"

_MODULES: dict[str, ModuleType] = {
    HMAC_SHA256: hmac_sha256,
    ED25519: ed25519,
    RSA_SHA256: rsa_sha256,
}
ALGORITHMS = tuple(_MODULES)

_VERSIONS = {HMAC_SHA256: "v1", ED25519: "v1a"}  # Standard Webhooks 1.0.0, "Signature scheme"


class Key:
    """A secret that was parsed once and signs many times. Immutable; never shows the secret."""

    __slots__ = ("_parsed", "algorithm")

    algorithm: str
    _parsed: Parsed

    def __init__(self, algorithm: str, parsed: Parsed) -> None:
        set_once = object.__setattr__
        set_once(self, "algorithm", algorithm)
        set_once(self, "_parsed", parsed)

    @classmethod
    @sensitive_variables()
    def parse(cls, algorithm: str, secret: str, *, stored: bool = False) -> Key:
        """Read a secret: `whsec_…` or a text of one's own, `whsk_…`, or an RSA private key in PEM.

        :param stored: it was checked when it was stored, and sealed since: an RSA key's numbers,
            whose check costs some 60 ms, are not checked again.
        :raises InvalidSecret: unknown algorithm, or a secret that is not one of its kind.
        """
        return cls(algorithm, _module(algorithm).parse(secret, stored=stored))

    def sign(self, content: bytes) -> bytes:
        """The raw signature: HMAC-SHA256 (32 bytes), Ed25519 (64) or RSA PKCS#1 v1.5 SHA-256.

        HMAC is keyed as Standard Webhooks says, with the bytes after `whsec_`.
        """
        return self._parsed.sign(content)

    def public_text(self) -> str | None:
        """What a receiver verifies with: `whpk_…` or PEM; None for HMAC, whose secret is shared."""
        return self._parsed.public_text

    def public_pem(self) -> str | None:
        """The same as PEM, of either kind of pair."""
        return self._parsed.public_pem

    @property
    def standard_version(self) -> str | None:
        """`v1` or `v1a`; None for RSA, which Standard Webhooks does not have."""
        return _VERSIONS.get(self.algorithm)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Key does not change; parse another")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Key does not change; parse another")

    def __repr__(self) -> str:
        return f"<Key {self.algorithm}>"

    def __reduce__(self) -> Any:
        raise TypeError("a Key holds a secret and is not pickled; parse it where it is used")


def generate_secret(algorithm: str = HMAC_SHA256) -> str:
    """A new random secret: `whsec_…` (32 bytes), `whsk_…`, or an RSA-2048 private key in PEM.

    :raises InvalidSecret: unknown algorithm.
    """
    generate: Callable[[], str] = _module(algorithm).generate
    return generate()


def hex_signature(key: Key, body: bytes) -> str:
    """`X-Webhook-Signature` of seed 004: `sha256=` and lowercase hex, keyed with the secret's text.

    :raises ValueError: the key is not HMAC.
    """
    return hmac_sha256.HEX_PREFIX + bare_hex_signature(key, body)


def bare_hex_signature(key: Key, content: bytes) -> str:
    """Lowercase hex of an HMAC-SHA256, keyed with the secret's text (seed 002).

    :raises ValueError: the key is not HMAC.
    """
    if key.algorithm != HMAC_SHA256:
        raise ValueError(f"hex is written of an HMAC; a key of {key.algorithm} cannot make one")
    return hmac.digest(key._parsed.text, content, "sha256").hex()


def _module(algorithm: str) -> Any:
    try:
        return _MODULES[algorithm]
    except KeyError:
        raise InvalidSecret(
            _("“%(algorithm)s” is not a signature algorithm; choose one of: %(known)s.")
            % {"algorithm": algorithm, "known": ", ".join(ALGORITHMS)}
        ) from None
