"""A record's body: as it is answered, and as it may be sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from api_common import describe, fields
from api_common.describe import Named
from api_common.permissions import require
from api_common.problems import Problem, drf_errors

from .. import public_ids

NEEDS = gettext_lazy("Naming another takes the permission `{permission}`.")


class PublicId(fields.Field):
    """`cliente_123`, of a row that exists; stands for the key in a foreign key's column.

    Its source is the column: `PublicId("cliente", Tarefa, source="cliente_id")`. Whoever names
    another row than is stored needs the permission to view such rows, lest they learn which exist.
    """

    default_error_messages = {
        "invalid": gettext_lazy("Give an id like {prefix}_123."),
        "does_not_exist": gettext_lazy("There is no {value}."),
    }

    def __init__(self, prefix: str, model: type[models.Model], **kwargs: Any) -> None:
        self.prefix, self.model = prefix, model
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        pk = public_ids.pk_of(data, self.prefix) if isinstance(data, str) else None
        if pk is None:
            self.fail("invalid", prefix=self.prefix)
        if pk == getattr(self.parent.instance, self.source, None):
            return pk
        require(self.context["request"], [self.permission])
        if not self.related._default_manager.filter(pk=pk).exists():
            self.fail("does_not_exist", value=data)
        return pk

    @property
    def related(self) -> type[models.Model]:
        field: Any = self.model._meta.get_field(self.source.removesuffix("_id"))
        found: type[models.Model] = field.related_model
        return found

    @property
    def permission(self) -> str:
        return permission("view", self.related)


def permission(verb: str, model: type[models.Model]) -> str:
    return f"{model._meta.app_label}.{verb}_{model._meta.model_name}"


class RecordSerializer(fields.Body):
    """What a record's body may say. Sources are the model's columns.

    Only JSON's types are looked at here; what the values may be, the model says, as in the admin.
    """

    model: ClassVar[type[models.Model]]
    record: ClassVar[Mapping[str, Any]]
    """Of the model's `ModelEvents`."""
    kept: ClassVar[Collection[str]] = ()
    """Columns that a PUT without them leaves as they are, rather than setting their default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ignored = tuple(name for name in self.record if name not in self.fields)

    def now(self, name: str) -> Any:
        return None if self.instance is None else self.record[name].read(self.instance)

    @classmethod
    def represent(cls, instance: models.Model) -> dict[str, Any]:
        return {key: value.read(instance) for key, value in cls.record.items()}

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return self.represent(instance)

    @classmethod
    def answer_schema(cls) -> Named:
        """JSON Schema of `represent`."""
        properties = {key: value.schema for key, value in cls.record.items()}
        return Named(cls.model.__name__, describe.object_of(properties))

    @classmethod
    def body_schema(cls, *, partial: bool = False) -> Named:
        """JSON Schema of what is sent: as it is answered, and as long as a form lets it be."""
        own = cls().fields
        properties = {}
        for name, field in own.items():
            column = cls.model._meta.get_field(field.source)
            schema = dict(cls.record[name].schema)
            if field.allow_null:
                schema = describe.nullable(schema)
            if isinstance(field, fields.Text):
                # Not the column's own: it may keep less of a text than people write.
                most = getattr(column.formfield(), "max_length", None)
                schema |= {} if most is None else {"maxLength": most}
            if isinstance(field, fields.Json):
                schema |= field.schema
            if isinstance(field, PublicId):
                schema["description"] = format_lazy(NEEDS, permission=field.permission)
            if field.required:
                schema["minLength"] = 1
            if column.help_text:
                schema.setdefault("description", column.help_text)
            properties[name] = schema
        for name in cls().ignored:
            properties[name] = {**cls.record[name].schema, "readOnly": True}
        optional = [n for n in properties if partial or n not in own or not own[n].required]
        name = f"{cls.model.__name__}{'Patch' if partial else 'Body'}"
        return Named(name, describe.object_of(properties, optional=optional))

    @property
    def names(self) -> dict[str, str]:
        """Of the model's fields, as the API calls them."""
        names = {}
        for name, field in self.fields.items():
            names[field.source] = names[field.source.removesuffix("_id")] = name
        return names

    def values(self) -> dict[str, Any]:
        """Column by column what the request sets; for a PUT, also what it leaves out."""
        found = dict(self.validated_data)
        if self.instance is not None and not self.partial:
            for field in self.fields.values():
                if field.source not in found and field.source not in self.kept:
                    found[field.source] = self.model._meta.get_field(field.source).get_default()
        return found

    def checked(self) -> dict[str, Any]:
        """:raises Problem: 400, the body is not valid."""
        if not self.is_valid():
            raise Problem("invalid", errors=drf_errors(self.errors))
        return self.values()
