"""From events to deliveries: one for each webhook that wants it, exactly once."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, an_event
from webhooks import fanout, formats, operations
from webhooks.directory import Directory
from webhooks.fanout import Owed, fan_out, owe
from webhooks.formats.sistema_crm import SistemaCRM
from webhooks.models import Delivery, Event, Webhook
from webhooks.queue import queue_on

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def directory():
    return Directory("default")


def events(*types: str, **values) -> list[Event]:
    return [an_event(type, fanned_out=False, **values) for type in types]


def got() -> set[tuple[str, str]]:
    return set(Delivery.objects.values_list("webhook__name", "event__type"))


def test_each_webhook_gets_the_types_that_it_subscribed_to(directory):
    a_webhook(name="exact", events=["cliente.criado"])
    a_webhook(name="area", events=["cliente.*"])
    a_webhook(name="verb", events=["*.criado", "*.criada"])
    a_webhook(name="all", events=["*"])
    a_webhook(name="none", events=[])
    events("cliente.criado", "cliente.excluido", "tarefa.criada")
    assert fan_out(directory) == 3
    assert got() == {
        ("exact", "cliente.criado"),
        ("area", "cliente.criado"),
        ("area", "cliente.excluido"),
        ("verb", "cliente.criado"),
        ("verb", "tarefa.criada"),
        ("all", "cliente.criado"),
        ("all", "cliente.excluido"),
        ("all", "tarefa.criada"),
    }
    assert not Event.objects.filter(fanned_out=False).exists()
    assert fan_out(directory) == 0


def test_a_delivery_begins_pending_and_due_in_its_webhooks_lane(directory):
    a_webhook(name="normal")
    a_webhook(name="troubled", lane=Webhook.Lane.TROUBLED)
    events("cliente.criado")
    fan_out(directory)
    for delivery in Delivery.objects.all():
        assert delivery.status == Delivery.Status.PENDING
        assert delivery.next_attempt_at <= timezone.now()
        assert (delivery.fence, delivery.attempt_count, delivery.schedule_position) == (0, 0, 0)
        assert (delivery.last_error, delivery.last_status_code) == ("", None)
        assert abs((delivery.created_at - timezone.now()).total_seconds()) < 10
    assert dict(Delivery.objects.values_list("webhook__name", "lane")) == {
        "normal": 0,
        "troubled": 1,
    }


def test_the_first_attempt_waits_as_the_schedule_says(directory):
    a_webhook(name="at once", retry_schedule=[0, 60])
    a_webhook(name="later", retry_schedule=[30, 60])
    before = timezone.now()
    events("cliente.criado")
    fan_out(directory)
    after = timezone.now()
    due = dict(Delivery.objects.values_list("webhook__name", "next_attempt_at"))
    assert due["at once"] <= after
    half_a_minute, tolerance = dt.timedelta(seconds=30), dt.timedelta(milliseconds=1)
    assert before + half_a_minute - tolerance <= due["later"] <= after + half_a_minute


def test_those_that_are_paused_disabled_or_deleted_get_nothing(directory):
    for name, change in (
        ("paused", operations.pause),
        ("disabled", lambda webhook: operations.disable(webhook, "x")),
        ("deleted", operations.delete_webhook),
    ):
        change(a_webhook(name=name, events=["cliente.*"]))
    events("cliente.criado")
    fan_out(directory)
    assert got() == set()


def test_a_change_just_before_counts(directory):
    webhook = a_webhook(name="a", events=["cliente.*"])
    directory.refresh()
    operations.update_webhook(webhook, events=["tarefa.*"], url=webhook.url)
    a_webhook(name="new", events=["cliente.*"])
    events("cliente.criado")
    fan_out(directory)
    assert got() == {("new", "cliente.criado")}


def test_an_event_for_one_webhook_goes_to_that_alone(directory):
    a_webhook(name="other", events=["*"])
    webhook = a_webhook(name="chosen", events=[])
    events("webhook.teste", only_webhook=webhook)
    fan_out(directory)
    assert got() == {("chosen", "webhook.teste")}


def test_what_a_format_has_no_word_for_is_not_sent_in_it(directory, monkeypatch):
    class Narrow(SistemaCRM):
        name = "narrow"

        def tells(self, event_type):
            return event_type.startswith("cliente.")

    monkeypatch.setitem(formats._FORMATS, "narrow", Narrow())
    a_webhook(name="narrow", format="narrow")
    events("cliente.criado", "tarefa.criada")
    fan_out(directory)
    assert got() == {("narrow", "cliente.criado")}


def test_a_format_that_fails_over_a_type_holds_up_no_other_event(directory, monkeypatch, caplog):
    class Broken(SistemaCRM):
        name = "broken"

        def tells(self, event_type):
            raise ZeroDivisionError

    monkeypatch.setitem(formats._FORMATS, "broken", Broken())
    a_webhook(name="broken", format="broken")
    a_webhook(name="well")
    events("cliente.criado")
    fan_out(directory)
    # It is owed, and will fail where it can be seen.
    assert got() == {("broken", "cliente.criado"), ("well", "cliente.criado")}
    assert "cannot say" in caplog.text


def test_what_is_already_owed_is_not_owed_twice_and_stays_as_it_is(directory):
    webhook = a_webhook()
    [event] = events("cliente.criado")
    a_delivery(webhook, event, status=Delivery.Status.FAILED)
    assert fan_out(directory) == 1
    assert Delivery.objects.get().status == Delivery.Status.FAILED


def test_owing_says_how_many_were_made(directory):
    webhook = a_webhook()
    first, second = events("cliente.criado", "cliente.excluido")
    assert owe([]) == 0
    assert owe([Owed(first.pk, webhook.pk, 0)]) == 1
    assert owe([Owed(first.pk, webhook.pk, 0), Owed(second.pk, webhook.pk, 0)]) == 1


def test_deliveries_are_claimed_in_the_order_of_their_events(directory):
    a_webhook(name="a")
    a_webhook(name="b")
    for number in range(50):
        an_event(sequence=number, fanned_out=False)
    fan_out(directory)
    claimed = []
    while jobs := queue_on().claim(7, lease=60):
        claimed += [job.sequence for job in jobs]
    assert claimed == sorted(claimed)
    assert len(claimed) == 100


def test_no_more_events_are_taken_at_once_than_it_is_told(directory):
    a_webhook()
    events(*["cliente.criado"] * 7)
    assert [fan_out(directory, limit=3) for _ in range(3)] == [3, 3, 1]
    assert Delivery.objects.count() == 7
    order = list(Delivery.objects.order_by("id").values_list("event_id", flat=True))
    assert order == sorted(order)


def test_a_thousand_webhooks_are_served_in_pieces_none_of_which_splits_an_event(
    directory, monkeypatch, django_assert_max_num_queries
):
    Webhook.objects.bulk_create(
        Webhook(name=str(number), url="http://127.0.0.1:9/", events=["*"])
        for number in range(1_000)
    )
    events(*["cliente.criado"] * 12)
    with django_assert_max_num_queries(12):
        assert fan_out(directory) == 500  # that is: more may wait
    assert Delivery.objects.count() == 5_000
    assert Event.objects.filter(fanned_out=True).count() == 5
    while fan_out(directory):
        pass
    assert Delivery.objects.count() == 12_000
    per_event = Counter(Delivery.objects.values_list("event_id", flat=True))
    assert set(per_event.values()) == {1_000}
    assert fanout._ROWS_AT_ONCE == 5_000


def test_a_failure_takes_back_both_the_deliveries_and_the_mark(directory, monkeypatch):
    a_webhook()
    events("cliente.criado")

    def fail(*args, **kwargs):
        owe(*args, **kwargs)
        raise ZeroDivisionError

    monkeypatch.setattr(fanout, "owe", fail)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        fan_out(directory)
    assert not Delivery.objects.exists()
    assert Event.objects.filter(fanned_out=False).count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_that_fan_out_at_once_make_each_delivery_once():
    for number in range(5):
        a_webhook(name=str(number))
    events(*["cliente.criado"] * 120)
    failures, start = [], threading.Barrier(4)

    def work():
        try:
            directory = Directory("default")
            start.wait(PATIENCE)
            while fan_out(directory, limit=9):
                pass
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failures == []
    fan_out(Directory("default"))
    assert not Event.objects.filter(fanned_out=False).exists()
    pairs = Counter(Delivery.objects.values_list("event_id", "webhook_id"))
    assert len(pairs) == 600
    assert set(pairs.values()) == {1}


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_events_that_another_worker_has_under_way_are_passed_over(directory):
    a_webhook()
    events(*["cliente.criado"] * 4)
    with transaction.atomic():
        list(Event.objects.order_by("pk").select_for_update()[:3])
        taken = []

        def work():
            taken.append(fan_out(Directory("default")))
            connections.close_all()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(PATIENCE)
        assert taken == [1]
    assert connection.vendor == "postgresql"
