"""From events to the records that they tell of, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from .. import audit, tracking
from ..models import Delivery, Event, Webhook
from . import presentation
from .base import page_of

MOST_TOLD = 10  # events
MOST_DELIVERIES = 100  # of these


def model_of(subject: str) -> tuple[type[Model], str] | None:
    """The model and the key of a public id such as `cliente_123`; None if no app tells of it."""
    prefix, _, pk = subject.rpartition("_")
    for model, declaration in tracking.registered().items():
        if declaration.prefix == prefix:
            return model, pk
    return None


def may_see(request: HttpRequest, site: AdminSite, model: type[Model] | None) -> bool:
    """Whether the user may open the pages of such records, if there are any."""
    return (
        model is not None
        and site.is_registered(model)
        and site.get_model_admin(model).has_view_permission(request)
    )


def leading(
    request: HttpRequest,
    site: AdminSite,
    fields: Iterable[str],
    leads: Mapping[str, tuple[type[Model] | None, str]],
) -> list[str]:
    """A page's fields, without links that would end in a refusal.

    :param leads: to which model a field leads, and the field that says the same without a link.
    """
    plain = {
        name: instead
        for name, (model, instead) in leads.items()
        if not may_see(request, site, model)
    }
    return [plain.get(name, name) for name in fields]


def subject_model(subject: str) -> type[Model] | None:
    found = model_of(subject)
    return None if found is None else found[0]


def link(site: AdminSite, subject: str) -> SafeString | str:
    """The public id, as a link to the record's page where there can be one."""
    found = model_of(subject)
    if found is None or not site.is_registered(found[0]):
        return subject
    options = found[0]._meta
    try:
        page = f"admin:{options.app_label}_{options.model_name}_change"
        url = reverse(page, args=[quote(found[1])])
    except NoReverseMatch:  # "cliente_": what comes after is no key
        return subject
    return format_html('<a href="{}">{}</a>', url, subject)


def page_link(site: AdminSite, subject: str) -> SafeString | str:
    """What the audit trail calls a row, as a link to its page where it has one."""
    kind, _, key = subject.partition("_")
    pages = {"delivery": "delivery", "replay": "bulkjob", "evt": "event"}
    id = presentation.event_id(key) if kind == "evt" else key
    if kind not in pages or not id:
        return link(site, subject)
    url = reverse(f"admin:webhooks_{pages[kind]}_change", args=[id])
    return format_html('<a href="{}">{}</a>', url, subject)


def webhook_link(webhook: Webhook) -> SafeString:
    """A webhook's name, as a link to its page while there is one."""
    if webhook.deleted_at is not None:
        return format_html("{} ({})", webhook.name, gettext("deleted"))
    return format_html('<a href="{}">{}</a>', page_of(webhook), webhook.name)


def webhooks_of(subjects: Iterable[str]) -> dict[str, Webhook]:
    """The webhooks among what the audit trail calls rows, the deleted ones too. One query."""
    ids = []
    for subject in subjects:
        kind, _, key = subject.partition("_")
        with contextlib.suppress(ValueError):
            ids += [UUID(key)] if kind == Webhook._meta.model_name else []
    found = Webhook.all_objects.filter(pk__in=ids).only("name", "deleted_at")
    return {audit.of(webhook): webhook for webhook in found}


def subject_of(instance: Any) -> str:
    """The public id under which events tell of a record; "" if they do not."""
    declaration = tracking.declaration_of(type(instance))
    return "" if declaration is None or instance.pk is None else declaration.subject(instance)


def told_of(subject: str) -> list[tuple[Event, list[Delivery]]]:
    """The newest events about a record, each with its deliveries. Two queries."""
    events = list(
        Event.objects.filter(subject=subject)
        .defer("body", "snapshot")
        .order_by("-sequence", "-id")[:MOST_TOLD]
    )
    deliveries: dict[Any, list[Delivery]] = {event.pk: [] for event in events}
    rows = Delivery.objects.filter(event__in=deliveries).select_related("webhook").order_by("-id")
    for delivery in rows[:MOST_DELIVERIES]:
        delivery.badge = presentation.delivery_badge(delivery)  # type: ignore[attr-defined]
        deliveries[delivery.event_id].append(delivery)
    return [(event, deliveries[event.pk]) for event in events]
