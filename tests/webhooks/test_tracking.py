"""From saved and deleted rows to events: what truly changed, once, or nothing."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections, models, transaction
from django.db.models import F, ProtectedError, Value
from django.db.models.functions import Concat
from django.db.models.signals import post_save, pre_delete, pre_save

from tests.crm import told
from tests.things.models import (
    Computed,
    Foreign,
    Guarded,
    Keyed,
    Loose,
    SpecialThing,
    Thing,
    ThingProxy,
)
from webhooks import catalog, events, tracking
from webhooks.models import Event, Subject

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

WHOLE = {
    "name": events.text("name"),
    "spelled": events.text("spelled"),
    "count": events.integer("count"),
    "price": events.decimal("price", null=True),
    "on": events.day("on", null=True),
    "at": events.time("at", null=True),
    "data": events.object("data"),
    "active": events.boolean("active"),
    "parentId": events.public_id("thing", "parent_id", null=True),
}


@pytest.fixture
def thing(tell):
    """A thing that was told of before the test begins."""
    tell(Thing, **WHOLE)
    thing = Thing.objects.create(name="a")
    Event.objects.all().delete()
    return thing


def changes():
    """What the events so far say has changed, event by event."""
    return [data.get("alteracoes") for _name, data in told()]


def names():
    return [name for name, _data in told()]


# --- created ----------------------------------------------------------------------------------


def test_a_created_row_is_told_whole(tell):
    tell(Thing, **WHOLE)
    thing = Thing.objects.create(name="a", count=3)
    assert told() == [
        (
            "thing.criado",
            {
                "id": f"thing_{thing.pk}",
                "name": "a",
                "spelled": "",
                "count": 3,
                "price": None,
                "on": None,
                "at": None,
                "data": {},
                "active": True,
                "parentId": None,
            },
        )
    ]


@pytest.mark.parametrize(
    ("attribute", "assigned", "stored"),
    [
        ("spelled", "  LOUD ", "loud"),
        ("count", "7", 7),
        ("price", Decimal("1.5"), "1.50"),
        ("price", "2.50", "2.50"),
        ("on", "2024-01-05", "2024-01-05"),
        ("on", dt.datetime(2024, 1, 5, 12, tzinfo=dt.UTC), "2024-01-05"),
        ("at", "2024-01-05T10:00:00+00:00", "2024-01-05T10:00:00Z"),
        ("active", "0", False),
        ("data", {"when": dt.date(2024, 1, 5)}, {"when": "2024-01-05"}),
        ("data", {"list": ("x", "y")}, {"list": ["x", "y"]}),
    ],
)
def test_a_value_is_told_as_it_is_stored_whatever_was_assigned(tell, attribute, assigned, stored):
    tell(Thing, **WHOLE)
    thing = Thing.objects.create(name="a", **{attribute: assigned})
    setattr(thing, attribute, assigned)
    thing.save()
    Thing.objects.get(pk=thing.pk).save()
    [(name, data)] = told()  # assigning the same thing again changed nothing
    assert name == "thing.criado"
    assert data[attribute] == stored

    other = Thing.objects.create(name="b")
    Event.objects.all().delete()
    setattr(other, attribute, assigned)
    other.save()
    assert changes()[0][attribute]["novo"] == stored


def test_a_column_that_the_database_computes_is_told_as_computed(tell):
    tell(Computed, name=events.text("name"), shout=events.text("shout"))
    computed = Computed.objects.create(name="a")
    computed.name = "b"
    computed.save()
    assert [data["shout"] for _name, data in told()] == ["A", "B"]
    assert changes()[1]["shout"] == {"anterior": "A", "novo": "B"}


def test_a_row_with_a_key_of_ones_own_choice_is_created_once_and_then_updated(tell):
    tell(Thing, name=events.text("name"))
    Thing(pk=500, name="a").save()
    Thing(pk=500, name="b").save()
    Thing.objects.create(pk=501, name="c")
    assert names() == ["thing.criado", "thing.atualizado", "thing.criado"]
    assert changes()[1] == {"name": {"anterior": "a", "novo": "b"}}


def test_the_same_with_a_key_that_has_a_default(tell):
    tell(Keyed, name=events.text("name"))
    keyed = Keyed.objects.create(name="a")
    # Django takes an instance that was not loaded for a new one, unless told otherwise.
    Keyed(pk=keyed.pk, name="b").save(force_update=True)
    assert names() == ["keyed.criado", "keyed.atualizado"]
    with pytest.raises(IntegrityError), transaction.atomic():
        Keyed(pk=keyed.pk, name="c").save()
    Keyed(pk=uuid.uuid4(), name="d").save(force_insert=True)
    assert names() == ["keyed.criado", "keyed.atualizado", "keyed.criado"]


def test_fixtures_restore_what_was_told_before(thing, tmp_path):
    fixture = tmp_path / "things.json"
    out = StringIO()
    call_command("dumpdata", "things.thing", stdout=out)
    fixture.write_text(out.getvalue().replace('"a"', '"b"'))
    call_command("loaddata", str(fixture), verbosity=0)
    assert Thing.objects.get().name == "b"
    assert told() == []
    thing.name = "c"
    thing.save()
    assert changes() == [{"name": {"anterior": "b", "novo": "c"}}]


# --- updated ----------------------------------------------------------------------------------


def test_an_update_tells_what_changed_and_only_that(thing):
    thing.name, thing.count = "b", 0
    thing.save()
    [(name, data)] = told()
    assert name == "thing.atualizado"
    assert data["name"] == "b"
    assert data["alteracoes"] == {"name": {"anterior": "a", "novo": "b"}}


@pytest.mark.parametrize(
    ("was", "is_now"),
    [({"a": 1}, {"a": True}), ({"a": [0, {}]}, {"a": [False, {}]}), ({"a": True}, {"a": 1})],
    ids=str,
)
def test_true_is_not_one(thing, was, is_now):
    """Python takes them for equal; whoever reads the JSON does not."""
    thing.data = was
    thing.save()
    Event.objects.all().delete()
    thing.data = is_now
    thing.save()
    [change] = changes()
    assert json.dumps(change) == json.dumps({"data": {"anterior": was, "novo": is_now}})


def test_a_save_that_changes_nothing_tells_nothing(thing):
    thing.save()
    thing.save(update_fields=["name"])
    Thing.objects.get().save()
    assert told() == []


def test_untracked_keys_are_told_but_are_no_change(tell):
    tell(Thing, name=events.text("name"), count=events.integer("count"), untracked=("id", "count"))
    thing = Thing.objects.create(name="a")
    thing.count = 1
    thing.save()
    assert names() == ["thing.criado"]
    thing.count, thing.name = 2, "b"
    thing.save()
    assert told()[1][1] == {
        "id": f"thing_{thing.pk}",
        "name": "b",
        "count": 2,
        "alteracoes": {"name": {"anterior": "a", "novo": "b"}},
    }


def test_what_update_fields_leaves_out_was_not_written_and_is_not_told(thing):
    thing.name, thing.count = "b", 9
    thing.save(update_fields=["name"])
    [(_name, data)] = told()
    assert data["count"] == 0
    assert data["alteracoes"] == {"name": {"anterior": "a", "novo": "b"}}
    thing.save(update_fields=[])
    assert len(told()) == 1


def test_update_fields_takes_a_relation_by_either_name(thing):
    other = Thing.objects.create(name="o")
    Event.objects.all().delete()
    thing.parent = other
    thing.save(update_fields=["parent"])
    thing.parent = None
    thing.save(update_fields=["parent_id"])
    key = f"thing_{other.pk}"
    assert changes() == [
        {"parentId": {"anterior": None, "novo": key}},
        {"parentId": {"anterior": key, "novo": None}},
    ]


def test_what_was_not_loaded_is_told_as_the_database_has_it(thing):
    Thing.objects.update(count=5)
    partial = Thing.objects.only("name").get()
    partial.name = "b"
    partial.save()
    [(_name, data)] = told()
    assert data["count"] == 5
    assert data["alteracoes"] == {"name": {"anterior": "a", "novo": "b"}}

    partial = Thing.objects.defer("name").get()
    partial.name = "c"  # assigned without having been loaded
    partial.save()
    assert changes()[1] == {"name": {"anterior": "b", "novo": "c"}}


def test_an_expression_is_told_by_its_result(thing):
    Thing.objects.update(count=40)
    thing.count, thing.name = F("count") + 2, Concat("name", Value("!"))
    thing.save()
    assert changes() == [
        {"name": {"anterior": "a", "novo": "a!"}, "count": {"anterior": 40, "novo": 42}}
    ]


def test_a_stale_copy_tells_what_it_truly_changed(thing):
    stale = Thing.objects.get()
    thing.name = "b"
    thing.save()
    stale.name = "b"  # as it already is
    stale.save()
    assert len(told()) == 1
    stale.name, stale.count = "a", 1
    stale.save()
    assert changes()[1] == {
        "name": {"anterior": "b", "novo": "a"},
        "count": {"anterior": 0, "novo": 1},
    }


def test_mutable_values_changed_in_place_are_noticed(thing):
    thing.data["x"] = [1]
    thing.save()
    thing.data["x"].append(2)
    thing.save()
    assert changes()[1] == {"data": {"anterior": {"x": [1]}, "novo": {"x": [1, 2]}}}


def test_becoming_so_is_told_once_and_only_when_it_becomes_so(tell):
    tell(
        Thing,
        name=events.text("name"),
        active=events.boolean("active"),
        transitions=(events.Told("thing.desligado", ("id",), when=events.became("active", False)),),
    )
    thing = Thing.objects.create(name="a")
    stale = Thing.objects.get()
    thing.active = False
    thing.save()
    thing.name = "b"
    thing.save()
    stale.active, stale.name = False, "c"
    stale.save()
    assert names() == [
        "thing.criado",
        "thing.atualizado",
        "thing.desligado",
        "thing.atualizado",
        "thing.atualizado",
    ]
    Thing.objects.create(name="z", active=False)
    assert names()[-2:] == ["thing.criado", "thing.desligado"]


def test_update_or_create_and_get_or_create_tell_what_came_of_it(thing):
    Thing.objects.get_or_create(name="a")
    Thing.objects.update_or_create(name="a", defaults={"count": 1})
    Thing.objects.update_or_create(name="new", defaults={"count": 1})
    assert names() == ["thing.atualizado", "thing.criado"]


# --- in one transaction, or not at all --------------------------------------------------------


def test_a_rolled_back_change_tells_nothing(thing):
    sequence = Subject.objects.get(pk=f"thing_{thing.pk}").last_sequence
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        thing.name = "b"
        thing.save()
        Thing.objects.create(name="c")
        assert len(told()) == 2
        raise ZeroDivisionError
    assert told() == []
    assert Subject.objects.get(pk=f"thing_{thing.pk}").last_sequence == sequence


def test_what_a_savepoint_rolled_back_is_not_told_and_the_rest_is(thing):
    with transaction.atomic():
        thing.name = "b"
        thing.save()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            thing.name = "c"
            thing.save()
            raise ZeroDivisionError
        thing.count = 1
        thing.save()  # the copy in memory still says "c"
    assert changes() == [
        {"name": {"anterior": "a", "novo": "b"}},
        {"name": {"anterior": "b", "novo": "c"}, "count": {"anterior": 0, "novo": 1}},
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "data", [{"7": "reordered"}, {"__proto__": 1}, {"x": "y" * 1_000}], ids=["key", "proto", "size"]
)
def test_what_cannot_be_told_cannot_be_saved(tell, settings, data):
    settings.WEBHOOKS = {**settings.WEBHOOKS, "BODY_MAX_BYTES": 1_000}
    tell(Thing, **WHOLE)
    thing = Thing.objects.create(name="a")
    thing.data = data
    with pytest.raises(ValueError, match=r"data\.|bytes") as refused:
        thing.save()
    assert isinstance(refused.value, events.NotExact | events.BodyTooLarge)
    with pytest.raises((events.NotExact, events.BodyTooLarge)):
        Thing.objects.create(name="never", data=data)
    assert list(Thing.objects.values_list("name", "data")) == [("a", {})]
    assert len(told()) == 1
    # and the instance can be mended and saved
    thing.data = {"x": 1}
    thing.save()
    assert changes()[-1] == {"data": {"anterior": {}, "novo": {"x": 1}}}


@pytest.mark.django_db(transaction=True)
def test_a_record_that_is_too_large_to_be_kept_cannot_be_saved(tell):
    """Also where no event's body tells what is so large; of an update the old counts as the new."""
    large = {"x": "y" * 700_000}
    tell(
        Thing,
        name=events.text("name"),
        data=events.object("data"),
        created=events.Told("thing.criado", ("id", "name")),
        updated=events.Told("thing.atualizado", ("id", "name")),
    )
    with pytest.raises(events.SnapshotTooLarge, match="SNAPSHOT_MAX_BYTES"):
        Thing.objects.create(name="never", data={"x": "y" * 3_000_000})
    thing = Thing.objects.create(name="a", data=large)
    thing.data = {"x": "z" * 700_000}
    with pytest.raises(events.SnapshotTooLarge, match=r"thing\.atualizado"):
        thing.save()
    assert list(Thing.objects.values_list("name", "data")) == [("a", large)]
    assert names() == ["thing.criado"]


def test_within_a_transaction_what_could_not_be_told_takes_all_of_it_back(thing):
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        thing.data = {"__proto__": 1}
        with pytest.raises(ValueError, match="data"):
            thing.save()
        Thing.objects.count()  # the row is written: nothing may be committed now
    assert Thing.objects.get().data == {}


def test_a_failed_save_leaves_nothing_behind_for_the_next(tell):
    tell(Guarded, name=events.text("name"))
    Guarded.objects.create(name="a")
    other = Guarded.objects.create(name="b")
    for _ in range(3):
        other.name = "a"
        with pytest.raises(IntegrityError), transaction.atomic():
            other.save()
    assert not [name for name in other.__dict__ if "webhooks" in name]
    other.name = "c"
    other.save()
    assert changes()[-1] == {"name": {"anterior": "b", "novo": "c"}}
    assert len(told()) == 3


def test_nothing_stays_on_the_instance(thing):
    thing.name = "b"
    thing.save()
    assert not [name for name in thing.__dict__ if "webhooks" in name]


# --- handlers that save again -----------------------------------------------------------------


@pytest.fixture
def handle():
    """`handle(signal, model, function)`: connected *before* ours, if called before `tell`."""
    connected = []

    def connect(signal, model, function):
        signal.connect(function, sender=model, weak=False)
        connected.append((signal, model, function))

    yield connect
    for signal, model, function in connected:
        signal.disconnect(function, sender=model)


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_handler_that_saves_the_row_again_makes_no_change_be_told_twice(tell, handle, ours_first):
    def number(instance, created, **kwargs):
        if instance.count == 0:
            instance.count = 1
            instance.save(update_fields=["count"])

    if ours_first:
        tell(Thing, **WHOLE)
    handle(post_save, Thing, number)
    if not ours_first:
        tell(Thing, **WHOLE)

    thing = Thing.objects.create(name="a")
    assert names()[0] == "thing.criado"
    first = len(told())
    final = {"count": 1}
    assert told()[-1][1]["count"] == final["count"]
    assert [each for each in changes() if each and "name" in each] == []

    thing.name, thing.count = "b", 0
    thing.save()
    assert Thing.objects.get().count == 1
    told_of_name = [each for each in changes()[first:] if "name" in each]
    assert len(told_of_name) == 1
    assert told_of_name[0]["name"] == {"anterior": "a", "novo": "b"}
    # Replaying the changes gives the row as it is.
    count = 1
    for each in changes()[first:]:
        if "count" in each:
            assert each["count"]["anterior"] == count
            count = each["count"]["novo"]
    assert count == 1


def test_a_handler_before_the_save_that_saves_is_told_first_and_the_rest_after(tell, handle):
    tell(Thing, **WHOLE)
    thing = Thing.objects.create(name="a")

    def hurry(instance, **kwargs):
        if instance.count == 0:
            instance.count = 1
            instance.save(update_fields=["count"])

    handle(pre_save, Thing, hurry)
    thing.name = "b"
    thing.save()
    assert changes()[1:] == [
        {"count": {"anterior": 0, "novo": 1}},
        {"name": {"anterior": "a", "novo": "b"}},
    ]


def test_a_handlers_own_failing_save_does_not_confuse_the_one_around_it(tell, handle):
    Guarded.objects.create(name="taken")

    def fail(instance, **kwargs):
        if instance.name == "b":
            instance.name = "taken"
            with pytest.raises(IntegrityError), transaction.atomic():
                instance.save()
            instance.name = "b"

    handle(post_save, Guarded, fail)
    tell(Guarded, name=events.text("name"))
    guarded = Guarded.objects.create(name="a")
    guarded.name = "b"
    guarded.save()
    assert changes() == [None, {"name": {"anterior": "a", "novo": "b"}}]
    assert not [name for name in guarded.__dict__ if "webhooks" in name]


# --- deleted ----------------------------------------------------------------------------------


def test_a_deleted_row_is_told_as_the_database_had_it(thing):
    Thing.objects.update(count=5)
    thing.name = "never saved"
    thing.delete()
    [(name, data)] = told()
    assert name == "thing.excluido"
    assert (data["name"], data["count"]) == ("a", 5)
    assert Event.objects.get().subject == data["id"]


def test_a_row_is_deleted_once_however_many_copies_delete_it(thing):
    copies = [Thing.objects.get(), Thing.objects.get()]
    for copy in [thing, *copies]:
        copy.delete()
    assert names() == ["thing.excluido"]


def test_a_querysets_delete_and_a_cascade_tell_every_row(thing):
    for number in range(3):
        child = Thing.objects.create(name=f"child {number}", parent=thing)
        Thing.objects.create(name=f"grandchild {number}", parent=child)
    Event.objects.all().delete()
    Thing.objects.filter(pk=thing.pk).delete()
    assert names() == ["thing.excluido"] * 7
    assert len({data["id"] for _name, data in told()}) == 7
    assert not Thing.objects.exists()


def test_a_refused_delete_tells_nothing_and_the_row_tells_on(tell, thing):
    Guarded.objects.create(name="g", thing=thing)
    with pytest.raises(ProtectedError):
        thing.delete()
    thing.name = "b"
    thing.save()
    assert names() == ["thing.atualizado"]


def test_a_delete_within_a_delete_is_told_once(tell, handle, thing):
    def hurry(instance, **kwargs):
        if not getattr(instance, "hurried", False):
            instance.hurried = True
            key = instance.pk
            instance.delete()
            instance.pk = key

    handle(pre_delete, Thing, hurry)
    thing.delete()
    assert names() == ["thing.excluido"]


def test_silence_covers_every_kind_of_change(thing):
    with events.silenced():
        thing.name = "b"
        thing.save()
        Thing.objects.create(name="c")
        thing.delete()
    assert told() == []


# --- what Django models may be ----------------------------------------------------------------


def test_a_row_saved_or_deleted_as_a_proxy_is_told(thing):
    proxy = ThingProxy.objects.get()
    proxy.name = "b"
    proxy.save()
    ThingProxy.objects.create(name="c")
    ThingProxy.objects.all().delete()
    assert names() == [
        "thing.atualizado",
        "thing.criado",
        "thing.excluido",
        "thing.excluido",
    ]


def test_a_proxy_that_is_defined_later_tells_too(thing):
    class LateProxy(Thing):
        class Meta:
            proxy = True
            app_label = "things"

    LateProxy.objects.create(name="b")
    assert names() == ["thing.criado"]


def test_a_row_of_a_model_that_inherits_is_a_row_of_its_parent(thing):
    special = SpecialThing.objects.create(name="b", special="x")
    special.name = "c"
    special.save()
    special.special = "y"
    special.save()  # nothing that Thing tells
    special.delete()
    assert names() == ["thing.criado", "thing.atualizado", "thing.excluido"]
    assert changes()[1] == {"name": {"anterior": "b", "novo": "c"}}


def test_both_may_tell(tell):
    tell(Thing, name=events.text("name"))
    tell(SpecialThing, prefix="special", name=events.text("name"), special=events.text("special"))
    special = SpecialThing.objects.create(name="a", special="x")
    assert sorted(names()) == ["special.criado", "thing.criado"]
    special.name, special.special = "b", "y"
    special.save()
    assert {name: data["alteracoes"].keys() for name, data in told()[2:]} == {
        "special.atualizado": {"name", "special"},
        "thing.atualizado": {"name"},
    }
    special.delete()
    assert sorted(names()[4:]) == ["special.excluido", "thing.excluido"]


def test_making_an_existing_row_special_creates_only_what_is_new(tell, thing):
    tell(SpecialThing, prefix="special", name=events.text("name"))
    special = SpecialThing(thing_ptr=thing, special="x")
    special.__dict__.update(
        {k: v for k, v in thing.__dict__.items() if k not in {"_state", "special"}}
    )
    special.save()
    assert names() == ["special.criado"]


@pytest.mark.django_db(transaction=True)
def test_a_third_partys_model_can_tell_in_one_transaction_with_its_save(tell):
    tell(Foreign, wrap_save=True, name=events.text("name"))
    assert tracking.is_atomic(Foreign)
    foreign = Foreign.objects.create(name="a")
    foreign.name = "b"
    foreign.save()
    foreign.delete()
    assert names() == ["foreign.criado", "foreign.atualizado", "foreign.excluido"]

    def crash(**kwargs):
        raise ZeroDivisionError

    post_save.connect(crash, sender=Foreign)  # after ours, as when the process dies there
    try:
        with pytest.raises(ZeroDivisionError):
            Foreign.objects.create(name="c")
    finally:
        post_save.disconnect(crash, sender=Foreign)
    assert not Foreign.objects.exists()
    assert len(told()) == 3


@pytest.mark.django_db(transaction=True)
def test_without_that_it_tells_but_is_known_not_to_be_safe(tell):
    tell(Loose, name=events.text("name"))
    assert not tracking.is_atomic(Loose)
    loose = Loose.objects.create(name="a")
    loose.name = "b" * 51 if connections["default"].vendor == "postgresql" else None
    with pytest.raises(Exception, match=r"too long|NOT NULL"):
        loose.save()
    loose.name = "b"
    loose.save()
    assert changes() == [None, {"name": {"anterior": "a", "novo": "b"}}]


def test_a_model_is_registered_once_and_must_have_a_table(tell):
    tell(Thing, name=events.text("name"))
    with pytest.raises(ValueError, match="registered for events already"):
        tell(Thing, name=events.text("name"))
    with pytest.raises(ValueError, match="no table of its own"):
        tracking.register(ThingProxy)(events.ModelEvents)
    with pytest.raises(ValueError, match="no table of its own"):
        tracking.register(events.TrackedModel)(events.ModelEvents)


def test_what_is_not_in_the_record_cannot_be_told(tell):
    with pytest.raises(ValueError, match=r"thing\.criado tells 'nome', which is not in `record`"):
        tell(Thing, name=events.text("name"), created=events.Told("thing.criado", ("id", "nome")))
    tracking._registry.pop(Thing, None)


def test_a_value_of_one_event_alone_wins_over_the_records_of_that_name(tell):
    tell(
        Thing,
        name=events.text("name"),
        created=events.Told(
            "thing.criado", ("id", ("name", events.text(lambda t: t.name.upper())))
        ),
    )
    Thing.objects.create(name="a")
    assert told()[0][1]["name"] == "A"


# --- at the same time -------------------------------------------------------------------------


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_two_that_make_the_same_change_at_once_tell_it_once(tell):
    tell(
        Thing,
        name=events.text("name"),
        active=events.boolean("active"),
        transitions=(events.Told("thing.desligado", ("id",), when=events.became("active", False)),),
    )
    thing = Thing.objects.create(name="a")
    start, failures = threading.Barrier(8), []

    def switch_off():
        try:
            copy = Thing.objects.get(pk=thing.pk)
            copy.active = False
            start.wait(10)
            copy.save()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=switch_off) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert names() == ["thing.criado", "thing.atualizado", "thing.desligado"]


@pytest.mark.django_db(transaction=True)
def test_concurrent_changes_of_one_row_add_up_and_are_told_in_the_order_of_their_commits(tell):
    tell(Thing, count=events.integer("count"))
    thing = Thing.objects.create(name="a")
    failures = []

    def work():
        try:
            for _ in range(10):
                copy = Thing.objects.get(pk=thing.pk)
                copy.count = F("count") + 1
                copy.save(update_fields=["count"])
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    events_told = Event.objects.filter(type="thing.atualizado").order_by("sequence")
    assert [each.sequence for each in events_told] == list(range(2, 42))
    seen = [json.loads(each.body)["data"]["alteracoes"]["count"] for each in events_told]
    assert seen == [{"anterior": n, "novo": n + 1} for n in range(40)]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_two_that_delete_the_same_row_at_once_tell_it_once(tell):
    tell(Thing, name=events.text("name"))
    thing = Thing.objects.create(name="a")
    start, failures = threading.Barrier(4), []

    def delete():
        try:
            copy = Thing.objects.get(pk=thing.pk)
            start.wait(10)
            copy.delete()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=delete) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert failures == []
    assert names() == ["thing.criado", "thing.excluido"]


def test_the_types_of_a_model_are_in_the_catalog_with_strict_schemas(tell):
    tell(Thing, name=events.text("name"))
    schema = catalog.get("thing.atualizado").data_schema
    assert list(schema["properties"]) == ["id", "name", "alteracoes"]
    assert schema["required"] == ["id", "name", "alteracoes"]
    assert schema["additionalProperties"] is False


def test_a_save_reads_the_row_once_and_a_creation_not_at_all(tell, django_assert_num_queries):
    tell(Guarded, name=events.text("name"))
    postgresql = connections["default"].vendor == "postgresql"
    events_at_once, reads = (1, 0) if postgresql else (2, 1)  # there the update reads, too
    with django_assert_num_queries(1 + events_at_once):  # insert, tell
        guarded = Guarded.objects.create(name="a")
    guarded.name = "b"
    with django_assert_num_queries(reads + 1 + events_at_once):  # read, update, tell
        guarded.save()
    with django_assert_num_queries(reads + 1):
        guarded.save()


class Named(models.Manager):
    """Narrows down which rows there are."""

    def get_queryset(self):
        return super().get_queryset().exclude(name="")


def narrowed(monkeypatch):
    manager = Named()
    manager.model, manager.name = Guarded, "named"
    monkeypatch.setitem(Guarded._meta.__dict__, "base_manager", manager)


def selecting(monkeypatch):
    monkeypatch.setattr(Guarded._meta, "select_on_save", True)


def updating_its_own_way(monkeypatch):
    def update(self, *args):
        return super(Guarded, self)._do_update(*args)

    monkeypatch.setattr(Guarded, "_do_update", update)
    tracking._updates_plainly.cache_clear()


@pytest.mark.parametrize("change", [narrowed, selecting, updating_its_own_way])
def test_a_row_that_is_updated_in_a_way_of_its_own_tells_what_changed(tell, monkeypatch, change):
    tell(Guarded, name=events.text("name"))
    guarded = Guarded.objects.create(name="a")
    try:
        change(monkeypatch)
        guarded.name = "b"
        guarded.save()
        guarded.save()
        guarded.save(update_fields=[])
        Guarded(pk=guarded.pk + 1, name="c").save()  # finds none to update
    finally:
        tracking._updates_plainly.cache_clear()
    assert names() == ["guarded.criado", "guarded.atualizado", "guarded.criado"]
    assert changes()[1] == {"name": {"anterior": "a", "novo": "b"}}


def test_a_row_that_is_saved_while_it_is_saved_tells_each_change_once(tell):
    tell(Guarded, name=events.text("name"))
    guarded = Guarded.objects.create(name="a")

    def save_first(instance, **kwargs):
        pre_save.disconnect(save_first, sender=Guarded)
        name, instance.name = instance.name, "between"
        instance.save()
        instance.name = name

    pre_save.connect(save_first, sender=Guarded)  # after ours
    guarded.name = "b"
    guarded.save()
    assert changes()[1:] == [
        {"name": {"anterior": "a", "novo": "between"}},
        {"name": {"anterior": "between", "novo": "b"}},
    ]
