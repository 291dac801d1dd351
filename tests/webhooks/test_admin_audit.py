"""The admin records who sees a payload, shows the trail, and says what was erased."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.webhooks.conftest import Login
from tests.webhooks.makers import a_delivery, a_webhook, an_attempt, an_event
from webhooks import audit, operations
from webhooks.models import AuditEntry, Delivery

pytestmark = pytest.mark.django_db

ENTRIES = "/admin/webhooks/auditentry/"
LOOK = ("view_event", "view_delivery")


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:webhooks_{row._meta.model_name}_{name}", args=[row.pk])


def seen() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.filter(action="viewed_payload").order_by("id")
    return list(rows.values_list("user__username", "subject", "detail"))


def test_a_payload_that_is_seen_is_recorded(login: Login) -> None:
    event = an_event(data_subject="cliente_1")
    delivery = a_delivery(a_webhook(), event)
    an_attempt(delivery)
    client = login(*LOOK, "view_payload")
    name = User.objects.get().username
    for row in (event, delivery):
        assert "João" not in client.get(page(row)).content.decode()
        asked = client.post(page(row, "reveal"), follow=True)
        assert "João" in asked.content.decode()
        assert "João" not in client.get(page(row)).content.decode()
    assert seen() == [
        (name, event.public_id, f"{event.public_id} cliente_1"),
        (name, f"delivery_{delivery.pk}", f"{event.public_id} cliente_1"),
    ]
    assert AuditEntry.objects.first().origin == "user"  # type: ignore[union-attr]


def test_pages_that_show_no_payload_record_nothing(login: Login) -> None:
    event = an_event()
    delivery = a_delivery(a_webhook(), event)
    an_attempt(delivery)
    login(*LOOK).get(page(event))
    login(*LOOK).get(page(delivery))
    client = login(*LOOK, "view_payload")
    client.get("/admin/webhooks/event/")
    client.get("/admin/webhooks/delivery/")
    operations.forget("cliente_1")
    client.get(page(event))
    client.get(page(delivery))
    assert login(*LOOK).post(page(event, "reveal")).status_code == 403
    assert seen() == []


def test_what_was_erased_is_said_and_cannot_be_sent_again(login: Login) -> None:
    delivery = a_delivery(a_webhook(), an_event())
    an_attempt(delivery)
    operations.forget("cliente_1")
    client = login(*LOOK, "view_payload", "replay_delivery")
    for row in (delivery, delivery.event):
        text = client.get(page(row)).content.decode()
        assert "Erased at" in text
        assert "João" not in text
        assert "Send again now" not in text
    client.post(reverse("admin:webhooks_delivery_replay", args=[delivery.pk]))
    assert Delivery.objects.get().status == Delivery.Status.FAILED


def test_events_are_found_by_whom_they_are_about(login: Login) -> None:
    event = an_event("tarefa.criada", subject="tarefa_5", data_subject="cliente_9")
    an_event()
    client = login(*LOOK)
    answer = client.get("/admin/webhooks/event/", {"q": "cliente_9"})
    assert [row.pk for row in answer.context["cl"].result_list] == [event.pk]
    assert "cliente_9" in client.get(page(event)).content.decode()


def test_the_trail_is_read_by_who_may_and_changed_by_nobody(login: Login) -> None:
    entry = audit.record("replayed", subject="delivery_1", count=3)
    assert login(*LOOK).get(ENTRIES).status_code == 403
    reader = login("view_auditentry")
    assert reader.get(ENTRIES).status_code == 200
    assert "delivery_1" in reader.get(page(entry)).content.decode()
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    assert root.get(f"{ENTRIES}add/").status_code == 403
    assert root.post(page(entry), {"detail": "x"}).status_code == 403
    assert root.post(f"{page(entry)}../delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in root.get(ENTRIES).content.decode()
    assert AuditEntry.objects.get().detail == ""


def test_the_trail_names_what_it_speaks_of_and_leads_there(
    login: Login, django_assert_max_num_queries: Any
) -> None:
    loja, gone = a_webhook(name="Loja"), a_webhook(name="Antigo")
    event = an_event()
    for subject in (audit.of(loja), audit.of(gone), audit.of(event), "delivery_7", "replay_3", ""):
        audit.record("changed", subject=subject)
    audit.record("changed", subject="webhook_gone-and-pruned")
    operations.delete_webhook(gone)
    reader = login("view_auditentry")
    with django_assert_max_num_queries(8):
        html = reader.get(ENTRIES).content.decode()
    assert f'<span title="{audit.of(loja)}"><a href="{page(loja)}">Loja</a></span>' in html
    assert f'title="{audit.of(gone)}">Antigo (deleted)<' in html
    for url in (
        page(event),
        "/admin/webhooks/delivery/7/change/",
        "/admin/webhooks/bulkjob/3/change/",
    ):
        assert f'href="{url}"' in html
    assert "webhook_gone-and-pruned" in html
    [entry, *_] = AuditEntry.objects.filter(subject=audit.of(loja))
    assert f'<a href="{page(loja)}">Loja</a>' in reader.get(page(entry)).content.decode()


def test_users_are_linked_for_who_may_see_them_only(login: Login) -> None:
    a_delivery(a_webhook())
    ana = User.objects.create_user("ana")
    job = operations.start_replay(operations.ReplayFilter(), user=ana)
    rows = [audit.record("replayed", user=ana), job]
    for row in rows:
        look = f"view_{row._meta.model_name}"
        html = login(look).get(page(row)).content.decode()
        assert "ana" in html
        assert "/admin/auth/user/" not in html
        assert (
            f"/admin/auth/user/{ana.pk}/"
            in login(look, "view_user").get(page(row)).content.decode()
        )


def test_the_trail_is_searched_and_filtered_in_few_queries(
    login: Login, django_assert_max_num_queries: Any
) -> None:
    ana = User.objects.create_user("ana")
    for number in range(30):
        audit.record("replayed", user=ana, subject=f"delivery_{number}")
    audit.record("forgot", subject="cliente_1")
    reader = login("view_auditentry")

    def found(**query: str) -> int:
        return len(reader.get(ENTRIES, query).context["cl"].result_list)

    assert found(q="ana") == 30
    assert found(q="cliente_1") == found(action="forgot") == 1
    assert found(q=f"usuario_{ana.pk}", period="1h") == 30
    assert found(q="nobody") == 0
    with django_assert_max_num_queries(8):
        assert found() == 31
