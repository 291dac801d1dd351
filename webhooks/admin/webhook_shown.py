"""A webhook's page for who may only look: what its form would show, as texts."""

from __future__ import annotations

from django.contrib import admin
from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from .. import formats
from ..addresses import shown_address
from ..conf import settings
from ..models import Webhook
from . import option_fields
from .form_fields import waits_as_text


class ShownFields:
    """What is left empty is shown as what holds then: the settings' defaults."""

    shown_fields = (
        "name",
        "address",
        "all_events",
        "shown_format",
        "options",
        "auth_type",
        "timeout",
        "schedule",
        "rate",
        "keep_responses",
        "owner",
        "created_at",
        "updated_at",
    )

    @admin.display(description=_("address (URL)"))
    def address(self, webhook: Webhook) -> str:
        return shown_address(webhook.url)

    @admin.display(description=_("events"))
    def all_events(self, webhook: Webhook) -> str:
        return ", ".join(webhook.events)

    @admin.display(description=_("format"))
    def shown_format(self, webhook: Webhook) -> str:
        return str(formats.get_or_missing(webhook.format).label)

    @admin.display(description=_("options of the format"))
    def options(self, webhook: Webhook) -> SafeString | str:
        return option_fields.shown(webhook) or "—"

    @admin.display(description=_("timeout (seconds)"))
    def timeout(self, webhook: Webhook) -> str:
        return _number(webhook.timeout_seconds or settings.TIMEOUT_SECONDS)

    @admin.display(description=_("retry schedule"))
    def schedule(self, webhook: Webhook) -> str:
        return waits_as_text(webhook.retry_schedule or settings.RETRY_SCHEDULE_SECONDS)

    @admin.display(description=_("rate limit (requests per second)"))
    def rate(self, webhook: Webhook) -> str:
        return "—" if webhook.rate_limit is None else _number(webhook.rate_limit)


def _number(value: float) -> str:
    return number_format(f"{value:g}")
