"""Standard Webhooks 1.0.0: `id.timestamp.body` is signed, and every key in force signs."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping

from cryptography.exceptions import InvalidSignature

from . import ed25519, hmac_sha256
from .base import VerificationError, b64
from .keys import Key

TOLERANCE_SECONDS = 300


def standard_signature(keys: Iterable[Key], message_id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature` of Standard Webhooks 1.0.0: one signature per key, separated by a space.

    :param timestamp: Unix seconds of this attempt, an integer (a datetime would be read in the
        wrong zone sooner or later).
    :raises ValueError: a key of a kind that Standard Webhooks does not have (`standard_version`).
    """
    content = _content(message_id, timestamp, body)
    signatures = []
    for key in keys:
        if key.standard_version is None:
            raise ValueError(f"Standard Webhooks has no signature of {key.algorithm}")
        signatures.append(f"{key.standard_version},{b64(key.sign(content))}")
    return " ".join(signatures)


def verify_standard(
    secret_or_public: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> bool:
    """Check the three Standard Webhooks headers (names in any case); True, or it raises.

    :param secret_or_public: `whsec_…`, a secret of one's own, `whpk_…` or `whsk_…`.
    :param now: Unix seconds.
    :raises VerificationError: a header is missing or malformed, the timestamp is further than
        `tolerance_seconds` from now, or no signature fits; the message says which.
    :raises InvalidSecret: `secret_or_public` is none.
    """
    given = {name.lower(): value for name, value in headers.items()}
    missing = [
        name
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        if not given.get(name)
    ]
    if missing:
        raise VerificationError(f"missing headers: {', '.join(missing)}")
    stamp = given["webhook-timestamp"]
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 15):
        raise VerificationError("webhook-timestamp is not a number of seconds")
    check_freshness(int(stamp), now, tolerance_seconds)

    content = _content(given["webhook-id"], int(stamp), body)
    version, fits = verifier(secret_or_public)
    found = False
    for signature in given["webhook-signature"].split(" "):
        name, _comma, value = signature.partition(",")
        if name != version:
            continue
        found = True
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
        if fits(raw, content):
            return True
    raise VerificationError(
        f"no {version} signature fits this secret" if found else f"there is no {version} signature"
    )


def check_freshness(stamp: float, now: float, tolerance_seconds: float = TOLERANCE_SECONDS) -> None:
    """:raises VerificationError: the two are further apart than that; the message says how far."""
    distance = stamp - now
    if abs(distance) > tolerance_seconds:
        side = "ahead" if distance > 0 else "old"
        raise VerificationError(f"the timestamp is {abs(distance):.0f} s {side}")


def verifier(secret_or_public: str) -> tuple[str, Callable[[bytes, bytes], bool]]:
    """Which version of signature to look for, and whether a raw one fits a content.

    :raises InvalidSecret: it verifies nothing.
    """
    if secret_or_public.startswith((ed25519.PUBLIC_PREFIX, ed25519.PRIVATE_PREFIX)):
        public = ed25519.public_key(secret_or_public)

        def fits_public(signature: bytes, content: bytes) -> bool:
            try:
                public.verify(signature, content)
            except InvalidSignature:
                return False
            return True

        return "v1a", fits_public

    key = hmac_sha256.content_key(secret_or_public)
    return "v1", lambda signature, content: hmac.compare_digest(
        signature, hmac.digest(key, content, "sha256")
    )


def _content(message_id: str, timestamp: int, body: bytes) -> bytes:
    if isinstance(timestamp, bool) or not isinstance(timestamp, int):
        raise TypeError(f"timestamp must be whole Unix seconds, not {type(timestamp).__name__}")
    return f"{message_id}.{timestamp}.".encode() + body
