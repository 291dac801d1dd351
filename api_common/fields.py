"""Values of a request's body, strict about their JSON types."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast

from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers

from . import moments

MOST_UNKNOWN = 20  # keys that an answer names


class Field(serializers.Field):  # type: ignore[type-arg]
    """The base of all."""

    # DRF's Portuguese for “may not be null” says that it may.
    default_error_messages = {
        "required": _("This is needed."),
        "null": _("Give a value: this may not be null."),
    }


class Text(Field, serializers.CharField):
    """A text; with `allow_null`, null is the empty one."""

    default_error_messages = {"invalid": _("Give a text.")}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("allow_blank", True)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        empty, value = super().validate_empty_values(data)
        return empty, "" if empty and data is None else value


class Choice(Field):
    """One of some words."""

    default_error_messages = {
        "invalid_choice": _("There is no “{value}”. There are: {known}."),
        "invalid": _("Give a text."),
    }

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        self.choices = dict(choices)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if data not in self.choices:
            self.fail("invalid_choice", value=data[:40], known=", ".join(self.choices))
        return str(data)


class Boolean(Field):
    """true or false, not what looks like it."""

    default_error_messages = {"invalid": _("Give true or false.")}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return bool(data)


class Moment(Field):
    """A moment, ISO 8601 with its offset."""

    default_error_messages = {"invalid": _("Write a moment like 2024-01-01T10:00:00Z.")}

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return moments.parse(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from None


class Number(Field):
    """A number, not a text that looks like one."""

    default_error_messages = {"invalid": _("Give a number.")}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            self.fail("invalid")
        return data


class Json(Field):
    """Any JSON; what it may be, the model says.

    :param schema: what its JSON Schema adds to that of what is answered.
    """

    def __init__(self, *, schema: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.schema = schema or {}
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return data


class Body(Field, serializers.Serializer):  # type: ignore[type-arg]
    """An object that has these keys and no others.

    :cvar ignored: keys that may be there and are not looked at: what an answer says and a request
        cannot change, so that an answer can be sent back.
    :cvar as_it_is: of these, the ones that somebody may hope to change by them: they must say what
        `now()` does.
    """

    ignored: tuple[str, ...] = ()
    as_it_is: tuple[str, ...] = ()
    default_error_messages = {
        "invalid": _("Give a JSON object."),
        "fixed": _("This is not set here: leave it out, or send what it is now ({now})."),
    }

    def now(self, name: str) -> Any:
        """What a key of `as_it_is` says of what is changed, or would of what is created."""
        raise NotImplementedError

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # null is no object, and is told so as any other value is.
        return (False, data) if data is None else super().validate_empty_values(data)

    @sensitive_variables()
    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError(
                {"non_field_errors": [self.error_messages["invalid"]]}
            )
        known = [name for name, field in self.fields.items() if not field.read_only]
        errors: dict[str, Any] = {}
        message = _("There is no such key. There are: %(known)s.") % {"known": ", ".join(known)}
        unknown = [name for name in data if name not in known and name not in self.ignored]
        for name in unknown[:MOST_UNKNOWN]:
            errors[name[:100]] = [serializers.ErrorDetail(message, code="unknown")]
        for name in self.as_it_is:
            if name in data and data[name] != (now := self.now(name)):
                message = self.error_messages["fixed"].format(now=json.dumps(now))
                errors[name] = [serializers.ErrorDetail(message, code="fixed")]
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors |= cast(dict[str, Any], error.detail)
        if (more := len(unknown) - MOST_UNKNOWN) > 0:
            text = _("And %(count)d more.") % {"count": more}
            errors.setdefault("non_field_errors", []).append(
                serializers.ErrorDetail(text, code="more")
            )
        if errors:
            raise serializers.ValidationError(errors)
        return values
