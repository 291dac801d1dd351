"""Forgetting what is old, never what is owed."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
from django.db import connection, connections, transaction

from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event
from webhooks import operations
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.operations import ReplayFilter

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

OLD, LIMIT = ago(days=100), ago(days=90)


def a_story(occurred_at: datetime, status: str = Delivery.Status.DELIVERED) -> Delivery:
    delivery = a_delivery(
        Webhook.objects.first() or a_webhook(),
        an_event(occurred_at=occurred_at),
        status=status,
        at=occurred_at,
    )
    an_attempt(delivery, request_body="{}", started_at=occurred_at)
    return delivery


def test_metadata_goes_whole_and_only_what_is_old() -> None:
    a_story(OLD)
    kept = a_story(ago(days=1))

    assert operations.count_prunable(LIMIT).events == 1
    assert operations.prune(LIMIT).events == 1

    assert Event.objects.get() == kept.event
    assert Delivery.objects.get() == kept
    assert Attempt.objects.get().delivery == kept
    assert operations.prune(LIMIT) == operations.Pruned()


def test_a_payload_is_emptied_and_the_rest_stays_to_be_seen() -> None:
    delivery = a_story(OLD)
    assert operations.count_prunable(LIMIT, ["payload"]).payloads == 1
    assert operations.prune(LIMIT, ["payload"]).payloads == 1

    event, attempt = Event.objects.get(), Attempt.objects.get()
    assert (event.body, event.snapshot) == ("", "{}")
    assert attempt.request_body is None
    assert attempt.response_body == "oops"
    chosen = ReplayFilter(statuses=operations.SETTLED, ids=(delivery.pk,))
    assert not operations.replayable(chosen).exists()
    assert operations.prune(LIMIT, ["payload"]).payloads == 0


def test_responses_are_emptied_and_the_rest_stays() -> None:
    a_story(OLD)
    kept = a_story(ago(days=1))
    assert operations.count_prunable(LIMIT, ["response"]).responses == 1
    assert operations.prune(LIMIT, ["response"], batch_size=1).responses == 1

    bodies = dict(Attempt.objects.values_list("delivery", "response_body"))
    assert sorted(bodies.values()) == ["", "oops"]
    assert bodies[kept.pk] == "oops"
    assert Event.objects.exclude(body="").count() == 2
    assert operations.prune(LIMIT, ["response"]).responses == 0


WORDS = "status_line: 'João mora aqui'"


def test_the_words_of_a_failure_go_with_the_answer_and_its_code_stays() -> None:
    attempt = an_attempt(a_story(OLD), started_at=OLD, error="protocol", error_detail=WORDS)
    young = an_attempt(a_story(ago(days=1)), error="protocol", error_detail=WORDS)
    operations.prune(LIMIT, ["response"])
    attempt.refresh_from_db()
    young.refresh_from_db()
    assert (attempt.error_detail, young.error_detail) == ("status_line", WORDS)


@pytest.mark.parametrize(
    ("error", "detail", "left"),
    [
        ("protocol", WORDS, "status_line"),
        ("tls", "expired", "expired"),
        ("format", "unreadable: give a new secret", "unreadable: give a new secret"),  # our own
    ],
)
def test_where_nothing_was_answered_the_words_go_with_the_payload(
    error: str, detail: str, left: str
) -> None:
    attempt = an_attempt(
        a_story(OLD),
        response_body="",
        response_headers={},
        error=error,
        error_detail=detail,
    )
    operations.prune(LIMIT, ["payload"])
    attempt.refresh_from_db()
    assert attempt.error_detail == left


def test_what_is_owed_stays_however_old() -> None:
    a_story(OLD, Delivery.Status.PENDING)
    an_event(occurred_at=OLD, fanned_out=False)
    mixed = a_story(OLD)
    a_delivery(a_webhook(name="Outro"), mixed.event, status=Delivery.Status.PENDING)

    assert operations.count_prunable(LIMIT) == operations.Pruned(responses=2)
    pruned = operations.prune(LIMIT, ["payload", "metadata"])
    assert (pruned.events, pruned.payloads) == (0, 0)
    assert operations.prune(LIMIT, ["payload"]).payloads == 0
    assert Event.objects.exclude(body="").count() == 3
    assert Attempt.objects.exclude(request_body=None).count() == 2


def test_it_goes_through_all_batches_past_what_it_must_leave() -> None:
    for index in range(7):
        status = Delivery.Status.PENDING if index in {0, 3} else Delivery.Status.DELIVERED
        a_story(OLD, status)
    steps: list[int] = []
    assert operations.prune(LIMIT, ["metadata"], batch_size=2, progress=steps.append).events == 5
    assert sum(steps) == 5
    assert Event.objects.count() == 2


def test_a_deleted_webhook_goes_with_the_last_of_its_history() -> None:
    delivery = a_story(OLD)
    recent = a_delivery(a_webhook(name="Com história"))
    for webhook in Webhook.objects.all():
        operations.delete_webhook(webhook)
    Webhook.all_objects.update(deleted_at=OLD)
    assert operations.prune(LIMIT).webhooks == 1
    assert Webhook.all_objects.get() == recent.webhook
    assert not Delivery.objects.filter(pk=delivery.pk).exists()


def test_wrong_kinds_and_naive_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="everything"):
        operations.prune(LIMIT, ["everything"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="aware"):
        operations.prune(LIMIT.replace(tzinfo=None))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["metadata", "payload"])
def test_a_replay_that_came_first_is_seen_by_the_pruning_that_waits(kind: str) -> None:
    """A replay marks a delivery in a transaction still open; pruning must not take its payload."""
    delivery = a_story(OLD)
    marked, pruned = threading.Event(), threading.Event()

    def replay() -> None:
        try:
            with transaction.atomic():
                chosen = ReplayFilter(statuses=operations.SETTLED, ids=(delivery.pk,))
                assert operations.replay(operations.replayable(chosen)) == 1
                marked.set()
                # PostgreSQL's pruning passes over the locked event; SQLite's waits for the commit.
                if connection.vendor == "postgresql":
                    pruned.wait(PATIENCE)
        finally:
            connections.close_all()

    thread = threading.Thread(target=replay)
    thread.start()
    assert marked.wait(PATIENCE)
    operations.prune(LIMIT, [kind])  # type: ignore[list-item]
    pruned.set()
    thread.join(PATIENCE)

    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.PENDING
    assert delivery.event.body
