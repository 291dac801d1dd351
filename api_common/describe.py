"""What a view says of itself, for the OpenAPI document (openapi.py) and the tests that hold it.

A view's `descriptions` has one `Operation` per action (or method, “get”). What follows from the
protocol is not repeated in it: who may, keys and tags in headers, the problems that any endpoint
may answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.functional import Promise

from . import filters

Text = str | Promise
Json = dict[str, Any]


@dataclass(frozen=True)
class Named:
    """A JSON Schema (2020-12) that the document holds once, by this name; it may stand anywhere in
    another schema."""

    name: str
    schema: Json


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method at one address."""

    summary: Text
    description: Text = ""
    answer: Json | Named | None = None
    """JSON Schema of what is answered when all goes well; None: no body."""
    status: int = 200
    answers: Mapping[int, Json | Named] = field(default_factory=dict)
    """JSON Schemas of what else may be answered, by status."""
    body: Json | Named | None = None
    """JSON Schema of what is sent; None: nothing is."""
    body_needed: bool = True
    example: Any = None
    """Of the body."""
    tagged: bool = False
    """Whether the answer has an ETag."""
    changes: bool = False
    """Whether `If-Match` is heeded."""
    located: bool = False
    """Whether the answer has a Location."""
    filterset: type[filters.FilterSet] | None = None
    orderings: Sequence[str] | None = None
    """Set: it is a list, page by page, ordered by one of these."""
    parameters: Sequence[Json] = ()
    """Of the query, beyond the filters: Parameter Objects."""
    problems: Sequence[str] = ()
    """Codes of `problems.KINDS`, beyond those that any such request may meet."""
    named: str | None = None
    """What programs call it; None: after the view and its action."""


def object_of(
    properties: Mapping[str, Any], *, optional: Sequence[str] = (), **more: Any
) -> dict[str, Any]:
    """The schema of an object that has these keys and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        **more,
    }


def nullable(schema: Mapping[str, Any]) -> Json:
    """That, or null."""
    found = dict(schema)
    kinds = found.get("type")
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        found["type"] = kinds if "null" in kinds else [*kinds, "null"]
        if "enum" in found and None not in found["enum"]:
            found["enum"] = [*found["enum"], None]
        return found
    return {"anyOf": [found, {"type": "null"}]}


_OF_NAMES = ("properties", "patternProperties", "$defs")  # whose keys are no keywords
_OF_VALUES = ("enum", "const", "examples")


def without_defaults(schema: Any) -> Any:
    """The schema of what an update sends. Programs made from the document fill `default` in by
    themselves, and would set what nobody asked them to change."""
    match schema:
        case Named():
            return Named(schema.name, without_defaults(schema.schema))
        case dict():
            return {
                key: {name: without_defaults(each) for name, each in value.items()}
                if key in _OF_NAMES
                else value
                if key in _OF_VALUES
                else without_defaults(value)
                for key, value in schema.items()
                if key != "default"
            }
        case list() | tuple():
            return [without_defaults(each) for each in schema]
    return schema


def page_of(item: Json | Named) -> Json:
    """A page of a list: see pagination.py."""
    link = {"type": ["string", "null"], "format": "uri"}
    return object_of(
        {"results": {"type": "array", "items": item}, "next": link, "previous": link},
    )


def records(
    item: Named,
    body: Named,
    patch: Named,
    *,
    summaries: Mapping[str, Text],
    filterset: type[filters.FilterSet],
    orderings: Sequence[str],
    created: Json | Named | None = None,
) -> dict[str, Operation]:
    """List, read, create, change and delete: what most kinds of thing have.

    :param created: what creation answers, where that is more than a reading does.
    """
    change = Operation(summary="", body=body, answer=item, tagged=True, changes=True)
    operations = {
        "list": Operation(
            summary="", answer=page_of(item), filterset=filterset, orderings=orderings
        ),
        "retrieve": Operation(summary="", answer=item, tagged=True),
        "create": Operation(
            summary="", body=body, answer=created or item, status=201, tagged=True, located=True
        ),
        "update": change,
        "partial_update": replace(change, body=patch),
        "destroy": Operation(summary="", status=204, changes=True),
    }
    return {name: replace(each, summary=summaries[name]) for name, each in operations.items()}
