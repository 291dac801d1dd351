"""What a webhook may choose of its format, in the admin's form."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.webhooks.conftest import Login
from tests.webhooks.makers import NOBODY, a_webhook
from webhooks import formats
from webhooks.admin import option_fields
from webhooks.models import AuditEntry, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_english")]

ADD = "/admin/webhooks/webhook/add/"
CUSTOM_DATA = "option_freshmarketer_custom_data"


@pytest.fixture
def root() -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def page(webhook: Webhook) -> str:
    return reverse("admin:webhooks_webhook_change", args=[webhook.pk])


def filled(**values: Any) -> dict[str, Any]:
    """What a browser sends: the fields of all formats."""
    return {
        "name": "ERP",
        "url": NOBODY,
        "event_types": ["cliente.criado"],
        "auth_type": "none",
        "keep_responses": "on",
        "option_twenty_payload": "documented",
        **values,
    }


def errors_of(html: str, name: str) -> str:
    """What is said beside a field."""
    row = html.partition(f'class="form-row errors field-{name}"')[2].partition("</ul>")[0]
    texts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[method-assign]
    parser.feed(row)
    return " ".join("".join(texts).split())


def test_every_option_that_a_format_declares_has_a_field_under_its_formats_name(
    root: Client,
) -> None:
    html = root.get(ADD).content.decode()
    for format in formats.all_formats():
        assert (f"wh-options-{format.name}" in html) is bool(format.options)
        for option in format.options:
            assert f'name="{option_fields.field_name(format.name, option)}"' in html
    assert "Options of Freshmarketer" in html
    assert "webhooks/options.js" in html


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, forms.CharField),
        ({"type": "boolean"}, forms.BooleanField),
        ({"enum": ["a", "b"]}, forms.ChoiceField),
        ({"oneOf": [{"const": "a", "title": "A"}]}, forms.ChoiceField),
        ({"type": "array", "items": {"enum": ["a"]}}, forms.MultipleChoiceField),
        ({"type": "array", "items": {"type": "string"}}, option_fields.ListField),
        ({"type": "object"}, option_fields.PairsField),
    ],
)
def test_a_field_fits_what_it_is_for(schema: dict[str, Any], kind: type[forms.Field]) -> None:
    field = option_fields._field({"title": "x", **schema})
    assert type(field) is kind
    assert not field.required


def test_options_are_saved_shown_and_kept_by_a_form_that_changes_nothing(root: Client) -> None:
    custom = "nome: {{nome}}\n\n saudação : Olá: {{nome}} "
    answer = root.post(ADD, filled(format="freshmarketer", option_freshmarketer_custom_data=custom))
    assert answer.status_code == 302, answer.content.decode()
    webhook = Webhook.objects.get()
    options = {"custom_data": {"nome": "{{nome}}", "saudação": "Olá: {{nome}}"}}
    assert webhook.format_options == options

    html = root.get(page(webhook)).content.decode()
    assert "nome: {{nome}}\nsaudação: Olá: {{nome}}</textarea>" in html
    unchanged = filled(format="freshmarketer", option_freshmarketer_custom_data=custom)
    assert root.post(page(webhook), unchanged).status_code == 302
    assert not AuditEntry.objects.filter(action="changed").exists()


@pytest.mark.parametrize(
    ("format", "options", "given"),
    [
        ("twenty", {}, {}),
        ("twenty", {"payload": "documented"}, {}),
        ("twenty", {"payload": "current"}, {"option_twenty_payload": "current"}),
        ("rd-station", {"event_identifiers": []}, {}),
        (
            "rd-station",
            {"event_identifiers": ["a", "b c"], "include_relations": ["COMPANY"]},
            {
                "option_rd-station_event_identifiers": "a\r\nb c\r\n",
                "option_rd-station_include_relations": ["COMPANY"],
            },
        ),
    ],
)
def test_what_the_api_wrote_stays_as_it_is(
    root: Client, format: str, options: dict[str, Any], given: dict[str, Any]
) -> None:
    webhook = a_webhook(format=format, format_options=options, events=["cliente.criado"])
    assert root.post(page(webhook), filled(format=format, **given)).status_code == 302
    webhook.refresh_from_db()
    assert webhook.format_options == options
    assert not AuditEntry.objects.filter(action="changed").exists()


def test_the_code_beside_a_new_secret_verifies_what_the_format_sends(root: Client) -> None:
    html = root.post(ADD, filled(format="twenty")).content.decode()
    assert "x-twenty-webhook-signature" in html


@pytest.mark.parametrize("garbage", [[], "x", 5, {"custom_data": 5}, {"nada": [[1]]}])
def test_garbage_in_the_table_can_be_seen_and_saved_over(
    root: Client, login: Login, garbage: Any
) -> None:
    webhook = a_webhook(format="freshmarketer", format_options=garbage)
    assert login("view_webhook").get(page(webhook)).status_code == 200
    assert root.get(page(webhook)).status_code == 200
    values = filled(format="freshmarketer", option_freshmarketer_list_id="7")
    assert root.post(page(webhook), values).status_code == 302
    webhook.refresh_from_db()
    assert webhook.format_options == {"list_id": "7"}


def test_another_format_leaves_the_options_of_the_one_before(root: Client) -> None:
    webhook = a_webhook(format="freshmarketer", format_options={"list_id": "7"})
    values = filled(
        format="twenty", option_freshmarketer_list_id="7", option_twenty_workspaceId="w"
    )
    assert root.post(page(webhook), values).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.format, webhook.format_options) == ("twenty", {"workspaceId": "w"})


@pytest.mark.parametrize(
    ("format", "field", "value", "words"),
    [
        ("freshmarketer", CUSTOM_DATA, "sem dois pontos", "One a line, as “name: text”"),
        ("freshmarketer", CUSTOM_DATA, "a: 1\na: 2", "“a” is given twice."),
        ("freshmarketer", CUSTOM_DATA, "0: x", "“0” cannot be the name of a property."),
        ("freshmarketer", CUSTOM_DATA, "a: " + "x" * 501, "At most 500 characters, not 501."),
        ("twenty", "option_twenty_payload", "antigo", "antigo is not one of"),
        ("twenty", "option_twenty_workspaceId", "x" * 101, "at most 100 characters"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_saved(
    root: Client, format: str, field: str, value: str, words: str
) -> None:
    answer = root.post(ADD, filled(**{"format": format, field: value}))
    assert answer.status_code == 200
    assert words.lower() in errors_of(answer.content.decode(), field).lower()
    assert not Webhook.objects.exists()


def test_what_stands_in_another_formats_fields_may_be_anything(root: Client) -> None:
    values = filled(
        format="sistema-crm",
        option_twenty_payload="antigo",
        option_freshmarketer_custom_data="sem dois pontos",
    )
    assert root.post(ADD, values).status_code == 200  # the page with the secret
    assert Webhook.objects.get().format_options == {}


def test_the_form_says_beside_each_event_which_formats_have_no_equivalent(root: Client) -> None:
    html = root.get(ADD).content.decode()

    def beside(event: str) -> str:
        return html.partition(f"<code>{event}</code>")[2].partition("</label>")[0]

    assert 'data-wh-without="freshmarketer">Freshmarketer: no equivalent<' in beside(
        "tarefa.criada"
    )
    assert "no equivalent" not in beside("cliente.criado")
    assert "RD Station: no equivalent" in beside("chamado.aberto")
    assert "Twenty" not in beside("chamado.aberto")
    assert "Twenty: no equivalent" in beside("webhook.desativado")


def test_who_may_only_look_sees_the_options(login: Login) -> None:
    webhook = a_webhook(
        format="rd-station",
        format_options={"include_relations": ["COMPANY"], "event_identifiers": ["a", "b"]},
    )
    html = login("view_webhook").get(page(webhook)).content.decode()
    assert "Relations: its company" in html
    assert "Conversions: a; b" in html
    fresh = a_webhook(format="freshmarketer", format_options={"custom_data": {"<b>": "{{nome}}"}})
    assert "&lt;b&gt;: {{nome}}" in login("view_webhook").get(page(fresh)).content.decode()
