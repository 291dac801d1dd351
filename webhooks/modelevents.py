"""What an app declares of one model: which events its rows tell, and in what words.

`created`, `updated` and `deleted` follow the row's life; `transitions` tell that something *became*
so. Everything is computed from two states of the row, before and after, never from what a caller
happened to have in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils.functional import Promise

from . import catalog, exactjson, values
from .catalog import EventType
from .values import Value, instant

Record = dict[str, Any]
Changes = dict[str, dict[str, Any]]
Condition = Callable[[models.Model | None, models.Model], bool]


def became(attribute: str, value: Any) -> Condition:
    """True of a change after which the attribute has that value and before which it had not.

    A row that is created with the value has become so too.
    """

    def condition(before: models.Model | None, after: models.Model) -> bool:
        return getattr(after, attribute) == value and (
            before is None or getattr(before, attribute) != value
        )

    return condition


@dataclass(frozen=True, slots=True)
class Told:
    """One type of event of a model, and the keys of its `data` in the order told."""

    name: str
    keys: Sequence[str | tuple[str, Value]]
    """Keys of the model's record, "alteracoes", or (key, Value) for what only this event tells."""
    description: str | Promise = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    when: Condition | None = None
    """For transitions: told if this holds of (before, after)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event about to be recorded."""

    type: str
    subject: str
    data: Record
    moment: datetime
    record: Record = field(default_factory=dict)
    changes: Changes = field(default_factory=dict)
    data_subject: str = ""
    """Whose personal data it tells, if anyone's; see `ModelEvents.data_subject`."""

    @property
    def snapshot(self) -> dict[str, Any]:
        """What formats that tell more than the payload read; see `formats.base.Message`."""
        return {"record": self.record, "changes": self.changes, "dataSubject": self.data_subject}


class ModelEvents:
    """Subclass it in an app's `eventos.py` and decorate it with `@events.register(Model)`."""

    prefix: ClassVar[str]
    """Public ids are `prefix_<pk>`."""
    area: ClassVar[str | Promise] = ""
    """The heading under which the types are listed."""
    record: ClassVar[Mapping[str, Value]]
    """The whole object, key by key, as every format and the API see it."""
    untracked: ClassVar[Sequence[str]] = ("id", "createdAt", "updatedAt")
    """Keys that are not listed as changes, and whose change alone tells nothing."""
    created: ClassVar[Told | None] = None
    updated: ClassVar[Told | None] = None
    deleted: ClassVar[Told | None] = None
    transitions: ClassVar[Sequence[Told]] = ()

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self._tracked = [key for key in self.record if key not in self.untracked]
        self._told: dict[str, list[tuple[str, Value]]] = {}
        for told in self.declared():
            self._told[told.name] = self._values(told)
            catalog.declare(self._event_type(told))

    def declared(self) -> Iterator[Told]:
        for told in (self.created, self.updated, self.deleted, *self.transitions):
            if told is not None:
                yield told

    def subject(self, instance: models.Model) -> str:
        """The public id of the object that the event is about."""
        return f"{self.prefix}_{instance.pk}"

    def data_subject(self, instance: models.Model) -> str:
        """The public id of the person whose data the row holds (LGPD's "titular"); "" if nobody's.

        `webhooks_forget` erases by it. Asked once an event; a query is due only where the row
        itself does not say.
        """
        return ""

    # --- from states to events --------------------------------------------------------------

    def on_create(self, after: models.Model, moment: datetime) -> list[Draft]:
        drafts = []
        record = self.read(after)
        if self.created is not None:
            drafts.append(self._draft(self.created, after, moment, record, {}))
        drafts += self._transitions(None, after, moment, record, {})
        return drafts

    def on_update(self, before: models.Model, after: models.Model, moment: datetime) -> list[Draft]:
        record = self.read(after)
        was = {key: self.record[key].read(before) for key in self._tracked}
        changes = {
            key: {"anterior": was[key], "novo": record[key]}
            for key in self._tracked
            if not exactjson.same(was[key], record[key])
        }
        drafts = []
        if changes and self.updated is not None:
            drafts.append(self._draft(self.updated, after, moment, record, changes))
        drafts += self._transitions(before, after, moment, record, changes)
        return drafts

    def on_delete(self, before: models.Model, moment: datetime) -> list[Draft]:
        if self.deleted is None:
            return []
        return [self._draft(self.deleted, before, moment, self.read(before), {})]

    def fits(self, name: str, instance: models.Model) -> bool:
        """Whether the instance is in a state that events of that type tell of."""
        told = self._told_as(name)
        return told.when is None or told.when(None, instance)

    def on_demand(
        self, name: str, instance: models.Model, moment: datetime, changes: Changes
    ) -> Draft:
        """The event of that type about the instance as it is now."""
        told = self._told_as(name)
        if not changes and any(value.of_event == "changes" for _, value in self._told[name]):
            raise ValueError(
                f"{name} tells what changed: give it as `changes={{pk: {{key: {{'anterior': …, "
                f"'novo': …}}}}}}` for {self.subject(instance)}."
            )
        return self._draft(told, instance, moment, self.read(instance), changes)

    def _told_as(self, name: str) -> Told:
        return next(told for told in self.declared() if told.name == name)

    def read(self, instance: models.Model) -> Record:
        """The whole record of an instance, ready to be written as JSON."""
        return {key: value.read(instance) for key, value in self.record.items()}

    def _transitions(
        self,
        before: models.Model | None,
        after: models.Model,
        moment: datetime,
        record: Record,
        changes: Changes,
    ) -> list[Draft]:
        return [
            self._draft(told, after, moment, record, changes)
            for told in self.transitions
            if told.when is not None and told.when(before, after)
        ]

    def _draft(
        self,
        told: Told,
        instance: models.Model,
        moment: datetime,
        record: Record,
        changes: Changes,
    ) -> Draft:
        of_event = {"moment": instant(moment), "changes": changes}
        data = {
            key: of_event[value.of_event]
            if value.of_event
            else (record[key] if value is self.record.get(key) else value.read(instance))
            for key, value in self._told[told.name]
        }
        return Draft(
            told.name,
            self.subject(instance),
            data,
            moment,
            record,
            changes,
            self.data_subject(instance),
        )

    # --- declaration ------------------------------------------------------------------------

    def _values(self, told: Told) -> list[tuple[str, Value]]:
        found = []
        for key in told.keys:
            if isinstance(key, tuple):
                found.append(key)
            elif key == "alteracoes":
                found.append((key, values.changes()))
            elif key in self.record:
                found.append((key, self.record[key]))
            else:
                raise ValueError(
                    f"{type(self).__name__}: {told.name} tells {key!r}, which is not in `record`."
                )
        return found

    def _event_type(self, told: Told) -> EventType:
        pairs = self._told[told.name]
        return EventType(
            name=told.name,
            description=told.description,
            area=self.area or self.model._meta.verbose_name_plural or "",
            data_schema={
                "type": "object",
                "properties": {key: value.schema for key, value in pairs},
                "required": [key for key, _ in pairs],
                "additionalProperties": False,
            },
            data_example=dict(told.example),
        )
