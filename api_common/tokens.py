"""Bearer tokens: made, shown once, found again by their digest."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .models import Token

# A word that programs which look for leaked secrets can recognise.
WORD = "crm_"
RANDOM_BYTES = 32
DEFAULT_DAYS = 365
MAX_DAYS = 3650
USE_NOTED_EVERY = timedelta(minutes=5)


@sensitive_variables()
def create(user: Any, name: str, *, expires_at: datetime | None = None) -> tuple[Token, str]:
    """A new token of that user.

    :param expires_at: aware, in the future; None: in a year.
    :returns: its row and its text: show that once, keep it nowhere.
    :raises ValidationError: a message per field.
    """
    token, text = prepare(Token(user=user, name=name.strip()), expires_at)
    token.full_clean(exclude={"user", "digest"})
    token.save()
    return token, text


@sensitive_variables()
def prepare(token: Token, expires_at: datetime | None = None) -> tuple[Token, str]:
    """Give an unsaved row its secret; as `create`."""
    now = timezone.now()
    expires_at = expires_at or now + timedelta(days=DEFAULT_DAYS)
    if not now < expires_at <= now + timedelta(days=MAX_DAYS):
        raise ValidationError(
            {
                "expires_at": _("A token expires in the future, in at most %(days)d days.")
                % {"days": MAX_DAYS}
            }
        )
    text = WORD + secrets.token_urlsafe(RANDOM_BYTES)
    token.digest, token.prefix, token.expires_at = digest(text), text[: len(WORD) + 6], expires_at
    return token, text


@sensitive_variables()
def find(text: str) -> Token | None:
    """The row of a token, with its user, whether it can still be used or not. One query."""
    return Token.objects.select_related("user").filter(digest=digest(text)).first()


def note_use(token: Token) -> None:
    """Remember that it was used, at most once in a few minutes: reading should not write."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USE_NOTED_EVERY:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)


@sensitive_variables()
def digest(text: str) -> str:
    # Not a password hash: 256 random bits cannot be guessed, however fast the guessing is.
    return hashlib.sha256(text.encode()).hexdigest()
