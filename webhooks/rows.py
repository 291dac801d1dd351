"""A row as the database has it: read before or while it changes, and known afterwards.

After a save the row is put together from what was written, so that it need not be read again; where
only the database knows what it stored, it is read. That is so of expressions, of computed columns,
and of fields that save or convert values in a way of their own; one whose `pre_save` leaves on the
instance what will be read says so by `stored_on_instance = True`, and spares the query.
"""

from __future__ import annotations

import enum
import functools
import inspect
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import connections, models
from django.db.models import sql
from django.db.models.query_utils import DeferredAttribute

from .exactjson import same

_BUILT_IN = "django.db.models."
# What a field would override to store or read something else than `to_python` gives.
_CONVERSIONS = (
    "pre_save",
    "to_python",
    "get_prep_value",
    "get_db_prep_value",
    "get_db_prep_save",
    "get_placeholder",
    "get_db_converters",
    "from_db_value",
)
# Numbers of JSON that PostgreSQL, which keeps them as decimals, gives back otherwise.
_REWRITTEN = re.compile(r"e\+|-0\.0")


def load(
    model: type[models.Model], pk: Any, using: str, *, lock: bool = False
) -> models.Model | None:
    """The row; with `lock`, locked for the rest of the transaction if there is one."""
    connection = connections[using]
    lock = lock and connection.in_atomic_block and connection.features.has_select_for_no_key_update
    if not model._meta.parents:
        return _read(model, using, lock).by(pk)
    rows = model._base_manager.using(using).filter(pk=pk)
    if lock:
        rows = rows.select_for_update(no_key=True, of=("self",))
    return next(iter(rows), None)


class _Read:
    """`SELECT … WHERE pk = …` of one table, put together once: it is part of every save, and the
    ORM takes longer to write the statement than the database to answer it."""

    def __init__(self, model: type[models.Model], using: str, lock: bool) -> None:
        self._model, self._using = model, using
        connection = connections[using]
        fields = model._meta.concrete_fields

        def quote(name: str | None) -> str:
            return str(connection.ops.quote_name(name or ""))

        self._names = [field.attname for field in fields]
        table, key = quote(model._meta.db_table), quote(model._meta.pk.column)
        # Columns have names of their own: those of somebody's `RawSQL("visits + 1")` are the row's.
        names = {quote(field.column): f"webhooks_before_{i}" for i, field in enumerate(fields)}
        self._sql = (
            f"SELECT {', '.join(f'{column} AS {name}' for column, name in names.items())} "
            f"FROM {table} WHERE {key} = %s{' FOR NO KEY UPDATE' if lock else ''}"
        )
        self._condition = f"{table}.{key} = %s"
        self._returning = (
            f" FROM ({self._sql}) webhooks_before WHERE {table}.{key} = {names[key]} "
            "RETURNING webhooks_before.*"
        )
        self._columns: list[tuple[int, list[Any], Any]] = []
        for index, field in enumerate(fields):
            column = field.get_col(model._meta.db_table)
            convert = connection.ops.get_db_converters(column) + column.get_db_converters(
                connection
            )
            if convert:
                self._columns.append((index, convert, column))

    def by(self, pk: Any) -> models.Model | None:
        connection = connections[self._using]
        return self._run(self._sql, [self._model._meta.pk.get_db_prep_value(pk, connection)])

    def before(self, sql: str, params: Sequence[Any]) -> models.Model | None:
        """Runs an UPDATE of a single row.

        :raises LookupError: it has another condition than the row's key alone; it was not run.
        """
        update, _, condition = sql.rpartition(" WHERE ")
        if condition != self._condition:
            raise LookupError(condition)
        return self._run(update + self._returning, params)

    def _run(self, sql: str, params: Sequence[Any]) -> models.Model | None:
        connection = connections[self._using]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            found = cursor.fetchone()
        if found is None:
            return None
        row = list(found)
        for index, convert, column in self._columns:
            for each in convert:
                row[index] = each(row[index], column, connection)
        return self._model.from_db(self._using, self._names, row)


_read = functools.cache(_Read)


def update(
    model: type[models.Model],
    rows: models.QuerySet[Any],
    pk: Any,
    values: Sequence[tuple[models.Field[Any, Any], None, Any]],
) -> models.Model | None:
    """Write to the row, and read it as it was, in one statement. On PostgreSQL.

    The row is locked before it is read, and written as it is then: it is what the last transaction
    to commit left there, even if that did so while this one waited.

    :param rows: all of the model's.
    :param values: as `QuerySet._update` takes them.
    :returns: the row before; None: there is none.
    """
    query: Any = rows.filter(pk=pk).query.chain(sql.UpdateQuery)
    query.add_update_fields(values)
    text, params = query.get_compiler(rows.db).as_sql()
    try:
        return _read(model, rows.db, True).before(text, params)
    except LookupError:  # a manager that narrows the rows down
        before = load(model, pk, rows.db, lock=True)
        return before if rows.filter(pk=pk)._update(values) else None  # type: ignore[attr-defined]


def written(
    model: type[models.Model],
    instance: models.Model,
    before: models.Model | None,
    update_fields: frozenset[str] | None,
    using: str,
) -> models.Model:
    """The row of `model` as a save of `instance` wrote it: what it did not write is as before.

    :param model: the instance's own, or one that it inherits from.
    :param before: the row before the save; None: the save inserted it.
    """
    row: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        name = field.attname
        given = update_fields is None or field.name in update_fields or name in update_fields
        kept = before is not None and not (given and name in instance.__dict__)
        if kept and not field.generated:
            row[name] = before.__dict__.get(name)
            continue
        value = instance.__dict__.get(name)
        how = _how_stored(field)
        if field.generated or how is _Stored.ITS_OWN_WAY or hasattr(value, "resolve_expression"):
            return _reread(model, instance, using)
        if before is not None and same(value, before.__dict__.get(name)):
            row[name] = before.__dict__.get(name)
            continue
        if name not in instance.__dict__ or not _is_known(field, how, value, using):
            return _reread(model, instance, using)
        row[name] = _as_read(field, value, using)
    return model.from_db(using, list(row), list(row.values()))


def _reread(model: type[models.Model], instance: models.Model, using: str) -> models.Model:
    return load(model, getattr(instance, model._meta.pk.attname), using) or instance


class _Stored(enum.Enum):
    """How a field's column comes by its value."""

    PLAINLY = enum.auto()
    """From the instance's attribute, and it is read as `_as_read` says, whatever was assigned."""
    ROUNDED = enum.auto()
    """From the attribute, but rounded or renamed: what was read before is stored again as it is."""
    ITS_OWN_WAY = enum.auto()
    """As somebody's own code says, which need not even look at the attribute."""


@functools.cache
def _how_stored(field: models.Field[Any, Any]) -> _Stored:
    kind: Any = type(field)
    if getattr(kind, "stored_on_instance", False):
        return _Stored.PLAINLY
    attribute = inspect.getattr_static(field.model, field.attname, None)
    if not isinstance(attribute, DeferredAttribute) or not all(
        getattr(kind, name).__module__.startswith(_BUILT_IN)
        for name in (*_CONVERSIONS, "descriptor_class")
        if hasattr(kind, name)
    ):
        return _Stored.ITS_OWN_WAY
    if isinstance(field, models.ForeignKey):
        return _how_stored(field.target_field)
    if isinstance(field, models.DecimalField | models.FileField | models.BinaryField):
        return _Stored.ROUNDED
    return _Stored.PLAINLY


def _is_known(field: models.Field[Any, Any], how: _Stored, value: Any, using: str) -> bool:
    """Whether what was written can be told without reading it."""
    if value is None or getattr(field, "stored_on_instance", False):
        return True
    if isinstance(field, models.JSONField) and connections[using].vendor == "postgresql":
        return not _REWRITTEN.search(json.dumps(value, cls=field.encoder))
    if how is _Stored.PLAINLY:
        return True
    if not isinstance(field, models.DecimalField) or not isinstance(value, Decimal):
        return False
    return value.as_tuple().exponent == -field.decimal_places


def _as_read(field: models.Field[Any, Any], value: Any, using: str) -> Any:
    """The value as it will be read: someone may have assigned "2024-01-05" to a date, a tuple to
    JSON."""
    if value is None:
        return None
    if isinstance(field, models.JSONField):
        return json.loads(json.dumps(value, cls=field.encoder), cls=field.decoder)
    if isinstance(field, models.DateTimeField):
        moment = field.get_prep_value(value)  # a naive one gets the time zone in force
        return moment.astimezone(connections[using].timezone) if moment.tzinfo else moment
    read = field.to_python(value)
    # A member of a `class Status(str, Enum)` passes for text, and is not what is read.
    return str.__str__(read) if isinstance(read, str) else read
