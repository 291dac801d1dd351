"""Events and deliveries: what happened, whether it arrived, and sending it again."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.webhooks.conftest import Login
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event
from webhooks import operations
from webhooks.admin import presentation
from webhooks.admin.base import BoundedPaginator
from webhooks.admin.choosing import chosen_by_list
from webhooks.models import AuditEntry, BulkJob, Delivery, Event, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_english")]

EVENTS = "/admin/webhooks/event/"
DELIVERIES = "/admin/webhooks/delivery/"
REPLAY = "/admin/webhooks/delivery/replay_many/"
LOOK = ("view_event", "view_delivery", "view_webhook")


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:webhooks_{row._meta.model_name}_{name}", args=[row.pk])


def found(client: Client, url: str, **query: str) -> list[int]:
    answer = client.get(url, query)
    assert answer.status_code == 200
    return [row.pk for row in answer.context["cl"].result_list]


# --- read-only ----------------------------------------------------------------------------------
def test_nobody_adds_changes_or_deletes_them() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    delivery = a_delivery(a_webhook())
    for row in (delivery, delivery.event):
        base = EVENTS if isinstance(row, Event) else DELIVERIES
        assert client.get(f"{base}add/").status_code == 403
        assert client.post(page(row), {"status": "delivered"}).status_code == 403
        assert client.post(page(row, "delete"), {"post": "yes"}).status_code == 403
        assert "delete_selected" not in client.get(base).content.decode()
    assert Event.objects.exists()


def test_strangers_see_nothing(login: Login) -> None:
    delivery = a_delivery(a_webhook())
    client = login("view_webhook")
    for url in (EVENTS, DELIVERIES, page(delivery), page(delivery.event)):
        assert client.get(url).status_code == 403


# --- finding ------------------------------------------------------------------------------------
def test_events_are_found_by_object_id_and_type(login: Login) -> None:
    client = login(*LOOK)
    first = an_event("cliente.criado", subject="cliente_1")
    second = an_event("tarefa.criada", subject="tarefa_2", occurred_at=ago(days=3), origin="api")
    assert found(client, EVENTS) == [second.pk, first.pk]
    assert found(client, EVENTS, q="cliente_1") == [first.pk]
    assert found(client, EVENTS, q=second.public_id) == [second.pk]
    assert found(client, EVENTS, q=str(second.pk)) == [second.pk]
    assert found(client, EVENTS, q="tarefa.criada") == [second.pk]
    assert found(client, EVENTS, q="nada") == []
    assert found(client, EVENTS, type="tarefa.criada") == [second.pk]
    assert found(client, EVENTS, period="24h") == [first.pk]


def test_deliveries_are_found_by_what_one_knows(login: Login) -> None:
    client = login(*LOOK)
    erp, shop = a_webhook(), a_webhook(name="Loja")
    first = a_delivery(erp, an_event("cliente.criado", subject="cliente_1"), at=ago(days=3))
    second = a_delivery(
        shop,
        an_event("tarefa.criada", subject="tarefa_2"),
        status=Delivery.Status.PENDING,
        next_attempt_at=timezone.now(),
    )
    assert found(client, DELIVERIES) == [second.pk, first.pk]
    assert found(client, DELIVERIES, q="cliente_1") == [first.pk]
    assert found(client, DELIVERIES, q=first.event.public_id) == [first.pk]
    assert found(client, DELIVERIES, q=str(first.pk)) == [first.pk]
    assert found(client, DELIVERIES, q="9" * 30) == []
    assert found(client, DELIVERIES, status__exact="failed") == [first.pk]
    assert found(client, DELIVERIES, webhook=str(shop.pk)) == [second.pk]
    assert found(client, DELIVERIES, type="tarefa.criada") == [second.pk]
    assert found(client, DELIVERIES, period="24h") == [second.pk]


@pytest.mark.parametrize(
    "query",
    [
        {"webhook": "abc"},
        {"period": "x"},
        {"q": "\x00"},
        {"since": "2024-02-31"},
        {"http": "x"},
        {"type": "\x00"},
    ],
)
def test_a_mangled_address_is_no_server_error(login: Login, query: dict[str, str]) -> None:
    a_webhook()
    client = login(*LOOK, "replay_delivery", "export_delivery")
    for url in (EVENTS, DELIVERIES, REPLAY, "/admin/webhooks/delivery/export/"):
        assert client.get(url, query).status_code in {200, 302}


def test_a_list_says_that_its_filter_could_not_be_read(login: Login) -> None:
    a_webhook()  # without one, there is nothing to filter by
    client = login(*LOOK)
    for query in ({"webhook": "abc"}, {"since": "2026-02-31"}):
        html = client.get(DELIVERIES, query, follow=True).content.decode()
        assert "The filter cannot be read, so all is shown." in html


def test_what_failed_last_is_found_whether_it_is_retried_or_not(login: Login) -> None:
    webhook = a_webhook()
    failed = a_delivery(webhook, last_error="status")
    retried = a_delivery(webhook, status=Delivery.Status.PENDING, last_error="dns")
    a_delivery(webhook, status=Delivery.Status.PENDING)
    a_delivery(webhook, status=Delivery.Status.DELIVERED)
    query = {"webhook": str(webhook.pk), "failing": "1"}
    assert found(login(*LOOK), DELIVERIES, **query) == [retried.pk, failed.pk]


def test_lists_cost_the_same_for_many_and_read_no_bodies(
    login: Login, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    client = login(*LOOK)
    webhook = a_webhook()
    for _ in range(30):
        a_delivery(webhook)
    for url in (EVENTS, DELIVERIES):
        with django_assert_max_num_queries(10) as captured:
            assert client.get(url).status_code == 200
        sent = " ".join(query["sql"] for query in captured.captured_queries)
        assert '"body"' not in sent
        assert '"snapshot"' not in sent


def test_no_list_counts_a_whole_table(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.admin.base.MOST_COUNTED", 3)
    webhook = a_webhook()
    for _ in range(5):
        a_delivery(webhook)
    assert BoundedPaginator(Delivery.objects.order_by("-id"), 2).count == 3
    assert "There are 3 or more" in login(*LOOK).get(DELIVERIES).content.decode()


# --- one event ----------------------------------------------------------------------------------
def test_an_event_tells_who_got_it_and_why_the_others_did_not(login: Login) -> None:
    event = an_event(occurred_at=timezone.now())
    delivery = a_delivery(a_webhook(name="Recebeu"), event)
    a_webhook(name="Tarefas", events=["tarefa.*"])
    html = login(*LOOK).get(page(event)).content.decode()
    assert page(delivery) in html
    assert "Its events (tarefa.*) do not cover cliente.criado." in html


def test_an_event_tells_of_each_delivery_what_the_list_tells(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = an_event()
    a_delivery(a_webhook(name="Loja"), event, last_status_code=503, last_error="status")
    html = login(*LOOK).get(page(event)).content.decode()
    assert re.search(r'wh-badge wh-bad" title="">failed<', html)
    assert "HTTP 503" in html
    assert "All of its deliveries" not in html

    monkeypatch.setattr("webhooks.admin.event.MOST_SHOWN", 1)
    a_delivery(a_webhook(name="ERP"), event)
    html = login(*LOOK).get(page(event)).content.decode()
    assert "There is more than 1." in html
    assert f"/admin/webhooks/delivery/?q={event.public_id}" in html


def test_a_body_is_seen_with_its_permission_only(login: Login) -> None:
    event = an_event(body='{"data":{"nome":"<b>João</b>"}}')
    client = login(*LOOK)
    html = client.get(page(event)).content.decode()
    assert "&quot;nome&quot;: &quot;•••&quot;" in html
    assert "João" not in html
    assert page(event, "reveal") not in html
    assert client.post(page(event, "reveal")).status_code == 403

    client = login(*LOOK, "view_payload")
    assert "João" not in client.get(page(event)).content.decode()
    assert client.get(page(event, "reveal")).status_code == 405
    assert not AuditEntry.objects.exists()
    answer = client.post(page(event, "reveal"), follow=True)
    html = answer.content.decode()
    assert "&quot;nome&quot;: &quot;&lt;b&gt;João" in html
    assert "<b>João" not in html
    assert "no-store" in answer.headers["Cache-Control"]
    [entry] = AuditEntry.objects.values_list("action", "subject")
    assert entry == ("viewed_payload", event.public_id)
    assert "João" not in client.get(page(event)).content.decode(), "it is shown once"


def test_what_tells_nobodys_data_is_not_hidden() -> None:
    body = {
        "event": "cliente.criado",
        "timestamp": "2024-01-01T10:00:00Z",
        "data": {"id": "cliente_1", "nome": "João", "tags": ["vip"], "ativo": True, "x": None},
    }
    assert json.loads(presentation.masked(json.dumps(body))) == {
        **body,
        "data": {"id": "cliente_1", "nome": "•••", "tags": ["•••"], "ativo": "•••", "x": None},
    }
    assert presentation.masked("João disse") == "•••"
    assert presentation.masked("") == ""


# --- one delivery -------------------------------------------------------------------------------
def test_a_delivery_tells_its_story(login: Login) -> None:
    delivery = a_delivery(a_webhook(), an_event(body='{"data":{"nome":"João"}}'))
    an_attempt(delivery, error="timeout", status_code=None, response_body="", duration_ms=5000)
    an_attempt(
        delivery,
        number=2,
        status_code=500,
        request_headers={"Authorization": "••••••••", "X-Webhook-Id": "evt_1"},
        response_body="<script>alert('x')</script>",
        response_headers={"x-evil": "<img src=x onerror=alert(1)>"},
    )
    client = login(*LOOK, "view_payload")
    html = client.post(page(delivery, "reveal"), follow=True).content.decode()
    for words in ("Attempt 1", "Attempt 2", "5000 ms", "HTTP 500", "evt_1", "João"):
        assert words in html
    assert "<script>alert(" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert(" in html
    assert "x-evil: &lt;img src=x" in html

    html = login(*LOOK).get(page(delivery)).content.decode()
    assert "Attempt 2" in html
    assert "João" not in html
    assert "alert(&#x27;x" not in html
    assert "x-evil: •••" in html
    assert "img src=x" not in html


def test_an_answers_harmless_headers_are_always_shown(login: Login) -> None:
    delivery = a_delivery(a_webhook())
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Retry-After": "120",
        "Date": "Mon, 01 Jan 2024 10:00:00 GMT",
        "Server": "nginx/1.25",
        "Content-Length": "Ana",
        "x-customer": "Ana",
    }
    an_attempt(delivery, response_headers=headers)
    html = login(*LOOK).get(page(delivery)).content.decode()
    for shown in ("Content-Type", "Retry-After", "Date", "Server"):
        assert f"{shown}: {headers[shown]}" in html
    assert "Content-Length: •••" in html
    assert "x-customer: •••" in html
    assert "Ana" not in html


def test_a_test_is_shown_and_its_answer_to_who_sent_it(login: Login) -> None:
    sender, other = login(*LOOK), login(*LOOK, "test_webhook")
    reader = login(*LOOK, "view_payload")
    user = User.objects.order_by("pk").first()
    assert user is not None
    body = '{"data":{"mensagem":"It works"}}'
    event = an_event("webhook.teste", body=body, actor=f"usuario_{user.pk}")
    delivery = a_delivery(a_webhook(), event)
    an_attempt(delivery, response_body="Olá Ana", response_headers={"x-customer": "Ana"})
    for client, answered in ((sender, True), (other, False), (reader, True)):
        html = client.get(page(delivery)).content.decode()
        assert "It works" in html
        assert ("Olá Ana" in html, "x-customer: Ana" in html) == (answered, answered)
        assert ("is seen by who sent the test" in html) is not answered
        assert "that was recorded" not in html
        assert page(delivery, "reveal") not in html
    assert not AuditEntry.objects.exists()


def test_what_an_address_says_after_its_question_mark_is_for_who_may_change_it(
    login: Login,
) -> None:
    webhook = a_webhook(url="http://127.0.0.1:9/erp?token=S3GREDO")
    delivery = a_delivery(webhook)
    an_attempt(delivery)
    lists = ["/admin/webhooks/webhook/", page(webhook)]
    seen = [page(delivery), *lists, REPLAY]
    looker = login(*LOOK, "replay_delivery")
    for url in seen:
        html = looker.get(url).content.decode()
        assert "S3GREDO" not in html, url
        assert "erp?token=••••" in html, url
    assert found(looker, lists[0], q="S3GREDO") == []
    assert looker.get(lists[0], {"url__contains": "S3GREDO"}).status_code in {302, 400}
    editor = login(*LOOK, "change_webhook")
    for url in [page(delivery), *lists]:
        assert "S3GREDO" in editor.get(url).content.decode(), url
    assert found(editor, lists[0], q="S3GREDO") == [webhook.pk]


def test_a_delivery_of_a_deleted_webhook_can_still_be_read(login: Login) -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook)
    operations.delete_webhook(webhook)
    client = login(*LOOK, "replay_delivery")
    html = client.get(page(delivery)).content.decode()
    assert "ERP (deleted)" in html
    assert page(delivery, "replay") not in html
    assert client.get(DELIVERIES).status_code == 200


# --- sending again ------------------------------------------------------------------------------
def test_sending_again_needs_its_permission_and_a_post(login: Login) -> None:
    delivery = a_delivery(a_webhook())
    may = login(*LOOK, "replay_delivery")
    for client in (login(*LOOK), login("replay_delivery")):
        assert client.post(page(delivery, "replay")).status_code == 403
    assert may.get(page(delivery, "replay")).status_code == 405
    assert page(delivery, "replay") not in login(*LOOK).get(page(delivery)).content.decode()
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.FAILED

    assert page(delivery, "replay") in may.get(page(delivery)).content.decode()
    html = may.post(page(delivery, "replay"), follow=True).content.decode()
    assert "1 delivery is on its way" in html
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.PENDING
    html = may.post(page(delivery, "replay"), follow=True).content.decode()
    assert "left alone" in html


def test_what_waits_for_a_later_try_is_tried_now_by_who_may_send_again(login: Login) -> None:
    webhook = a_webhook(hold_until=timezone.now() + timedelta(hours=1))
    later = {"attempt_count": 1, "fence": 2, "schedule_position": 1, "last_error": "status"}
    one, other = (
        a_delivery(
            webhook,
            status=Delivery.Status.PENDING,
            next_attempt_at=timezone.now() + timedelta(hours=1),
            **later,
        )
        for _ in range(2)
    )
    looker, may = login(*LOOK), login(*LOOK, "replay_delivery")
    assert page(one, "try_now") not in looker.get(page(one)).content.decode()
    assert looker.post(page(one, "try_now")).status_code == 403
    assert may.get(page(one, "try_now")).status_code == 405
    assert page(one, "try_now") in may.get(page(one)).content.decode()

    html = may.post(page(one, "try_now"), follow=True).content.decode()
    assert "1 delivery is tried now." in html
    assert page(one, "try_now") not in html
    assert "None of them" in may.post(page(one, "try_now"), follow=True).content.decode()

    selected = {"action": "try_selected_now", "_selected_action": [one.pk, other.pk]}
    looker.post(DELIVERIES, selected)
    other.refresh_from_db()
    assert other.next_attempt_at > timezone.now()
    html = may.post(DELIVERIES, selected, follow=True).content.decode()
    assert "1 delivery is tried now." in html
    assert not Delivery.objects.filter(next_attempt_at__gt=timezone.now()).exists()
    assert list(AuditEntry.objects.values_list("action", "count")) == [("hastened", 1)] * 2


def test_the_selected_are_sent_again_with_the_permission_only(login: Login) -> None:
    webhook = a_webhook()
    failed = a_delivery(webhook)
    pending = a_delivery(webhook, status=Delivery.Status.PENDING, schedule_position=2)
    selected = {"action": "replay_selected", "_selected_action": [failed.pk, pending.pk]}

    client = login(*LOOK)
    assert "replay_selected" not in client.get(DELIVERIES).content.decode()
    client.post(DELIVERIES, selected)
    failed.refresh_from_db()
    assert failed.status == Delivery.Status.FAILED

    client = login(*LOOK, "replay_delivery")
    html = client.post(DELIVERIES, selected, follow=True).content.decode()
    assert "1 delivery is sent again" in html
    assert "ERP" in html
    failed.refresh_from_db()
    assert failed.status == Delivery.Status.FAILED, "the page asks first"

    html = agree(client, html).content.decode()
    operations.work_on_jobs(wait=lambda pause: None)
    failed.refresh_from_db()
    pending.refresh_from_db()
    assert failed.status == Delivery.Status.PENDING
    assert pending.schedule_position == 2
    assert 'data-wh-live="2"' in html
    job = BulkJob.objects.get()
    assert "1 of 1" in client.get(page(job)).content.decode()
    assert "data-wh-live" not in client.get(page(job)).content.decode()


def agree(client: Client, html: str, rate: int = 50) -> Any:
    """Send the form of the page that asks."""
    [chosen] = re.findall(r'name="chosen" value="([^"]+)"', html)
    return client.post(REPLAY, {"chosen": chosen, "rate": rate}, follow=True)


def test_all_that_match_the_list_are_sent_again_and_no_others(login: Login) -> None:
    webhook, other = a_webhook(), a_webhook(name="Loja")
    wanted = [a_delivery(webhook, last_error="timeout").pk for _ in range(3)]
    a_delivery(webhook, last_error="dns")
    a_delivery(other, last_error="timeout")
    a_delivery(webhook, last_error="timeout", at=ago(days=3))
    a_delivery(webhook, status=Delivery.Status.DELIVERED)
    client = login(*LOOK, "replay_delivery")
    query = {"webhook": str(webhook.pk), "error": "timeout", "period": "24h"}
    html = client.get(DELIVERIES, query).content.decode()
    [address] = re.findall(rf'href="({REPLAY}[^"]+)"', html)
    html = client.get(address.replace("&amp;", "&")).content.decode()
    assert "3 deliveries are sent again" in html
    assert "too slow" in html
    late = a_delivery(webhook, last_error="timeout")

    agree(client, html)
    operations.work_on_jobs(wait=lambda pause: None)
    sent = Delivery.objects.filter(status=Delivery.Status.PENDING).values_list("pk", flat=True)
    assert sorted(sent) == wanted
    assert late.pk not in sent


@pytest.mark.parametrize(
    ("query", "statuses"),
    [({}, ["failed"]), ({"status__exact": "delivered"}, ["delivered"]), ({"ids": "1"}, None)],
)
def test_what_was_delivered_is_sent_again_only_if_asked_for(
    query: dict[str, str], statuses: list[str] | None
) -> None:
    chosen = chosen_by_list(query)
    assert list(chosen.statuses) == (statuses or list(operations.SETTLED))


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ({"http": "500", "q": "HTTP 500"}, ["a"]),
        ({"http": "500", "q": "HTTP 503"}, []),
        ({"ids": "a,b", "q": "b"}, ["b"]),
        ({"ids": "a", "q": "b"}, []),
        ({"settled": "1"}, ["a", "b", "c"]),
        ({"settled": "1", "failing": "1"}, ["a", "b"]),
        ({"status__exact": "delivered", "failing": "1"}, []),
        ({"status__exact": "pending"}, []),
    ],
)
def test_a_replay_takes_what_fits_the_filters_and_the_search(
    query: dict[str, str], kept: list[str]
) -> None:
    webhook = a_webhook()
    rows = {
        "a": a_delivery(webhook, last_status_code=500, last_error="status"),
        "b": a_delivery(webhook, last_status_code=503, last_error="status"),
        "c": a_delivery(webhook, status=Delivery.Status.DELIVERED, last_status_code=200),
    }
    for name, row in rows.items():
        for field in query.keys() & {"ids", "q"}:
            query = {**query, field: re.sub(rf"\b{name}\b", str(row.pk), query[field])}
    chosen = operations.replayable(chosen_by_list(query))
    assert [row.pk for row in chosen] == [rows[name].pk for name in kept]


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ({}, "Send what failed again"),
        ({"period": "24h"}, "Send what failed of these again"),
        ({"status__exact": "delivered"}, "Send all of these again"),
        ({"status__exact": "pending"}, None),
    ],
)
def test_the_way_to_sending_again_says_what_will_be_sent(
    login: Login, query: dict[str, str], label: str | None
) -> None:
    a_delivery(a_webhook(), status=query.get("status__exact", Delivery.Status.FAILED))
    html = login(*LOOK, "replay_delivery").get(DELIVERIES, query).content.decode()
    shown = re.findall(r"(Send [^<]*) …", html)
    assert shown == ([label] if label else [])


def test_all_that_was_selected_is_sent_again_however_it_ended(login: Login) -> None:
    webhook = a_webhook()
    failed = a_delivery(webhook)
    a_delivery(webhook, status=Delivery.Status.DELIVERED)
    client = login(*LOOK, "replay_delivery")
    selected = {
        "action": "replay_selected",
        "_selected_action": [failed.pk],
        "select_across": "1",
    }
    html = client.post(f"{DELIVERIES}?webhook={webhook.pk}", selected, follow=True).content.decode()
    assert "2 deliveries are sent again" in html


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"created_at__gte": "2024-01-01"}, "by created_at__gte"),
        ({"status": "delivered"}, "by status"),
        ({"q": "HTTP 204"}, "Successes are not sent again by their HTTP status"),
    ],
)
def test_what_a_replay_cannot_choose_by_is_refused_in_words(
    login: Login, query: dict[str, str], words: str
) -> None:
    a_delivery(a_webhook(), status=Delivery.Status.DELIVERED, last_status_code=204)
    answer = login(*LOOK, "replay_delivery").get(REPLAY, query, follow=True)
    assert answer.redirect_chain[0][0].startswith(DELIVERIES)
    assert words in answer.content.decode()


@pytest.mark.parametrize("query", [{"ids": str(10**30)}, {"ids": "1,x"}, {"http": "9" * 30}])
def test_numbers_that_cannot_be_are_no_choice(login: Login, query: dict[str, str]) -> None:
    assert login(*LOOK, "replay_delivery").get(REPLAY, query).status_code == 302


def test_nothing_is_sent_again_by_looking_or_without_the_permission(login: Login) -> None:
    a_delivery(a_webhook())
    assert login(*LOOK).get(REPLAY).status_code == 403
    client = login(*LOOK, "replay_delivery")
    html = client.get(REPLAY).content.decode()
    assert not BulkJob.objects.exists()
    [chosen] = re.findall(r'name="chosen" value="([^"]+)"', html)
    assert login(*LOOK).post(REPLAY, {"chosen": chosen, "rate": 5}).status_code == 403
    assert client.post(REPLAY, {"chosen": chosen + "x", "rate": 5}).status_code == 302
    assert client.post(REPLAY, {"chosen": chosen, "rate": 0}).status_code == 200
    assert not BulkJob.objects.exists()


def test_a_replay_is_stopped_and_resumed_with_the_permission_only(login: Login) -> None:
    a_delivery(a_webhook())
    job = operations.start_replay(operations.ReplayFilter())
    client = login(*LOOK, "replay_delivery")
    watcher = login("view_bulkjob")
    assert page(job, "stop") not in watcher.get(page(job)).content.decode()
    for name in ("stop", "resume"):
        assert watcher.post(page(job, name)).status_code == 403
        assert client.get(page(job, name)).status_code == 405
    assert page(job, "stop") in client.get(page(job)).content.decode()
    client.post(page(job, "stop"))
    job.refresh_from_db()
    assert job.state == "stopped"
    assert page(job, "resume") in client.get(page(job)).content.decode()
    client.post(page(job, "resume"))
    job.refresh_from_db()
    assert job.state == "running"


def test_a_replays_page_leads_to_the_deliveries_that_it_took(login: Login) -> None:
    webhook = a_webhook(name="Loja")
    mine = a_delivery(webhook, an_event(subject="cliente_7"))
    a_delivery(webhook, an_event(subject="cliente_8"))
    a_delivery(a_webhook(name="ERP"), an_event(subject="cliente_7"))
    client = login(*LOOK, "replay_delivery")
    for chosen in (
        operations.ReplayFilter(webhook=webhook, subject="cliente_7"),
        operations.ReplayFilter(ids=(mine.pk,)),
        operations.ReplayFilter(event_ids=(mine.event_id,)),
        operations.ReplayFilter(
            webhook=webhook,
            subject="cliente_7",
            event_patterns=("cliente.criado",),
            errors=("",),
            created_since=ago(hours=1),
            created_until=timezone.now() + timedelta(hours=1),
        ),
    ):
        job = operations.start_replay(chosen)
        Delivery.objects.filter(pk=mine.pk).update(status="delivered")  # as it may well be later
        [url] = re.findall(
            r'href="(/admin/webhooks/delivery/\?[^"]*)"', client.get(page(job)).content.decode()
        )
        assert found(client, unescape(url)) == [mine.pk]
        Delivery.objects.filter(pk=mine.pk).update(status="failed")
    assert DELIVERIES not in login("view_bulkjob").get(page(job)).content.decode()


def test_a_replay_that_was_stopped_says_so(login: Login) -> None:
    a_delivery(a_webhook())
    job = operations.start_replay(operations.ReplayFilter())
    client = login(*LOOK, "replay_delivery")
    assert "It was stopped" not in client.get(page(job)).content.decode()
    operations.stop_replay(job)
    assert "It was stopped" in client.get(page(job)).content.decode()


def test_a_page_with_nothing_to_send_again_has_a_way_back(login: Login) -> None:
    html = login(*LOOK, "replay_delivery").get(REPLAY).content.decode()
    assert "There is nothing to send again" in html
    assert f'href="{DELIVERIES}">Back to the deliveries</a>' in html


def test_a_search_that_finds_nothing_says_what_can_be_searched_for(login: Login) -> None:
    client = login(*LOOK, "replay_delivery")
    a_delivery(a_webhook())
    html = client.get(DELIVERIES, {"q": "<nobody>"}).content.decode()
    assert "Nothing is called “&lt;nobody&gt;” here." in html
    assert REPLAY not in html, "there is nothing to send again"
    html = client.get(DELIVERIES, {"q": "cliente_1"}).content.decode()
    assert "Nothing is called" not in html
    assert REPLAY in html


# --- what one copies, and where one goes ----------------------------------------------------------
def test_the_last_request_can_be_copied_and_runs_in_a_shell(login: Login) -> None:
    delivery = a_delivery(a_webhook(), an_event(body='{"data":{"nome":"D\'Ávila"}}'))
    an_attempt(delivery, request_headers={"Authorization": "••••••••", "X-Note": "it's"})
    client = login(*LOOK, "view_payload")
    html = client.get(page(delivery)).content.decode()
    assert "D&#x27;Ávila" not in html
    html = client.post(page(delivery, "reveal"), follow=True).content.decode()
    [shown] = re.findall(r'id="wh-curl"[^>]*>(.*?)</pre>', html, re.DOTALL)
    words = shlex.split(unescape(shown).replace("\\\n", " "))
    assert words[:4] == ["curl", "--request", "POST", delivery.webhook.url]
    assert "Authorization: ••••••••" in words
    assert "X-Note: it's" in words
    assert words[-2:] == ["--data-raw", '{"data":{"nome":"D\'Ávila"}}']


def test_it_leads_to_the_record_it_tells_of(login: Login) -> None:
    delivery = a_delivery(a_webhook(), an_event(subject="cliente_12"))
    client = login(*LOOK, "view_cliente")
    for row in (delivery, delivery.event):
        assert 'href="/admin/clientes/cliente/12/change/"' in client.get(page(row)).content.decode()
    for odd in ("nave_1", "cliente_", "cliente", "_", "cliente_abc", "cliente_1/../2", ""):
        nobody = an_event(subject=odd)
        for row in (nobody, a_delivery(delivery.webhook, nobody)):
            assert odd in client.get(page(row)).content.decode()


def test_what_tells_of_no_object_shows_a_dash(login: Login) -> None:
    delivery = a_delivery(a_webhook(), an_event("webhook.teste", subject=""))
    client = login(*LOOK)
    for row in (delivery, delivery.event):
        html = client.get(page(row)).content.decode()
        assert re.search(r'field-subject">.*?<div class="readonly">—</div>', html, re.S)


def test_what_one_may_not_see_is_named_and_not_linked(login: Login) -> None:
    delivery = a_delivery(a_webhook(), an_event(subject="cliente_12"))
    for row in (delivery, delivery.event):
        html = login("view_delivery", "view_event").get(page(row)).content.decode()
        assert "cliente_12" in html
        assert "/admin/clientes/cliente/" not in html
    html = login("view_delivery").get(page(delivery)).content.decode()
    for row in (delivery.event, delivery.webhook):
        assert page(row) not in html
    assert delivery.event.public_id in html
    assert "ERP" in html


def test_it_says_when_the_next_try_follows_and_why_then(login: Login) -> None:
    webhook = a_webhook(retry_schedule=[0, 90])
    delivery = a_delivery(
        webhook,
        status=Delivery.Status.PENDING,
        schedule_position=1,
        next_attempt_at=timezone.now() + timedelta(seconds=80),
    )
    client = login(*LOOK)
    assert "the schedule waits 90 s." in client.get(page(delivery)).content.decode()
    an_attempt(delivery, response_headers={"Retry-After": "77"})
    assert "The receiver asked for 77 s." in client.get(page(delivery)).content.decode()
    an_attempt(delivery, response_headers={"Retry-After": "call Ana"})
    html = client.get(page(delivery)).content.decode()
    assert "the schedule waits 90 s." in html
    assert "call Ana" not in html, "what receivers wrote is for those who may see payloads"
    Webhook.objects.update(hold_until=timezone.now() + timedelta(hours=1))
    assert "The receiver asked for time." in client.get(page(delivery)).content.decode()


def test_failures_are_found_by_kind_status_and_day(login: Login) -> None:
    client = login(*LOOK)
    webhook = a_webhook()
    slow = a_delivery(webhook, last_error="timeout")
    teapot = a_delivery(webhook, last_error="status", last_status_code=418)
    busy = a_delivery(webhook, last_error="status", last_status_code=503, at=ago(days=40))
    fine = a_delivery(webhook, status=Delivery.Status.DELIVERED, last_status_code=204)
    assert found(client, DELIVERIES, error="timeout") == [slow.pk]
    assert found(client, DELIVERIES, http="503") == [busy.pk]
    assert found(client, DELIVERIES, q="HTTP 418") == [teapot.pk]
    assert found(client, DELIVERIES, q="http 204") == [fine.pk]
    html = client.get(DELIVERIES, {"q": "http 204"}).content.decode()
    assert "among the newest 100,000 deliveries" in html
    day = timezone.localtime(ago(days=40)).date().isoformat()
    assert found(client, DELIVERIES, since=day, until=day) == [busy.pk]
    assert found(client, DELIVERIES, until=day) == [busy.pk]
    assert busy.pk not in found(client, DELIVERIES, since=timezone.localdate().isoformat())
