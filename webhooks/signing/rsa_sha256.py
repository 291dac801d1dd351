"""RSA with SHA-256 and PKCS#1 v1.5: a pair of keys in PEM."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from django.utils.translation import gettext as _

from .base import InvalidSecret, Parsed

BITS = range(2048, 4097)  # below: broken; above: each signature costs milliseconds
SCHEME, DIGEST = padding.PKCS1v15(), hashes.SHA256()


def parse(secret: str, *, stored: bool) -> Parsed:
    private = _private_key(secret, stored=stored)
    pem = (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    return Parsed(
        lambda content: private.sign(content, SCHEME, DIGEST), public_text=pem, public_pem=pem
    )


def generate() -> str:
    """RSA-2048."""
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def _private_key(secret: str, *, stored: bool) -> rsa.RSAPrivateKey:
    # Its length first: checking the numbers of a key of 14,000 bits takes more than a minute.
    private = _loaded(secret, checked=False)
    if not isinstance(private, rsa.RSAPrivateKey) or private.key_size not in BITS:
        raise InvalidSecret(_("The private key must be RSA, of 2048 to 4096 bits."))
    return private if stored else _loaded(secret, checked=True)  # type: ignore[return-value]


def _loaded(secret: str, *, checked: bool) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(
            secret.encode(), password=None, unsafe_skip_rsa_key_validation=not checked
        )
    except (ValueError, TypeError, UnicodeError) as error:
        raise InvalidSecret(
            _("An RSA private key must be given in PEM, without a password.")
        ) from error
