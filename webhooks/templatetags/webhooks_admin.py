"""Tags for the admin's templates, the project's own included.

::

    {% load webhooks_admin %}
    {% webhooks_alarm %}            a banner where nobody delivers, or nobody keeps up
    {% webhooks_told original %}    a record's events, and whether they arrived
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from .. import operations
from ..addresses import shown_address
from ..admin import records

register = template.Library()


@register.inclusion_tag("admin/webhooks/alarm.html", takes_context=True)
def webhooks_alarm(context: Context, alarm: operations.Alarm | None = None) -> dict[str, Any]:
    """Nothing for who may not see webhooks."""
    request = context.get("request")
    if request is None or not request.user.has_perm("webhooks.view_webhook"):
        return {}
    return {"alarm": alarm or operations.alarm()}


@register.filter
def webhooks_address(url: str) -> str:
    """A URL as who may not change it sees it."""
    return shown_address(url)


@register.inclusion_tag("admin/webhooks/told.html", takes_context=True)
def webhooks_told(context: Context, original: Any) -> dict[str, Any]:
    """Nothing where no events tell of such records, or for who may not see them."""
    request = context.get("request")
    subject = records.subject_of(original) if original else ""
    if not subject or request is None or not request.user.has_perm("webhooks.view_event"):
        return {}
    return {
        "subject": subject,
        "told": records.told_of(subject),
        "may_see_deliveries": request.user.has_perm("webhooks.view_delivery"),
    }
