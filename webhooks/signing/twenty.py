"""Twenty's signature: of the attempt's milliseconds and the body, beside a nonce (seed 002)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from .base import VerificationError
from .hmac_sha256 import hex_digest
from .keys import Key, bare_hex_signature
from .standard import check_freshness

TIMESTAMP_HEADER = "X-Twenty-Webhook-Timestamp"
SIGNATURE_HEADER = "X-Twenty-Webhook-Signature"
NONCE_HEADER = "X-Twenty-Webhook-Nonce"


def twenty_headers(key: Key, milliseconds: int, nonce: str, body: bytes) -> dict[str, str]:
    """
    :param key: of HMAC.
    :param milliseconds: since 1970, of this attempt.
    :param nonce: 32 hex digits, unsigned.
    """
    return {
        TIMESTAMP_HEADER: str(milliseconds),
        SIGNATURE_HEADER: bare_hex_signature(key, _content(str(milliseconds), body)),
        NONCE_HEADER: nonce,
    }


def verify_twenty(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """Check the signature and how old it is; True, or it raises.

    :param headers: names in any case.
    :param now: Unix seconds.
    :raises VerificationError: a header is missing or malformed, the timestamp is none of the last
        or next five minutes, or the signature does not fit; the message says which.
    """
    given = {name.lower(): value for name, value in headers.items()}
    stamp, signature = given.get(TIMESTAMP_HEADER.lower()), given.get(SIGNATURE_HEADER.lower())
    if not stamp or not signature:
        raise VerificationError("missing")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 15):
        raise VerificationError(f"{TIMESTAMP_HEADER} is not a number of milliseconds")
    check_freshness(int(stamp) / 1000, now)
    expected = hex_digest(secret, _content(stamp, body))
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise VerificationError("does not fit this secret and body")
    return True


def _content(stamp: str, body: bytes) -> bytes:
    return f"{stamp}:".encode() + body
