"""Form fields of the sealed model fields: they show a mask, and take it back as "unchanged"."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from .sealed import MASK, Sealed


class SealedFormField(forms.CharField):
    """A secret of one line. The mask keeps what is stored, nothing clears it, the rest replaces it.

    A secret of several lines (PEM) takes `widget=forms.Textarea`: browsers drop line breaks
    from an `<input>`.
    """

    widget = forms.PasswordInput(render_value=True, attrs={"autocomplete": "new-password"})
    default_error_messages = {
        "part_mask": _("Replace the whole value: the dots only stand for what is stored.")
    }

    def prepare_value(self, value: Any) -> Any:
        return value.masked() if isinstance(value, Sealed) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if text and text != MASK and MASK[0] in text:
            raise ValidationError(self.error_messages["part_mask"], code="part_mask")
        return text

    def has_changed(self, initial: Any, data: Any) -> bool:
        shown = self.prepare_value(initial) or ""
        return not self.disabled and (data or "") != shown


class SealedJSONFormField(forms.JSONField):
    """A JSON object of secrets: names in the open, a mask for each value that is stored."""

    widget = forms.Textarea
    default_error_messages = {"object": _('Enter a JSON object, such as {"X-Token": "abc"}.')}

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            value = value.masked()
        if isinstance(value, str):  # typed, or the mask: no secret's object, and never quoted
            return value
        return json.dumps(value or {}, ensure_ascii=False, indent=2)

    def bound_data(self, data: Any, initial: Any) -> Any:
        # As it was typed: parsing it again here could raise what `to_python` has handled.
        return initial if self.disabled else data

    def to_python(self, value: Any) -> Any:
        if isinstance(value, Sealed):  # a disabled field is given what it showed
            return value
        if _is_mask(value):
            return MASK
        try:
            parsed = super().to_python(value)
        except (RecursionError, ValueError):  # a number of thousands of digits
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": str(value)[:40]}
            ) from None
        if parsed is not None and not isinstance(parsed, dict):
            raise ValidationError(self.error_messages["object"], code="object")
        return parsed

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        shown = initial.masked() if isinstance(initial, Sealed) else initial
        try:
            return (self.to_python(data) or {}) != (shown or {})
        except ValidationError:
            return True


def _is_mask(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == MASK
