"""What holds of every endpoint: who may, in which shape errors come, what is safe to repeat."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client, override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_common import tokens
from api_common.models import KeptAnswer, Token
from clientes.models import Cliente
from tests.api.conftest import ROOT, Caller, field_errors, problem
from tests.crm import make_cliente, names_told
from tests.webhooks.makers import NOBODY, a_webhook, an_event
from webhooks.api import rd_station
from webhooks.models import AuditEntry

pytestmark = pytest.mark.django_db


# --- who --------------------------------------------------------------------------------------
def test_who_does_not_say_who_they_are_is_told_how(anyone: Caller) -> None:
    for method in ("GET", "POST"):
        response = anyone(method, "clientes/")
        problem(response, "not-authenticated")
        assert response["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer nobody", "Bearer a b", "Bearer " + "x" * 5000, "Bearer ã"],
)
def test_what_is_no_token_opens_nothing(anyone: Caller, header: str) -> None:
    problem(anyone.get("clientes/", authorization=header), "not-authenticated")


def test_a_token_ends_with_its_time_its_revocation_and_its_user(root: Caller) -> None:
    token = Token.objects.get()

    def refused() -> str:
        return str(problem(root.get("clientes/"), "not-authenticated")["detail"])

    assert root.get("clientes/").status_code == 200
    Token.objects.update(expires_at=timezone.now())
    assert refused() == "This token has expired."
    Token.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert token.revoke() and not token.revoke()
    assert refused() == "This token was revoked."
    Token.objects.update(revoked_at=None)
    User.objects.update(is_active=False)
    assert refused() == "There is no such token."


def test_the_database_holds_nothing_that_opens_anything(root: Caller) -> None:
    text = root.headers["authorization"].removeprefix("Bearer ")
    row = Token.objects.values().get()
    assert text not in map(str, row.values())
    assert len(row["prefix"]) < 12 and text.startswith(row["prefix"])
    assert problem(
        Caller(None, authorization=f"Bearer {row['digest']}").get("clientes/"), "not-authenticated"
    )


def test_that_a_token_was_used_is_noted_once_in_a_while(root: Caller) -> None:
    root.get("clientes/")
    first = Token.objects.get().last_used_at
    root.get("clientes/")
    assert first is not None and Token.objects.get().last_used_at == first
    Token.objects.update(last_used_at=first - tokens.USE_NOTED_EVERY * 2)
    root.get("clientes/")
    assert Token.objects.get().last_used_at >= first


def test_a_session_reads_as_it_is_and_writes_with_its_csrf_token(db: None) -> None:
    user = User.objects.create_superuser("root")
    client = Client(enforce_csrf_checks=True, headers={"accept-language": "en"})
    client.force_login(user)
    body: dict[str, Any] = {"data": {"nome": "Ana"}, "content_type": "application/json"}

    assert client.get(ROOT + "clientes/").status_code == 200
    problem(client.post(ROOT + "clientes/", **body), "csrf")
    client.get("/admin/")
    token = client.cookies["csrftoken"].value
    response = client.post(ROOT + "clientes/", **body, headers={"X-CSRFToken": token})
    assert response.status_code == 201


# --- may --------------------------------------------------------------------------------------
CRM = {
    "clientes": "clientes.{}_cliente",
    "tarefas": "tarefas.{}_tarefa",
    "chamados": "chamados.{}_chamado",
    "departamentos": "chamados.{}_departamento",
}


@pytest.mark.parametrize("path", CRM)
def test_each_verb_takes_its_own_permission_reading_included(
    path: str, caller: Callable[..., Caller]
) -> None:
    permissions = {verb: CRM[path].format(verb) for verb in ("view", "add", "change", "delete")}
    others = [name for each in CRM.values() if each != CRM[path] for name in (each.format("view"),)]
    requests = [
        ("GET", f"{path}/", ["view"]),
        ("GET", f"{path}/x_1/", ["view"]),
        ("POST", f"{path}/", ["add"]),
        # What is changed is answered whole, and may not be read by changing nothing.
        ("PUT", f"{path}/x_1/", ["view", "change"]),
        ("PATCH", f"{path}/x_1/", ["view", "change"]),
        ("DELETE", f"{path}/x_1/", ["delete"]),
    ]
    for method, address, verbs in requests:
        for verb in verbs:
            wrong = [name for each, name in permissions.items() if each != verb]
            data = problem(caller(*wrong, *others)(method, address, {}), "forbidden")
            assert data["permission"] == permissions[verb]
        right = caller(*(permissions[verb] for verb in verbs))
        assert right(method, address, {}).status_code in (200, 400, 404)


def test_what_is_deleted_along_takes_its_permission_too(caller: Callable[..., Caller]) -> None:
    from tests.crm import make_chamado, make_tarefa

    client = make_cliente()
    make_tarefa(cliente=client)
    make_chamado(cliente=client).responder(None, "Olá")
    needed = ["clientes.delete_cliente", "tarefas.delete_tarefa", "chamados.delete_chamado"]
    for missing in ("tarefas.delete_tarefa", "chamados.delete_chamado", "chamados.delete_resposta"):
        held = {*needed, "chamados.delete_resposta"} - {missing}
        response = caller(*held).delete(f"clientes/{client.public_id}/")
        assert problem(response, "forbidden")["permission"] == missing
    assert Cliente.objects.exists()

    response = caller(*needed, "chamados.delete_resposta").delete(f"clientes/{client.public_id}/")
    assert response.status_code == 204
    assert {"cliente.excluido", "tarefa.excluida", "chamado.excluido"} <= set(names_told())


# --- errors -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path", ["nada/", "nada", "", "clientes/cliente_1/nada/", "webhooks/x/y/z"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_that_is_none_answers_in_the_same_shape(
    root: Caller, anyone: Caller, path: str, method: str
) -> None:
    problem(root(method, path), "not-found")
    problem(anyone(method, path), "not-found")


def test_a_forgotten_slash_is_named(root: Caller) -> None:
    detail = problem(root.post("clientes", {"nome": "Ana"}), "not-found")["detail"]
    assert "/api/v1/clientes/" in detail


@pytest.mark.parametrize(
    "path", ["/api/v2/clientes", "/api/x", "/integrations/x", "/integrations/webhooks/x/y"]
)
def test_no_slash_is_asked_for_where_one_leads_nowhere(anyone: Caller, path: str) -> None:
    response = anyone.get(path)
    assert response.status_code == 404 and "slash" not in response.content.decode()


def test_a_body_that_is_compressed_is_refused_before_it_is_read(root: Caller) -> None:
    response = root.post("clientes/", gzip.compress(b'{"nome": "Ana"}'), content_encoding="gzip")
    assert "Content-Encoding" in problem(response, "unsupported-media-type")["detail"]
    assert response["Accept-Encoding"] == "identity"
    plain = root.post("clientes/", {"nome": "Ana"}, content_encoding="identity")
    assert plain.status_code == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("null", "Informe um objeto JSON."),
        ("{}", "É preciso informar."),
        ('{"nome": null}', "Informe um valor: não pode ser nulo."),
    ],
)
def test_what_is_missing_is_said_in_portuguese(root: Caller, body: str, message: str) -> None:
    response = root.post("clientes/", body, accept_language="pt-br")
    assert list(field_errors(response).values()) == [message]


def test_methods_types_and_formats_that_are_not_taken(root: Caller) -> None:
    response = root.delete("clientes/")
    problem(response, "method-not-allowed")
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert root("OPTIONS", "clientes/").status_code == 204
    problem(root.get("clientes/", accept="application/xml"), "not-acceptable")
    form = root.client.post(ROOT + "clientes/", {"nome": "Ana"}, headers=root.headers)
    problem(form, "unsupported-media-type")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"nome": "Ana", "nome": "Eva"}',
        b'{"nome": NaN}',
        b'{"nome": 1e999}',
        b'{"nome": "\xff"}',
        b'{"nome": "a\\u0000b"}',
        b'{"nome": "a\\ud800b"}',
        b"[" * 100_000,
        b"1" * 5_000,
        b'{"nome": "Ana"} x',
    ],
)
def test_a_body_that_is_no_good_json_is_refused_with_the_reason(root: Caller, body: bytes) -> None:
    response = root.client.generic(
        "POST", ROOT + "clientes/", body, "application/json", headers=root.headers
    )
    problem(response, "malformed")


def test_pairs_of_surrogates_are_text(root: Caller) -> None:
    response = root.client.generic(
        "POST",
        ROOT + "clientes/",
        rb'{"nome": "\ud83d\ude00"}',
        "application/json",
        headers=root.headers,
    )
    assert response.json()["nome"] == "😀"


def test_a_body_that_is_too_large_is_refused_unread(root: Caller) -> None:
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100):
        response = root.post("clientes/", {"nome": "x" * 101})
    assert "100" in problem(response, "too-large")["detail"]


def test_nothing_of_the_inside_shows(root: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("SELECT secret FROM inside")

    monkeypatch.setattr(Cliente, "save", fail)
    root.client.raise_request_exception = False
    with override_settings(DEBUG=True):
        response = root.post("clientes/", {"nome": "Ana"})
    problem(response, "internal")
    assert b"inside" not in response.content


def test_kinds_of_problem_are_explained_where_their_type_leads(anyone: Caller) -> None:
    address = problem(anyone.get("clientes/"), "not-authenticated")["type"]
    page = anyone.get(address.removeprefix("http://testserver")).json()
    assert page["status"] == 401 and page["code"] == "not-authenticated"
    kinds = anyone.get("problems/", accept_language="pt-br").json()["results"]
    assert "Não autenticado" in [kind["title"] for kind in kinds]


# --- states -----------------------------------------------------------------------------------
def test_a_copy_that_is_current_is_not_sent_again(root: Caller) -> None:
    path = f"clientes/{make_cliente().public_id}/"
    tag = root.get(path)["ETag"]
    again = root.get(path, if_none_match=tag)
    assert again.status_code == 304 and again.content == b"" and again["ETag"] == tag
    assert root.get(path, if_none_match='"other"').status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_of_another_state_than_the_callers_is_refused(root: Caller, method: str) -> None:
    client = make_cliente()
    path = f"clientes/{client.public_id}/"
    tag = root.get(path)["ETag"]
    root.patch(path, {"empresa": "Outra"})

    for wrong in (tag, "x", '"', "W/" + root.get(path)["ETag"]):
        problem(root(method, path, {"nome": "Ana"}, if_match=wrong), "changed-meanwhile")
    client.refresh_from_db()
    assert client.nome == "João Silva"

    current = root.get(path)["ETag"]
    response = root(method, path, {"nome": "Ana"}, if_match=f'"other", {current}')
    assert response.status_code in (200, 204)


def test_every_change_answers_the_new_state(root: Caller) -> None:
    path = root.post("clientes/", {"nome": "Ana"})["Location"]
    assert root.patch(path, {"nome": "Eva"})["ETag"] == root.get(path)["ETag"]


# --- repeated ---------------------------------------------------------------------------------
def test_a_repeated_request_is_answered_again_and_not_done_again(root: Caller) -> None:
    first = root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")
    second = root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")

    assert second.status_code == 201 and second.content == first.content
    for header in ("Location", "ETag"):
        assert second[header] == first[header]
    assert second["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first
    assert Cliente.objects.count() == 1 and names_told() == ["cliente.criado"]


def test_the_same_key_with_another_request_is_refused(root: Caller) -> None:
    root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")
    problem(root.post("clientes/", {"nome": "Eva"}, idempotency_key="k1"), "idempotency-key-reused")
    problem(
        root.post("departamentos/", {"nome": "Ana"}, idempotency_key="k1"), "idempotency-key-reused"
    )


def test_keys_are_each_users_own(root: Caller, caller: Callable[..., Caller]) -> None:
    other = caller("clientes.add_cliente")
    first = root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1").json()
    second = other.post("clientes/", {"nome": "Ana"}, idempotency_key="k1").json()
    assert first["id"] != second["id"]


def test_a_refused_request_may_be_corrected_with_the_same_key(root: Caller) -> None:
    field_errors(root.post("clientes/", {"nome": ""}, idempotency_key="k1"))
    assert root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ã"])
def test_a_key_is_short_printable_text(root: Caller, key: str) -> None:
    response = root.post("clientes/", {"nome": "Ana"}, idempotency_key=key)
    assert list(field_errors(response)) == ["Idempotency-Key"]


def test_neither_keys_nor_answers_can_be_read_in_the_database(root: Caller) -> None:
    root.post("clientes/", {"nome": "Ana Souza"}, idempotency_key="a-key-of-mine")
    row = " ".join(map(str, KeptAnswer.objects.values_list().get()))
    assert "a-key-of-mine" not in row and "Ana Souza" not in row


def test_answers_are_kept_for_a_day(root: Caller) -> None:
    root.post("clientes/", {"nome": "Ana"}, idempotency_key="k1")
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert root.post("clientes/", {"nome": "Eva"}, idempotency_key="k1").status_code == 201


# --- how often --------------------------------------------------------------------------------
def test_a_user_who_asks_too_often_is_told_when_to_come_back(
    root: Caller, caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rest_framework.settings import api_settings

    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"user": "3/h"})
    codes = [root.get("clientes/").status_code for _ in range(3)]
    assert codes == [200] * 3
    response = root.get("tarefas/")
    problem(response, "too-many-requests")
    assert 1 <= int(response["Retry-After"]) <= 3601
    assert caller("clientes.view_cliente").get("clientes/").status_code == 200


# --- hostile ----------------------------------------------------------------------------------
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({})
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parts=st.lists(VALUES, max_size=5)
    | st.tuples(
        VALUES | st.sampled_from(["0001-01-01T00:00:00+14:00", "2024-01-01T00:00:00", "a\0b"]),
        VALUES | st.sampled_from([10**30, -1, "1"]),
        st.sampled_from([0, 1, 2, True, "x"]),
        st.sampled_from(["-createdAt", "nome", "createdAt"]),
    ).map(list)
    | VALUES,
    ordering=st.sampled_from(["-createdAt", "nome"]),
)
def test_no_cursor_does_harm(root: Caller, parts: Any, ordering: str) -> None:
    text = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    response = root.get(f"clientes/?ordering={ordering}&cursor={text}")
    assert response.status_code in (200, 400)
    cache.clear()


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["clientes/", "tarefas/", "chamados/", "departamentos/", "webhooks/"]),
    body=st.dictionaries(
        st.sampled_from(
            [
                "nome",
                "email",
                "telefone",
                "documento",
                "etiquetas",
                "naoPerturbe",
                "camposPersonalizados",
                "titulo",
                "status",
                "prioridade",
                "dataVencimento",
                "clienteId",
                "name",
                "url",
                "events",
                "format",
                "headers",
                "authentication",
                "timeoutSeconds",
                "retrySchedule",
                "rateLimit",
                "secret",
                "algorithm",
            ]
        ),
        st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
        max_size=6,
    ),
)
def test_no_body_does_harm(root: Caller, path: str, body: dict[str, Any]) -> None:
    required = {
        "clientes/": {"nome": "x"},
        "webhooks/": {"name": "x", "url": NOBODY, "events": ["*"]},
    }
    whole = {**required.get(path, {"titulo": "x"}), **body}
    assert root.post(path, whole).status_code in (201, 400)
    cache.clear()


def test_a_host_that_is_not_ours_is_refused_in_the_same_shape(root: Caller) -> None:
    response = root.client.get(ROOT + "clientes/", headers={**root.headers, "host": "evil.example"})
    data = response.json()
    assert response.status_code == 400 and data["code"] == "malformed"
    assert data["type"] == "about:blank"
    page = root.client.get("/admin/", headers={"host": "evil.example"})
    assert page.status_code == 400 and "html" in page["Content-Type"]


@pytest.mark.parametrize("path", ["/api/", "/api/v2/clientes/", "/api/x"])
def test_there_is_nothing_beside_this_version(anyone: Caller, path: str) -> None:
    data = anyone.get(path).json()
    assert (data["status"], data["code"]) == (404, "not-found")


def test_an_open_page_takes_no_key(anyone: Caller) -> None:
    problem(anyone.post("problems/", {}, idempotency_key="k1"), "method-not-allowed")


def test_a_database_that_fails_is_said_to_and_not_shown(
    root: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(Cliente, "save", fail)
    response = root.post("clientes/", {"nome": "Ana"})
    problem(response, "unavailable")
    assert response["Retry-After"] == "1" and b"locked" not in response.content


# --- Accept -----------------------------------------------------------------------------------
UNFIT = ["application/problem+json", "text/html", "application/xml, text/plain;q=0.5"]


@pytest.mark.parametrize("accept", UNFIT)
def test_what_is_answered_without_a_body_fits_any_accept(root: Caller, accept: str) -> None:
    paths = [f"clientes/{make_cliente().public_id}/", f"webhooks/{a_webhook().pk}/"]
    webhook = a_webhook(format="rd-station", events=[next(iter(rd_station.TYPES.values()))])
    for path in (*paths, f"/integrations/webhooks/{webhook.pk}"):
        assert root("OPTIONS", path, accept=accept).status_code == 204
        assert root("HEAD", path, accept=accept).status_code == 200
        tag = root.get(path).headers.get("ETag")
        if tag is not None:
            assert root.get(path, accept=accept, if_none_match=tag).status_code == 304
        assert root.delete(path, accept=accept).status_code == 204
        assert root.get(path, accept=accept).status_code == 404


@pytest.mark.parametrize("accept", UNFIT)
def test_errors_come_in_their_own_type_whatever_is_accepted(
    root: Caller, anyone: Caller, caller: Callable[..., Caller], accept: str
) -> None:
    problem(anyone.get("clientes/", accept=accept), "not-authenticated")
    problem(anyone.delete("clientes/cliente_1/", accept=accept), "not-authenticated")
    problem(caller().get("clientes/", accept=accept), "forbidden")
    problem(root.get("clientes/cliente_1/", accept=accept), "not-found")
    problem(root.delete("clientes/cliente_1/", accept=accept), "not-found")
    problem(root.get("nowhere/", accept=accept), "not-found")
    problem(root.post("nowhere/", {}, accept=accept), "not-found")
    problem(root.get("clientes/?pageSize=0", accept=accept), "invalid")
    problem(root.put("clientes/", {}, accept=accept), "method-not-allowed")


@pytest.mark.parametrize("accept", UNFIT)
def test_what_is_not_accepted_is_not_done(root: Caller, accept: str) -> None:
    cliente = make_cliente(nome="Ana")
    path = f"clientes/{cliente.public_id}/"
    problem(root.get(path, accept=accept), "not-acceptable")
    problem(root.post("clientes/", {"nome": "Bia"}, accept=accept), "not-acceptable")
    problem(root.patch(path, {"nome": "Bia"}, accept=accept), "not-acceptable")
    assert list(Cliente.objects.values_list("nome", flat=True)) == ["Ana"]
    event = an_event()
    problem(root.get(f"events/{event.public_id}/payload/", accept=accept), "not-acceptable")
    assert not AuditEntry.objects.exists()
