"""Events and deliveries over the API: what happened, did it arrive, and sending again."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.api.conftest import Caller, field_errors, problem
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event
from webhooks.models import AuditEntry, Delivery, Webhook
from webhooks.values import instant

pytestmark = pytest.mark.django_db


# --- events -----------------------------------------------------------------------------------
def test_an_event_says_what_happened_but_not_what_was_told(root: Caller) -> None:
    event = an_event(data_subject="cliente_1", origin="api", actor="usuario_7")
    data = root.get(f"events/{event.public_id}/").json()
    assert data == {
        "id": event.public_id,
        "type": "cliente.criado",
        "subject": "cliente_1",
        "dataSubject": "cliente_1",
        "sequence": 1,
        "occurredAt": instant(event.occurred_at),
        "origin": "api",
        "actor": "usuario_7",
        "distributed": True,
        "erasedAt": None,
    }
    assert root.get("events/").json()["results"] == [data]


def test_events_are_found_by_type_object_time_and_origin(root: Caller) -> None:
    old = an_event("cliente.criado", occurred_at=ago(days=3), origin="user")
    new = an_event("tarefa.criada", subject="tarefa_5", origin="api")

    def found(query: str) -> list[str]:
        return [each["id"] for each in root.get(f"events/?{query}").json()["results"]]

    assert found("") == [new.public_id, old.public_id]
    assert found("ordering=occurredAt") == [old.public_id, new.public_id]
    assert found("type=cliente.criado") == found("type=cliente.*") == [old.public_id]
    assert found("type=*.criada") == [new.public_id]
    assert found("subject=tarefa_5") == [new.public_id]
    assert found("origin=api,user") == [new.public_id, old.public_id]
    assert found(f"occurredSince={instant(ago(days=1))}") == [new.public_id]
    assert found(f"occurredUntil={instant(ago(days=1))}") == [old.public_id]
    page = root.get("events/?pageSize=1").json()
    assert root.get(page["next"]).json()["results"][0]["id"] == old.public_id


def test_a_payload_is_shown_byte_by_byte_to_who_may_and_on_record(
    caller: Callable[..., Caller],
) -> None:
    event = an_event(data_subject="cliente_1")
    path = f"events/{event.public_id}/payload/"
    reader = caller("webhooks.view_event")
    assert problem(reader.get(path), "forbidden")["permission"] == "webhooks.view_payload"

    api = caller("webhooks.view_event", "webhooks.view_payload")
    response = api.get(path)
    assert response.content.decode() == event.body
    assert response["Content-Type"] == "application/json"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.user, entry.subject) == (
        "viewed_payload",
        api.user,
        event.public_id,
    )
    assert "cliente_1" in entry.detail and entry.origin == "api"


def test_a_payload_that_is_no_longer_kept_is_gone(root: Caller) -> None:
    pruned, erased = an_event(body=""), an_event(body="", erased_at=timezone.now())
    details = [
        problem(root.get(f"events/{event.public_id}/payload/"), "gone")["detail"]
        for event in (pruned, erased)
    ]
    assert len(set(details)) == 2
    assert not AuditEntry.objects.exists()


def test_why_a_webhook_was_not_told_is_said(root: Caller) -> None:
    webhook = a_webhook(events=["tarefa.*"])
    [each] = root.get(f"events/{an_event().public_id}/not-sent/").json()["results"]
    assert each["webhookId"] == str(webhook.pk) and "tarefa.*" in each["reason"]


@pytest.mark.parametrize("id", ["x", "evt_1", "evt_" + "0" * 32, "EVT_" + "0" * 32])
def test_what_names_no_event_is_not_found(root: Caller, id: str) -> None:
    for path in (f"events/{id}/", f"events/{id}/payload/", f"events/{id}/not-sent/"):
        problem(root.get(path), "not-found")


# --- deliveries -------------------------------------------------------------------------------
def test_a_delivery_says_how_it_stands(root: Caller) -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook, last_status_code=500, last_error="status")
    data = root.get(f"deliveries/delivery_{delivery.pk}/").json()
    assert data["webhookId"] == str(webhook.pk)
    assert data["eventId"] == delivery.event.public_id
    assert data["eventType"] == "cliente.criado" and data["subject"] == "cliente_1"
    assert data["status"] == "failed" and data["lastStatusCode"] == 500
    assert "500" in data["lastErrorMessage"] and data["waitingFor"] is None

    pending = a_delivery(webhook, status=Delivery.Status.PENDING)
    assert root.get(f"deliveries/delivery_{pending.pk}/").json()["waitingFor"]


def test_deliveries_are_found_by_webhook_event_type_and_status(root: Caller) -> None:
    erp, site = a_webhook(name="ERP"), a_webhook(name="Site")
    first = a_delivery(erp, at=ago(days=3))
    second = a_delivery(site, an_event("tarefa.criada", subject="tarefa_1"), status="delivered")

    def found(query: str) -> list[str]:
        return [each["id"] for each in root.get(f"deliveries/?{query}").json()["results"]]

    one, two = f"delivery_{first.pk}", f"delivery_{second.pk}"
    assert found("") == [two, one]
    assert found(f"webhookId={erp.pk}") == [one]
    assert found(f"eventId={second.event.public_id}") == [two]
    assert found("eventType=tarefa.*") == found("subject=tarefa_1") == [two]
    assert found("status=failed") == [one]
    assert found(f"createdSince={instant(ago(days=1))}") == [two]


@pytest.mark.parametrize("query", ["webhookId=x", "webhookId=", "eventId=evt_x", "status=nada"])
def test_a_filter_that_names_nothing_is_refused(root: Caller, query: str) -> None:
    [error] = problem(root.get(f"deliveries/?{query}"), "invalid")["errors"]
    assert (error["in"], error["field"]) == ("query", query.partition("=")[0])


def test_attempts_show_bodies_and_a_receivers_words_only_when_asked_by_who_may(
    caller: Callable[..., Caller],
) -> None:
    delivery = a_delivery(a_webhook())
    an_attempt(delivery, error_detail="said: something of its own")
    an_attempt(delivery, number=2, error="", status_code=200, request_body="own", duration_ms=7)
    path = f"deliveries/delivery_{delivery.pk}/attempts/"
    reader = caller("webhooks.view_delivery")

    newest, oldest = reader.get(path).json()["results"]
    assert (newest["number"], newest["durationMs"], newest["message"]) == (2, 7, None)
    assert "500" in oldest["message"]
    assert oldest["requestBody"] is oldest["responseBody"] is None
    assert oldest["responseHeaders"] is oldest["errorDetail"] is None
    problem(reader.get(path + "?payloads=true"), "forbidden")
    assert not AuditEntry.objects.exists()

    api = caller("webhooks.view_delivery", "webhooks.view_payload")
    newest, oldest = api.get(path + "?payloads=true").json()["results"]
    assert newest["requestBody"] == "own"
    assert json.loads(oldest["requestBody"])["event"] == "cliente.criado"
    assert oldest["responseBody"] == "oops"
    assert oldest["responseHeaders"] == {"server": "test"}
    assert (newest["errorDetail"], oldest["errorDetail"]) == (None, "said: something of its own")
    assert AuditEntry.objects.get().subject == f"delivery_{delivery.pk}"
    assert list(field_errors(api.get(path + "?payloads=yes"))) == ["payloads"]


def test_what_an_address_says_after_its_question_mark_is_for_who_may_change_it(
    caller: Callable[..., Caller],
) -> None:
    webhook = a_webhook(url="http://127.0.0.1:9/erp?token=S3GREDO")
    delivery = a_delivery(webhook)
    an_attempt(delivery)
    looker = caller("webhooks.view_webhook", "webhooks.view_delivery")
    editor = caller("webhooks.view_webhook", "webhooks.view_delivery", "webhooks.change_webhook")
    for path in (
        "webhooks/",
        f"webhooks/{webhook.pk}/",
        f"deliveries/delivery_{delivery.pk}/attempts/",
    ):
        assert "erp?token=••••" in looker.get(path).content.decode()
        assert "erp?token=S3GREDO" in editor.get(path).content.decode()


# --- sending again ----------------------------------------------------------------------------
def test_a_delivery_is_sent_again(root: Caller) -> None:
    delivery = a_delivery(a_webhook(), status=Delivery.Status.DELIVERED)
    path = f"deliveries/delivery_{delivery.pk}/replay/"
    response = root.post(path)
    assert response.status_code == 202 and response.json()["status"] == "pending"
    assert "on its way" in problem(root.post(path), "conflict")["detail"]
    assert AuditEntry.objects.get().action == "replayed"


def test_a_delivery_that_changed_meanwhile_is_not_sent_again(root: Caller) -> None:
    delivery = a_delivery(a_webhook())
    path = f"deliveries/delivery_{delivery.pk}/"
    tag = root.get(path)["ETag"]
    Delivery.objects.update(status=Delivery.Status.DELIVERED)
    problem(root.post(path + "replay/", if_match=tag), "changed-meanwhile")
    assert root.post(path + "replay/", if_match=root.get(path)["ETag"]).status_code == 202


def test_what_cannot_be_sent_again_says_why(root: Caller) -> None:
    gone = a_delivery(a_webhook(), an_event(body=""))
    orphan = a_delivery(a_webhook(deleted_at=ago(hours=1)))
    details = [
        problem(root.post(f"deliveries/delivery_{each.pk}/replay/"), "conflict")["detail"]
        for each in (gone, orphan)
    ]
    assert len(set(details)) == 2


def test_many_are_counted_then_sent_again(root: Caller) -> None:
    erp, site = a_webhook(name="ERP"), a_webhook(name="Site")
    for _each in range(3):
        a_delivery(erp)
    a_delivery(site)
    a_delivery(erp, an_event(body=""))
    a_delivery(erp, status=Delivery.Status.DELIVERED)

    counted = root.post("deliveries/replay/", {"statuses": ["failed"], "dryRun": True})
    assert counted.status_code == 200
    data = counted.json()
    assert (data["total"], data["gone"]) == (4, 1)
    assert [(each["webhookName"], each["deliveries"]) for each in data["webhooks"]] == [
        ("ERP", 3),
        ("Site", 1),
    ]
    assert not Delivery.objects.filter(status=Delivery.Status.PENDING).exists()

    body = {"webhookId": str(erp.pk), "events": ["cliente.*"], "since": instant(ago(hours=1))}
    sent = root.post("deliveries/replay/", body)
    assert sent.status_code == 202
    assert sent.json() == {"dryRun": False, "total": 3, "complete": True}
    assert Delivery.objects.filter(status=Delivery.Status.PENDING, webhook=erp).count() == 3


def test_some_are_sent_again_by_their_ids(root: Caller) -> None:
    first, second = a_delivery(a_webhook()), a_delivery(a_webhook(), status="delivered")
    body = {"ids": [f"delivery_{second.pk}"], "statuses": ["delivered"]}
    assert root.post("deliveries/replay/", body).json()["total"] == 1
    assert (
        root.post("deliveries/replay/", {"eventIds": [first.event.public_id]}).json()["total"] == 1
    )


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ""),
        ({"dryRun": False}, ""),
        (None, ""),
        ({"statuses": ["pending"]}, "statuses"),
        ({"statuses": []}, "statuses"),
        ({"webhookId": "x"}, "webhookId"),
        ({"events": ["Cliente"]}, "events"),
        ({"events": ["nada.nunca"]}, "events"),
        ({"events": []}, "events"),
        ({"ids": []}, "ids"),
        ({"ids": ["12"]}, "ids"),
        ({"ids": ["delivery_1"] * 1001}, "ids"),
        ({"eventIds": ["x"]}, "eventIds"),
        ({"since": "x"}, "since"),
        ({"since": "2024-01-02T00:00:00Z", "until": "2024-01-01T00:00:00Z"}, "until"),
        ({"webhook": "x"}, "webhook"),
        ({"dryRun": "true"}, "dryRun"),
    ],
)
def test_a_condition_that_is_not_understood_sends_nothing(
    root: Caller, body: dict[str, object] | None, where: str
) -> None:
    a_delivery(a_webhook())
    assert list(field_errors(root.post("deliveries/replay/", body))) == [where]
    assert not Delivery.objects.filter(status=Delivery.Status.PENDING).exists()


# --- who may, and what it costs ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "events/", "view_event"),
        ("GET", "events/x/", "view_event"),
        ("GET", "events/x/payload/", "view_payload"),
        ("GET", "events/x/not-sent/", "view_webhook"),
        ("GET", "deliveries/", "view_delivery"),
        ("GET", "deliveries/x/", "view_delivery"),
        ("GET", "deliveries/x/attempts/", "view_delivery"),
        ("POST", "deliveries/x/replay/", "replay_delivery"),
        ("POST", "deliveries/replay/", "replay_delivery"),
        ("POST", "deliveries/replay/", "view_webhook"),
    ],
)
def test_each_request_takes_its_own_permission(
    caller: Callable[..., Caller], method: str, path: str, needed: str
) -> None:
    everything = {"view_event", "view_payload", "view_webhook", "view_delivery", "replay_delivery"}
    api = caller(*(f"webhooks.{name}" for name in everything - {needed}), "webhooks.change_webhook")
    assert problem(api(method, path, {}), "forbidden")["permission"] == f"webhooks.{needed}"


@pytest.mark.parametrize("path", ["events/", "deliveries/", "webhooks/", "attempts"])
def test_lists_cost_a_constant_number_of_queries(caller: Callable[..., Caller], path: str) -> None:
    names = ("view_event", "view_delivery", "view_webhook")
    api = caller(*(f"webhooks.{name}" for name in names))
    delivery = a_delivery(a_webhook())
    extra = 0
    if path == "attempts":
        path, extra = f"deliveries/delivery_{delivery.pk}/attempts/", 1
    api.get(path)
    counts = []
    for _round in range(2):
        an_attempt(delivery)
        an_attempt(a_delivery(a_webhook()))
        with CaptureQueriesContext(connection) as queries:
            assert api.get(path).status_code == 200
        counts.append(len(queries))
    assert counts == [4 + extra, 4 + extra]


def test_what_is_waiting_is_said_without_a_query_for_each(root: Caller) -> None:
    for _each in range(3):
        a_delivery(a_webhook(), status=Delivery.Status.PENDING)
    root.get("deliveries/")
    with CaptureQueriesContext(connection) as queries:
        results = root.get("deliveries/").json()["results"]
    assert all(each["waitingFor"] for each in results) and len(results) == 3
    assert len(queries) == 2  # the token with its user, who may do everything, and the page
    assert Webhook.objects.count() == 3
