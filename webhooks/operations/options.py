"""What a webhook may choose of its format, held against what the format declares."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import jsonschema
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ..formats.base import Format

_MOST_ERRORS = 10  # of one value

_KINDS = {
    "string": lambda: _("Give a text."),
    "array": lambda: _("Give a list of texts."),
    "object": lambda: _("Give an object whose values are texts."),
    "boolean": lambda: _("Give true or false."),
}


def clean_options(format: Format, given: Any) -> dict[str, Any]:
    """
    :param given: values by the names of `Format.options`.
    :raises ValidationError: a message per option, under `format_options.<name>`.
    """
    if not isinstance(given, Mapping):
        raise ValidationError({"format_options": _("Give an object.")})
    errors: dict[str, list[str]] = {}
    for name, value in given.items():
        schema = format.options.get(name)
        if schema is None:
            known = ", ".join(format.options) or pgettext("option", "none")
            errors["format_options"] = [
                _("This format has no option “%(name)s”. There are: %(known)s.")
                % {"name": str(name)[:40], "known": known}
            ]
        elif problems := _problems(value, schema):
            errors[f"format_options.{name}"] = problems
    if errors:
        raise ValidationError(errors)
    return dict(given)


def _problems(value: Any, schema: Mapping[str, Any]) -> list[str]:
    found = jsonschema.Draft202012Validator(schema).iter_errors(value)
    if sentences := list(dict.fromkeys(map(_sentence, islice(found, _MOST_ERRORS)))):
        return sentences
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in _characters(value)):
        return [_("Line breaks and control characters cannot be used here.")]
    return []


def _characters(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _characters(each)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _characters(str(name))
            yield from _characters(each)


def _sentence(error: jsonschema.ValidationError) -> str:
    """What is wrong, in words: jsonschema's own are English and meant for programmers."""
    rule = str(error.validator)
    asked: Any = error.validator_value
    value: Any = error.instance
    values: dict[str, Any] = {}
    if "propertyNames" in error.schema_path:
        text, values = _("“%(name)s” cannot be the name of a property."), {"name": str(value)[:40]}
    elif rule == "type" and asked in _KINDS:
        text = _KINDS[asked]()
    elif rule in ("enum", "oneOf"):
        known = [each["const"] for each in asked] if rule == "oneOf" else asked
        text = _("There is no “%(value)s”. There are: %(known)s.")
        values = {"value": str(value)[:40], "known": ", ".join(map(str, known))}
    elif rule == "minLength":
        text = _("Give a text.")
    elif rule == "maxLength":
        text = _("At most %(count)d characters, not %(given)d.")
        values = {"count": asked, "given": len(value)}
    elif rule in ("maxItems", "maxProperties"):
        text = _("At most %(most)d, not %(count)d.")
        values = {"most": asked, "count": len(value)}
    else:
        text = _("This value cannot be used here.")
    return text % values
