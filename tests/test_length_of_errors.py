"""What came in may be long; what is said of it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.forms import ModelChoiceField
from django.test import Client

from tests.api.conftest import Caller
from tests.webhooks.makers import a_webhook

pytestmark = pytest.mark.django_db

LONG = 1_000_000
MOST = 30_000  # bytes of an answer
TEXT = "x" * LONG
PATTERN = "Á" * LONG


@pytest.fixture
def root(db: None) -> Caller:
    return Caller(User.objects.create_superuser("root"))


WEBHOOK = {"name": "a", "url": "https://example.com/", "events": ["*"]}
BODIES: dict[str, tuple[str, Callable[[], Any]]] = {
    "a key": ("clientes/", lambda: {"nome": "a", TEXT: 1}),
    "many keys": ("clientes/", lambda: {"nome": "a", **{f"k{n}": 1 for n in range(100_000)}}),
    "every value": (
        "clientes/",
        lambda: dict.fromkeys(
            ("nome", "email", "telefone", "documento", "empresa", "origem", "observacoes"), TEXT
        ),
    ),
    "tags": ("clientes/", lambda: {"nome": "a", "etiquetas": [TEXT]}),
    "custom fields": ("clientes/", lambda: {"nome": "a", "camposPersonalizados": {TEXT: {"1": 1}}}),
    "a key twice": ("clientes/", lambda: f'{{"{TEXT}":1,"{TEXT}":2}}'),
    "a batch": (
        "clientes/lote/",
        lambda: {"clientes": [{"nome": "", "telefone": "x" * 40, "a" * 200: 1}] * 1_000},
    ),
    "a batch of nothing": ("clientes/lote/", lambda: {"clientes": [{}] * 1_000}),
    "a task": (
        "tarefas/",
        lambda: dict.fromkeys(
            ("titulo", "status", "prioridade", "clienteId", "dataVencimento"), TEXT
        ),
    ),
    "patterns": ("webhooks/", lambda: {**WEBHOOK, "events": [PATTERN, "b" * LONG]}),
    "many patterns": ("webhooks/", lambda: {**WEBHOOK, "events": [f"É{n}" for n in range(100)]}),
    "an address": ("webhooks/", lambda: {**WEBHOOK, "url": "https://" + TEXT}),
    "a format": ("webhooks/", lambda: {**WEBHOOK, "format": TEXT}),
    "a header": ("webhooks/", lambda: {**WEBHOOK, "headers": {TEXT: TEXT}}),
    "a schedule": ("webhooks/", lambda: {**WEBHOOK, "retrySchedule": [float("1" * 300)] * 40}),
    "options": (
        "webhooks/",
        lambda: {**WEBHOOK, "format": "freshmarketer", "formatOptions": {TEXT: TEXT}},
    ),
    "custom data": (
        "webhooks/",
        lambda: {
            **WEBHOOK,
            "format": "freshmarketer",
            "formatOptions": {"custom_data": {TEXT: TEXT}},
        },
    ),
    "replayed events": ("deliveries/replay/", lambda: {"events": ["b" * LONG]}),
    "replayed webhook": ("deliveries/replay/", lambda: {"webhookId": TEXT, "statuses": [TEXT]}),
    "RD Station's keys": (
        "/integrations/webhooks",
        lambda: {TEXT: 1, **{f"k{n}": 1 for n in range(100_000)}},
    ),
    "RD Station's values": (
        "/integrations/webhooks",
        lambda: {
            "entity_type": "CONTACT",
            "event_type": "WEBHOOK.CONVERTED",
            "url": "https://" + TEXT,
            "event_identifiers": [TEXT],
        },
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_an_answer_repeats_no_long_value(root: Caller, name: str) -> None:
    path, body = BODIES[name]
    response = root.post(path, body())
    assert 400 <= response.status_code < 500
    assert len(response.content) < MOST
    for error in response.json().get("errors", []):
        assert len(str(error)) < 1_500


def test_the_errors_of_a_batch_are_listed_up_to_a_number_and_the_rest_counted(root: Caller) -> None:
    body = {"clientes": [{"nome": ""}] * 1_000}
    *listed, last = root.post("clientes/lote/", body).json()["errors"]
    assert [error["field"] for error in listed] == [f"clientes[{n}].nome" for n in range(100)]
    assert last == {"in": "body", "field": "", "code": "more", "detail": "And 900 more."}


def test_what_was_wrong_stands_at_both_ends_of_a_message_that_is_cut(root: Caller) -> None:
    body = {**WEBHOOK, "url": "https://a.com/" + "\u3000" * 500 + "a"}
    [error] = root.post("webhooks/", body).json()["errors"]
    assert error["detail"].startswith("The address (URL) ")
    assert error["detail"].endswith("which is not allowed.")
    assert len(error["detail"]) <= 1_000


@pytest.mark.parametrize("path", ["clientes", "tarefas", "events", "deliveries", "webhooks"])
@pytest.mark.parametrize(
    "name", ["q", "status", "type", "cursor", "ordering", "createdSince", TEXT]
)
def test_an_answer_repeats_no_long_query(root: Caller, path: str, name: str) -> None:
    response = root.get(f"{path}/?{urlencode({name: TEXT})}")
    assert len(response.content) < MOST


def test_an_answer_repeats_no_long_address(root: Caller) -> None:
    for path in (f"clientes/{TEXT}", f"clientes/{TEXT}/", TEXT, f"/integrations/webhooks/{TEXT}"):
        assert len(root.get(path).content) < MOST


# --- the admin --------------------------------------------------------------------------------
FORMS = [
    "api_common/token",
    "chamados/chamado",
    "chamados/departamento",
    "clientes/cliente",
    "tarefas/tarefa",
    "webhooks/webhook",
]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_says_nothing_long_of_a_long_value(path: str, admin_client: Client) -> None:
    page = admin_client.get(f"/admin/{path}/add/")
    form = page.context["adminform"].form
    written = [n for n, field in form.fields.items() if not isinstance(field, ModelChoiceField)]
    for make in (
        lambda size: "x" * size,
        lambda size: "é: x\n" * (size // 5),
        lambda size: "[" * size,
    ):
        values = dict.fromkeys(written, make(20_000))
        response = admin_client.post(f"/admin/{path}/add/", values)
        assert response.status_code == 200
        for field, messages in response.context["adminform"].form.errors.items():
            for message in messages:
                assert len(message) <= 1_000, field


# --- commands ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words",
    [
        ["webhooks_replay", "--since", TEXT],
        ["webhooks_replay", "--id", TEXT],
        ["webhooks_replay", "--webhook", TEXT],
        ["webhooks_replay", "--event-type", PATTERN],
        ["webhooks_test", TEXT],
    ],
    ids=lambda words: " ".join(words[:-1]),
)
def test_a_command_repeats_no_long_argument(words: list[str]) -> None:
    a_webhook()
    with pytest.raises(CommandError) as refused:
        call_command(*words)
    assert len(str(refused.value)) < 2_000


def test_of_many_unknown_keys_some_are_named_and_the_rest_counted(root: Caller) -> None:
    body = {"nome": "a", **{f"k{n}": 1 for n in range(25_000)}}
    errors = root.post("clientes/", body).json()["errors"]
    assert {each["code"] for each in errors[:-1]} == {"unknown"}
    assert errors[-1]["code"] == "more"
    assert str(25_000 - len(errors[:-1])) in errors[-1]["detail"]
