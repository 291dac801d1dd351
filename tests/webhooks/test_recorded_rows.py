"""What an event says of a row is what the row says when it is read again, of every kind of field
and however it was written."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connections, models
from django.db.models import F, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Concat, Now, Upper
from django.db.models.signals import pre_save
from django.utils import timezone

from tests.crm import told
from tests.things.models import Coded, Kinds, Plain
from webhooks import events
from webhooks.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


class Status(str, enum.Enum):  # noqa: UP042 - of which `str()` is not its value
    OPEN = "open"


def shown(value: Any) -> str:
    """The value with its type, so that nothing passes for something else."""
    if isinstance(value, memoryview):
        value = bytes(value)
    if isinstance(value, models.fields.files.FieldFile):
        value = value.name
    if isinstance(value, dict):
        value = json.dumps(value, sort_keys=True)
    if isinstance(value, dt.datetime):
        value = value.isoformat()
    return f"{type(value).__name__} {value!r}"


def reader(name: str) -> Callable[[Any], str]:
    return lambda row: shown(getattr(row, name))


def names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if not field.primary_key]


@pytest.fixture(autouse=True)
def declared(tell: Any) -> None:
    for model in (Kinds, Plain):
        tell(model, **{name: events.text(reader(name)) for name in names(model)})


def assert_told_as_read(row: models.Model) -> None:
    """The newest event's whole record, and the new side of what it lists as changed."""
    model = type(row)
    fresh = model._base_manager.get(pk=row.pk)
    read = {name: shown(getattr(fresh, name)) for name in names(model)}
    _name, data = told()[-1]
    record = json.loads(Event.objects.latest("sequence").snapshot)["record"]
    assert {key: record[key] for key in read} == read
    assert {key: data[key] for key in read} == read
    for key, change in data.get("alteracoes", {}).items():
        assert change["novo"] == read[key], key
        assert change["anterior"] != change["novo"]


ASSIGNED: dict[str, list[Any]] = {
    "count": [
        5,
        "7",
        True,
        F("count") + 1,
        RawSQL("count + 1", []),
        RawSQL("count + %s", [2]),
    ],
    "text": ["a", Status.OPEN, 5, Value("b"), Upper(Value("c")), Concat(Value("d"), Value("e"))],
    "counted": [5, 0],
    "stamp": [None, timezone.now()],
    "longer": ["a", ""],
    "loud": ["quiet"],
    "backwards": ["abc"],
    "halved": [Decimal("3.00"), Decimal("3"), "5.5"],
    "price": [Decimal("1.5"), "2.50", 3, Decimal("1E+1"), Decimal("0.10"), None],
    "share": [0.1, "1e3", Decimal("2.5"), 1],
    "raw": [b"abc", memoryview(b"def"), bytearray(b"ghi")],
    "address": ["::FFFF:10.0.0.1", "2001:DB8:0::1", "10.0.0.1"],
    "key": [uuid.UUID(int=5), str(uuid.UUID(int=6)), 7],
    "took": [dt.timedelta(seconds=1.5)],
    "on": ["2024-01-05", dt.date(999, 1, 5), dt.datetime(2024, 1, 5, 23, tzinfo=dt.UTC)],
    "at": [
        "2024-01-05T10:00:00.123456+03:00",
        dt.datetime(2024, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
        Now(),
    ],
    "hour": ["10:00", dt.time(10, 0, 0, 5), dt.datetime(2024, 1, 5, 10)],
    "data": [{"b": 1, "a": (1, 2)}, {"n": 1e22, "z": -0.0}, [1.0, 1e-7], "text", None, 1.5],
    "coded_id": ["  ABC "],
    "by_default": [1],
    "now_by_default": [Now(), timezone.now()],
    "made": [timezone.now()],
    "touched": [timezone.now()],
}
CASES = [
    pytest.param(model, name, value, id=f"{model.__name__}-{name}-{index}")
    for model in (Plain, Kinds)
    for name, values in ASSIGNED.items()
    if name in names(model)
    for index, value in enumerate(values)
]


@pytest.fixture
def coded() -> Coded:
    return Coded.objects.create(code="abc")


def can_be_inserted(value: Any) -> bool:
    return not isinstance(value, F | RawSQL | models.expressions.CombinedExpression)


@pytest.mark.usefixtures("coded")
@pytest.mark.parametrize(("model", "name", "value"), CASES)
def test_a_row_that_is_created_is_told_as_it_is_read(model: Any, name: str, value: Any) -> None:
    if can_be_inserted(value):
        assert_told_as_read(model.objects.create(**{name: value}))


@pytest.mark.usefixtures("coded")
@pytest.mark.parametrize("update_fields", [False, True], ids=["whole", "update_fields"])
@pytest.mark.parametrize(("model", "name", "value"), CASES)
def test_a_row_that_is_updated_is_told_as_it_is_read(
    model: Any, name: str, value: Any, update_fields: bool
) -> None:
    row = model.objects.create()
    again = model.objects.get(pk=row.pk)  # as a form has it, not as it was made
    setattr(again, name, value)
    again.save(update_fields=[name] if update_fields else None)
    assert_told_as_read(again)
    again.save()  # the instance may hold the expression still
    assert_told_as_read(again)
    model.objects.get(pk=row.pk).save()
    assert_told_as_read(again)


@pytest.mark.usefixtures("coded")
@pytest.mark.parametrize(("model", "name", "value"), CASES)
def test_rows_that_are_changed_at_once_are_told_as_they_are_read(
    model: Any, name: str, value: Any
) -> None:
    row = model.objects.create()
    with events.watch(model.objects.all()):
        model.objects.update(**{name: value})
    assert_told_as_read(row)
    setattr(row, name, value)
    with events.watch(model.objects.all()):
        model.objects.bulk_update([row], [name])
    assert_told_as_read(row)


@pytest.mark.usefixtures("coded")
@pytest.mark.parametrize(("model", "name", "value"), CASES)
def test_what_is_emitted_of_rows_made_at_once_is_as_they_are_read(
    model: Any, name: str, value: Any
) -> None:
    if can_be_inserted(value):
        [row] = model.objects.bulk_create([model(**{name: value})])
        events.emit(f"{model._meta.model_name}.criado", [row])
        assert_told_as_read(row)


def test_a_file_is_told_by_the_name_that_it_got() -> None:
    row = Plain.objects.create(file=ContentFile(b"a", name="a.txt"))
    assert_told_as_read(row)
    row.file = ContentFile(b"b", name="a.txt")  # the name is taken
    row.save()
    assert_told_as_read(row)
    row.file.save("c.txt", ContentFile(b"c"))
    assert_told_as_read(row)


def test_a_computed_column_follows_what_alone_was_written() -> None:
    row = Kinds.objects.create(count=1)
    row.count = 4
    row.save(update_fields=["count"])
    _name, data = told()[-1]
    assert data["alteracoes"]["doubled"] == {"anterior": "int 2", "novo": "int 8"}
    assert_told_as_read(row)


def test_a_row_with_a_key_of_ones_own_choice_is_told_as_it_is_read() -> None:
    row = Plain(pk=50)  # its columns have the database's defaults
    row.save()
    assert_told_as_read(row)
    Plain(pk=50, count=3, made=row.made).save()
    assert_told_as_read(row)


def test_what_a_handler_changes_before_the_save_is_told() -> None:
    def count(instance: Plain, **kwargs: Any) -> None:
        instance.count = F("count") + 10  # type: ignore[assignment]

    row = Plain.objects.create()
    pre_save.connect(count, sender=Plain)
    try:
        row.text = "a"
        row.save()
    finally:
        pre_save.disconnect(count, sender=Plain)
    assert_told_as_read(row)


def test_an_expression_needs_no_statement_beyond_the_reading(
    django_assert_num_queries: Any,
) -> None:
    row = Plain.objects.create()
    row.count = RawSQL("count + 1", [])
    postgresql = connections["default"].vendor == "postgresql"
    with django_assert_num_queries(3 if postgresql else 5):  # (read,) update, read, tell
        row.save(update_fields=["count"])
