"""Signatures: bytes and a key give a header's text, and back. No settings, no clock.

Seed 004, "Segurança", keys an HMAC with the secret's text and writes it as `sha256=<hex>`.
Standard Webhooks 1.0.0 signs `id.timestamp.body` and writes `v1,<base64>` (HMAC, keyed with the
bytes after `whsec_`) or `v1a,<base64>` (Ed25519); several are separated by a space. LeadConnector
(seed 000) signs the body alone, by RSA and by Ed25519, in a header each.

One file for each algorithm, and one for each way of putting signatures into headers.
"""

from .base import InvalidSecret, VerificationError
from .ed25519 import PRIVATE_PREFIX, PUBLIC_PREFIX
from .hmac_sha256 import verify_hex
from .keys import (
    ALGORITHMS,
    ED25519,
    HMAC_SHA256,
    RSA_SHA256,
    Key,
    bare_hex_signature,
    generate_secret,
    hex_signature,
)
from .lead_connector import BODY_HEADERS, PEM_PREFIX, body_header, body_signature, verify_body
from .standard import standard_signature, verifier, verify_standard
from .twenty import SIGNATURE_HEADER as TWENTY_HEADER
from .twenty import twenty_headers, verify_twenty

__all__ = [
    "ALGORITHMS",
    "BODY_HEADERS",
    "ED25519",
    "HMAC_SHA256",
    "PEM_PREFIX",
    "PRIVATE_PREFIX",
    "PUBLIC_PREFIX",
    "RSA_SHA256",
    "TWENTY_HEADER",
    "InvalidSecret",
    "Key",
    "VerificationError",
    "bare_hex_signature",
    "body_header",
    "body_signature",
    "check_secret",
    "generate_secret",
    "hex_signature",
    "standard_signature",
    "twenty_headers",
    "verify_body",
    "verify_hex",
    "verify_standard",
    "verify_twenty",
]


def check_secret(secret_or_public: str) -> None:
    """Whether something can be verified with it: a secret, `whpk_…`, or a public key in PEM.

    :raises InvalidSecret: it cannot; the message says why.
    """
    if secret_or_public.startswith(PEM_PREFIX):
        body_header(secret_or_public)
    else:
        verifier(secret_or_public)
