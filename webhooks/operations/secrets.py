"""Signing secrets: made, changed with an overlap, let go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import audit, clock, formats, signing
from ..conf import settings
from ..databases import writing
from ..fields import Sealed, SecretUnreadable
from ..models import SigningKey, Webhook, touch
from .states import locked
from .validation import clean_secret

MAX_ACTIVE_KEYS = 5  # of an algorithm; each may add a signature to every request
MAX_OVERLAP_SECONDS = 90 * 86_400


def active_keys(webhook: Webhook) -> QuerySet[SigningKey]:
    """The keys in force that its format signs with, the newest first."""
    keys: QuerySet[SigningKey] = writing(webhook.signing_keys)
    return keys.filter(
        Q(expires_at=None) | Q(expires_at__gt=clock.at(using=keys.db)),
        algorithm__in=formats.get_or_missing(webhook.format).algorithms,
    )


@sensitive_variables()
def public_key(key: SigningKey) -> str | None:
    """What receivers verify with: `whpk_…` or PEM, as the webhook's format has it; None of HMAC,
    whose secret they share, and where the key cannot be read."""
    if key.algorithm == SigningKey.Algorithm.HMAC_SHA256:
        return None
    try:
        parsed = signing.Key.parse(key.algorithm, key.secret.reveal(), stored=True)
    except (SecretUnreadable, signing.InvalidSecret):
        return None
    return formats.get_or_missing(key.webhook.format).public_key(parsed)


def public_keys(webhook: Webhook) -> dict[str, str]:
    """What a receiver verifies with from now on, or once a rotation's overlap is over: by
    algorithm, of the newest keys. Empty where it shares the secret."""
    newest = {key.algorithm: key for key in active_keys(webhook).reverse()}
    found = {
        algorithm: public_key(newest[algorithm])
        for algorithm in formats.get_or_missing(webhook.format).algorithms
        if algorithm in newest
    }
    return {algorithm: public for algorithm, public in found.items() if public is not None}


@sensitive_variables()
def rotate_secret(
    webhook: Webhook,
    *,
    secret: str | None = None,
    algorithm: str | None = None,
    overlap_seconds: float | None = None,
) -> str:
    """Give the webhook a new secret. The old one signs along until its overlap ends; where requests
    have room for one signature of a kind, LeadConnector's, it signs alone until then.

    :param secret: of one's own; None makes one.
    :param algorithm: of `SigningKey.Algorithm`; None: that of the newest key, or all of a format's
        that signs with all. Keys of other algorithms are not touched.
    :param overlap_seconds: how long the old keys still sign; 0 ends them at once; None:
        WEBHOOKS["SECRET_OVERLAP_SECONDS"].
    :returns: the new secret, in the open: show it once, keep it nowhere. Of a pair of keys nothing:
        the private one stays here, `public_keys` has the other.
    :raises ValidationError: the secret cannot be used, or too many keys overlap already.
    """
    if overlap_seconds is None:
        overlap_seconds = settings.SECRET_OVERLAP_SECONDS
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise ValidationError(
            {
                "overlap_seconds": _("An overlap has 0 to %(most)d seconds.")
                % {"most": MAX_OVERLAP_SECONDS}
            }
        )
    with transaction.atomic():
        webhook = locked(webhook)
        keys = list(active_keys(webhook))
        if algorithm is None and keys and not formats.get_or_missing(webhook.format).signs_with_all:
            algorithm = keys[0].algorithm
        algorithms = key_algorithms(webhook.format, algorithm, one_is_enough=True)
        if not algorithms:
            raise ValidationError(_("The format of this webhook does not sign."))
        shown = ""
        for each in algorithms:
            shown = _rotate(webhook, each, keys, secret, overlap_seconds) or shown
        audit.record(
            audit.Action.ROTATED_SECRET, subject=audit.of(webhook), detail=", ".join(algorithms)
        )
    return shown


@sensitive_variables()
def _rotate(
    webhook: Webhook,
    algorithm: str,
    keys: Sequence[SigningKey],
    secret: str | None,
    overlap_seconds: float,
) -> str:
    """:returns: as `rotate_secret`, of one algorithm."""
    old = [key for key in keys if key.algorithm == algorithm]
    if overlap_seconds and len(old) >= MAX_ACTIVE_KEYS:
        raise ValidationError(
            _("%(count)d secrets sign already: end the old ones before adding another.")
            % {"count": len(old)}
        )
    text = make_secret(webhook.format, secret, algorithm)
    # No generator: its variables would stay in an error report.
    if text in [_readable(key) for key in old]:
        raise ValidationError({"secret": _("This is the secret in use: give another.")})
    _expire(old, overlap_seconds)
    add_key(webhook, algorithm, text)
    return shareable(text, algorithm)


@sensitive_variables()
def _readable(key: SigningKey) -> str | None:
    """Its secret; None where that cannot be read, and so is to be replaced all the more."""
    try:
        return str(key.secret.reveal())
    except SecretUnreadable:
        return None


def expire_old_keys(webhook: Webhook) -> int:
    """End the overlap of a rotation now: only the newest key of each algorithm signs on.

    :returns: how many keys were let go. They are deleted, since nothing needs them again.
    """
    with transaction.atomic():
        webhook = locked(webhook)
        newest: dict[str, int] = {}
        keys = writing(webhook.signing_keys)
        for key in keys.order_by("-created_at", "-id"):
            newest.setdefault(key.algorithm, key.pk)
        ended: int = keys.exclude(pk__in=newest.values()).delete()[0]
        if ended:
            touch(webhook.pk)
            audit.record(audit.Action.EXPIRED_SECRETS, subject=audit.of(webhook), count=ended)
    return ended


def key_algorithms(
    format: str, algorithm: str | None = None, *, one_is_enough: bool = False
) -> Sequence[str]:
    """Of which algorithms a webhook of that format gets a key each; none where it never signs.

    :param algorithm: the one that was asked for.
    :param one_is_enough: whether it may be one of a format's that signs with all.
    :raises ValidationError: the format does not have it, or has others that must be there too.
    """
    found = formats.get_or_missing(format)
    known = ", ".join(found.algorithms) or _("nothing")
    if algorithm is None:
        return found.algorithms if found.signs_with_all else found.algorithms[:1]
    if algorithm not in found.algorithms:
        raise ValidationError(
            {
                "algorithm": _("The format does not sign with %(algorithm)s, but with: %(known)s.")
                % {"algorithm": algorithm, "known": known}
            }
        )
    if found.signs_with_all and not one_is_enough:
        raise ValidationError(
            {
                "algorithm": _("The format signs with all of these, none is chosen: %(known)s.")
                % {"known": known}
            }
        )
    return [algorithm]


@sensitive_variables()
def add_missing_keys(webhook: Webhook) -> str:
    """Make the keys that the webhook's format signs with and it does not have.

    :returns: as `rotate_secret`; "" also where none was missing.
    """
    shown = ""
    there = set(active_keys(webhook).values_list("algorithm", flat=True))
    if there and not formats.get_or_missing(webhook.format).signs_with_all:
        return shown  # one is enough
    for algorithm in key_algorithms(webhook.format):
        if algorithm not in there:
            text = make_secret(webhook.format, None, algorithm)
            add_key(webhook, algorithm, text)
            shown = shareable(text, algorithm)
    return shown


@sensitive_variables()
def add_key(webhook: Webhook, algorithm: str, text: str) -> SigningKey:
    """Keep a secret, sealed before it goes through anything that error reports look into."""
    sealed: Any = Sealed.seal(text)
    return SigningKey.objects.create(webhook=webhook, algorithm=algorithm, secret=sealed)


@sensitive_variables()
def shareable(text: str, algorithm: str) -> str:
    """The secret where the receiver shares it; of a pair of keys nothing."""
    return text if algorithm == SigningKey.Algorithm.HMAC_SHA256 else ""


@sensitive_variables()
def make_secret(format: str, secret: str | None, algorithm: str) -> str:
    """The secret given, if it can be used, or a new one.

    :raises ValidationError: it cannot.
    """
    if secret and formats.get_or_missing(format).signs_with_all:
        raise ValidationError({"secret": _("The keys of this format are made here; give none.")})
    try:
        return clean_secret(secret, algorithm) if secret else signing.generate_secret(algorithm)
    except signing.InvalidSecret as error:
        raise ValidationError({"algorithm": str(error)}) from None
    except ValidationError as error:
        raise ValidationError({"secret": error.messages}) from None


def _expire(keys: list[SigningKey], overlap_seconds: float) -> None:
    """Let keys end, none later than it would have anyway; with no overlap, delete them."""
    if not overlap_seconds:
        writing(SigningKey).filter(pk__in=[key.pk for key in keys]).delete()
        return
    end = clock.now(using=writing(SigningKey).db) + timedelta(seconds=overlap_seconds)
    for key in keys:
        if key.expires_at is None or key.expires_at > end:
            key.expires_at = end
            key.save(update_fields=["expires_at"])
