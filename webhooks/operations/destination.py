"""Credentials stay with the host that they were given for."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import addresses, egress
from ..models import Webhook


@sensitive_variables()
def misdirected(webhook: Webhook) -> dict[str, str]:
    """What would be sent to another scheme, host or port than it was stored for.

    Whoever may change a webhook may choose its address, but not read its credentials: by pointing
    it to a host of their own they would. So what is stored is given anew for a new host, or let go.
    The signing secret stays, for it is not sent.

    :param webhook: as it is to be saved; its address may be called.
    :returns: a message for each field that would be; empty where none would.
    """
    fields = [
        field
        for field in ("auth_secret", "headers")
        if (value := getattr(webhook, field)) and value.stored
    ]
    if not fields or webhook.url == webhook.read_url:
        return {}
    origin = _origin(webhook.url)
    if origin == _origin(webhook.read_url or ""):
        return {}
    message = _(
        "The address now leads to %(origin)s, and what is stored was not given for that host: "
        "give it anew, or remove it."
    ) % {"origin": origin}
    return dict.fromkeys(fields, message)


def _origin(url: str) -> str:
    """Empty where no request could be sent there."""
    try:
        return addresses.check_url(url, egress.policy()).origin
    except addresses.AddressRefused:
        return ""
