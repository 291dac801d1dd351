"""What a worker knows of the webhooks: read once, and again only when something changed.

Every change to a webhook, its keys or its lane raises `Webhook.version`, so the sum of all versions
rises with every change; with the number of webhooks and the moment of the newest one it makes a
stamp that one cheap query compares. Deleted webhooks count too: were they left out, one that is
deleted and one that is made could cancel each other out.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import functools
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connections

from . import breaker, formats, retry
from .addresses import secrets_of
from .conf import settings
from .databases import writing
from .fields import Sealed, SecretUnreadable
from .formats.base import Format
from .headers import check_headers, mask_headers
from .models import SigningKey, Webhook
from .patterns import Subscription
from .secrecy import Secrets
from .signing import Key

logger = logging.getLogger("webhooks.directory")

_MARGIN = 5.0  # seconds of a lease beyond an attempt; webhooks.E004 asks as much


@dataclass(frozen=True)
class SealedKey:
    """A signing key, parsed when it is first used and no second time. Equal by what is sealed."""

    algorithm: str
    secret: Sealed = field(repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def key(self) -> Key:
        """:raises SecretUnreadable: the key that encrypted it is lost.
        :raises InvalidSecret: it is not of its algorithm's form.
        """
        with self._lock:  # several threads may be about to send to the same receiver
            return self._key

    @functools.cached_property
    def _key(self) -> Key:
        return Key.parse(self.algorithm, self.secret.reveal(), stored=True)


@dataclass(frozen=True)
class Receiver:
    """One webhook as sending needs it. Secrets are opened when they are first used."""

    id: UUID
    url: str
    status: str
    lane: int
    subscription: Subscription
    format: Format
    options: Mapping[str, Any]
    """The format's."""
    timeout: float
    """Seconds from the start of an attempt to the last byte of its answer."""
    schedule: Sequence[float]
    """Seconds before each attempt."""
    rate_limit: float | None
    """Requests per second."""
    keep_responses: bool
    _headers: Sealed = field(repr=False)
    _auth: tuple[str, str, str, Sealed] = field(repr=False)
    _keys: Sequence[tuple[dt.datetime | None, SealedKey]] = field(repr=False)

    @property
    def first_wait(self) -> float:
        """Seconds before the first attempt."""
        return next(iter(self.schedule), 0.0)

    @functools.cached_property
    def headers(self) -> dict[str, str]:
        """The headers of the webhook's own: custom ones and authentication.

        :raises SecretUnreadable: the key that encrypted them is lost.
        :raises HeadersRefused: one of them may not be sent, though it was refused when entered.
        """
        headers = check_headers(self._headers.reveal())
        kind, user, header_name, secret = self._auth
        if kind == Webhook.Authentication.BASIC:
            pair = f"{user}:{secret.reveal()}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        elif kind == Webhook.Authentication.BEARER:
            headers["Authorization"] = f"Bearer {secret.reveal()}"
        elif kind == Webhook.Authentication.HEADER:
            check_headers({header_name: ""})
            headers[header_name] = secret.reveal()
        return headers

    def mask(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers as they may be kept and shown: the webhook's own are secret, all of them."""
        return mask_headers(headers, secret_names=self.headers)

    def hide(self, text: str, *, most: int | None = None, cut: bool = False) -> str:
        """What a receiver answered, without the credentials that it may have sent back.

        :param most: characters to keep.
        :param cut: the text was cut before.
        """
        return self._secrets.hide(text, most=most, cut=cut)

    @functools.cached_property
    def _secrets(self) -> Secrets:
        kind, user, _header_name, secret = self._auth
        found = set(self.headers.values())
        if kind != Webhook.Authentication.NONE:
            found |= {secret.reveal(), *self.headers.get("Authorization", "").split(" ")[1:]}
        if kind == Webhook.Authentication.BASIC:
            found.add(f"{user}:{secret.reveal()}")
        found |= secrets_of(self.url)
        for _expires_at, sealed in self._keys:
            if sealed.algorithm == "hmac-sha256":  # of the others a receiver has no secret
                with contextlib.suppress(SecretUnreadable):
                    found.add(sealed.secret.reveal())
        return Secrets(found)

    def keys(self, now: dt.datetime) -> list[Key]:
        """The signing keys in force, the newest first.

        :raises SecretUnreadable: the key that encrypted one is lost.
        :raises InvalidSecret: one is not of its algorithm's form.
        """
        return [
            sealed.key
            for expires_at, sealed in self._keys
            if expires_at is None or expires_at > now
        ]


def receiver_of(
    webhook: Webhook, keys: Iterable[SigningKey] | None = None, before: Receiver | None = None
) -> Receiver:
    """What cannot be used as it is stored gives way to the default: it was refused when it was
    entered, and one webhook that is wrong all the same must not stop the others.

    :param keys: the webhook's, the newest first; None: they are read.
    :param before: what was known of it until now; keys that it has are not parsed again.
    """
    if keys is None:
        keys = writing(webhook.signing_keys).order_by("-created_at", "-pk")
    if webhook.wrong:
        logger.warning(
            "What is stored in %s of webhook %s cannot be used; the defaults hold.",
            ", ".join(webhook.wrong),
            webhook.pk,
            extra={"webhook_id": str(webhook.pk)},
        )
    parsed = {} if before is None else {sealed: sealed for _end, sealed in before._keys}
    format = formats.get_or_missing(webhook.format)
    patterns = webhook.events if isinstance(webhook.events, list) else []
    return Receiver(
        id=webhook.pk,
        url=webhook.url,
        status=webhook.status,
        lane=webhook.lane,
        subscription=Subscription(each for each in patterns if isinstance(each, str)),
        format=format,
        options=webhook.format_options if isinstance(webhook.format_options, dict) else {},
        timeout=_timeout(webhook),
        schedule=_schedule(webhook),
        rate_limit=breaker.bounded_rate(webhook.rate_limit),
        keep_responses=webhook.keep_responses,
        _headers=webhook.headers,
        _auth=(
            webhook.auth_type,
            webhook.auth_username,
            webhook.auth_header_name,
            webhook.auth_secret,
        ),
        _keys=[
            (key.expires_at, parsed.get(sealed := SealedKey(key.algorithm, key.secret), sealed))
            for key in keys
            if key.algorithm in format.algorithms
        ],
    )


def _timeout(webhook: Webhook) -> float:
    """Seconds; an attempt that could outlast its lease would never be begun."""
    asked: float = webhook.timeout_seconds or settings.TIMEOUT_SECONDS
    longest: float = settings.LEASE_SECONDS - _MARGIN
    return max(0.1, min(asked, longest))


def _schedule(webhook: Webhook) -> Sequence[float]:
    default: Sequence[float] = settings.RETRY_SCHEDULE_SECONDS
    if webhook.retry_schedule is None:
        return default
    try:
        return retry.validate_schedule(webhook.retry_schedule)
    except ValueError as error:
        logger.warning(
            "Webhook %s is retried by the default schedule: %s",
            webhook.pk,
            error,
            extra={"webhook_id": str(webhook.pk)},
        )
        return default


class Directory:
    """Not thread-safe: it belongs to the thread that owns the database connection."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._stamp: tuple[Any, ...] | None = None
        self._versions: dict[UUID, int] = {}
        self._receivers: dict[UUID, Receiver] = {}

    def refresh(self) -> None:
        """Read again what changed since the last call; where nothing did, one query finds out."""
        with connections[self._using].cursor() as cursor:
            # At every look of a worker: the ORM takes longer to write it than it takes to run.
            cursor.execute("SELECT count(*), sum(version), max(created_at) FROM webhooks_webhook")
            stamp = cursor.fetchone()
        if stamp == self._stamp:
            return
        rows = Webhook.all_objects.using(self._using).filter(deleted_at=None)
        versions = dict(rows.values_list("pk", "version"))
        changed = [pk for pk, found in versions.items() if self._versions.get(pk) != found]
        keys: dict[UUID, list[SigningKey]] = {}
        for key in (
            SigningKey.objects.using(self._using)
            .filter(webhook__in=changed)
            .order_by("-created_at", "-pk")
        ):
            keys.setdefault(key.webhook_id, []).append(key)
        known = {pk: each for pk, each in self._receivers.items() if pk in versions}
        for row in rows.filter(pk__in=changed):
            known[row.pk] = receiver_of(row, keys.get(row.pk, ()), known.get(row.pk))
        self._receivers, self._versions, self._stamp = known, versions, stamp

    def get(self, webhook_id: UUID) -> Receiver | None:
        """None: it was deleted."""
        return self._receivers.get(webhook_id)

    def __iter__(self) -> Iterator[Receiver]:
        return iter(self._receivers.values())
