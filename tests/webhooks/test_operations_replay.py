"""Sending again: what was settled, once however often asked, and what was missed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import QuerySet

from tests.services.base import PATIENCE, wait_until
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_event
from webhooks import operations
from webhooks.models import Delivery, Event, Webhook
from webhooks.operations import ReplayFilter

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Status = Delivery.Status


def found(**filters: object) -> set[int]:
    return {row.pk for row in operations.replayable(ReplayFilter(**filters))}  # type: ignore[arg-type]


def test_what_failed_begins_its_schedule_anew_and_its_count_goes_on() -> None:
    delivery = a_delivery(a_webhook(), attempt_count=5, schedule_position=5, last_error="status")

    assert operations.replay(operations.replayable()) == 1

    delivery.refresh_from_db()
    assert delivery.status == Status.PENDING
    assert (delivery.schedule_position, delivery.attempt_count) == (0, 5)
    assert delivery.finished_at is None
    assert delivery.next_attempt_at is not None


def test_asked_twice_it_sends_once() -> None:
    a_delivery(a_webhook())
    assert operations.replay(operations.replayable()) == 1
    assert operations.replay(operations.replayable()) == 0


def test_what_is_on_its_way_is_not_touched_whatever_is_asked() -> None:
    delivery = a_delivery(a_webhook(), status=Status.PENDING, schedule_position=3)
    assert operations.replay(Delivery.objects.all()) == 0
    delivery.refresh_from_db()
    assert delivery.schedule_position == 3
    with pytest.raises(ValueError, match="pending"):
        operations.replayable(ReplayFilter(statuses=(Status.PENDING,)))


def test_all_are_sent_in_as_many_batches_as_it_takes() -> None:
    webhook = a_webhook()
    for _ in range(7):
        a_delivery(webhook)
    steps: list[int] = []
    assert operations.replay(operations.replayable(), batch_size=3, progress=steps.append) == 7
    assert steps == [3, 3, 1]


def test_only_what_failed_is_chosen_unless_told_otherwise() -> None:
    webhook = a_webhook()
    rows = {status: a_delivery(webhook, status=status).pk for status in Status}
    assert found() == {rows[Status.FAILED]}
    assert found(statuses=(Status.DELIVERED,)) == {rows[Status.DELIVERED]}
    assert found(statuses=operations.SETTLED) == set(rows.values()) - {rows[Status.PENDING]}


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_the_same_time_send_once() -> None:
    webhook = a_webhook()
    for _ in range(60):
        a_delivery(webhook)
    start = threading.Barrier(2)

    def ask() -> int:
        try:
            start.wait(PATIENCE)
            return operations.replay(operations.replayable(), batch_size=7)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask) for _ in range(2)]
        sent = [each.result(30) for each in asked]
    # What one has locked the other waits for; nobody counts it twice.
    assert sum(sent) == 60
    assert Delivery.objects.filter(status=Status.PENDING).count() == 60


@contextmanager
def locked_meanwhile(rows: QuerySet[Any]) -> Iterator[None]:
    """Another transaction holds these rows, until somebody waits for them."""
    locked, over = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                list(rows.select_for_update(of=("self",), no_key=True))
                locked.set()
                wait_until(lambda: over.is_set() or waits(cursor), what="who waits for the rows")
        finally:
            connections.close_all()

    def waits(cursor: Any) -> bool:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(PATIENCE)
    try:
        yield
    finally:
        over.set()
        holder.join(PATIENCE)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rows", [Event.objects, Delivery.objects], ids=["event", "delivery"])
def test_what_another_has_locked_is_waited_for_and_not_left_out(rows: Any) -> None:
    webhook = a_webhook()
    for _ in range(3):
        a_delivery(webhook)
    with locked_meanwhile(rows.all()):
        assert operations.replay(operations.replayable(), batch_size=2) == 3


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_recovery_leaves_out_no_event_that_another_has_locked() -> None:
    webhook = a_webhook()
    for _ in range(3):
        an_event(occurred_at=ago(hours=1))
    with locked_meanwhile(Event.objects.all()):
        assert operations.recover(webhook, ago(hours=3), batch_size=2).missing == 3
    assert webhook.deliveries.count() == 3


def test_filters_narrow_together() -> None:
    erp, shop = a_webhook(), a_webhook(name="Loja")
    client, task = an_event("cliente.criado"), an_event("tarefa.criada")
    old = a_delivery(erp, client, at=ago(days=3))
    new = a_delivery(erp, task, at=ago(hours=1))
    other = a_delivery(shop, client, at=ago(hours=1))

    assert found(webhook=erp) == {old.pk, new.pk}
    assert found(event_patterns=("cliente.*",)) == {old.pk, other.pk}
    assert found(event_patterns=("*.criada", "*.criado")) == {old.pk, new.pk, other.pk}
    assert found(since=ago(days=1)) == {new.pk, other.pk}
    assert found(until=ago(days=1)) == {old.pk}
    assert found(ids=(old.pk,)) == {old.pk}
    assert found(event_ids=(client.pk,)) == {old.pk, other.pk}
    assert found(webhook=erp, event_patterns=("cliente.*",), since=ago(days=1)) == set()


def test_what_cannot_be_sent_is_not_chosen() -> None:
    gone = a_webhook()
    a_delivery(gone)
    operations.delete_webhook(gone)
    a_delivery(a_webhook(), an_event(body=""))
    assert found(statuses=operations.SETTLED) == set()


def test_tests_are_sent_again_only_by_id() -> None:
    webhook = a_webhook()
    test = a_delivery(webhook, an_event("webhook.teste", only_webhook=webhook))
    assert found() == set()
    assert found(ids=(test.pk,)) == {test.pk}


def test_what_belongs_to_a_paused_webhook_waits_until_it_is_resumed() -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook)
    operations.pause(webhook, "")
    assert operations.replay(operations.replayable()) == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.lane) == (Status.PENDING, Webhook.Lane.PARKED)
    operations.resume(webhook)
    delivery.refresh_from_db()
    assert delivery.lane == Webhook.Lane.NORMAL


def test_what_belongs_to_a_troubled_receiver_stays_apart_from_the_rest() -> None:
    delivery = a_delivery(a_webhook(lane=Webhook.Lane.TROUBLED))
    operations.replay(operations.replayable())
    delivery.refresh_from_db()
    assert delivery.lane == Webhook.Lane.TROUBLED


def test_counting_tells_to_whom_and_since_when_and_changes_nothing() -> None:
    erp, shop = a_webhook(), a_webhook(name="Loja")
    first = a_delivery(erp, at=ago(days=2))
    a_delivery(erp)
    a_delivery(shop)
    counts = operations.count_replay(operations.replayable())
    assert [(count.webhook, count.deliveries) for count in counts] == [(erp, 2), (shop, 1)]
    assert counts[0].first_at == first.finished_at
    assert Delivery.objects.filter(status=Status.FAILED).count() == 3


def test_what_waits_for_a_limited_receiver_waits_in_a_queue_of_its_own() -> None:
    webhook = a_webhook(rate_limit=1)
    delivery = a_delivery(webhook)
    operations.pause(webhook)
    Webhook.objects.filter(pk=webhook.pk).update(status=Webhook.Status.ACTIVE)
    operations.replay(operations.replayable())
    delivery.refresh_from_db()
    assert delivery.lane == Webhook.Lane.TROUBLED


# --- recover ------------------------------------------------------------------------------------
def test_recovery_makes_up_for_what_a_paused_webhook_missed_and_what_failed() -> None:
    webhook = a_webhook(events=["cliente.*"])
    missed = an_event("cliente.criado", occurred_at=ago(hours=1))
    an_event("tarefa.criada", occurred_at=ago(hours=1))  # not covered
    an_event("cliente.criado", occurred_at=ago(days=2))  # too early
    an_event("cliente.criado", fanned_out=False)  # will come by itself
    an_event("cliente.criado", body="")  # not kept
    an_event("cliente.criado", only_webhook=a_webhook(name="Outro"))  # for another on purpose
    failed = a_delivery(webhook, at=ago(minutes=5))
    a_delivery(webhook, status=Status.DELIVERED)

    would = operations.recover(webhook, ago(hours=3), dry_run=True)
    assert (would.missing, would.failed) == (1, 1)
    assert would.types == {"cliente.criado": 1}
    assert not webhook.deliveries.filter(event=missed).exists()

    did = operations.recover(webhook, ago(hours=3))
    assert (did.missing, did.failed, did.total) == (1, 1, 2)
    delivery = webhook.deliveries.get(event=missed)
    assert (delivery.status, delivery.lane) == (Status.PENDING, Webhook.Lane.NORMAL)
    failed.refresh_from_db()
    assert failed.status == Status.PENDING

    assert operations.recover(webhook, ago(hours=3)).total == 0


def test_recovery_goes_in_batches_and_ends_where_told() -> None:
    webhook = a_webhook()
    for hours in range(1, 8):
        an_event(occurred_at=ago(hours=hours))
    found = operations.recover(webhook, ago(hours=6.5), until=ago(hours=1.5), batch_size=2)
    assert found.missing == 5
    assert webhook.deliveries.count() == 5
