"""A secret at rest: encrypted with WEBHOOKS["ENCRYPTION_KEYS"], opened only where it is used."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from .conf import settings

MASK = "••••••••"

_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


class EncryptionKeyMissing(ImproperlyConfigured):
    """WEBHOOKS["ENCRYPTION_KEYS"] is empty or holds what is no Fernet key."""


class SecretUnreadable(Exception):
    """None of WEBHOOKS["ENCRYPTION_KEYS"] opens a stored secret: its key was removed."""


@functools.lru_cache(maxsize=8)
def _fernets(keys: tuple[Any, ...]) -> tuple[MultiFernet, Fernet]:
    if not keys:
        raise EncryptionKeyMissing(
            'WEBHOOKS["ENCRYPTION_KEYS"] is empty, so secrets can be neither kept nor read. '
            "Set WEBHOOKS_ENCRYPTION_KEYS to a key made with: python -c "
            "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        )
    # Fernet itself reads the first of several keys in one text, and silently drops the others.
    if not all(isinstance(key, str) and _FERNET_KEY.fullmatch(key) for key in keys):
        raise EncryptionKeyMissing(
            'WEBHOOKS["ENCRYPTION_KEYS"] holds a value that is no Fernet key '
            "(32 url-safe base64-encoded bytes). Each key is an item of its own; in "
            "WEBHOOKS_ENCRYPTION_KEYS, commas separate them."
        )
    each = [Fernet(key) for key in keys]
    return MultiFernet(each), each[0]


def fernet() -> MultiFernet:
    """The cipher of the keys now in force: the first encrypts, all decrypt.

    :raises EncryptionKeyMissing: there is no usable key.
    """
    return _fernets(tuple(settings.ENCRYPTION_KEYS))[0]


class Sealed:
    """A secret at rest. Immutable; `reveal()` opens it.

    Two are equal where their ciphertexts are: sealing the same secret twice gives two that differ.
    """

    __slots__ = ("as_json", "stored", "token")

    token: str  # the ciphertext; "" is the empty secret
    as_json: bool
    stored: bool  # it holds, at least in part, what was read from the database and not given anew

    def __init__(self, token: str, as_json: bool = False, stored: bool = False) -> None:
        object.__setattr__(self, "token", token)
        object.__setattr__(self, "as_json", as_json)
        object.__setattr__(self, "stored", stored)

    @classmethod
    @sensitive_variables()
    def seal(cls, value: Any, *, as_json: bool = False) -> Sealed:
        """Encrypt a text, or with `as_json` a dict, under the first of the keys.

        :raises EncryptionKeyMissing: there is no usable key.
        :raises TypeError: `as_json`, and the value is no dict or holds what JSON has not.
        :raises ValueError: the value is the mask that stands for a secret, not a secret.
        """
        if as_json and value is not None and not isinstance(value, dict):
            raise TypeError(f"a sealed JSON value must be a dict, not {type(value).__name__}")
        if value == MASK or (as_json and value and MASK in value.values()):
            raise ValueError(f"“{MASK}” only stands for a stored secret; give the secret itself")
        if not value:
            return cls("", as_json)
        plain = json.dumps(value) if as_json else str(value)
        return cls(fernet().encrypt(plain.encode()).decode(), as_json)

    @sensitive_variables()
    def reveal(self) -> Any:
        """The secret: text, or what was sealed as JSON ({} where empty).

        :raises SecretUnreadable: the key that sealed it is no longer configured.
        :raises EncryptionKeyMissing: there is no usable key at all.
        """
        if not self.token:
            return {} if self.as_json else ""
        try:
            plain = fernet().decrypt(self.token).decode()
        except (InvalidToken, ValueError):  # ValueError: the token is not even base64
            raise SecretUnreadable(
                "A stored secret cannot be read: the key that encrypted it is not in "
                'WEBHOOKS["ENCRYPTION_KEYS"]. Put that key back at the end of the list, or store '
                "a new secret."
            ) from None
        return _opened(plain) if self.as_json else plain

    def resealed(self) -> Sealed:
        """The same secret under the first of the keys.

        :raises SecretUnreadable: the key that sealed it is no longer configured.
        """
        return Sealed.seal(self.reveal(), as_json=self.as_json)

    def is_current(self) -> bool:
        """Whether the first of the keys opens it, so that the others could go.

        :raises EncryptionKeyMissing: there is no usable key.
        """
        if not self.token:
            return True
        try:
            _fernets(tuple(settings.ENCRYPTION_KEYS))[1].decrypt(self.token)
        except (InvalidToken, ValueError):
            return False
        return True

    def masked(self) -> Any:
        """What may be shown: "" or the mask; of JSON, its keys with masks for values.

        Where JSON cannot be read, the mask alone.
        """
        if not self.as_json:
            return str(self)
        try:
            return dict.fromkeys(self.reveal(), MASK)
        except (SecretUnreadable, EncryptionKeyMissing):
            return MASK

    @sensitive_variables()
    def unmasked(self, given: Any) -> Any:
        """What someone who was shown `masked()` sent back, with the masks replaced by the secrets.

        :raises ValidationError: a mask where nothing is stored, or where it cannot be read.
        :raises TypeError: a value that JSON has not.
        """
        if not self.as_json:
            return self if given == MASK else given
        if given == MASK:
            return self
        if not isinstance(given, dict) or MASK not in given.values():
            return given
        try:
            stored = self.reveal()
        except SecretUnreadable as error:
            raise ValidationError(
                _("What is stored cannot be read, so every value must be given again."),
                code="unreadable",
            ) from error
        for name, value in given.items():
            if value == MASK and name not in stored:
                raise ValidationError(
                    _("“%(name)s” has no stored value to keep; give its value."),
                    code="nothing_stored",
                    params={"name": name},
                )
        whole = {name: stored[name] if value == MASK else value for name, value in given.items()}
        if whole == stored:
            return self
        return Sealed(Sealed.seal(whole, as_json=True).token, True, stored=self.stored)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Sealed does not change; assign another secret to the model's field")

    def __reduce__(self) -> Any:
        return Sealed, (self.token, self.as_json, self.stored)

    def __bool__(self) -> bool:
        return bool(self.token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __str__(self) -> str:
        return MASK if self.token else ""

    def __repr__(self) -> str:
        return f"<Sealed {'set' if self.token else 'empty'}>"


@sensitive_variables()
def _opened(plain: str) -> dict[str, Any]:
    """:raises SecretUnreadable: it is no JSON object, which is all that was ever sealed as JSON."""
    try:
        found = json.loads(plain)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SecretUnreadable("What is stored is no JSON object; store it anew.") from None
    return found
