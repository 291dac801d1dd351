"""An integrator's day over real HTTP: every endpoint, with a program's own HTTP library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from api_common import tokens
from clientes.models import Cliente
from tests.crm import make_user
from tests.processes import Process
from tests.services import free_port
from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, receiver

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[..., Any]


@pytest.fixture
def ask(live_server: Any, capsys: pytest.CaptureFixture[str]) -> Ask:
    """`ask("POST", "clientes/", {...}, expect=201)`: the answer, which must have that status."""
    User.objects.create_superuser("root", password="x")
    call_command("api_token", "root")
    token = capsys.readouterr().out.strip()
    own = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}

    def send(method: str, path: str, body: Any = None, expect: int = 200, **headers: str) -> Any:
        url = path if "://" in path else f"{live_server.url}/api/v1/{path.lstrip('/')}"
        names = own | {name.replace("_", "-"): value for name, value in headers.items()}
        response = requests.request(method, url, json=body, headers=names, timeout=PATIENCE)
        assert response.status_code == expect, (method, path, response.text)
        return response

    return send


def test_webhooks_and_their_deliveries(ask: Ask) -> None:
    with receiver() as (url, got):
        hook = ask("POST", "webhooks/", {"name": "ERP", "url": url, "events": ["*"]}, 201).json()
        assert hook["secret"]
        path = f"webhooks/{hook['id']}/"
        assert ask("GET", "webhooks/").json()["results"][0]["id"] == hook["id"]
        tag = ask("GET", path).headers["ETag"]
        ask("GET", path, None, 304, If_None_Match=tag)
        ask("PATCH", path, {"name": "ERP 2"}, If_Match=tag)
        ask("PATCH", path, {"name": "ERP 3"}, 412, If_Match=tag)
        ask("PUT", path, {"name": "ERP", "url": url, "events": ["cliente.*"]})
        test = ask("POST", path + "test/").json()
        assert test["succeeded"] and len(got) == 1
        ask("POST", path + "rotate-secret/", {"overlapSeconds": 60})
        assert len(ask("GET", path + "keys/").json()["results"]) == 2
        ask("POST", path + "expire-secrets/")
        ask("POST", path + "pause/")
        ask("POST", path + "enable/")
        ask("GET", path + "health/")
        ask("POST", path + "recover/", {"since": "2024-01-01T00:00:00Z", "dryRun": True})

        client = ask("POST", "clientes/", {"nome": "João"}, 201).json()
        events = ask("GET", "events/?type=cliente.*").json()["results"]
        event = f"events/{events[0]['id']}/"
        ask("GET", event)
        assert ask("GET", event + "payload/").json()["event"].startswith("cliente.")
        ask("GET", event + "not-sent/")
        delivery = ask("GET", f"deliveries/?eventId={test['eventId']}").json()["results"][0]
        assert delivery["id"] == test["deliveryId"]
        address = f"deliveries/{delivery['id']}/"
        ask("GET", address)
        attempts = ask("GET", address + "attempts/?payloads=true").json()["results"]
        assert attempts[0]["responseBody"] == "ok"
        ask("POST", address + "replay/", None, 202)
        ask("POST", address + "replay/", None, 409)
        ask("POST", "deliveries/replay/", {"statuses": ["failed"], "dryRun": True})

        ask("GET", "event-types/")
        ask("GET", "event-types/cliente.criado/")
        shown = f"event-types/cliente.criado/preview/?object={client['id']}&webhook={hook['id']}"
        assert ask("GET", shown).json()["subscribed"] is True

        ask("DELETE", f"clientes/{client['id']}/", None, 204)
        ask("DELETE", path, None, 204)
        ask("GET", path, None, 404)
        ask("GET", "problems/")


def test_records_of_the_crm(ask: Ask) -> None:
    client = ask("POST", "clientes/", {"nome": "João"}, 201, Idempotency_Key="k1").json()
    again = ask("POST", "clientes/", {"nome": "João"}, 201, Idempotency_Key="k1")
    assert again.json() == client and again.headers["Idempotent-Replayed"] == "true"
    ask("POST", "clientes/lote/", {"clientes": [{"nome": "A"}, {"nome": "B"}]}, 201)
    ask("GET", f"clientes/{client['id']}/")
    ask("PATCH", f"clientes/{client['id']}/", {"empresa": "Silva"})
    ask("PUT", f"clientes/{client['id']}/", {"nome": "João Silva"})
    page = ask("GET", "clientes/?pageSize=2").json()
    assert len(ask("GET", page["next"]).json()["results"]) == 1

    [user] = ask("GET", "usuarios/").json()["results"]
    assert ask("GET", f"usuarios/{user['id']}/").json() == user
    body = {"titulo": "Ligar", "clienteId": client["id"], "responsavelId": user["id"]}
    task = ask("POST", "tarefas/", body, 201).json()
    ask("POST", f"tarefas/{task['id']}/concluir/")
    ask("GET", "tarefas/?status=CONCLUIDA")
    dept = ask("POST", "departamentos/", {"nome": "Suporte"}, 201).json()
    body = {"titulo": "Ajuda", "clienteId": client["id"], "departamentoId": dept["id"]}
    ticket = ask("POST", "chamados/", body, 201).json()
    ask("POST", f"chamados/{ticket['id']}/responder/", {"mensagem": "Olá"}, 201)
    ask("GET", f"chamados/{ticket['id']}/respostas/")
    ask("POST", f"chamados/{ticket['id']}/resolver/")
    ask("DELETE", f"departamentos/{dept['id']}/", None, 409)
    ask("DELETE", f"clientes/{client['id']}/", None, 204)


def test_a_body_without_a_type_is_no_trouble(ask: Ask) -> None:
    ask("POST", "clientes/", None, 400)


def in_chunks(url: str, token: str, *chunks: bytes) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return requests.post(url, data=iter(chunks), headers=headers, timeout=PATIENCE)


@pytest.fixture
def token() -> str:
    _token, text = tokens.create(User.objects.create_superuser("chunks"), "test")
    return text


def test_a_body_in_chunks_is_read_to_its_end(start: Callable[..., Process], token: str) -> None:
    port = free_port()
    server = start("-m", "gunicorn", "crm_project.wsgi", "--bind", f"127.0.0.1:{port}")
    server.wait_for("Booting worker")
    url = f"http://127.0.0.1:{port}/api/v1"
    delivery = a_delivery(a_webhook())

    counted = in_chunks(
        f"{url}/deliveries/replay/", token, b'{"statuses": ["failed"],', b' "dryRun": true}'
    )
    assert (counted.status_code, counted.json()["total"]) == (200, 1)
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    created = in_chunks(f"{url}/clientes/", token, b'{"nome": ', b'"Ana"}')
    assert (created.status_code, created.json()["nome"]) == (201, "Ana")
    most: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE  # type: ignore[assignment]
    assert in_chunks(f"{url}/clientes/", token, b"x" * most, b"x").status_code == 413


def test_a_body_in_chunks_is_refused_by_a_server_that_reads_none(
    live_server: Any, token: str
) -> None:
    response = in_chunks(f"{live_server.url}/api/v1/clientes/", token, b'{"nome": "Ana"}')
    assert response.status_code == 411 and response.json()["code"] == "length-required"
    assert not Cliente.objects.exists()


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for each in resolver.url_patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield route, each.callback
        else:
            yield from _patterns(each, route)


def test_every_route_says_which_permissions_it_takes(db: None) -> None:
    """Nothing is open by being forgotten."""
    make_user("ana")
    seen = 0
    for route, view in _patterns(get_resolver()):
        if not route.startswith("api/v1/") or not hasattr(view, "cls"):
            continue
        for method, name in getattr(view, "actions", {}).items():
            instance = view.cls(**view.initkwargs)
            instance.action, instance.request = name, None
            needed = instance.required_permissions()
            open_to_all_users = route.startswith("api/v1/^event-types/") and name != "preview"
            assert bool(needed) != open_to_all_users, (route, method, name)
            seen += 1
    assert seen > 45
