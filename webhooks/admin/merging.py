"""What somebody changed on a form, and not what somebody else changed since it was shown.

A form sends every field back, those too that nobody touched. It takes along a fingerprint of each
value that it was shown with: what still fits its fingerprint is left as it is stored by now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.crypto import salted_hmac
from django.views.decorators.debug import sensitive_variables

from .. import formats
from ..fields import MASK, Sealed
from ..models import Webhook
from ..operations import EDITABLE
from ..operations.options import clean_options

_SALT = "webhooks.admin.merging"


def stored(webhook: Webhook) -> dict[str, Any]:
    """The values of what a form may change, by the attributes that hold them."""
    names = [Webhook._meta.get_field(name).attname for name in EDITABLE]  # type: ignore[union-attr]
    return {name: getattr(webhook, name) for name in sorted(names)}


def fingerprints(webhook: Webhook) -> str:
    """Of the webhook as it is shown, for the form to take along. They tell no value."""
    return json.dumps({name: _fingerprint(webhook, name) for name in stored(webhook)})


def leave_untouched(webhook: Webhook, before: Mapping[str, Any], shown: str) -> None:
    """Undo what the form did not mean to change.

    :param webhook: with all that the form sent.
    :param before: `stored` of the webhook as it is by now.
    :param shown: `fingerprints` of when the form was shown; where they cannot be read, all that the
        form sent is meant.
    """
    known = _read(shown)
    for name, value in before.items():
        # Of what is sealed the form never had the value, and `keep_sealed` has seen to it.
        if not isinstance(value, Sealed) and known.get(name) == _fingerprint(webhook, name):
            setattr(webhook, name, value)


@sensitive_variables()
def keep_sealed(webhook: Webhook, cleaned: dict[str, Any], shown: str) -> None:
    """Have the mask, which means what is stored by now, stand for what is as it was shown.

    :param cleaned: what the form sent, where masks stand for what was stored when it was shown.
    """
    known = _read(shown)
    for name in ("auth_secret", "headers"):
        if name in cleaned and known.get(name) == _digest(webhook, name, cleaned[name]):
            cleaned[name] = MASK


def _read(shown: str) -> dict[str, Any]:
    try:
        known = json.loads(shown)
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


@sensitive_variables()
def _fingerprint(webhook: Webhook, name: str) -> str:
    value = getattr(webhook, name)
    if isinstance(value, Sealed):
        value = value.masked()
    elif name == "events" and isinstance(value, list):
        value = sorted(map(str, value))  # the form shows what it knows first
    elif name == "format_options":
        value = _options(webhook)
    return _digest(webhook, name, value)


@sensitive_variables()
def _digest(webhook: Webhook, name: str, value: Any) -> str:
    text = json.dumps([str(webhook.pk), name, _plain(value)], sort_keys=True, default=str)
    return salted_hmac(_SALT, text).hexdigest()[:20]


def _options(webhook: Webhook) -> Any:
    """With those that are not stored, since their default holds."""
    try:
        return clean_options(formats.get(webhook.format), webhook.format_options)
    except (LookupError, ValidationError):
        return webhook.format_options


def _plain(value: Any) -> Any:
    """5 and 5.0 are one value; what is empty is one too, which a form cannot tell apart."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict) and value:
        return {name: _plain(each) for name, each in value.items()}
    return None if value in ("", {}) else value
