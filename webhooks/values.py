"""How an app says what its events tell: one `Value` per key, with its JSON Schema.

`source` is the name of an attribute, or a callable that takes the instance. A callable may use the
instance's own columns only (`cliente_id`, not `cliente.nome`): it runs inside every save.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Choices, Model

Source = str | Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Value:
    """One key of a record or payload."""

    read: Callable[[Model], Any]
    """From the instance to what JSON says."""
    schema: dict[str, Any]
    """The JSON Schema of what `read` returns."""
    of_event: str = ""
    """`moment` or `changes`: told of the event, not of the instance."""


def _reader(source: Source) -> Callable[[Any], Any]:
    return operator.attrgetter(source) if isinstance(source, str) else source


def _written(source: Source, write: Callable[[Any], Any], null: bool) -> Callable[[Model], Any]:
    """Reads the source, and writes what is not None.

    :raises ValueError: on reading None where `null` does not allow it. Were it told, receivers
        would get what the schema excludes, or the text "None".
    """
    read = _reader(source)

    def value(instance: Model) -> Any:
        found = read(instance)
        if found is not None:
            return write(found)
        if null:
            return None
        name = source if isinstance(source, str) else getattr(source, "__name__", "a value")
        raise ValueError(
            f"{name} of {type(instance).__name__} is None, and was declared never to be: declare "
            "it with null=True, or see that it has a value when it is told."
        )

    return value


def _nullable(schema: dict[str, Any], null: bool) -> dict[str, Any]:
    if not null:
        return schema
    schema = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


def instant(moment: datetime) -> str:
    """`2024-01-01T10:00:00Z`: UTC, whole seconds, as seed 004 writes every time.

    :raises ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone.")
    if moment.tzinfo is not UTC:  # which Django gives
        moment = moment.astimezone(UTC)
    # Not strftime: it writes the year 999 with three digits.
    return moment.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def text(source: Source, *, null: bool = False, format: str | None = None) -> Value:
    """Text; with `null`, an empty one is told as null."""
    schema: dict[str, Any] = {"type": "string"}
    if format:
        schema["format"] = format
    return Value(_written(source, _text_or_null if null else str, null), _nullable(schema, null))


def _text_or_null(found: Any) -> str | None:
    return str(found) or None


def time(source: Source, *, null: bool = False) -> Value:
    """A moment, `2024-01-01T10:00:00Z`."""
    schema = {"type": "string", "format": "date-time"}
    return Value(_written(source, instant, null), _nullable(schema, null))


def day(source: Source, *, null: bool = False) -> Value:
    """A date, `2024-01-01`."""
    schema = {"type": "string", "format": "date"}
    return Value(_written(source, date.isoformat, null), _nullable(schema, null))


def public_id(prefix: str, source: Source = "pk", *, null: bool = False) -> Value:
    """`cliente_123`, of a primary key or a foreign key's column."""
    schema = {"type": "string", "pattern": f"^{prefix}_.+$"}
    return Value(_written(source, f"{prefix}_{{}}".format, null), _nullable(schema, null))


def choice(source: Source, choices: type[Choices], *, null: bool = False) -> Value:
    """One of a field's choices, by its value as text; with `null`, none is told as null."""
    known = [str(each) for each in choices.values]
    write = _text_or_null if null else str
    return Value(_written(source, write, null), _nullable({"type": "string", "enum": known}, null))


def boolean(source: Source) -> Value:
    read = _reader(source)
    return Value(lambda instance: bool(read(instance)), {"type": "boolean"})


def integer(source: Source, *, null: bool = False) -> Value:
    return Value(_reader(source), _nullable({"type": "integer"}, null))


def number(source: Source, *, null: bool = False) -> Value:
    return Value(_reader(source), _nullable({"type": "number"}, null))


def decimal(source: Source, *, null: bool = False) -> Value:
    """An amount, as text, so that no receiver rounds it: `"1234.50"`."""
    schema = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
    return Value(_reader(source), _nullable(schema, null))


def array(source: Source, items: dict[str, Any] | None = None) -> Value:
    """A list; of texts unless `items` (a JSON Schema) says otherwise."""
    return Value(_reader(source), {"type": "array", "items": items or {"type": "string"}})


def object(source: Source) -> Value:
    """A JSON object of any shape."""
    return Value(_reader(source), {"type": "object"})


def moment() -> Value:
    """When the event happened."""
    return Value(
        lambda instance: None, {"type": "string", "format": "date-time"}, of_event="moment"
    )


def changes() -> Value:
    """What an update changed: `{"telefone": {"anterior": …, "novo": …}}`."""
    return Value(
        lambda instance: None,
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "properties": {"anterior": {}, "novo": {}},
                "required": ["anterior", "novo"],
                "additionalProperties": False,
            },
        },
        of_event="changes",
    )
