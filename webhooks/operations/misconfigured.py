"""What is stored of a webhook and cannot be used, in words: for whoever can mend it."""

from __future__ import annotations

from django.utils.translation import gettext as _

from .. import formats
from ..fields import EncryptionKeyMissing, Sealed, SecretUnreadable
from ..models import Webhook

_SHOWN = 60  # characters of a value


def misconfigured(webhook: Webhook) -> list[str]:
    """A translated sentence for each column that holds what was never entered here, or that cannot
    be read. No queries, and no secrets."""
    found = [
        _("%(column)s: %(value)s cannot be used; the default holds.")
        % {"column": _label(name), "value": _short(value)}
        for name, value in webhook.wrong.items()
    ]
    for name, known in (
        ("format", {each.name for each in formats.all_formats()}),
        ("status", set(Webhook.Status.values)),
        ("auth_type", set(Webhook.Authentication.values)),
        ("lane", set(Webhook.Lane.values)),
    ):
        if getattr(webhook, name) not in known:
            values = {"column": _label(name), "value": _short(getattr(webhook, name))}
            found.append(_("%(column)s: nothing here knows %(value)s.") % values)
    found += [
        _("%(column)s: what is stored cannot be read.") % {"column": _label(name)}
        for name in ("headers", "auth_secret")
        if not _is_readable(getattr(webhook, name))
    ]
    return found


def _label(name: str) -> str:
    return str(Webhook._meta.get_field(name).verbose_name)  # type: ignore[union-attr]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is_readable(value: Sealed) -> bool:
    try:
        value.reveal()
    except (SecretUnreadable, EncryptionKeyMissing):
        return False
    return True
