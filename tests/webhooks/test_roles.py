"""The groups that `webhooks_roles` makes, and what their members can and cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import translation

from tests.webhooks.makers import SECRET, a_delivery, a_webhook, an_attempt
from webhooks import operations
from webhooks.admin import BulkJobAdmin, DeliveryAdmin, EventAdmin, WebhookAdmin
from webhooks.models import Attempt, BulkJob, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    with translation.override("en"):
        yield


def member(group: str) -> Client:
    call_command("webhooks_roles", stdout=StringIO())
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(user)
    return client


def test_the_groups_are_made_once_and_what_was_added_to_them_stays() -> None:
    out = StringIO()
    call_command("webhooks_roles", stdout=out)
    assert "+ Operador de webhooks: " in out.getvalue()
    assert "+ Auditor: " in out.getvalue()
    auditor = Group.objects.get(name="Auditor")
    more = Permission.objects.get(codename="view_payload")
    auditor.permissions.add(more)
    auditor.permissions.remove(Permission.objects.get(codename="view_event"))
    assert operations.ensure_roles() == []
    names = set(auditor.permissions.values_list("codename", flat=True))
    assert names == {*operations.ROLES["Auditor"], "view_payload"}


def test_a_dry_run_shows_the_groups_and_makes_none() -> None:
    out = StringIO()
    call_command("webhooks_roles", "--dry-run", stdout=out)
    assert "+ Auditor: " in out.getvalue()
    assert "nothing was changed" in out.getvalue()
    assert not Group.objects.exists()


def test_every_permission_of_a_role_exists() -> None:
    wanted = {name for names in operations.ROLES.values() for name in names}
    assert Permission.objects.filter(codename__in=wanted).count() == len(wanted)


def _posts() -> list[tuple[str, bool]]:
    """Every address of the admin's own that takes POSTs, and whether it is of one object."""
    from django.contrib.admin import site

    found = []
    for model_admin in (
        WebhookAdmin(Webhook, site),
        DeliveryAdmin(Delivery, site),
        EventAdmin(Event, site),
        BulkJobAdmin(BulkJob, site),
    ):
        for pattern in model_admin.get_urls():
            if isinstance(pattern, URLPattern) and pattern.name:
                of_one = "<path:object_id>" in str(pattern.pattern)
                found.append((pattern.name, of_one))
    return found


def test_an_auditor_sees_all_no_secret_and_can_trigger_nothing() -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook)
    an_attempt(delivery, response_body="Telefone do João")
    job = operations.start_replay(operations.ReplayFilter())
    client = member("Auditor")
    rows = {"webhook": webhook, "delivery": delivery, "event": delivery.event, "bulkjob": job}
    before = state()
    for name, of_one in _posts():
        model = name.split("_")[1]
        url = reverse(f"admin:{name}", args=[rows[model].pk] if of_one else [])
        if name.endswith(("changelist", "_panel")):
            assert client.get(url).status_code == 200
        client.post(url, {"post": "yes", "action": "replay_selected", "_selected_action": "1"})
        assert state() == before, name
    for row in rows.values():
        url = reverse(f"admin:webhooks_{row._meta.model_name}_change", args=[row.pk])
        html = client.get(url).content.decode()
        assert SECRET not in html
        assert "João" not in html
        assert 'class="wh-tool"' not in html, url


def state() -> list[object]:
    models = (Webhook, Delivery, Event, Attempt, BulkJob)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def test_an_operator_runs_webhooks_but_does_not_delete_them_or_read_payloads() -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook)
    client = member("Operador de webhooks")
    for name in ("pause", "resume", "rotate"):
        url = reverse(f"admin:webhooks_webhook_{name}", args=[webhook.pk])
        assert client.post(url).status_code in {200, 302}
    assert client.get(reverse("admin:webhooks_webhook_add")).status_code == 200
    url = reverse("admin:webhooks_delivery_replay", args=[delivery.pk])
    assert client.post(url).status_code == 302
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.PENDING
    url = reverse("admin:webhooks_webhook_delete", args=[webhook.pk])
    assert client.post(url, {"post": "yes"}).status_code == 403
    url = reverse("admin:webhooks_delivery_reveal", args=[delivery.pk])
    assert client.post(url).status_code == 403
