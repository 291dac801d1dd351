"""A format's options in the webhook's form: chosen by keyboard on a phone, and without a script."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import Visit
from tests.browser.person import PHONE
from tests.webhooks.makers import NOBODY
from webhooks.models import Webhook

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ADD = "/admin/webhooks/webhook/add/"
CUSTOM = "#id_option_freshmarketer_custom_data"


def test_the_chosen_formats_options_and_only_they_show_and_errors_stand_beside_them(
    visit: Visit,
) -> None:
    person = visit("pt-br", PHONE)
    page = person.page
    person.arrive_as(User.objects.create_superuser("ana"))
    person.open(ADD)
    options = page.locator(".wh-options")
    notes = page.locator("[data-wh-without]")
    expect(options.locator("visible=true")).to_have_count(0)
    expect(notes.locator("visible=true")).to_have_count(0)

    page.locator("#id_format").focus()
    page.keyboard.type("Fresh")
    expect(page.locator(CUSTOM)).to_be_visible()
    expect(page.locator(".wh-options:visible")).to_have_count(1)
    of_tasks = page.locator("label", has=page.locator("input[value='tarefa.criada']"))
    expect(of_tasks.locator("em:visible")).to_have_text("Freshmarketer: sem equivalente")
    assert person.problems() == []

    page.locator("#id_name").fill("Loja")
    page.locator("#id_url").fill(NOBODY + "{{id}}")
    page.locator("input[name=event_types][value='cliente.criado']").check()
    page.locator(CUSTOM).fill("nome {{nome}}")
    page.locator("[name=_save]").click()
    expect(page.locator(f".form-row:has({CUSTOM}) .errorlist")).to_have_text(
        "Escreva uma por linha, como “nome: texto”."
    )
    page.locator(CUSTOM).fill("nome: {{nome}}")
    page.locator("[name=_save]").click()
    expect(page).to_have_url(re.compile("/admin/webhooks/webhook/$"))
    assert Webhook.objects.get().format_options == {"custom_data": {"nome": "{{nome}}"}}


def test_without_a_script_every_formats_options_are_there_under_its_name(
    browser: Browser, live_server: LiveServer
) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ana"))
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
    language = {"name": "django_language", "value": "en"}
    context.add_cookies([{**each, "url": live_server.url} for each in (session, language)])
    page = context.new_page()
    page.goto(ADD)
    page.locator("#id_name").fill("Twenty")
    page.locator("#id_url").fill(NOBODY)
    page.locator("input[name=event_types][value='cliente.criado']").check()
    page.locator("#id_format").select_option("twenty")
    part = page.get_by_role("group", name="Options of Twenty")
    part.locator("select").select_option("current")
    page.locator("[name=_save]").click()
    expect(page.locator("textarea.wh-secret")).to_be_visible()
    context.close()
    assert Webhook.objects.get().format_options == {"payload": "current"}


def test_of_the_authentications_fields_those_show_that_the_chosen_kind_needs(visit: Visit) -> None:
    person = visit("pt-br")
    page = person.page
    person.arrive_as(User.objects.create_superuser("ana", password="x"))
    person.open(ADD)
    rows = {
        name: page.locator(f".field-auth_{name}") for name in ("username", "header_name", "secret")
    }
    for kind, needed in {
        "none": set(),
        "basic": {"username", "secret"},
        "bearer": {"secret"},
        "header": {"header_name", "secret"},
    }.items():
        page.locator("#id_auth_type").select_option(kind)
        assert {name for name, row in rows.items() if row.is_visible()} == needed, kind
    page.locator("#id_name").fill("Loja")
    page.locator("#id_url").fill(NOBODY)
    page.locator("[name=_save]").click()
    expect(rows["header_name"].locator(".errorlist")).to_be_visible()
    expect(rows["username"]).to_be_hidden()
