"""Webhooks are created, changed and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import audit
from ..databases import refresh, writing
from ..models import Webhook
from .secrets import add_key, add_missing_keys, key_algorithms, make_secret, shareable
from .states import alive, locked
from .validation import clean_webhook

EDITABLE = frozenset(
    {
        "name",
        "url",
        "events",
        "format",
        "format_options",
        "headers",
        "auth_type",
        "auth_username",
        "auth_header_name",
        "auth_secret",
        "timeout_seconds",
        "retry_schedule",
        "rate_limit",
        "keep_responses",
        "owner",
    }
)


@sensitive_variables()
def create_webhook(
    *,
    name: str,
    url: str,
    events: Sequence[str],
    secret: str | None = None,
    algorithm: str | None = None,
    format: str = "sistema-crm",
    format_options: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    auth_type: str = Webhook.Authentication.NONE,
    auth_username: str = "",
    auth_header_name: str = "",
    auth_secret: str = "",
    timeout_seconds: float | None = None,
    retry_schedule: Sequence[float] | None = None,
    rate_limit: float | None = None,
    keep_responses: bool = True,
    owner: Any = None,
) -> tuple[Webhook, str]:
    """Add a webhook; from its commit on it gets the events that its patterns cover.

    :param events: patterns: `cliente.criado`, `cliente.*`, `*.criado`, `*`.
    :param format_options: of the format's `options`.
    :param secret: of one's own, 16 to 256 printable characters; None makes `whsec_…`.
    :param algorithm: of `SigningKey.Algorithm`; None takes the format's first, or all where it
        signs with all.
    :returns: the webhook and its secret, in the open: show it once, keep it nowhere. It is empty
        where the format does not sign, and of a pair of keys: see `public_keys`.
    :raises ValidationError: a message per field.
    """
    webhook = Webhook(
        name=name,
        url=url,
        events=list(events) if not isinstance(events, str) else events,
        format=format,
        format_options=format_options or {},
        auth_type=auth_type,
        auth_username=auth_username,
        auth_header_name=auth_header_name,
        timeout_seconds=timeout_seconds,
        retry_schedule=list(retry_schedule) if retry_schedule is not None else None,
        rate_limit=rate_limit,
        keep_responses=keep_responses,
        owner=owner,
    )
    assign(webhook, {"headers": headers or {}, "auth_secret": auth_secret})
    clean_webhook(webhook)
    return webhook, add_webhook(webhook, secret=secret, algorithm=algorithm)


@sensitive_variables()
def add_webhook(
    webhook: Webhook,
    *,
    secret: str | None = None,
    algorithm: str | None = None,
) -> str:
    """Save a new webhook that `clean_webhook` has passed, with its first keys.

    :returns: the secret, in the open; empty where there is none that the receiver shares.
    :raises ValidationError: the secret cannot be used.
    """
    algorithms = key_algorithms(webhook.format, algorithm)
    if secret and not algorithms:
        raise ValidationError({"secret": _("The format of this webhook does not sign.")})
    shown, keys = "", {}
    for each in algorithms:  # before the transaction: an RSA key takes a while
        keys[each] = make_secret(webhook.format, secret, each)
        shown = shareable(keys[each], each) or shown
    with transaction.atomic():
        webhook.save(force_insert=True)
        for each, text in keys.items():
            add_key(webhook, each, text)
        if keys:
            refresh(webhook, "version")
        audit.record(audit.Action.CREATED, subject=audit.of(webhook), detail=webhook.name)
    return shown


@sensitive_variables()
def update_webhook(webhook: Webhook, **changes: Any) -> Webhook:
    """Change a webhook's fields, only those named: what others change meanwhile stays. Attempts
    that begin afterwards use them.

    :param changes: of `EDITABLE`.
    :returns: the webhook as it is now. Where it changed to a format for which it had no secret,
        one was made: `rotate_secret` tells one.
    :raises ValidationError: a message per field; nothing is changed.
    :raises TypeError: a field that is not changed this way (`status`: pause, resume).
    """
    unknown = set(changes) - EDITABLE
    if unknown:
        raise TypeError(f"update_webhook() does not change: {', '.join(sorted(unknown))}.")
    tried = alive(webhook)
    url = tried.url
    assign(tried, changes)
    # Names are looked up here, where nothing is locked.
    clean_webhook(tried, resolve=tried.url != url)
    with transaction.atomic():
        webhook = locked(webhook)
        assign(webhook, changes)
        clean_webhook(webhook, resolve=False)  # with what others have changed
        save_webhook(webhook)
    return webhook


@sensitive_variables()
def save_webhook(webhook: Webhook) -> str:
    """Save what `clean_webhook` has passed, and of that only what differs from what is stored.

    Only `EDITABLE` fields, so that a pause that came between is not undone.

    :param webhook: read with its row locked, in the transaction that is open; else what others have
        changed since would differ too, and be undone.
    :returns: the secret that was made for another format than before, to be shown this once; "" if
        none was.
    :raises Webhook.DoesNotExist: it was deleted meanwhile.
    """
    secret = ""
    with transaction.atomic():
        stored = locked(webhook)
        changed = sorted(
            # What was stored and cannot be used is overwritten by what was shown in its place.
            field
            for field in EDITABLE
            if field in stored.wrong or _differs(webhook, stored, field)
        )
        webhook.lane = stored.lane
        if changed:
            webhook.next_turn_at = None  # by another rate limit it may be another
            webhook.save(update_fields=[*changed, "next_turn_at"])
            if "format" in changed:
                secret = add_missing_keys(webhook)
            audit.record(audit.Action.CHANGED, subject=audit.of(webhook), detail=", ".join(changed))
    return secret


def _differs(webhook: Webhook, stored: Webhook, field: str) -> bool:
    name = Webhook._meta.get_field(field).attname  # type: ignore[union-attr]
    return bool(getattr(webhook, name) != getattr(stored, name))


_MAX_NAME = 100  # of Webhook.name


def find_webhook(text: str) -> Webhook:
    """The webhook of that id, or else of that name (in any letter case).

    :raises ValidationError: none, or several of that name.
    """
    try:
        found: Webhook | None = writing(Webhook).filter(pk=UUID(text)).first()
        if found is not None:
            return found
    except ValueError:
        pass
    # No name is longer, and SQLite looks for no pattern of any length.
    rows = writing(Webhook).filter(name__iexact=text)
    named: list[Webhook] = list(rows[:10]) if len(text) <= _MAX_NAME else []
    if not named:
        raise ValidationError(_("No webhook has the id or name “%(text)s”.") % {"text": text[:100]})
    if len(named) > 1:
        raise ValidationError(
            _("Several webhooks are named “%(text)s”; give the id of one: %(ids)s.")
            % {"text": text, "ids": ", ".join(str(webhook.pk) for webhook in named)}
        )
    return named[0]


@sensitive_variables()
def assign(webhook: Webhook, values: Mapping[str, Any]) -> None:
    """Set fields of a webhook that is not saved yet, or not yet again.

    Another format without its options leaves none: those of the former mean nothing to it.

    :raises ValidationError: a sealed field was given what it cannot hold.
    """
    errors = {}
    if "format_options" not in values and values.get("format", webhook.format) != webhook.format:
        webhook.format_options = {}
    for field, value in values.items():
        try:
            setattr(webhook, field, value)
        except TypeError:
            errors[field] = _("Give names and values.")
        except ValueError as error:  # a mask in place of a secret
            errors[field] = str(error)
    if errors:
        raise ValidationError(errors)
