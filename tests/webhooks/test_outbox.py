"""Events beside the change that they tell of: the same bytes and numbers on both databases."""

from __future__ import annotations

import datetime as dt
import json
import threading
from decimal import Decimal
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.crm import make_cliente
from tests.webhooks.makers import a_webhook
from webhooks import exactjson, outbox
from webhooks.context import acting
from webhooks.modelevents import Draft
from webhooks.models import Delivery, Event, Subject
from webhooks.outbox import BodyTooLarge, SnapshotTooLarge

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

MOMENT = dt.datetime(2024, 1, 1, 10, 0, 0, 123_456, tzinfo=dt.UTC)
DATA = {
    "texto": 'João 🎉 " \\ \n \u2028 \x00 \x1f ção',
    "numero": 1.5,
    "inteiro": 2**53 + 1,
    "dinheiro": Decimal("10.50"),
    "vazio": None,
    "sim": True,
    "lista": [1, [2, {"a": []}], {}],
    "dia": dt.date(2024, 1, 5),
    "hora": MOMENT,
    "id": UUID(int=7),
}


def a_draft(subject: str = "cliente_1", **values: object) -> Draft:
    return Draft(
        **{
            "type": "cliente.criado",
            "subject": subject,
            "data": DATA,
            "moment": MOMENT,
            "record": {"inteiro": 7, **DATA},
            "changes": {"texto": {"anterior": None, "novo": "é"}},
            **values,
        }
    )


@pytest.mark.parametrize("others", [[], ["cliente_2", ""]], ids=["alone", "among others"])
def test_every_column_is_as_it_was_given(others):
    webhook = a_webhook()
    drafts = [a_draft(data_subject="cliente_9"), *map(a_draft, others)]
    with acting("import", "planilha.csv"):
        [id, *_] = outbox.record(drafts, only_webhook=webhook.pk)
    event = Event.objects.get(pk=id)
    assert (event.type, event.subject, event.data_subject) == (
        "cliente.criado",
        "cliente_1",
        "cliente_9",
    )
    assert event.occurred_at == MOMENT
    assert (event.origin, event.actor) == ("import", "planilha.csv")
    assert event.only_webhook == webhook
    assert (event.sequence, event.fanned_out, event.erased_at) == (1, False, None)
    assert json.loads(event.snapshot)["record"]["inteiro"] == str(2**53 + 1)
    assert json.loads(event.snapshot)["changes"] == {"texto": {"anterior": None, "novo": "é"}}


def test_the_body_is_the_same_to_the_byte_on_every_database():
    outbox.record([a_draft()])
    body = Event.objects.get().body
    assert body == (
        '{"event":"cliente.criado","timestamp":"2024-01-01T10:00:00Z","data":{"texto":"João 🎉 \\" '
        '\\\\ \\n \u2028 \\u0000 \\u001f ção","numero":1.5,"inteiro":"9007199254740993",'
        '"dinheiro":"10.50","vazio":null,"sim":true,"lista":[1,[2,{"a":[]}],{}],"dia":"2024-01-05",'
        '"hora":"2024-01-01T10:00:00Z","id":"00000000-0000-0000-0000-000000000007"}}'
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.text(max_size=20),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=5,
    )
)
def test_whatever_can_be_told_comes_back_as_it_went_in(data):
    try:
        body = outbox.body_of(a_draft(data=data))
    except exactjson.NotExact:
        return
    with transaction.atomic():
        [id] = outbox.record([a_draft(data=data, record=data)])
        assert Event.objects.get(pk=id).body == body
        assert exactjson.dumps(json.loads(body)) == body
        transaction.set_rollback(True)


def test_an_objects_sequence_rises_and_others_do_not_disturb_it():
    outbox.record([a_draft("a"), a_draft("b"), a_draft("a"), a_draft("")])
    outbox.record([a_draft("a"), a_draft("b"), a_draft("b")])
    found = list(Event.objects.order_by("pk").values_list("subject", "sequence"))
    assert found == [
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("", 0),
        ("a", 3),
        ("b", 2),
        ("b", 3),
    ]


def test_what_is_about_no_object_has_no_number():
    outbox.record([a_draft("")])
    assert Event.objects.get().sequence == 0
    assert not Subject.objects.exists()


def test_the_sequence_outlives_the_events():
    outbox.record([a_draft(), a_draft()])
    Event.objects.all().delete()
    outbox.record([a_draft()])
    assert Event.objects.get().sequence == 3


def test_ids_rise_with_time_so_that_events_can_be_read_in_order():
    ids = [id for _ in range(20) for id in outbox.record([a_draft(), a_draft()])]
    assert ids == sorted(ids)
    assert list(Event.objects.order_by("pk").values_list("pk", flat=True)) == ids
    assert {id.version for id in ids} == {7}


def test_a_rolled_back_transaction_takes_its_numbers_back():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        outbox.record([a_draft()])
        raise ZeroDivisionError
    assert not Event.objects.exists()
    assert not Subject.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_numbers_given_at_once_have_no_gap_and_no_double():
    failures = []

    def work(number):
        try:
            for _ in range(15):
                with transaction.atomic():
                    outbox.record([a_draft("shared"), a_draft(f"own {number}")])
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failures == []
    shared = Event.objects.filter(subject="shared").values_list("sequence", flat=True)
    assert sorted(shared) == list(range(1, 61))
    own = Event.objects.filter(subject="own 0").order_by("pk").values_list("sequence", flat=True)
    assert list(own) == list(range(1, 16))


def test_a_save_costs_the_same_however_many_webhooks_listen():
    costs = []
    for count in (0, 1, 99):
        for number in range(count):
            a_webhook(name=f"{count}.{number}", events=["*"])
        with CaptureQueriesContext(connection) as asked:
            make_cliente()
        costs.append(len(asked))
    assert costs[0] == costs[1] == costs[2]
    assert costs[0] == (2 if connection.vendor == "postgresql" else 3)  # the client, its event
    assert not Delivery.objects.exists()


def test_a_save_reads_neither_webhooks_nor_keys():
    a_webhook()
    with CaptureQueriesContext(connection) as asked:
        make_cliente()
    statements = " ".join(each["sql"] for each in asked)
    assert "webhooks_webhook" not in statements
    assert "webhooks_signingkey" not in statements


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"data": {"x": object()}}, exactjson.NotExact),
        ({"data": {"x": float("inf")}}, exactjson.NotExact),
        ({"data": {"x": dt.datetime(2024, 1, 1)}}, exactjson.NotExact),
        ({"data": {}, "record": {"deep": {"7": 1}}}, exactjson.NotExact),
        ({"data": {"x": "é" * 60_000}}, BodyTooLarge),
        ({"subject": "x" * 101}, ValueError),
        ({"subject": "x\x00"}, ValueError),
        ({"data_subject": "x" * 101}, ValueError),
    ],
)
def test_what_cannot_be_told_is_refused_whole(values, error):
    with pytest.raises(error):
        outbox.record([a_draft("first"), a_draft(**values), a_draft("last")])
    assert not Event.objects.exists()
    assert not Subject.objects.exists()


def test_a_body_may_be_as_large_as_receivers_take_to_the_byte(settings):
    empty = len(outbox.body_of(a_draft(data={"x": ""})).encode())
    settings.WEBHOOKS = {**settings.WEBHOOKS, "BODY_MAX_BYTES": empty + 4}
    outbox.body_of(a_draft(data={"x": "éé"}))
    with pytest.raises(BodyTooLarge, match=r"cliente\.criado of cliente_1.*BODY_MAX_BYTES"):
        outbox.body_of(a_draft(data={"x": "ééx"}))


def test_a_snapshot_may_be_as_large_as_the_setting_says_to_the_byte(settings):
    empty = len(outbox.snapshot_of(a_draft(record={"x": ""})).encode())
    settings.WEBHOOKS = {**settings.WEBHOOKS, "SNAPSHOT_MAX_BYTES": empty + 4}
    outbox.snapshot_of(a_draft(record={"x": "éé"}))
    with pytest.raises(SnapshotTooLarge, match=r"cliente\.criado of cliente_1.*SNAPSHOT_MAX_BYTES"):
        outbox.snapshot_of(a_draft(record={"x": "ééx"}))


@pytest.mark.parametrize(
    "values",
    [
        {"record": {"x": "y" * 3_000_000}},
        {"changes": {"x": {"anterior": "y" * 600_000, "novo": "z" * 600_000}}},
    ],
)
def test_what_is_too_large_to_be_kept_is_refused_as_a_value_that_was_given(values):
    with pytest.raises(SnapshotTooLarge) as refused:
        outbox.record([a_draft(**values)])
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, ValidationError)
    assert refused.value.code == "too_large"
    assert "1,048,576" in str(refused.value)
    assert not Event.objects.exists()


def test_by_default_that_is_what_express_accepts():
    with pytest.raises(BodyTooLarge, match="102,400"):
        outbox.body_of(a_draft(data={"x": "x" * 102_400}))
