"""How it goes, why something was not sent, and a test with its result at once."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from tests.webhooks.makers import (
    NOBODY,
    SECRET,
    a_delivery,
    a_tally,
    a_webhook,
    ago,
    an_attempt,
    an_event,
    receiver,
)
from webhooks import audit, formats, operations, signing
from webhooks.admin import presentation
from webhooks.latency import Latency
from webhooks.models import AuditEntry, Delivery, Event, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Status = Delivery.Status


def test_the_backlog_tells_what_is_due_and_since_when() -> None:
    webhook = a_webhook()
    oldest = a_delivery(webhook, status=Status.PENDING, at=ago(minutes=10))
    a_delivery(webhook, status=Status.PENDING, next_attempt_at=ago(minutes=-5))
    a_delivery(webhook, status=Status.PENDING, lane=Webhook.Lane.PARKED, at=ago(days=3))
    a_delivery(webhook, status=Status.DELIVERED, at=ago(days=9))
    an_event(fanned_out=False, occurred_at=ago(minutes=1))

    backlog = operations.backlog()
    assert (backlog.pending, backlog.due, backlog.parked, backlog.undistributed) == (2, 1, 1, 1)
    assert backlog.oldest_due_at == oldest.next_attempt_at
    assert 590 < backlog.age_seconds(timezone.now()) < 620


def test_what_is_held_back_is_not_due() -> None:
    lane = Webhook.Lane.TROUBLED
    held = a_webhook(lane=lane, hold_until=ago(minutes=-5))
    free = a_webhook(lane=lane, hold_until=ago(minutes=5))
    a_delivery(held, status=Status.PENDING, lane=lane, at=ago(minutes=9))
    due = a_delivery(free, status=Status.PENDING, lane=lane, at=ago(minutes=3))
    backlog = operations.backlog()
    assert (backlog.pending, backlog.due, backlog.held) == (2, 1, 1)
    assert backlog.oldest_due_at == due.next_attempt_at


def test_an_event_that_nobody_distributes_counts_as_waiting() -> None:
    event = an_event(fanned_out=False, occurred_at=ago(hours=1))
    assert operations.backlog().oldest_due_at == event.occurred_at
    assert operations.backlog().age_seconds(ago(hours=2)) == 0


def test_nothing_owed_is_no_age() -> None:
    assert operations.backlog().age_seconds(timezone.now()) == 0


def test_health_tells_share_backlog_and_the_last_failure_in_words() -> None:
    webhook, quiet = a_webhook(), a_webhook(name="Novo")
    a_tally(webhook, took=[10, 20])
    a_tally(webhook, hours_ago=20, took=[30], failures=1)
    a_tally(webhook, hours_ago=24, failures=5)
    failed = a_delivery(webhook, status=Status.FAILED)
    an_attempt(failed, error="timeout", status_code=None)
    a_delivery(webhook, status=Status.PENDING)

    states = operations.health([webhook, quiet])
    state = states[webhook.pk]
    assert (state.day.attempts, state.day.failures, state.pending) == (4, 1, 1)
    assert state.day.success_share == 0.75
    assert state.day.latency == Latency(p50_ms=20, p95_ms=30)
    assert state.last_failure is not None
    assert state.last_failure.delivery_id == failed.pk
    assert "5 s" in state.last_failure.sentence, "the default's, where it has no limit of its own"
    untried = states[quiet.pk]
    assert (untried.pending, untried.day.attempts, untried.last_failure) == (0, 0, None)
    assert untried.day.success_share is untried.day.latency is None


def test_backlogs_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = a_webhook(name="Pouco"), a_webhook(name="Muito")
    event = an_event()
    a_delivery(few, event, status=Status.PENDING)
    for _ in range(5):
        a_delivery(many, status=Status.PENDING)
    a_delivery(many, status=Status.PENDING, lane=Webhook.Lane.PARKED)
    module = importlib.import_module("webhooks.operations.health")  # not the function
    monkeypatch.setattr(module, "COUNTED_AT_MOST", 4)
    monkeypatch.setattr(module, "COUNTED_OF_EACH", 3)

    backlog = operations.backlog()
    assert (backlog.pending, backlog.due, backlog.parked) == (4, 4, 1)
    states = operations.health([few, many])
    assert (states[few.pk].pending, states[many.pk].pending) == (1, 3)
    with translation.override("en"):
        assert [presentation.at_most(count, 3) for count in (2, 3)] == ["2", "3 or more"]


def test_a_failure_that_is_still_being_retried_is_the_last_one() -> None:
    webhook = a_webhook()
    an_attempt(a_delivery(webhook, at=ago(hours=3)))
    retried = a_delivery(webhook, status=Status.PENDING, last_error="dns", at=ago(hours=1))
    an_attempt(retried, error="dns", status_code=None)
    state = operations.health([webhook])[webhook.pk]
    assert state.last_failure is not None
    assert state.last_failure.delivery_id == retried.pk


def test_the_last_failure_is_the_newest_attempt_not_that_of_the_newest_delivery() -> None:
    """An old delivery that is tried again fails after a newer one did."""
    webhook, other = a_webhook(), a_webhook(name="Outro")
    old = a_delivery(webhook, at=ago(hours=3))
    an_attempt(a_delivery(webhook, at=ago(hours=1)), error="status", status_code=500)
    an_attempt(old, number=2, started_at=ago(minutes=1), error="dns", status_code=None)
    an_attempt(a_delivery(other, status=Status.PENDING, last_error="tls"), error="tls")
    arrived = a_delivery(webhook, status=Status.DELIVERED)
    an_attempt(arrived, error="timeout", status_code=None)
    states = operations.health([webhook, other])
    state = states[webhook.pk]
    assert state.last_failure is not None
    assert state.last_failure.delivery_id == old.pk
    assert state.last_failure.at > ago(minutes=2)


def test_a_failure_from_before_the_last_thousand_is_still_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webhook, noisy = a_webhook(), a_webhook(name="Outro")
    failed = a_delivery(webhook)
    an_attempt(failed)
    for _ in range(2):
        an_attempt(a_delivery(noisy))
    module = importlib.import_module("webhooks.operations.health")
    monkeypatch.setattr(module, "LOOKED_THROUGH", 2)
    state = operations.health([webhook, noisy])[webhook.pk]
    assert state.last_failure is not None
    assert state.last_failure.delivery_id == failed.pk


def test_health_of_many_costs_as_many_queries_as_of_one(
    django_assert_max_num_queries: object,
) -> None:
    webhooks = [a_webhook(name=f"n{index}") for index in range(12)]
    for webhook in webhooks:
        an_attempt(a_delivery(webhook))
    with django_assert_max_num_queries(5):  # type: ignore[operator]
        operations.health(webhooks)


def test_each_webhook_that_did_not_get_an_event_is_told_why() -> None:
    event = an_event("cliente.criado", occurred_at=ago(hours=1))
    a_delivery(a_webhook(name="Recebeu"), event)
    a_webhook(name="Novo")
    reasons = {
        "Tarefas": "tarefa.*",
        "Parado": "paused since",
        "Desligado": "disabled since",
        "Retomado": "paused from",
        "Excluído": "deleted at",
        "Mudou": "changed at",
        "Sem formato": "at that time",
        "Então": "at that time",
    }
    before, after = ago(days=1), timezone.now()
    values: dict[str, dict[str, Any]] = {
        "Tarefas": {"events": ["tarefa.*"]},
        "Parado": {"status": "paused", "status_changed_at": before},
        "Desligado": {"status": "disabled", "status_changed_at": before},
        "Excluído": {"status": "paused", "status_changed_at": before, "deleted_at": before},
        "Sem formato": {"format": "of-a-package-that-is-gone"},
    }
    webhooks = {name: a_webhook(name=name, **values.get(name, {})) for name in reasons}
    gone = a_webhook(name="Esquecido", deleted_at=ago(days=100))
    for webhook in (*webhooks.values(), gone):
        Webhook.objects.filter(pk=webhook.pk).update(created_at=ago(days=200))
    Webhook.all_objects.filter(deleted_at__isnull=False).update(created_at=ago(days=200))
    for name, action, at, detail in (
        ("Retomado", "paused", before, ""),
        ("Retomado", "resumed", after, ""),
        ("Mudou", "paused", before - timedelta(days=2), ""),
        ("Mudou", "resumed", before, ""),
        ("Mudou", "changed", after, "events, url"),
        ("Então", "changed", after, "url"),
    ):
        AuditEntry.objects.create(
            action=action, at=at, detail=detail, subject=audit.of(webhooks[name])
        )

    with translation.override("en"):
        told = {row.webhook.name: row.reason for row in operations.not_sent(event)}
    assert set(told) == {"Novo", *reasons}
    assert "created later" in told.pop("Novo")
    for name, words in reasons.items():
        assert words in told[name], name


@pytest.mark.parametrize("type", ["cliente.criado", "tarefa.concluida", "chamado.aberto"])
def test_a_format_without_an_equivalent_is_why(type: str) -> None:
    for format in formats.all_formats():
        a_webhook(name=format.name, format=format.name)
    with translation.override("pt-br"):
        told = {row.webhook.format: row.reason for row in operations.not_sent(an_event(type))}
    found = {name for name, reason in told.items() if reason.startswith("Sem equivalente: ")}
    without = {each.name for each in formats.all_formats() if not each.tells(type)}
    assert found == without
    assert len(without) == {"cliente.criado": 0, "tarefa.concluida": 2, "chamado.aberto": 3}[type]


def test_a_reason_writes_its_moment_with_the_zone_and_ends_with_one_full_stop() -> None:
    moment = datetime(2024, 3, 2, 14, 30, tzinfo=UTC)
    a_webhook(deleted_at=moment)
    Webhook.all_objects.update(created_at=moment - timedelta(days=1))
    event = an_event(occurred_at=moment + timedelta(hours=1))
    for language, words in (
        ("en", "It was deleted at 2024-03-02 11:30 (UTC-03:00)."),
        ("pt-br", "Foi excluído em 02/03/2024 11:30 (UTC-03:00)."),
    ):
        with translation.override(language), timezone.override("America/Sao_Paulo"):
            [row] = operations.not_sent(event)
        assert row.reason == words


def test_a_test_and_an_undistributed_event_explain_themselves() -> None:
    webhook, other = a_webhook(), a_webhook(name="Outro")
    with translation.override("en"):
        [row] = operations.not_sent(_delivered_to(webhook, only_webhook=webhook))
        assert (row.webhook, "on purpose" in row.reason) == (other, True)
        rows = operations.not_sent(an_event(fanned_out=False))
        assert all("not distributed yet" in row.reason for row in rows)


def _delivered_to(webhook: Webhook, **values: object) -> Event:
    event = an_event(**values)  # type: ignore[arg-type]
    a_delivery(webhook, event)
    return event


def test_a_delivery_says_what_it_waits_for() -> None:
    webhook = a_webhook()
    rows = {
        "worker is free": a_delivery(webhook, status=Status.PENDING),
        "resumed": a_delivery(webhook, status=Status.PENDING, lane=Webhook.Lane.PARKED),
        "Attempt 3 of 5": a_delivery(
            webhook, status=Status.PENDING, next_attempt_at=ago(minutes=-5), schedule_position=2
        ),
        "sending it now": a_delivery(
            webhook, status=Status.PENDING, next_attempt_at=ago(minutes=-1), fence=1
        ),
        "what the schedule says": a_delivery(
            webhook, status=Status.PENDING, next_attempt_at=ago(minutes=-1)
        ),
    }
    with translation.override("en"):
        for words, delivery in rows.items():
            assert words in operations.waiting(delivery)
        assert operations.waiting(a_delivery(webhook)) == ""


MOMENTS = {"hold_until", "failing_since", "next_turn_at"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"next_turn_at": -300}, "no more than its rate limit allows"),
        (
            {"hold_until": -300, "failing_since": 3600, "failure_count": 50},
            "goes on failing",
        ),
        (
            {"hold_until": -300, "failing_since": 5, "failure_count": 1},
            "asked for time",
        ),
        ({"hold_until": -300, "rate_limit": 0.01}, "asked for time"),
    ],
)
def test_what_is_due_to_a_receiver_that_is_held_is_not_said_to_be_sent_soon(
    values: dict[str, Any], words: str
) -> None:
    """Moments are seconds ago: the test begins long after it was collected."""
    moments = {name: ago(seconds=values[name]) for name in values.keys() & MOMENTS}
    webhook = a_webhook(**values | moments)
    due = a_delivery(webhook, status=Status.PENDING, at=ago(minutes=1))
    with translation.override("en"):
        assert words in operations.waiting(due)
        assert "Attempt 1 of 5 follows at" in operations.waiting(due)
        Webhook.objects.update(hold_until=ago(minutes=1), next_turn_at=ago(minutes=1))
        webhook.refresh_from_db()
        assert "worker is free" in operations.waiting(due)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2.5, "2.5 s"), (90, "90 s"), (300, "5 min"), (5400, "1 h 30 min"), (90_000, "1 d 1 h")],
)
def test_waits_are_told_as_one_says_them(seconds: float, words: str) -> None:
    later = a_delivery(
        a_webhook(retry_schedule=[0, seconds]),
        status=Status.PENDING,
        next_attempt_at=ago(seconds=-seconds),
        schedule_position=1,
    )
    with translation.override("en"):
        assert f"the schedule waits {words}." in operations.waiting(later)


# --- the test event -----------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_test_is_signed_like_any_event_and_its_result_is_there_at_once() -> None:
    with receiver() as (url, got):
        webhook = a_webhook(url=url)
        attempt = operations.send_test(webhook)

    assert attempt.succeeded
    assert attempt.status_code == 200
    [(headers, body)] = got
    assert signing.verify_hex(SECRET, body, headers["x-webhook-signature"])
    told = json.loads(body)
    assert told["event"] == "webhook.teste"
    assert told["data"]["webhookId"] == str(webhook.pk)
    delivery = webhook.deliveries.get()
    assert delivery.status == Status.DELIVERED
    assert delivery.event.only_webhook == webhook


@pytest.mark.django_db(transaction=True)
def test_a_test_that_fails_is_recorded_and_not_tried_again() -> None:
    webhook = a_webhook(url=NOBODY)
    attempt = operations.send_test(webhook)
    assert attempt.error == "connect"
    delivery = webhook.deliveries.get()
    assert (delivery.status, delivery.next_attempt_at) == (Status.FAILED, None)


@pytest.mark.django_db(transaction=True)
def test_a_paused_webhook_can_be_tested() -> None:
    with receiver(status=503) as (url, got):
        webhook = a_webhook(url=url)
        operations.pause(webhook, "")
        assert operations.send_test(webhook).status_code == 503
    assert len(got) == 1
    assert Webhook.objects.get().status == Webhook.Status.PAUSED
