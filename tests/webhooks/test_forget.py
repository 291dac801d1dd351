"""Erasing a person's data: everything about them, nothing about others, and for good."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, connections, models, transaction
from django.utils import timezone

from chamados.models import Resposta
from clientes.models import Cliente
from tests.crm import make_chamado, make_cliente, make_tarefa
from tests.services.base import PATIENCE, wait_until
from tests.webhooks.makers import (
    a_delivery,
    a_webhook,
    ago,
    an_attempt,
    an_event,
    receiver,
    wait_for_a_blocked_statement,
)
from webhooks import operations
from webhooks.engine import Engine
from webhooks.models import Attempt, AuditEntry, Delivery, Event
from webhooks.operations import ReplayFilter
from webhooks.operations.forget import _erase
from webhooks.queue import Job, Result, queue_on

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Status = Delivery.Status
PERSONAL = "Joana Personalíssima"
BODY = f'{{"event":"cliente.criado","data":{{"nome":"{PERSONAL}"}}}}'


def an_event_about(subject: str = "cliente_1", **values: Any) -> Event:
    return an_event(
        **{
            "subject": subject,
            "data_subject": subject,
            "body": BODY,
            "snapshot": f'{{"record":{{"nome":"{PERSONAL}"}}}}',
            **values,
        }
    )


def a_telling_attempt(delivery: Delivery) -> Attempt:
    return an_attempt(
        delivery,
        request_body=f"nome={PERSONAL}",
        response_headers={"x-echo": PERSONAL},
        response_body=f"Olá, {PERSONAL}",
        error_detail=PERSONAL,
    )


def everything_kept() -> str:
    """All that the app's tables hold, as text: a column added later is looked through too."""
    return "\n".join(
        str([str(value) for value in row])
        for model in apps.get_app_config("webhooks").get_models()
        for row in models.QuerySet(model).values_list()
    )


# --- what is erased, and what stays --------------------------------------------------------------
def test_everything_told_is_erased_and_what_happened_can_still_be_shown() -> None:
    event = an_event_about()
    attempt = a_telling_attempt(a_delivery(a_webhook(), event, status=Status.DELIVERED))
    assert PERSONAL in everything_kept()

    assert operations.forget("cliente_1") == operations.Forgotten(events=1, attempts=1)

    assert PERSONAL not in everything_kept()
    erased = Event.objects.get()
    assert (erased.id, erased.type, erased.sequence) == (event.id, event.type, event.sequence)
    assert erased.erased_at is not None
    assert Delivery.objects.get().status == Status.DELIVERED
    kept = Attempt.objects.get()
    assert (kept.number, kept.status_code, kept.url) == (1, 500, attempt.url)


def test_it_goes_by_the_data_subject_and_by_the_object() -> None:
    an_event_about("cliente_1")
    an_event_about("tarefa_5", data_subject="cliente_1")
    an_event_about("cliente_1", data_subject="")
    others = {
        an_event_about("cliente_10").pk,
        an_event_about("cliente_2").pk,
        an_event_about("", data_subject="").pk,
    }
    assert operations.forget("cliente_1").events == 3
    assert set(Event.objects.filter(erased_at=None).values_list("pk", flat=True)) == others
    assert not Event.objects.filter(pk__in=others, body="").exists()


@pytest.mark.parametrize("subject", ["", "   ", "x" * 101, "cliente_1\x00"])
def test_nobody_is_forgotten_by_mistake(subject: str) -> None:
    an_event_about("", data_subject="")
    for ask in (operations.forget, operations.count_forgettable, operations.recipients):
        with pytest.raises(ValidationError, match="cliente_123"):
            ask(subject)
    assert not Event.objects.exclude(erased_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_a_clients_whole_story_is_erased_wherever_it_was_told() -> None:
    """Real rows, a real engine, a real receiver."""
    client = make_cliente(nome=PERSONAL, email="joana@example.com")
    other = make_cliente(nome="Outra Pessoa")
    make_tarefa(titulo=f"Ligar para {PERSONAL}", cliente=client)
    ticket = make_chamado(cliente=client, descricao=f"Sou {PERSONAL}")
    Resposta.objects.create(chamado=ticket, mensagem=f"Oi, {PERSONAL}")
    with receiver(status=500) as (url, got):
        a_webhook(url=url, events=["*"])
        Engine().drain()
    assert len(got) == 5
    Cliente.objects.get(pk=client.pk).delete()  # told, and not sent yet

    operations.forget(f"cliente_{client.pk}")

    assert PERSONAL not in everything_kept()
    assert "joana@example.com" not in everything_kept()
    assert "Outra Pessoa" in everything_kept()
    left = Event.objects.filter(erased_at=None)
    assert {event.data_subject for event in left} == {f"cliente_{other.pk}"}


# --- what is still owed --------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_what_was_pending_is_cancelled_and_never_sent() -> None:
    with receiver() as (url, got):
        webhook = a_webhook(url=url)
        a_delivery(webhook, an_event_about(), status=Status.PENDING)
        an_event_about(fanned_out=False)
        other = a_delivery(webhook, an_event_about("cliente_2"), status=Status.PENDING)
        assert operations.forget("cliente_1").cancelled == 1
        Engine().drain()
    assert len(got) == 1
    cancelled = Delivery.objects.exclude(pk=other.pk).get()
    assert cancelled.status == Status.CANCELLED
    assert cancelled.finished_at is not None
    assert cancelled.next_attempt_at is None


def test_an_empty_body_is_not_sent_whatever_the_row_says() -> None:
    with receiver() as (url, got):
        delivery = a_delivery(a_webhook(url=url), an_event_about(body=""), status=Status.PENDING)
        Engine().drain()
    delivery.refresh_from_db()
    assert (delivery.status, got) == (Status.CANCELLED, [])


def test_it_is_not_sent_again_and_whoever_asks_is_told_so() -> None:
    webhook = a_webhook(events=["*"])
    failed = a_delivery(webhook, an_event_about(occurred_at=ago(hours=1)))
    an_event_about(occurred_at=ago(hours=1))  # never sent to it
    operations.forget("cliente_1")

    chosen = ReplayFilter(ids=(failed.pk,))
    assert operations.count_gone(chosen) == 1
    assert not operations.replayable(chosen).exists()
    assert operations.replay(Delivery.objects.all()) == 0
    for dry_run in (True, False):
        recovery = operations.recover(webhook, ago(days=1), dry_run=dry_run)
        assert (recovery.total, recovery.gone) == (0, 2)
    assert Delivery.objects.count() == 1


# --- asked again, stopped, in batches ------------------------------------------------------------
def test_asked_twice_the_second_time_finds_nothing() -> None:
    a_telling_attempt(a_delivery(a_webhook(), an_event_about()))
    operations.forget("cliente_1")
    first = Event.objects.get().erased_at
    assert operations.count_forgettable("cliente_1") == operations.Forgotten()
    assert operations.forget("cliente_1") == operations.Forgotten()
    assert Event.objects.get().erased_at == first


def test_stopped_half_way_it_goes_on_where_it_was() -> None:
    for sequence in range(1, 8):
        an_event_about(sequence=sequence)

    def stop(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        operations.forget("cliente_1", batch_size=3, progress=stop)
    assert Event.objects.exclude(erased_at=None).count() == 3
    assert AuditEntry.objects.latest("id").count == 3

    steps: list[int] = []
    done = operations.forget("cliente_1", batch_size=3, progress=steps.append)
    assert (done.events, steps) == (4, [3, 1])


def test_the_dry_run_counts_what_the_run_then_does() -> None:
    webhook = a_webhook()
    a_telling_attempt(a_delivery(webhook, an_event_about()))
    a_delivery(webhook, an_event_about(), status=Status.PENDING)
    before = everything_kept()
    counted = operations.count_forgettable("cliente_1")
    assert everything_kept() == before
    assert counted == operations.Forgotten(events=2, attempts=1, cancelled=1)
    assert operations.forget("cliente_1") == counted


# --- who was told, who did it --------------------------------------------------------------------
def test_who_was_sent_the_data_can_be_told_even_afterwards() -> None:
    erp, shop, nobody = (a_webhook(name=name) for name in ("ERP", "Loja", "Ninguém"))
    for webhook, error in ((erp, ""), (erp, "status"), (shop, "")):
        an_attempt(a_delivery(webhook, an_event_about()), error=error, status_code=200)
    an_attempt(a_delivery(nobody, an_event_about()), error="connect", status_code=None)
    a_delivery(nobody, an_event_about("cliente_2"))
    operations.delete_webhook(shop)
    for _time in range(2):
        found = {each.webhook.name: each.deliveries for each in operations.recipients("cliente_1")}
        assert found == {"ERP": 2, "Loja": 1}
        operations.forget("cliente_1")


def test_the_erasure_leaves_a_trace_that_tells_nothing_personal() -> None:
    user = User.objects.create_user("ana")
    an_event_about()
    operations.forget("cliente_1", user=user)
    entry = AuditEntry.objects.get(action="forgot")
    assert (entry.user, entry.subject, entry.count) == (user, "cliente_1", 1)


# --- with workers at it --------------------------------------------------------------------------
def a_result(job: Job, **values: Any) -> Result:
    return Result(
        job,
        Status.DELIVERED,
        attempt={
            "number": 1,
            "started_at": timezone.now(),
            "duration_ms": 5,
            "url": "http://127.0.0.1:9/",
            "request_headers": {},
            "request_body": f"nome={PERSONAL}",
            "status_code": 200,
            "response_headers": {"x-echo": PERSONAL},
            "response_body": PERSONAL,
            "response_truncated": False,
            "error": "",
            "error_detail": PERSONAL,
            **values,
        },
    )


def test_what_a_worker_had_in_hand_is_recorded_without_bringing_the_data_back() -> None:
    delivery = a_delivery(a_webhook(), an_event_about(), status=Status.PENDING)
    queue = queue_on()
    [job] = queue.claim(1, lease=60)
    operations.forget("cliente_1")

    assert queue.record([a_result(job)]) == {delivery.pk}

    assert PERSONAL not in everything_kept()
    attempt = Attempt.objects.get()
    assert (attempt.superseded, attempt.status_code) == (False, 200)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_status_code) == (Status.DELIVERED, 200)


@pytest.mark.django_db(transaction=True)
def test_a_request_that_is_under_way_is_recorded_without_the_data() -> None:
    answer = threading.Event()
    with receiver(status=500, body=f"Olá, {PERSONAL}".encode(), after=answer) as (url, got):
        delivery = a_delivery(a_webhook(url=url), an_event_about(), status=Status.PENDING)
        engine = Engine()
        worker = threading.Thread(target=in_a_thread(engine.run))
        worker.start()
        try:
            wait_until(lambda: bool(got), what="the request")
            assert operations.forget("cliente_1").cancelled == 1
            answer.set()
            wait_until(Attempt.objects.exists, what="the attempt")
        finally:
            answer.set()
            engine.stop()
            worker.join(PATIENCE)
    delivery.refresh_from_db()
    assert delivery.status == Status.CANCELLED  # and not tried again
    assert (delivery.last_status_code, delivery.last_error) == (500, "status")
    assert Attempt.objects.get().status_code == 500
    assert PERSONAL not in everything_kept()


def test_other_results_of_lost_leases_are_kept_whole() -> None:
    a_delivery(a_webhook(), an_event_about(), status=Status.PENDING)
    queue = queue_on()
    [job] = queue.claim(1, lease=60)
    Delivery.objects.update(fence=job.fence + 1)
    queue.record([a_result(job)])
    assert Attempt.objects.get().response_body == PERSONAL


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_result_that_waits_for_the_erasure_to_commit_is_emptied_too() -> None:
    """The statement that records it began before, and sees the event as it was then."""
    event = an_event_about()
    a_delivery(a_webhook(), event, status=Status.PENDING)
    queue = queue_on()
    [job] = queue.claim(1, lease=60)
    recording = threading.Thread(target=in_a_thread(lambda: queue.record([a_result(job)])))
    with transaction.atomic():
        assert _erase([event.pk]).cancelled == 1
        recording.start()
        wait_for_a_blocked_statement()
    recording.join(PATIENCE)
    assert Attempt.objects.get().status_code == 200
    assert PERSONAL not in everything_kept()


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_row_that_a_worker_holds_is_taken_in_the_next_pass() -> None:
    delivery = a_delivery(a_webhook(), an_event_about(), status=Status.PENDING)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Delivery.objects.select_for_update().get(pk=delivery.pk)
            held.set()
            release.wait(PATIENCE)

    holder = threading.Thread(target=in_a_thread(hold))
    holder.start()
    assert held.wait(PATIENCE)
    steps: list[int] = []

    def progress(count: int) -> None:
        steps.append(count)
        if len(steps) == 2:
            assert not Event.objects.exclude(erased_at=None).exists()
            release.set()
            holder.join(PATIENCE)

    done = operations.forget("cliente_1", progress=progress)
    assert (done.events, done.cancelled, done.busy) == (1, 1, 0)


def test_what_got_past_an_erasure_is_swept_up_later() -> None:
    delivery = a_delivery(a_webhook(), an_event_about())
    operations.forget("cliente_1")
    a_telling_attempt(delivery)
    a_telling_attempt(a_delivery(a_webhook(name="Outro"), an_event_about("cliente_2")))
    assert operations.erase_late() == 1
    assert operations.erase_late() == 0
    assert Attempt.objects.filter(response_body="").count() == 1


def in_a_thread(work: Any) -> Any:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    return run


# --- however much there is -----------------------------------------------------------------------
def test_a_person_is_found_along_an_index() -> None:
    an_event_about()
    events = Event.objects.filter(data_subject="cliente_1", data_subject__gt="", erased_at=None)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        plan = events.order_by("id")[:100].explain()
    assert "webhooks_event_data_subject" in plan
