"""LeadConnector's signatures: of the body alone, which carries its moment, one in each header."""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import json
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django.utils.translation import gettext as _

from .base import InvalidSecret, VerificationError, b64
from .keys import ED25519, RSA_SHA256, Key
from .rsa_sha256 import DIGEST, SCHEME
from .standard import check_freshness

PEM_PREFIX = "-----BEGIN PUBLIC KEY-----"
BODY_HEADERS: Mapping[str, str] = {RSA_SHA256: "x-wh-signature", ED25519: "X-GHL-Signature"}
"""Which header has the signature of which algorithm."""


def body_signature(key: Key, body: bytes) -> str:
    """Base64 of the signature over the exact body."""
    return b64(key.sign(body))


def body_header(public_pem: str) -> str:
    """The header whose signatures that key verifies.

    :raises InvalidSecret: it is no public key of RSA or Ed25519 in PEM.
    """
    return BODY_HEADERS[RSA_SHA256 if isinstance(_read(public_pem), rsa.RSAPublicKey) else ED25519]


def verify_body(public_pem: str, header: str | None, body: bytes, *, now: float) -> bool:
    """Check a signature over a body, and the moment in it; True, or it raises.

    :param header: the value of `body_header(public_pem)`.
    :param now: Unix seconds.
    :raises VerificationError: the header is missing, the signature does not fit, or the body's
        `timestamp` is none of the last or next five minutes; the message says which.
    :raises InvalidSecret: `public_pem` is none.
    """
    public = _read(public_pem)
    if not header:
        raise VerificationError("missing")
    try:
        raw = base64.b64decode(header, validate=True)
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(raw, body, SCHEME, DIGEST)
        else:
            public.verify(raw, body)
    except (binascii.Error, ValueError, InvalidSignature):
        raise VerificationError("does not fit this key and body") from None
    try:
        stamp = dt.datetime.fromisoformat(json.loads(body)["timestamp"]).timestamp()
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise VerificationError("the body has no timestamp") from None
    check_freshness(stamp, now)
    return True


def _read(public_pem: str) -> rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    public: object = None
    with contextlib.suppress(ValueError, UnicodeError):
        public = serialization.load_pem_public_key(public_pem.encode())
    if not isinstance(public, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise InvalidSecret(_("A public key in PEM must be of RSA or Ed25519."))
    return public
