"""The management API of seed 001: its fields, its answers, its errors, our webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Caller
from tests.webhooks.makers import NOBODY, a_webhook
from webhooks.models import SigningKey, Webhook

pytestmark = pytest.mark.django_db

ADDRESS = "/integrations/webhooks"
CONVERTED = "WEBHOOK.CONVERTED"
BODY: dict[str, Any] = {
    "entity_type": "CONTACT",
    "event_type": "crm_contact_created",
    "event_identifiers": [],
    "url": NOBODY,
    "http_method": "POST",
    "include_relations": [],
}


def refused(response: Any, status: int = 422) -> Any:
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    data = response.json()
    assert list(data) == ["errors"]
    return data["errors"]


def test_a_subscription_is_created_read_changed_and_deleted(root: Caller) -> None:
    response = root.post(ADDRESS, BODY)
    assert response.status_code == 201
    answer = response.json()
    webhook = Webhook.objects.get()
    assert answer == {"uuid": str(webhook.pk), **BODY}
    assert webhook.events == ["cliente.criado"] and webhook.owner == root.user
    assert webhook.format == "rd-station"
    assert not SigningKey.objects.exists()  # theirs are unsigned

    one = f"{ADDRESS}/{answer['uuid']}"
    assert root.get(one).json() == answer
    assert root.get(ADDRESS).json() == {"webhooks": [answer]}

    changed = root.put(one, {**BODY, "event_type": "crm_task_created", "entity_type": "TASK"})
    assert changed.status_code == 200 and changed.json()["event_type"] == "crm_task_created"
    assert Webhook.objects.get().events == ["tarefa.criada"]

    response = root.delete(one)
    assert response.status_code == 204 and response.content == b""
    assert refused(root.get(one), 404)["error_type"] == "RESOURCE_NOT_FOUND"
    assert root.get(ADDRESS).json() == {"webhooks": []}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/x/", "/00000000-0000-0000-0000-000000000000/", "/x/y"])
def test_an_address_that_is_none_is_told_in_their_shape(
    root: Caller, method: str, path: str
) -> None:
    error = refused(root(method, ADDRESS + path, BODY), 404)
    assert error["error_type"] == "RESOURCE_NOT_FOUND"


def test_credentials_do_not_move_to_another_host(root: Caller) -> None:
    webhook = a_webhook(
        events=["cliente.criado"],
        format="rd-station",
        auth_type="bearer",
        auth_secret="t",
        headers={"X-Key": "k"},
    )
    one = f"{ADDRESS}/{webhook.pk}"
    errors = refused(root.put(one, {**BODY, "url": "http://127.0.0.1:10/"}))
    assert {error["path"] for error in errors} == {"$.url"}
    assert Webhook.objects.get().url == NOBODY
    assert root.put(one, {**BODY, "url": f"{NOBODY}other"}).status_code == 200


@pytest.mark.parametrize(
    ("entity_type", "event_type", "event"),
    [
        ("CONTACT", "WEBHOOK.CONVERTED", "cliente.conversao"),
        ("CONTACT", "WEBHOOK.MARKED_OPPORTUNITY", "cliente.oportunidade"),
        ("DEAL", "crm_deal_created", "negociacao.criada"),
        ("CONTACT", "crm_deal_updated", "negociacao.atualizada"),
        ("DEAL", "crm_deal_deleted", "negociacao.excluida"),
        ("CONTACT", "crm_contact_updated", "cliente.atualizado"),
    ],
)
def test_their_types_are_kept_as_given_whether_or_not_anything_tells_them_yet(
    root: Caller, entity_type: str, event_type: str, event: str
) -> None:
    body = {**BODY, "entity_type": entity_type, "event_type": event_type}
    response = root.post(ADDRESS, body)
    assert response.status_code == 201, response.content
    assert response.json() == {"uuid": str(Webhook.objects.get().pk), **body}
    assert Webhook.objects.get().events == [event]


def test_identifiers_and_relations_are_kept_and_changed(root: Caller) -> None:
    body = {
        **BODY,
        "event_type": "WEBHOOK.CONVERTED",
        "event_identifiers": ["newsletter", "ebook"],
        "include_relations": ["COMPANY"],
    }
    answer = root.post(ADDRESS, body).json()
    assert answer == {"uuid": answer["uuid"], **body}
    one = f"{ADDRESS}/{answer['uuid']}"

    options = root.get(f"webhooks/{answer['uuid']}/").json()["formatOptions"]
    assert options["event_identifiers"] == ["newsletter", "ebook"]

    kept = root.put(one, {"url": NOBODY + "new"})
    assert kept.json() == {**answer, "url": NOBODY + "new"}
    changed = root.put(one, {"event_identifiers": [], "include_relations": ["CONTACT_FUNNEL"]})
    assert changed.status_code == 200
    assert root.get(one).json()["event_identifiers"] == []
    assert root.get(one).json()["include_relations"] == ["CONTACT_FUNNEL"]
    assert root.put(one, {"include_relations": None}).json()["include_relations"] == []
    [error] = refused(root.put(one, {"include_relations": ["X"]}))
    assert error["path"] == "$.include_relations"
    for nothing, words in (({}, "entity_type"), ([], "Give a JSON object."), (None, "entity_type")):
        [error] = refused(root.put(one, nothing))
        assert error["path"] == "$" and words in error["error_message"]


def test_identifiers_go_with_the_type_that_has_them(root: Caller) -> None:
    body = {**BODY, "event_type": CONVERTED, "event_identifiers": ["newsletter"]}
    one = f"{ADDRESS}/{root.post(ADDRESS, body).json()['uuid']}"
    whole = {name: value for name, value in BODY.items() if name != "event_identifiers"}
    changed = root.put(one, whole)
    assert changed.status_code == 200 and changed.json()["event_identifiers"] == []


def test_what_could_not_have_been_set_up_here_is_not_seen(root: Caller) -> None:
    other = a_webhook(events=["cliente.criado"])
    several = a_webhook(events=["cliente.criado", "tarefa.criada"], format="rd-station")
    assert root.get(ADDRESS).json() == {"webhooks": []}
    for webhook in (other, several):
        refused(root.delete(f"{ADDRESS}/{webhook.pk}"), 404)
    of_the_admin = a_webhook(
        events=["tarefa.criada"], format="rd-station", format_options={"entity_type": "CONTACT"}
    )
    assert root.get(f"{ADDRESS}/{of_the_admin.pk}").json() == {
        "uuid": str(of_the_admin.pk),
        "entity_type": "TASK",
        "event_type": "crm_task_created",
        "event_identifiers": [],
        "url": NOBODY,
        "http_method": "POST",
        "include_relations": [],
    }


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"event_type": "crm_deal_won"}, "$.event_type"),
        ({"entity_type": "COMPANY"}, "$.entity_type"),
        ({"entity_type": "DEAL"}, "$.entity_type"),
        ({"http_method": "GET"}, "$.http_method"),
        ({"event_identifiers": ["a"]}, "$.event_identifiers"),
        ({"event_identifiers": "a"}, "$.event_identifiers"),
        ({"event_identifiers": ["a"] * 101, "event_type": CONVERTED}, "$.event_identifiers"),
        ({"event_identifiers": ["a" * 256], "event_type": CONVERTED}, "$.event_identifiers"),
        ({"event_identifiers": [1], "event_type": CONVERTED}, "$.event_identifiers"),
        ({"include_relations": ["X"]}, "$.include_relations"),
        ({"include_relations": 5}, "$.include_relations"),
        ({"url": None}, "$.url"),
        ({"url": "ftp://127.0.0.1/"}, "$.url"),
        ({"color": "red"}, "$.color"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_their_shape(
    root: Caller, change: dict[str, Any], path: str
) -> None:
    [error] = refused(root.post(ADDRESS, {**BODY, **change}))
    assert error["path"] == path and error["error_type"] and error["error_message"]
    assert not Webhook.objects.exists()


def test_errors_about_no_field_are_one(root: Caller, anyone: Caller) -> None:
    error = refused(anyone.get(ADDRESS), 401)
    assert error["error_type"] == "UNAUTHORIZED" and error["error_message"]
    assert refused(root.post(ADDRESS, b"{"), 400)["error_type"] == "BAD_REQUEST"
    for id in ("x", "018cc251-f400-7000-8000-000000000000"):
        assert refused(root.get(f"{ADDRESS}/{id}"), 404)["error_type"] == "RESOURCE_NOT_FOUND"


def test_an_address_beside_theirs_answers_json_too(root: Caller) -> None:
    response = root.get("/integrations/")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


def test_each_verb_takes_its_permission(caller: Callable[..., Caller]) -> None:
    webhook = a_webhook(events=["cliente.criado"], format="rd-station")
    one = f"{ADDRESS}/{webhook.pk}"
    allowed = [("GET", ADDRESS, "view"), ("POST", ADDRESS, "add")]
    allowed += [("GET", one, "view"), ("PUT", one, "change"), ("DELETE", one, "delete")]
    reading = caller("webhooks.change_webhook")("PUT", one, BODY)
    assert "webhooks.view_webhook" in refused(reading, 403)["error_message"]
    for method, address, verb in allowed:
        others = [v for v in ("view", "add", "change", "delete") if v != verb]
        wrong = caller(*(f"webhooks.{each}_webhook" for each in others))
        assert refused(wrong(method, address, BODY), 403)["error_type"] == "FORBIDDEN"
        also = ["webhooks.view_webhook"] if verb == "change" else []
        right = caller(f"webhooks.{verb}_webhook", *also)
        assert right(method, address, BODY).status_code in (200, 201, 204)
