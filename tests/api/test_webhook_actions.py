"""What is done with webhooks over the API: tested, rotated, recovered, asked for their health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.settings import api_settings

from tests.api.conftest import Caller, field_errors, problem
from tests.webhooks.makers import (
    NOBODY,
    SECRET,
    a_delivery,
    a_tally,
    a_webhook,
    ago,
    an_attempt,
    an_event,
    lose_the_encryption_key,
    receiver,
)
from webhooks import signing
from webhooks.api import webhook_actions
from webhooks.models import AuditEntry, Delivery, Event, SigningKey, Webhook
from webhooks.values import instant

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_a_test_answers_at_once_what_came_of_it(root: Caller) -> None:
    with receiver(200, b"obrigado") as (url, got):
        webhook = a_webhook(url=url)
        answer = root.post(f"webhooks/{webhook.pk}/test/").json()

    [(headers, body)] = got
    assert answer["succeeded"] is True and answer["message"] is None
    assert answer["attempt"]["statusCode"] == 200
    assert answer["attempt"]["responseBody"] == "obrigado"
    assert headers["x-webhook-id"] == answer["eventId"]
    assert signing.verify_hex(SECRET, body, headers["x-webhook-signature"])
    assert AuditEntry.objects.get(action="tested").user == root.user


@pytest.mark.django_db(transaction=True)
def test_a_failed_test_says_in_words_what_to_do(
    caller: Callable[..., Caller],
) -> None:
    api = caller("webhooks.view_webhook", "webhooks.test_webhook")
    with receiver(404, b"nothing here") as (url, _got):
        answer = api.post(f"webhooks/{a_webhook(url=url).pk}/test/", accept_language="pt-br")
    data = answer.json()
    assert data["succeeded"] is False and "(404)" in data["message"]
    assert "Confira o caminho" in data["message"] or "endereço" in data["message"]
    # A test tells nobody's data: whoever may send one sees it, as in the admin.
    assert data["attempt"]["responseBody"] == "nothing here"
    assert "webhook.teste" in data["attempt"]["requestBody"]


@pytest.mark.django_db(transaction=True)
def test_a_repeated_test_with_a_key_is_sent_once(root: Caller) -> None:
    with receiver() as (url, got):
        path = f"webhooks/{a_webhook(url=url).pk}/test/"
        first = root.post(path, idempotency_key="k1")
        second = root.post(path, idempotency_key="k1")
    assert len(got) == 1
    assert first.content == second.content and second["Idempotent-Replayed"] == "true"


def test_a_rotated_secret_is_answered_once_and_the_old_one_signs_along(root: Caller) -> None:
    webhook = a_webhook()
    path = f"webhooks/{webhook.pk}/"
    response = root.post(path + "rotate-secret/", {"overlapSeconds": 60})

    assert response.status_code == 200 and response["Cache-Control"] == "no-store"
    new = response.json()["secret"]
    assert new.startswith("whsec_") and response.json()["id"] == str(webhook.pk)
    secrets = [key.secret.reveal() for key in webhook.signing_keys.all()]
    assert secrets == [new, SECRET]
    keys = root.get(path + "keys/").json()["results"]
    assert [key["expiresAt"] is None for key in keys] == [True, False]
    assert new not in str(keys)

    assert root.post(path + "expire-secrets/").json() == {"expired": 1}
    assert len(root.get(path + "keys/").json()["results"]) == 1


def test_rotating_without_overlap_ends_the_old_secret_at_once(root: Caller) -> None:
    webhook = a_webhook()
    body = {"secret": "another-secret-of-mine", "overlapSeconds": 0}
    response = root.post(f"webhooks/{webhook.pk}/rotate-secret/", body)
    assert response.json()["secret"] == "another-secret-of-mine"
    assert [key.secret.reveal() for key in SigningKey.objects.all()] == ["another-secret-of-mine"]


def test_a_secret_whose_encryption_key_was_lost_can_be_replaced(
    root: Caller, settings: Any
) -> None:
    webhook = a_webhook()
    lose_the_encryption_key(settings)
    response = root.post(f"webhooks/{webhook.pk}/rotate-secret/", {"overlapSeconds": 0})
    assert response.status_code == 200
    assert webhook.signing_keys.get().secret.reveal() == response.json()["secret"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"secret": "short"}, "secret"),
        ({"secret": SECRET}, "secret"),
        ({"overlapSeconds": -1}, "overlapSeconds"),
        ({"overlapSeconds": 1e300}, "overlapSeconds"),
        ({"overlapSeconds": "1"}, "overlapSeconds"),
        ({"algorithm": "md5"}, "algorithm"),
    ],
)
def test_what_is_no_rotation_is_refused(root: Caller, body: dict[str, object], where: str) -> None:
    response = root.post(f"webhooks/{a_webhook().pk}/rotate-secret/", body)
    assert list(field_errors(response)) == [where]
    assert SigningKey.objects.get().secret.reveal() == SECRET


def test_public_keys_are_shown_for_receivers_to_verify_with(root: Caller) -> None:
    body = {"name": "x", "url": NOBODY, "events": ["*"], "algorithm": "ed25519"}
    response = root.post("webhooks/", body)
    assert response.json()["secret"] is None
    [key] = root.get(response["Location"] + "keys/").json()["results"]
    assert key["algorithm"] == "ed25519" and key["publicKey"].startswith("whpk_")
    assert response.json()["keys"] == [key]


def test_of_pairs_of_keys_the_public_ones_are_answered_and_never_a_private_one(
    root: Caller,
) -> None:
    body = {"name": "x", "url": NOBODY, "events": ["*"], "format": "lead-connector"}
    made = root.post("webhooks/", body, idempotency_key="k1")
    path = f"webhooks/{made.json()['id']}/"
    rotated = root.post(path + "rotate-secret/", {"overlapSeconds": 60})
    listed = root.get(path + "keys/")

    assert (made.status_code, rotated.status_code) == (201, 200)
    assert made.json()["secret"] is None and rotated.json()["secret"] is None
    first, both = made.json()["keys"], rotated.json()["keys"]
    assert sorted(key["algorithm"] for key in first) == ["ed25519", "rsa-sha256"]
    assert len(both) == 4 and listed.json()["results"] == both
    assert {key["publicKey"] for key in first} < {key["publicKey"] for key in both}
    for key in both:
        assert key["publicKey"].startswith("-----BEGIN PUBLIC KEY-----")
    again = root.post("webhooks/", body, idempotency_key="k1")
    assert again.json()["id"] == made.json()["id"]
    for private in [key.secret.reveal() for key in SigningKey.objects.all()]:
        # Line by line, as JSON would write it, without the frame that all such keys have.
        lines = [line for line in private.splitlines() if not line.startswith("-----")]
        for answer in (made, again, rotated, listed, root.get(path), root.get("webhooks/")):
            assert not any(line in answer.content.decode() for line in lines)
            assert "PRIVATE" not in answer.content.decode()


@pytest.mark.parametrize(
    ("more", "where"),
    [({"secret": "a secret of my own"}, "secret"), ({"algorithm": "ed25519"}, "algorithm")],
)
def test_a_format_that_signs_with_all_takes_no_key_of_ones_own(
    root: Caller, more: dict[str, str], where: str
) -> None:
    body = {"name": "x", "url": NOBODY, "events": ["*"], "format": "lead-connector", **more}
    assert list(field_errors(root.post("webhooks/", body))) == [where]
    assert not Webhook.objects.exists()


def test_what_was_missed_is_counted_then_recovered(root: Caller) -> None:
    webhook = a_webhook(created_at=ago(hours=2))
    an_event(occurred_at=ago(minutes=30))
    an_event(occurred_at=ago(hours=5))
    failed = a_delivery(webhook, at=ago(minutes=10))
    path = f"webhooks/{webhook.pk}/recover/"
    body = {"since": instant(ago(hours=1))}

    counted = root.post(path, {**body, "dryRun": True})
    assert counted.status_code == 200
    assert counted.json() == {
        "dryRun": True,
        "missing": 1,
        "failed": 1,
        "total": 2,
        "gone": 0,
        "types": {"cliente.criado": 1},
        "complete": True,
    }
    failed.refresh_from_db()
    assert failed.status == Delivery.Status.FAILED

    done = root.post(path, body)
    assert done.status_code == 202 and done.json()["total"] == 2
    failed.refresh_from_db()
    assert failed.status == Delivery.Status.PENDING
    assert root.post(path, body).json()["total"] == 0
    assert AuditEntry.objects.get(action="recovered").count == 2


def test_a_recovery_that_takes_too_long_says_that_it_is_not_complete(
    root: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_actions, "WALK_SECONDS", 0)
    webhook = a_webhook()
    a_delivery(webhook)
    body = {"since": instant(ago(hours=1))}
    assert root.post(f"webhooks/{webhook.pk}/recover/", body).json()["complete"] is False


@pytest.mark.parametrize("body", [{}, {"since": "ontem"}, {"since": None}])
def test_a_recovery_needs_to_know_since_when(root: Caller, body: dict[str, object]) -> None:
    response = root.post(f"webhooks/{a_webhook().pk}/recover/", body)
    assert list(field_errors(response)) == ["since"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"since": "2999-01-01T00:00:00Z"}, "since"),
        ({"since": "2024-01-02T00:00:00Z", "until": "2024-01-01T00:00:00Z"}, "until"),
    ],
)
def test_a_recovery_of_no_time_at_all_is_refused(
    root: Caller, body: dict[str, object], where: str
) -> None:
    response = root.post(f"webhooks/{a_webhook().pk}/recover/", body)
    assert list(field_errors(response)) == [where]


def test_health_tells_what_to_know_at_a_glance(root: Caller) -> None:
    webhook = a_webhook()
    a_tally(webhook, took=[10, 20, 30], failures=1)
    failed = a_delivery(webhook)
    an_attempt(failed)
    a_delivery(webhook, status=Delivery.Status.PENDING)

    data = root.get(f"webhooks/{webhook.pk}/health/").json()

    assert data["successShare"] == 0.75
    assert (data["attempts"], data["failures"], data["pending"]) == (4, 1, 1)
    assert data["latency"] == {"p50Ms": 20, "p95Ms": 30}
    assert data["lastFailure"]["deliveryId"] == f"delivery_{failed.pk}"
    assert "500" in data["lastFailure"]["message"]


def test_a_new_webhook_has_no_health_to_speak_of(root: Caller) -> None:
    data = root.get(f"webhooks/{a_webhook().pk}/health/").json()
    assert data["successShare"] is data["latency"] is data["lastFailure"] is None


@pytest.mark.parametrize(
    ("method", "action", "needed"),
    [
        ("GET", "keys", "view_webhook"),
        ("GET", "health", "view_webhook"),
        ("POST", "test", "test_webhook"),
        ("POST", "rotate-secret", "rotate_secret"),
        ("POST", "expire-secrets", "rotate_secret"),
        ("POST", "recover", "replay_delivery"),
    ],
)
def test_each_deed_takes_its_own_permission(
    caller: Callable[..., Caller], method: str, action: str, needed: str
) -> None:
    everything = {
        "view_webhook",
        "add_webhook",
        "change_webhook",
        "delete_webhook",
        "test_webhook",
        "rotate_secret",
        "replay_delivery",
        "view_payload",
    }
    path = f"webhooks/{a_webhook().pk}/{action}/"
    api = caller(*(f"webhooks.{name}" for name in everything - {needed}))
    assert problem(api(method, path, {}), "forbidden")["permission"] == f"webhooks.{needed}"
    assert not Event.objects.exists() and SigningKey.objects.count() == 1


@pytest.mark.parametrize(
    ("scope", "path", "body"),
    [
        ("test", "webhooks/{id}/test/", None),
        ("recover", "webhooks/{id}/recover/", {}),
        ("replay", "deliveries/replay/", {}),
    ],
)
def test_what_makes_much_work_has_a_narrower_limit(
    root: Caller, monkeypatch: pytest.MonkeyPatch, scope: str, path: str, body: object
) -> None:
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"user": "100/min", scope: "1/h"})
    address = path.format(id="00000000-0000-0000-0000-000000000000")
    assert root.post(address, body).status_code != 429
    problem(root.post(address, body), "too-many-requests")
    assert root.get("webhooks/").status_code == 200


def test_a_deleted_webhook_can_be_asked_for_nothing(root: Caller) -> None:
    webhook = a_webhook(deleted_at=ago(hours=1))
    for action in ("test", "rotate-secret", "expire-secrets", "recover", "pause", "enable"):
        body = {"since": instant(ago(hours=1))} if action == "recover" else {}
        problem(root.post(f"webhooks/{webhook.pk}/{action}/", body), "not-found")
    assert Webhook.objects.count() == 0
