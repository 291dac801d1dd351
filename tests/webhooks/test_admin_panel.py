"""The panel, the list's sparklines, the banner, and what a record's page shows of its events."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from clientes.models import Cliente
from tests.webhooks.conftest import Login
from tests.webhooks.makers import a_delivery, a_tally, a_webhook, ago, an_event
from webhooks import operations
from webhooks.admin.charts import bars, clock
from webhooks.models import Delivery, Event, Webhook, Worker
from webhooks.operations import Span

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_english")]

PANEL = "/admin/webhooks/webhook/panel/"
LIST = "/admin/webhooks/webhook/"
NO_WORKER = "No worker is running"


# --- the panel ------------------------------------------------------------------------------------
@pytest.mark.both_databases
def test_the_panel_tells_how_all_of_it_goes(login: Login) -> None:
    bad, good = a_webhook(name="Loja"), a_webhook(name="ERP")
    a_tally(bad, failures=9, took=[3000])
    a_tally(bad, hours_ago=3, failures=5)
    a_tally(good, hours_ago=3, took=range(1, 101))
    a_tally(good, hours_ago=30, failures=1000, took=[30_000])
    a_delivery(good, status=Delivery.Status.PENDING, next_attempt_at=ago(seconds=20))
    Worker.objects.create(id="host:1", in_flight=7)

    html = login("view_webhook", "view_delivery").get(PANEL).content.decode()
    assert "115 attempts, 14 of them failed." in html
    assert "p50 51 ms, p95 96 ms" in html
    assert re.search(r"host:1: since .*, last seen .*, sending 7", html)
    assert re.search(r"the oldest for [2-4]\d seconds", html)
    worst = html[html.index('id="wh-worst"') :]
    assert ">Loja<" in worst
    assert ">ERP<" not in worst, "who does not fail is not among the worst"
    assert f"/admin/webhooks/delivery/?webhook={bad.pk}&amp;failing=1" in worst
    assert html.count('class="wh-bar-bad"') == 2
    assert html.count('class="wh-bar-good"') == 2
    assert 'data-wh-live="10"' in html
    assert NO_WORKER not in html


def test_a_long_wait_is_told_in_units_that_a_person_reads(login: Login) -> None:
    waiting = a_delivery(a_webhook(), status=Delivery.Status.PENDING)
    client = login("view_webhook")
    for since, told in {
        ago(seconds=406): "há 6 minutos",
        ago(hours=5): "há 5 horas",
        ago(days=3, hours=1): "há 3 dias",
    }.items():
        Delivery.objects.filter(pk=waiting.pk).update(next_attempt_at=since)
        html = client.get(PANEL, headers={"accept-language": "pt-br"}).content.decode()
        assert f"a mais antiga {told}" in html
        assert "A enviar agora" in html


def test_one_is_told_as_one(login: Login) -> None:
    a_tally(a_webhook(), took=[5])
    client = login("view_webhook")
    for language, words in {
        "en": ("1 attempt, 0 of them failed.", ": 1 attempt, 0 failed"),
        "pt-br": ("1 tentativa; falhas: 0.", ": 1 tentativa; falhas: 0"),
    }.items():
        html = client.get(PANEL, headers={"accept-language": language}).content.decode()
        assert [each for each in words if each not in html] == []


def test_an_event_to_distribute_is_nothing_due_yet(login: Login) -> None:
    an_event(fanned_out=False, occurred_at=ago(seconds=20))
    html = login("view_webhook").get(PANEL).content.decode()
    assert "<dd>1</dd>" in html
    assert "the oldest for" not in html


@pytest.mark.both_databases
def test_the_panel_draws_latency_over_time_and_writes_it_as_a_table(login: Login) -> None:
    webhook = a_webhook()
    a_tally(webhook, hours_ago=5, took=range(1, 101))
    a_tally(webhook, hours_ago=4, took=[900, 1000])
    a_tally(webhook, hours_ago=3, failures=4)  # what fails has no time to answer
    a_tally(webhook, hours_ago=2, took=[2000])
    a_tally(webhook, hours_ago=40, took=[5000])
    client = login("view_webhook")

    html = client.get(PANEL).content.decode()
    for name in ("p50", "p95"):
        [drawn] = re.findall(rf'<g class="wh-line-{name}">.*?</g>', html)
        assert drawn.count("<polyline") == 2, "no line over an hour in which nothing was answered"
        assert drawn.count("<circle") == 3
    assert re.search(r"<title>p95, \d\d:00: 95 ms</title>", html)
    rows = re.findall(r"<td>(\d+)</td><td>(\d+)</td><td>([^<]*)</td><td>([^<]*)</td>", html)
    assert len(rows) == 24
    assert [row for row in rows if row[0] != "0"] == [
        ("100", "0", "50 ms", "95 ms"),
        ("2", "0", "875 ms", "1000 ms"),
        ("4", "4", "—", "—"),
        ("1", "0", "2000 ms", "2000 ms"),
    ]
    html = client.get(PANEL, {"by": "day"}).content.decode()
    rows = re.findall(r"<td>(\d+)</td><td>(\d+)</td><td>([^<]*)</td><td>([^<]*)</td>", html)
    assert len(rows) == 7
    assert sum(int(row[0]) for row in rows) == 108


@pytest.mark.both_databases
def test_hours_are_found_in_zones_that_are_half_an_hour_off(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    a_tally(a_webhook(), took=[7, 9])
    for spans in (operations.panel().spans, operations.panel(by_day=True).spans):
        assert spans[-1].attempts + spans[-2].attempts == 2


def test_the_panel_is_for_who_may_see_webhooks(login: Login) -> None:
    assert login("view_client").get(PANEL).status_code == 403
    client = login("view_webhook")
    assert client.get(PANEL).status_code == 200
    assert client.post(PANEL).status_code == 405


def test_the_panel_of_an_empty_system_says_so(login: Login) -> None:
    html = login("view_webhook").get(PANEL).content.decode()
    assert "0 attempts" in html
    assert "Nobody." in html


@pytest.mark.both_databases
def test_the_panel_costs_the_same_for_many(
    login: Login, django_assert_max_num_queries: Any
) -> None:
    client = login("view_webhook")
    for index in range(20):
        webhook = a_webhook(name=f"n{index}")
        a_tally(webhook, took=[1, 2], failures=1)
        a_delivery(webhook)
    with django_assert_max_num_queries(18):
        client.get(PANEL)


def test_bars_stand_on_one_another_and_nothing_that_happened_is_invisible() -> None:
    now = timezone.now()
    full, little, none = bars(
        [
            Span(begins=now, attempts=1000, failures=250),
            Span(begins=now, attempts=1, failures=1),
            Span(begins=now),
        ],
        height=100,
        step=10,
        gap=2,
        named=clock,
    )
    assert (full.good_y, full.good_height, full.bad_y, full.bad_height) == (0, 75, 75, 25)
    assert little.bad_height == 1
    assert (none.good_height, none.bad_height) == (0, 0)
    assert (little.x, little.width) == (10, 8)


# --- the banner -----------------------------------------------------------------------------------
@pytest.mark.parametrize("page", [PANEL, LIST, "/admin/", "/admin/webhooks/delivery/"])
def test_the_place_of_the_banner_is_there_before_it_says_anything(login: Login, page: str) -> None:
    Worker.objects.create(id="host:1")
    html = login("view_webhook", "view_delivery").get(page).content.decode()
    assert '<div role="alert"></div>' in html


@pytest.mark.parametrize("page", [PANEL, LIST, "/admin/", "/admin/webhooks/delivery/"])
def test_a_banner_says_that_nobody_delivers(login: Login, page: str) -> None:
    client = login("view_webhook", "view_delivery")
    assert NO_WORKER in client.get(page).content.decode()
    Worker.objects.create(id="host:1")
    assert NO_WORKER not in client.get(page).content.decode()
    Worker.objects.update(seen_at=ago(minutes=2))
    assert NO_WORKER in client.get(page).content.decode()
    assert NO_WORKER not in login("view_delivery").get("/admin/").content.decode()


def test_a_banner_stands_where_one_waits_for_a_worker(login: Login) -> None:
    delivery = a_delivery(a_webhook())
    job = operations.start_replay(operations.ReplayFilter())
    client = login("view_webhook", "view_delivery", "view_bulkjob")
    for row in (delivery, job):
        page = f"/admin/webhooks/{row._meta.model_name}/{row.pk}/change/"
        assert NO_WORKER in client.get(page).content.decode()


@pytest.mark.both_databases
def test_a_banner_says_that_nobody_keeps_up() -> None:
    Worker.objects.create(id="host:1")
    webhook = a_webhook()
    waiting = a_delivery(webhook, status=Delivery.Status.PENDING, next_attempt_at=ago(seconds=30))
    assert not operations.alarm()
    Delivery.objects.update(next_attempt_at=ago(minutes=5))
    assert operations.alarm().late_since is not None
    # What waits for a receiver in trouble is no fault of the workers.
    Delivery.objects.filter(pk=waiting.pk).update(lane=Webhook.Lane.TROUBLED)
    assert not operations.alarm()
    an_event(fanned_out=False, occurred_at=ago(minutes=5))
    assert operations.alarm().late_since is not None


# --- the list -------------------------------------------------------------------------------------
@pytest.mark.both_databases
def test_the_list_shows_a_day_and_how_fast_each_answers(login: Login) -> None:
    quick, slow = a_webhook(name="quick"), a_webhook(name="slow")
    a_tally(quick, took=[6, 7])
    a_tally(slow, failures=1, took=[900, 1000])
    a_tally(slow, hours_ago=23, took=[1000])
    a_tally(slow, hours_ago=25, failures=7)
    html = login("view_webhook").get(LIST).content.decode()
    assert html.count('class="wh-spark"') == 2
    assert "Last 24 hours: 4 attempts, 1 failed" in html
    assert re.search(r'field-p95">10 ms<', html)
    assert re.search(r'field-p95">1000 ms<', html)
    assert re.search(r'field-success">75.0% \(3/4\)<', html)
    client = login("view_webhook")
    html = client.get(LIST, headers={"accept-language": "pt-br"}).content.decode()
    assert re.search(r'field-success">75,0% \(3/4\)<', html)


# --- from the record ------------------------------------------------------------------------------
def test_a_records_page_shows_its_events_and_whether_they_arrived(login: Login) -> None:
    cliente = Cliente.objects.create(nome="Ana", email="ana@example.com")
    page = f"/admin/clientes/cliente/{cliente.pk}/change/"
    [created] = Event.objects.filter(subject=f"cliente_{cliente.pk}")
    client = login("view_cliente", "view_event", "view_delivery")
    assert "not distributed yet" in client.get(page).content.decode()

    Event.objects.update(fanned_out=True)
    assert "went to no webhook" in client.get(page).content.decode()

    delivery = a_delivery(a_webhook(name="Loja"), created)
    html = client.get(page).content.decode()
    assert "cliente.criado" in html
    assert re.search(r"Loja: <span[^>]*>failed</span>", html)
    assert f'href="/admin/webhooks/delivery/{delivery.pk}/change/"' in html
    assert f'href="/admin/webhooks/event/{created.pk}/change/"' in html

    assert "wh-told" not in login("view_cliente").get(page).content.decode()
    html = login("view_cliente", "view_event").get(page).content.decode()
    assert "/admin/webhooks/delivery/" not in html


def test_pages_of_what_nobody_tells_of_show_nothing_more(login: Login) -> None:
    user = User.objects.create_superuser("root", password="x")
    client = Client()
    client.force_login(user)
    assert "wh-told" not in client.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
    assert client.get("/admin/clientes/cliente/add/").status_code == 200
