"""Webhooks over the API: the secret is answered once, the rest is what the admin can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Caller, field_errors, problem
from tests.webhooks.makers import NOBODY, SECRET, a_delivery, a_webhook
from webhooks.fields import MASK
from webhooks.models import AuditEntry, Delivery, SigningKey, Webhook

pytestmark = pytest.mark.django_db

BODY: dict[str, Any] = {"name": "ERP", "url": NOBODY, "events": ["cliente.*"]}
WHOLE: dict[str, Any] = {
    **BODY,
    "format": "standard-webhooks",
    "headers": {"X-Api-Key": "a-value-that-is-secret"},
    "authentication": {"type": "basic", "username": "crm", "secret": "a-password"},
    "timeoutSeconds": 3,
    "retrySchedule": [0, 10],
    "rateLimit": 5,
    "keepResponses": False,
}


def test_a_new_webhook_answers_its_secret_this_once(root: Caller) -> None:
    response = root.post("webhooks/", BODY)

    assert response.status_code == 201 and response["Cache-Control"] == "no-store"
    answer = response.json()
    secret = answer.pop("secret")
    assert secret.startswith("whsec_")
    assert SigningKey.objects.get().secret.reveal() == secret
    [key] = answer.pop("keys")
    assert (key["algorithm"], key["publicKey"]) == ("hmac-sha256", None)
    read = root.get(response["Location"])
    assert read.json() == answer and read["ETag"] == response["ETag"]
    assert secret not in root.get("webhooks/").content.decode()
    assert answer == {
        "id": str(Webhook.objects.get().pk),
        **BODY,
        "format": "sistema-crm",
        "formatOptions": {},
        "status": "active",
        "statusReason": None,
        "problems": [],
        "headers": {},
        "authentication": {"type": "none", "username": None, "headerName": None, "secret": None},
        "timeoutSeconds": None,
        "retrySchedule": None,
        "rateLimit": None,
        "keepResponses": True,
        "createdAt": answer["createdAt"],
        "updatedAt": answer["updatedAt"],
    }


def test_who_creates_a_webhook_owns_it_and_it_is_on_record(root: Caller) -> None:
    root.post("webhooks/", BODY)
    assert Webhook.objects.get().owner == root.user
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.user, entry.origin) == ("created", root.user, "api")


def test_a_secret_of_ones_own_is_taken(root: Caller) -> None:
    assert root.post("webhooks/", {**BODY, "secret": SECRET}).json()["secret"] == SECRET
    assert SigningKey.objects.get().secret.reveal() == SECRET


def test_a_secret_that_would_sign_nothing_is_refused(root: Caller) -> None:
    body = {**BODY, "format": "rd-station"}
    assert list(field_errors(root.post("webhooks/", {**body, "secret": SECRET}))) == ["secret"]
    assert not Webhook.objects.exists()
    assert root.post("webhooks/", body).json()["secret"] is None


def test_secrets_of_requests_are_masked_and_masks_keep_them(root: Caller) -> None:
    answer = root.post("webhooks/", WHOLE).json()
    assert answer["headers"] == {"X-Api-Key": MASK}
    assert answer["authentication"]["secret"] == MASK

    del answer["secret"]
    response = root.put(f"webhooks/{answer['id']}/", {**answer, "name": "Novo"})
    assert response.status_code == 200 and response.json()["name"] == "Novo"
    webhook = Webhook.objects.get()
    assert webhook.headers.reveal() == WHOLE["headers"]
    assert webhook.auth_secret.reveal() == "a-password"


def test_a_secret_does_not_move_to_another_kind_of_authentication(root: Caller) -> None:
    id = root.post("webhooks/", WHOLE).json()["id"]
    errors = field_errors(
        root.patch(f"webhooks/{id}/", {"authentication": {"type": "bearer", "secret": MASK}})
    )
    assert list(errors) == ["authentication.secret"]


def test_credentials_do_not_move_to_another_host(root: Caller) -> None:
    id = root.post("webhooks/", WHOLE).json()["id"]
    path, elsewhere = f"webhooks/{id}/", "http://127.0.0.1:10/"
    masked = {"X-Api-Key": MASK}
    for body in ({"url": elsewhere}, {"url": elsewhere, "headers": masked}):
        errors = field_errors(root.patch(path, body))
        assert sorted(errors) == ["authentication.secret", "headers"]
    assert Webhook.objects.get().url == BODY["url"]

    anew = {**WHOLE["authentication"], "secret": "another"}
    given = {"url": elsewhere, "headers": {"X-Api-Key": "k"}, "authentication": anew}
    assert root.patch(path, given).status_code == 200
    assert root.put(path, BODY).status_code == 200  # which lets them go
    assert not Webhook.objects.get().auth_secret


def test_patch_changes_what_it_names_and_put_sets_the_rest_to_its_default(root: Caller) -> None:
    id = root.post("webhooks/", WHOLE).json()["id"]
    patched = root.patch(f"webhooks/{id}/", {"rateLimit": None}).json()
    assert patched["rateLimit"] is None and patched["timeoutSeconds"] == 3

    put = root.put(f"webhooks/{id}/", BODY).json()
    assert put["timeoutSeconds"] is None and put["headers"] == {}
    assert put["authentication"]["type"] == "none" and put["format"] == "sistema-crm"
    assert Webhook.objects.get().auth_secret.reveal() == ""


# --- options of the format ----------------------------------------------------------------------
FRESH: dict[str, Any] = {
    **BODY,
    "format": "freshmarketer",
    "formatOptions": {"custom_data": {"nome": "{{nome}}"}, "list_id": "100"},
}


def test_a_formats_options_are_set_changed_and_left_with_it(root: Caller) -> None:
    answer = root.post("webhooks/", FRESH).json()
    assert answer["formatOptions"] == FRESH["formatOptions"]
    path = f"webhooks/{answer['id']}/"

    assert root.patch(path, {"name": "Novo"}).json()["formatOptions"] == FRESH["formatOptions"]
    options = {"list_id": "7"}
    assert root.patch(path, {"formatOptions": options}).json()["formatOptions"] == options
    changed = root.patch(path, {"format": "rd-station"}).json()
    assert (changed["format"], changed["formatOptions"]) == ("rd-station", {})

    root.put(path, FRESH)
    without = {name: value for name, value in FRESH.items() if name != "formatOptions"}
    assert root.put(path, without).json()["formatOptions"] == {}


@pytest.mark.parametrize(
    ("format", "options", "where"),
    [
        ("sistema-crm", {"payload": "current"}, ""),
        ("twenty", {"nada": 1}, ""),
        ("twenty", [], ""),
        ("twenty", {"payload": "antigo"}, ".payload"),
        ("twenty", {"payload": None}, ".payload"),
        ("twenty", {"workspaceId": "x" * 101}, ".workspaceId"),
        ("twenty", {"workspaceId": "a\u0007"}, ".workspaceId"),
        ("freshmarketer", {"custom_data": {"a": 1}}, ".custom_data"),
        ("freshmarketer", {"custom_data": "a"}, ".custom_data"),
        ("freshmarketer", {"custom_data": {"0": "x"}}, ".custom_data"),
        ("freshmarketer", {"custom_data": {"__proto__": "x"}}, ".custom_data"),
        ("freshmarketer", {"custom_data": {"": "x"}}, ".custom_data"),
        ("freshmarketer", {"custom_data": {"a:b": "x"}}, ".custom_data"),
        ("freshmarketer", {"custom_data": {" a": "x"}}, ".custom_data"),
        ("freshmarketer", {"custom_data": {"a\nb": "x"}}, ".custom_data"),
        ("freshmarketer", {"custom_data": {f"a{n}": "" for n in range(21)}}, ".custom_data"),
        ("rd-station", {"include_relations": ["COMPANY", "X"]}, ".include_relations"),
        ("rd-station", {"event_identifiers": [""]}, ".event_identifiers"),
        ("rd-station", {"entity_type": "X"}, ".entity_type"),
    ],
)
def test_an_option_that_its_format_has_not_is_refused_in_words(
    root: Caller, format: str, options: Any, where: str
) -> None:
    webhook = a_webhook(format=format)
    for response in (
        root.post("webhooks/", {**BODY, "format": format, "formatOptions": options}),
        root.patch(f"webhooks/{webhook.pk}/", {"name": "Outro", "formatOptions": options}),
    ):
        [(field, message)] = field_errors(response).items()
        assert field == f"formatOptions{where}"
        assert message
    assert [(each.name, each.format_options) for each in Webhook.objects.all()] == [("ERP", {})]


def test_every_wrong_option_is_complained_of_by_itself(root: Caller) -> None:
    options = {"payload": 1, "workspaceId": 2}
    body = {**BODY, "format": "twenty", "formatOptions": options}
    assert set(field_errors(root.post("webhooks/", body))) == {
        "formatOptions.payload",
        "formatOptions.workspaceId",
    }


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": ""}, "name"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": 5}, "url"),
        ({"events": "cliente.*"}, "events"),
        ({"events": []}, "events"),
        ({"events": ["nada.nunca"]}, "events"),
        ({"format": "nada"}, "format"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": ["x"]}, "headers"),
        ({"headers": {"X-Key": MASK}}, "headers"),
        ({"authentication": {"type": "basic", "secret": "x"}}, "authentication.username"),
        ({"authentication": {"type": "bearer"}}, "authentication.secret"),
        ({"authentication": {"type": "magic"}}, "authentication.type"),
        ({"authentication": "basic"}, "authentication"),
        ({"timeoutSeconds": 100}, "timeoutSeconds"),
        ({"timeoutSeconds": "3"}, "timeoutSeconds"),
        ({"retrySchedule": []}, "retrySchedule"),
        ({"retrySchedule": [-1]}, "retrySchedule"),
        ({"rateLimit": 0}, "rateLimit"),
        ({"secret": "short"}, "secret"),
        ({"algorithm": "rsa-sha256"}, "algorithm"),
        ({"status": "active", "colour": "red"}, "colour"),
    ],
)
def test_what_a_webhook_may_not_be_is_named(
    root: Caller, changes: dict[str, Any], where: str
) -> None:
    assert list(field_errors(root.post("webhooks/", BODY | changes))) == [where]
    assert not Webhook.objects.exists()


def test_repeating_a_creation_answers_the_same_secret(root: Caller) -> None:
    first = root.post("webhooks/", BODY, idempotency_key="k1")
    second = root.post("webhooks/", BODY, idempotency_key="k1")
    assert first.json() == second.json() and Webhook.objects.count() == 1
    assert second["Cache-Control"] == "no-store"


def test_a_change_of_another_state_than_the_callers_is_refused(root: Caller) -> None:
    created = root.post("webhooks/", BODY)
    path, tag = created["Location"], created["ETag"]
    root.patch(path, {"name": "Outro"})
    for method, body in (("PATCH", {"name": "x"}), ("PUT", BODY), ("DELETE", None)):
        problem(root(method, path, body, if_match=tag), "changed-meanwhile")
    problem(root.post(path + "pause/", if_match=tag), "changed-meanwhile")
    assert Webhook.objects.get().name == "Outro"


def test_a_change_of_what_is_masked_is_another_state(root: Caller) -> None:
    path = root.post("webhooks/", WHOLE)["Location"]
    tag = root.get(path)["ETag"]

    def changed(secret: str) -> Any:
        body = {"authentication": {**WHOLE["authentication"], "secret": secret}}
        return root.patch(path, body, if_match=tag)

    assert changed("one").status_code == 200
    problem(changed("another"), "changed-meanwhile")
    assert Webhook.objects.get().auth_secret.reveal() == "one"

    current = root.get(path)["ETag"]
    rotated = root.post(path + "rotate-secret/", {}, if_match=current)
    assert rotated.status_code == 200 and rotated["ETag"] == root.get(path)["ETag"]
    problem(root.post(path + "rotate-secret/", {}, if_match=current), "changed-meanwhile")
    assert SigningKey.objects.count() == 2


def test_a_status_is_changed_by_pausing_and_not_by_writing_it(root: Caller) -> None:
    assert list(field_errors(root.post("webhooks/", {**BODY, "status": "paused"}))) == ["status"]
    path = root.post("webhooks/", {**BODY, "status": "active"})["Location"]
    answer = root.get(path).json()
    assert list(field_errors(root.patch(path, {"status": "paused"}))) == ["status"]
    assert root.put(path, answer).status_code == 200
    root.post(path + "pause/")
    assert list(field_errors(root.put(path, answer))) == ["status"]
    assert root.patch(path, {"status": "paused", "name": "x"}).status_code == 200


@pytest.mark.parametrize("name", ["secret", "algorithm"])
def test_a_secret_that_is_written_is_led_to_its_rotation(root: Caller, name: str) -> None:
    value = {"secret": SECRET, "algorithm": "ed25519"}[name]
    errors = field_errors(root.patch(f"webhooks/{a_webhook().pk}/", {name: value}))
    assert errors == {name: "A secret is changed by rotate-secret/."}


def test_a_webhook_is_paused_enabled_and_deleted(root: Caller) -> None:
    path = root.post("webhooks/", BODY)["Location"]
    delivery = a_delivery(Webhook.objects.get(), status=Delivery.Status.PENDING)

    paused = root.post(path + "pause/").json()
    assert paused["status"] == "paused" and "root" in paused["statusReason"]
    delivery.refresh_from_db()
    assert delivery.lane == Webhook.Lane.PARKED

    assert root.post(path + "enable/").json()["status"] == "active"
    delivery.refresh_from_db()
    assert delivery.lane == Webhook.Lane.NORMAL

    assert root.delete(path).status_code == 204
    problem(root.get(path), "not-found")
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.CANCELLED


def test_the_list_filters_and_searches(root: Caller) -> None:
    a_webhook(name="ERP")
    a_webhook(name="Site", status=Webhook.Status.PAUSED)

    def names(query: str) -> list[str]:
        return [each["name"] for each in root.get(f"webhooks/?{query}").json()["results"]]

    assert names("ordering=name") == ["ERP", "Site"]
    assert names("status=paused") == ["Site"]
    assert names("q=er") == ["ERP"]
    assert names("format=standard-webhooks") == []
    assert names("format=sistema-crm,twenty&ordering=name") == ["ERP", "Site"]
    [error] = problem(root.get("webhooks/?format=foo"), "invalid")["errors"]
    assert "standard-webhooks" in error["detail"]


REQUESTS = [
    ("GET", "webhooks/", "view_webhook"),
    ("GET", "webhooks/{id}/", "view_webhook"),
    ("POST", "webhooks/", "add_webhook"),
    ("PUT", "webhooks/{id}/", "change_webhook"),
    ("PATCH", "webhooks/{id}/", "change_webhook"),
    ("DELETE", "webhooks/{id}/", "delete_webhook"),
    ("POST", "webhooks/{id}/pause/", "change_webhook"),
    ("POST", "webhooks/{id}/enable/", "change_webhook"),
]
ALL = {
    "view_webhook",
    "add_webhook",
    "change_webhook",
    "delete_webhook",
    "test_webhook",
    "rotate_secret",
    "replay_delivery",
    "view_payload",
    "view_delivery",
    "view_event",
}


@pytest.mark.parametrize(("method", "path", "needed"), REQUESTS)
def test_each_request_takes_its_own_permission(
    caller: Callable[..., Caller], method: str, path: str, needed: str
) -> None:
    address = path.format(id=a_webhook().pk)
    others = [f"webhooks.{name}" for name in ALL - {needed}]
    response = caller(*others)(method, address, {})
    assert problem(response, "forbidden")["permission"] == f"webhooks.{needed}"
    also = ["webhooks.view_webhook"] if needed == "change_webhook" else []
    right = caller(f"webhooks.{needed}", *also)
    assert right(method, address, {}).status_code in (200, 204, 400)


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", ""), ("PUT", ""), ("POST", "pause/"), ("POST", "enable/")]
)
def test_what_may_not_be_viewed_is_not_read_by_changing_it(
    caller: Callable[..., Caller], method: str, path: str
) -> None:
    api = caller("webhooks.change_webhook")
    response = api(method, f"webhooks/{a_webhook().pk}/{path}", {})
    assert problem(response, "forbidden")["permission"] == "webhooks.view_webhook"


@pytest.mark.parametrize("id", ["x", "0", "00000000-0000-0000-0000-000000000000"])
def test_what_names_no_webhook_is_not_found(root: Caller, id: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        problem(root(method, f"webhooks/{id}/", BODY), "not-found")
