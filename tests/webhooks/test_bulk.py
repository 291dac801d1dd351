"""What no single save tells: `emit()` of many, and `watch()` around one statement."""

from __future__ import annotations

import json
import threading

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import F

from tests.crm import told
from tests.services.base import PATIENCE
from tests.things.models import Keyed, Loose, SpecialThing, Thing, ThingProxy
from webhooks import catalog, events
from webhooks.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def things(tell):
    """Three things, a, b and c, that were told of before the test begins."""
    tell(
        Thing,
        name=events.text("name"),
        count=events.integer("count"),
        active=events.boolean("active"),
        on=events.day("on", null=True),
        transitions=(events.Told("thing.desligado", ("id",), when=events.became("active", False)),),
    )
    things = [Thing.objects.create(name=name) for name in "abc"]
    Event.objects.all().delete()
    return things


def names():
    return [name for name, _data in told()]


# --- emit -------------------------------------------------------------------------------------


def test_rows_that_bulk_create_wrote_can_be_told(things):
    made = Thing.objects.bulk_create([Thing(name=name, on="2024-01-05") for name in "xyz"])
    assert told() == []
    ids = events.emit("thing.criado", made)
    assert [data["name"] for _name, data in told()] == ["x", "y", "z"]
    assert {data["on"] for _name, data in told()} == {"2024-01-05"}  # as a date reads
    assert list(Event.objects.order_by("id").values_list("id", flat=True)) == ids


def test_one_object_any_iterable_or_none_at_all_can_be_given(things):
    assert len(events.emit("thing.criado", things[0])) == 1
    assert len(events.emit("thing.criado", Thing.objects.all())) == 3
    assert len(events.emit("thing.criado", (each for each in things))) == 3
    assert events.emit("thing.criado", []) == []
    assert events.emit("thing.criado", Thing.objects.none()) == []


def test_many_events_cost_as_many_statements_as_one(tell, django_assert_num_queries):
    if connections["default"].vendor != "postgresql":
        pytest.skip("SQLite inserts row by row: there is no round trip to save")
    tell(Keyed, name=events.text("name"))
    many = Keyed.objects.bulk_create([Keyed(name=str(number)) for number in range(300)])
    for some in (many[:1], many[1:]):
        with django_assert_num_queries(3):  # savepoint, insert, release
            events.emit("keyed.criado", some)
    assert Event.objects.count() == 300


def test_what_changed_is_given_by_hand_where_a_type_tells_it(things):
    first, second, _third = things
    said = {
        first.pk: {"count": {"anterior": 0, "novo": 1}},
        second.pk: {"count": {"anterior": 0, "novo": 2}},
    }
    events.emit("thing.atualizado", [first, second], changes=said)
    assert [data["alteracoes"] for _name, data in told()] == list(said.values())
    with pytest.raises(ValueError, match=r"changes=.*thing_"):
        events.emit("thing.atualizado", [first])
    assert len(told()) == 2


def test_rows_not_loaded_whole_are_told_whole(things):
    Thing.objects.update(count=7)
    events.emit("thing.criado", Thing.objects.only("name").order_by("name")[:1])
    assert told()[0][1]["count"] == 7


def test_what_is_no_row_is_told_by_its_data(monkeypatch):
    monkeypatch.setattr(catalog, "_types", dict(catalog._types))
    schema = {"type": "object", "properties": {"texto": {"type": "string"}}}
    events.declare(
        "conversa.mensagem",
        description="A message.",
        area="Conversas",
        data_schema=schema,
        example={"texto": "Olá"},
    )
    [id] = events.emit(
        "conversa.mensagem",
        data={"texto": "Olá"},
        subject="conversa_1",
        data_subject="cliente_1",
    )
    event = Event.objects.get(pk=id)
    assert json.loads(event.body)["data"] == {"texto": "Olá"}
    assert (event.subject, event.sequence, event.data_subject) == ("conversa_1", 1, "cliente_1")
    [id] = events.emit("conversa.mensagem", data={"texto": "Olá"})
    assert Event.objects.get(pk=id).sequence == 0
    with pytest.raises(LookupError, match="give its `data`"):
        events.emit("conversa.mensagem", [Keyed()])


def test_what_cannot_be_told_is_refused_and_nothing_of_it_is_recorded(things):
    with pytest.raises(events.UnknownEventType, match=r"thing\.criad"):
        events.emit("thing.criad", things)
    with pytest.raises(TypeError, match="either objects or data"):
        events.emit("thing.criado")
    with pytest.raises(TypeError, match="either objects or data"):
        events.emit("thing.criado", things, data={})
    with pytest.raises(TypeError, match="tells of a Thing"):
        events.emit("thing.criado", [things[0], Keyed()])
    with pytest.raises(ValueError, match="no primary key"):
        events.emit("thing.criado", [things[0], Thing(name="unsaved")])
    with pytest.raises(events.NotExact, match=r"data\.x\[1\]"):
        events.emit("thing.criado", data={"x": [1, object()]})
    assert told() == []


def test_a_rolled_back_emit_tells_nothing(things):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        events.emit("thing.criado", things)
        raise ZeroDivisionError
    assert told() == []


# --- watch ------------------------------------------------------------------------------------


def test_an_update_of_many_tells_of_each_what_truly_changed(things):
    Thing.objects.filter(name="c").update(count=5)
    with events.watch(Thing.objects.all()):
        Thing.objects.filter(name__in="bc").update(count=5)
    [(name, data)] = told()
    assert (name, data["name"]) == ("thing.atualizado", "b")
    assert data["alteracoes"] == {"count": {"anterior": 0, "novo": 5}}


def test_expressions_transitions_and_deletions_are_told_too(things):
    with events.watch(Thing.objects.all()):
        Thing.objects.filter(name="a").update(count=F("count") + 3)
        Thing.objects.filter(name="b").update(active=False)
        Thing.objects.filter(name="c").delete()
    assert names() == ["thing.atualizado", "thing.atualizado", "thing.desligado", "thing.excluido"]
    assert told()[0][1]["alteracoes"] == {"count": {"anterior": 0, "novo": 3}}
    assert told()[3][1]["name"] == "c"


def test_raw_sql_is_seen_as_well(things):
    with events.watch(Thing.objects.filter(name="a")), connections["default"].cursor() as cursor:
        cursor.execute("UPDATE things_thing SET count = 9")
    assert [data["name"] for _name, data in told()] == ["a"]


def test_nothing_is_told_twice_and_other_rows_tell_for_themselves(things):
    first, second, third = things
    with events.watch(Thing.objects.filter(name__in="ab")):
        first.count = 1
        first.save()
        first.count = 2
        first.save()
        second.delete()
        assert told() == []
        third.count = 1
        third.save()
        Thing.objects.create(name="new")
        events.emit("thing.criado", third)
    assert [(name, data["name"]) for name, data in told()] == [
        ("thing.atualizado", "c"),
        ("thing.criado", "new"),
        ("thing.criado", "c"),
        ("thing.atualizado", "a"),
        ("thing.excluido", "b"),
    ]
    assert told()[3][1]["alteracoes"] == {"count": {"anterior": 0, "novo": 2}}


def test_a_watch_within_a_watch_leaves_the_outer_ones_rows_to_it(things):
    with events.watch(Thing.objects.filter(name="a")):
        with events.watch(Thing.objects.all()):
            Thing.objects.update(count=1)
        assert sorted(data["name"] for _name, data in told()) == ["b", "c"]
        Thing.objects.filter(name="a").update(count=2)
    assert told()[2][1]["alteracoes"] == {"count": {"anterior": 0, "novo": 2}}
    assert len(told()) == 3


def test_any_queryset_will_do(things):
    Thing.objects.filter(name="b").update(parent=things[0])
    Thing.objects.filter(name="c").update(parent=things[0])
    for queryset in (
        Thing.objects.order_by("-name")[:1],
        ThingProxy.objects.filter(name="c"),
        Thing.objects.filter(children__name__in="bc"),  # joins, and finds the same row twice
        Thing.objects.filter(name="c").select_related("parent").distinct(),
    ):
        Event.objects.all().delete()
        with events.watch(queryset):
            Thing.objects.update(count=F("count") + 1)
        assert len(told()) == 1


def test_rows_of_a_model_that_inherits_are_watched_as_their_parents(things):
    special = SpecialThing.objects.create(name="s")
    Event.objects.all().delete()
    with events.watch(Thing.objects.filter(pk=special.pk)):
        SpecialThing.objects.update(count=3)
    assert names() == ["thing.atualizado"]


def test_what_fails_inside_is_rolled_back_and_told_of_nothing(things):
    with pytest.raises(ZeroDivisionError), events.watch(Thing.objects.all()):
        Thing.objects.update(count=1)
        raise ZeroDivisionError
    assert told() == []
    assert set(Thing.objects.values_list("count", flat=True)) == {0}
    things[0].count = 1
    things[0].save()
    assert names() == ["thing.atualizado"]  # and is watched no more


def test_in_silence_a_watch_is_silent(things):
    with events.silenced(), events.watch(Thing.objects.all()):
        Thing.objects.update(count=1)
    assert told() == []


def test_more_rows_than_a_statement_takes_parameters(tell):
    tell(Keyed, name=events.text("name"))
    Keyed.objects.bulk_create([Keyed(name="x") for _ in range(1_200)])
    with events.watch(Keyed.objects.all()):
        Keyed.objects.update(name="y")
    assert Event.objects.count() == 1_200


def test_a_model_that_tells_nothing_cannot_be_watched():
    with (
        pytest.raises(LookupError, match="Loose is not registered"),
        events.watch(Loose.objects.all()),
    ):
        pass


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_who_changes_a_watched_row_meanwhile_waits_and_is_told_after(things):
    """The rows are locked, so that no change falls between the two readings."""
    inside, failures = threading.Event(), []

    def change():
        try:
            inside.wait(PATIENCE)
            copy = Thing.objects.get(name="a")
            copy.count = F("count") + 10
            copy.save(update_fields=["count"])
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=change)
    thread.start()
    with events.watch(Thing.objects.all()):
        inside.set()
        thread.join(0.3)
        assert thread.is_alive()  # it waits for the lock
        Thing.objects.update(count=1)
    thread.join(PATIENCE)
    assert failures == []
    of_a = [data["alteracoes"]["count"] for _name, data in told() if data["name"] == "a"]
    assert of_a == [{"anterior": 0, "novo": 1}, {"anterior": 1, "novo": 11}]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_two_watches_of_the_same_rows_do_not_block_each_other_for_ever(tell):
    tell(Thing, count=events.integer("count"))
    Thing.objects.bulk_create([Thing(name=str(number)) for number in range(600)])
    failures = []

    def add(order):
        try:
            for _ in range(3):
                with events.watch(Thing.objects.order_by(order)):
                    Thing.objects.update(count=F("count") + 1)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=add, args=[order]) for order in ("pk", "-pk", "name")]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failures == []
    assert set(Thing.objects.values_list("count", flat=True)) == {9}
    assert Event.objects.count() == 9 * 600


def test_an_error_of_the_database_is_not_hidden(things):
    with pytest.raises(IntegrityError), events.watch(Thing.objects.all()):
        Thing.objects.update(name=None)
