"""What a webhook may be: one set of rules for the admin, the API and the commands."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import (
    addresses,
    breaker,
    catalog,
    egress,
    formats,
    gate,
    headers,
    patterns,
    retry,
    signing,
    transport,
)
from ..conf import settings
from ..databases import writing
from ..fields import Sealed, SecretUnreadable
from ..models import SigningKey, Webhook
from .destination import misdirected
from .options import clean_options

MAX_PATTERNS = 100
TIMEOUT_LIMITS_SECONDS = (0.5, 30.0)
MAX_CREDENTIAL = 2000  # characters
RESOLVE_TIMEOUT_SECONDS = 2.0
# Where too many wait already. A name that resolves does so in less.
RESOLVE_BUSY_SECONDS = 0.25


def clean_webhook(webhook: Webhook, *, resolve: bool = True) -> list[str]:
    """Hold every field against what is allowed, and write it in its usual form.

    Costs one name lookup (bounded) unless told otherwise; call it outside of transactions.

    :param resolve: whether to look the address's name up and vet where it leads. What is not
        vetted here is when connecting.
    :returns: warnings, translated: nothing is wrong, but something is odd.
    :raises ValidationError: a message per field, translated.
    """
    errors: dict[str, list[str]] = {}
    warnings: list[str] = []

    def checked(field: str, clean: Callable[[], Any]) -> None:
        try:
            setattr(webhook, field, clean())
        except ValidationError as error:
            errors.setdefault(field, []).extend(error.messages)

    _kinds(webhook, errors)
    checked("name", lambda: _name(webhook.name))
    checked("url", lambda: clean_url(webhook.url, warnings, resolve=resolve))
    checked("events", lambda: _events(webhook, warnings))
    checked("format", lambda: _format(webhook))
    if "format" not in errors:
        try:
            webhook.format_options = clean_options(
                formats.get(webhook.format), webhook.format_options
            )
        except ValidationError as error:
            errors |= error.message_dict
    checked("timeout_seconds", lambda: _timeout(webhook.timeout_seconds))
    checked("retry_schedule", lambda: _schedule(webhook.retry_schedule))
    checked("rate_limit", lambda: _rate_limit(webhook.rate_limit))
    if not errors.keys() & {"auth_type", "auth_username", "auth_header_name"}:
        _authentication(webhook, errors)
        if "url" not in errors:
            for field, message in misdirected(webhook).items():
                errors.setdefault(field, []).append(message)
        checked("headers", lambda: _headers(webhook))
    if errors:
        raise ValidationError(errors)
    return warnings


def clean_url(url: Any, warnings: list[str], *, resolve: bool = True) -> str:
    """The address, if it may be called.

    :param warnings: gets a sentence if the name could not be resolved just now.
    :raises ValidationError: it may not be called; the reason in words.
    """
    if not isinstance(url, str) or not url.strip():
        raise ValidationError(_("Give the address to call, such as https://example.com/webhook."))
    address: str = url.strip()
    policy = egress.policy()
    try:
        if resolve and not settings.EGRESS_PROXY:  # which resolves, and may see other names
            with _time_to_resolve() as seconds:
                transport.resolve_and_check(address, policy, seconds)
        else:
            addresses.check_url(address, policy)
    except addresses.AddressRefused as error:
        if error.code != "name":
            raise ValidationError(str(error), code=error.code) from error
        # Whoever sets a receiver up may do it before its name exists.
        warnings.append(str(error))
    return address


@contextlib.contextmanager
def _time_to_resolve() -> Iterator[float]:
    """Nobody is turned away for it: what is not resolved in time is saved with a warning."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(gate.passing(RESOLVE_TIMEOUT_SECONDS))
        except gate.Busy:
            yield RESOLVE_BUSY_SECONDS
        else:
            yield RESOLVE_TIMEOUT_SECONDS


@sensitive_variables()
def clean_secret(secret: str, algorithm: str = SigningKey.Algorithm.HMAC_SHA256) -> str:
    """A secret of the user's own, if it can sign.

    :raises ValidationError: for HMAC anything but 16 to 256 printable characters; for the others
        what is no private key of that kind. The message never shows it.
    """
    try:
        signing.Key.parse(algorithm, secret)
    except signing.InvalidSecret as error:
        raise ValidationError(str(error), code="secret") from None
    return secret


def _kinds(webhook: Webhook, errors: dict[str, list[str]]) -> None:
    """What the model's fields say themselves of kinds, lengths and choices."""
    for field in ("auth_type", "auth_username", "auth_header_name"):
        if not isinstance(getattr(webhook, field), str):
            errors[field] = [_("Give a text.")]
    own = {
        "name",
        "url",
        "events",
        "format",
        "format_options",
        "timeout_seconds",
        "retry_schedule",
        "rate_limit",
    }
    try:
        webhook.clean_fields(exclude={*own, *errors, "headers", "auth_secret", "owner"})
    except ValidationError as error:
        errors.update(error.message_dict)


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ValidationError(_("Give it a name."))
    stripped: str = name.strip()
    if len(stripped) > 100:
        raise ValidationError(
            _("At most 100 characters, not %(count)d.") % {"count": len(stripped)}
        )
    if not stripped.isprintable():
        raise ValidationError(_("A name has no line breaks and no control characters."))
    return stripped


def _events(webhook: Webhook, warnings: list[str]) -> list[str]:
    given = webhook.events
    if not isinstance(given, list | tuple) or not given:
        raise ValidationError(_("Choose at least one event, or “*” for all."))
    unique = list(dict.fromkeys(given)) if all(isinstance(p, str) for p in given) else list(given)
    if len(unique) > MAX_PATTERNS:
        raise ValidationError(
            _("At most %(most)d patterns, not %(count)d; “cliente.*” covers many at once.")
            % {"most": MAX_PATTERNS, "count": len(unique)}
        )
    known = [event_type.name for event_type in catalog.subscribable()]
    expected = formats.get_or_missing(str(webhook.format)).event_types
    stored = _stored_events(webhook)
    problems = []
    for pattern in unique:
        try:
            patterns.check(pattern)
        except patterns.PatternRefused as error:
            problems.append(str(error))
            continue
        # A pattern accepted once stays valid when an app with its events is taken out.
        if any(patterns.wants([pattern], name) for name in known):
            continue
        if any(patterns.wants([pattern], name) for name in expected):
            warnings.append(_("Nothing here tells “%(pattern)s” yet.") % {"pattern": pattern})
        elif pattern not in stored:
            problems.append(
                _("No event is covered by “%(pattern)s”. Events: %(known)s.")
                % {"pattern": pattern, "known": ", ".join(known) or _("none")}
            )
    if problems:
        raise ValidationError(problems)
    return unique


def _stored_events(webhook: Webhook) -> list[str]:
    if webhook._state.adding:
        return []
    rows = writing(Webhook.all_objects).filter(pk=webhook.pk)
    stored = rows.values_list("events", flat=True).first()
    return stored if isinstance(stored, list) else []


def _format(webhook: Webhook) -> str:
    name = webhook.format
    try:
        format = formats.get(name)
    except LookupError:
        raise ValidationError(
            _("No format is named “%(name)s”. Formats: %(known)s.")
            % {
                "name": str(name)[:100],
                "known": ", ".join(known.name for known in formats.all_formats()),
            }
        ) from None
    return format.name


@sensitive_variables()
def _headers(webhook: Webhook) -> Any:
    value = webhook.headers
    try:
        given = value.reveal() if isinstance(value, Sealed) else value
    except SecretUnreadable:
        # Nothing else of a webhook should be out of reach because a key is lost.
        return value
    try:
        checked = headers.check_headers(given)
    except headers.HeadersRefused as error:
        raise ValidationError(str(error), code=error.code) from error
    names = {name.lower() for name in checked}
    if webhook.auth_type != Webhook.Authentication.NONE and _auth_header(webhook).lower() in names:
        raise ValidationError(
            _("The header %(name)s is set by the authentication already.")
            % {"name": _auth_header(webhook)}
        )
    # What is sealed and sound stays as it is: sealing it anew would look like a change.
    return value if checked == given else checked


def _auth_header(webhook: Webhook) -> str:
    if webhook.auth_type == Webhook.Authentication.HEADER:
        return webhook.auth_header_name
    return "Authorization"


@sensitive_variables()
def _authentication(webhook: Webhook, errors: dict[str, list[str]]) -> None:
    kinds = Webhook.Authentication
    kind = webhook.auth_type
    if kind != kinds.BASIC:
        webhook.auth_username = ""
    if kind != kinds.HEADER:
        webhook.auth_header_name = ""
    if kind == kinds.NONE:
        webhook.auth_secret = ""
        return
    if kind == kinds.BASIC:
        name = webhook.auth_username
        if not name:
            errors["auth_username"] = [_("Basic authentication needs a user.")]
        elif ":" in name or not _sendable(name):
            errors["auth_username"] = [_("No colon, and printable ASCII characters only.")]
    if kind == kinds.HEADER:
        try:
            headers.check_headers({webhook.auth_header_name: ""})
        except headers.HeadersRefused as error:
            errors["auth_header_name"] = [str(error)]
    if not webhook.auth_secret:
        errors["auth_secret"] = [_("This authentication needs a password or token.")]
        return
    try:
        secret = webhook.auth_secret.reveal()
    except SecretUnreadable:
        return
    if len(secret) > MAX_CREDENTIAL or not _sendable(secret):
        errors["auth_secret"] = [
            _("At most %(most)d characters, printable ASCII only.") % {"most": MAX_CREDENTIAL}
        ]


def _sendable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _number(value: Any) -> float:
    """:raises ValidationError: it is no finite number."""
    if not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            pass
        else:
            if math.isfinite(number):
                return number
    raise ValidationError(_("Give a number, not %(value)r.") % {"value": str(value)[:100]})


def _timeout(value: Any) -> float | None:
    if value is None:
        return None
    least, most = TIMEOUT_LIMITS_SECONDS
    seconds = _number(value)
    if not least <= seconds <= most:
        raise ValidationError(
            _("Between %(least)g and %(most)g seconds, not %(value)g.")
            % {"least": least, "most": most, "value": seconds}
        )
    return seconds


def _schedule(value: Any) -> list[float] | None:
    if value is None:
        return None
    try:
        return retry.validate_schedule(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _rate_limit(value: Any) -> float | None:
    if value is None:
        return None
    rate = _number(value)
    if not breaker.LEAST_RATE <= rate <= breaker.MOST_RATE:
        raise ValidationError(
            _("Between %(least)g and %(most)g requests per second, not %(value)g.")
            % {"least": breaker.LEAST_RATE, "most": breaker.MOST_RATE, "value": rate}
        )
    return rate
