"""The types of event that exist, each with its description, JSON Schema and example.

Filled while the apps' `eventos.py` (or `events.py`) modules are discovered; read by admin, API and
documentation. The payloads that are produced are held against these schemas by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise

EXAMPLE_TIMESTAMP = "2024-01-01T10:00:00Z"  # the moment of every example in seed 004


class UnknownEventType(LookupError):
    """No app has declared a type of event of that name."""


@dataclass(frozen=True, kw_only=True)
class EventType:
    """One type of event."""

    name: str
    """`cliente.criado`: what happened, to what."""
    description: str | Promise
    """When it is told, in a sentence."""
    area: str | Promise
    """The heading under which it is listed."""
    data_schema: dict[str, Any]
    """JSON Schema (2020-12) of the payload's `data`."""
    data_example: dict[str, Any] = field(default_factory=dict)
    """An example of `data`."""
    subscribable: bool = True
    """False: sent to one webhook on purpose, such as a test."""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the default format's whole body."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": str(self.description),
            "type": "object",
            "properties": {
                "event": {"const": self.name},
                "timestamp": {"type": "string", "format": "date-time"},
                "data": self.data_schema,
            },
            "required": ["event", "timestamp", "data"],
            "additionalProperties": False,
        }

    @property
    def example(self) -> dict[str, Any]:
        """An example of the default format's whole body."""
        return {
            "event": self.name,
            "timestamp": EXAMPLE_TIMESTAMP,
            "data": self.data_example,
        }


_types: dict[str, EventType] = {}


def declare(event_type: EventType) -> EventType:
    """Add a type to the catalog.

    :raises ValueError: another declaration already has that name.
    """
    known = _types.get(event_type.name)
    if known is not None and known != event_type:
        raise ValueError(f"The event type {event_type.name!r} is declared twice.")
    _types[event_type.name] = event_type
    return event_type


def get(name: str) -> EventType:
    """:raises UnknownEventType: nobody declared it."""
    try:
        return _types[name]
    except KeyError:
        raise UnknownEventType(
            f"No event type is named {name!r}. Known: {', '.join(sorted(_types)) or 'none'}."
        ) from None


def all_types() -> list[EventType]:
    """Every declared type, in the order of declaration."""
    return list(_types.values())


def subscribable() -> list[EventType]:
    """The types that a webhook may subscribe to."""
    return [event_type for event_type in _types.values() if event_type.subscribable]
