"""Messages that repeat of what came in no more than helps. Pure."""

from __future__ import annotations

from typing import Any

from django import forms

MAX_TEXT = 1_000  # characters of one message
MAX_VALUE = 200  # characters of a value within one


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """The text, without its middle if it is long: what was wrong stands at either end of a message
    that quotes a value."""
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]} … {text[-half:]}"


class _Brief(str):
    """A message whose values are cut."""

    def __mod__(self, values: Any) -> str:
        return str(self) % {name: shortened(str(each), MAX_VALUE) for name, each in values.items()}


def quote_briefly(field: forms.Field) -> None:
    """Let a field of choices cut what was sent that is none of them; Django's repeats all of it."""
    if isinstance(field, forms.ChoiceField):
        message = str(field.error_messages["invalid_choice"])
        field.error_messages["invalid_choice"] = _Brief(message)
