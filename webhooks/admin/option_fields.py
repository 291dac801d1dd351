"""What a webhook may choose of its format, as fields: made of what each format declares.

Every format's fields are in the form, those of each in a fieldset of their own, so that it can be
used without a script; options.js shows those of the format that is chosen. Only these count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .. import formats
from ..models import Webhook
from .form_fields import ListField, PairsField

_NOTHING: tuple[Any, ...] = (None, "", [], {}, False)


def field_name(format_name: str, option: str) -> str:
    return f"option_{format_name}_{option}"


def fieldsets() -> list[Any]:
    """For the admin: one for each format that has options."""
    return [
        (
            format_lazy(_("Options of {format}"), format=format.label),
            {
                "fields": [field_name(format.name, option) for option in format.options],
                "classes": ["wh-options", f"wh-options-{format.name}"],
            },
        )
        for format in formats.all_formats()
        if format.options
    ]


def shown(webhook: Webhook) -> SafeString:
    """A webhook's options, for who may only look at them."""
    known = formats.get_or_missing(webhook.format).options
    rows = []
    for option, value in stored_options(webhook).items():
        schema = known.get(option, {})
        titles = dict([*_choices(schema), *_choices(schema.get("items", {}))])
        texts = (
            [f"{name}: {text}" for name, text in value.items()]
            if isinstance(value, dict)
            else [
                titles.get(str(each), each)
                for each in (value if isinstance(value, list) else [value])
            ]
        )
        rows.append((schema.get("title", option), format_html_join("; ", "{}", zip(texts))))
    return format_html_join("", '<span class="wh-line">{}: {}</span>', rows)


def stored_options(webhook: Webhook) -> dict[str, Any]:
    """None where the column holds no object, which was never entered here."""
    found: Any = webhook.format_options
    return found if isinstance(found, dict) else {}


class OptionsForm(forms.Form):
    """A form's part that holds the options; the webhook's `format` is in another."""

    def show_options(self, webhook: Webhook) -> None:
        """Begin with what the webhook has."""
        for option, value in stored_options(webhook).items():
            self.initial.setdefault(field_name(webhook.format, option), value)

    def options(self, format_name: str, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What was chosen, beyond what holds anyway.

        :param stored: the webhook's options in that format: what they say, stays said.
        """
        found = {}
        for option, schema in formats.get(format_name).options.items():
            value = self.cleaned_data.get(field_name(format_name, option))
            says_nothing = value in _NOTHING or value == schema.get("default")
            if not says_nothing or (option in stored and stored[option] == value):
                found[option] = value
        return found

    def forget_other_options(self, format_name: str) -> None:
        """What stands in the fields of other formats may be anything."""
        for format in formats.all_formats():
            if format.name != format_name:
                for option in format.options:
                    self.errors.pop(field_name(format.name, option), None)


def _field(schema: Mapping[str, Any]) -> forms.Field:
    """The field for values of that schema; they are held against it later, as everywhere."""
    common: dict[str, Any] = {
        "label": schema["title"],
        "help_text": schema.get("description", ""),
        "required": False,
    }
    items = schema.get("items", {})
    if choices := _choices(items):
        return forms.MultipleChoiceField(
            choices=choices, widget=forms.CheckboxSelectMultiple, **common
        )
    if choices := _choices(schema):
        if "default" not in schema:
            choices = [("", "—"), *choices]
        return forms.ChoiceField(choices=choices, initial=schema.get("default", ""), **common)
    match schema["type"]:
        case "array":
            return ListField(**_explained(common, _("One a line.")))
        case "object":
            return PairsField(**_explained(common, _("One a line: “name: text”.")))
        case "boolean":
            return forms.BooleanField(**common)
    return forms.CharField(max_length=schema.get("maxLength"), **common)


def _explained(common: dict[str, Any], how: Any) -> dict[str, Any]:
    return {**common, "help_text": format_lazy("{} {}", common["help_text"], how)}


def _choices(schema: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    titled = [(each["const"], each.get("title", each["const"])) for each in schema.get("oneOf", ())]
    return titled or [(each, each) for each in schema.get("enum", ())]


def _fields() -> Iterable[tuple[str, forms.Field]]:
    for format in formats.all_formats():
        for option, schema in format.options.items():
            yield field_name(format.name, option), _field(schema)


OptionsForm.declared_fields.update(_fields())
