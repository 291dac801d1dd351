"""Fields that people write lines into."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..fields import MASK, Sealed
from ..formfields import SealedFormField

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_WAIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)")


def lines(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "autocomplete": "off", "spellcheck": "false"})


class _WrittenField(forms.CharField):
    """What is stored is no text, but written as one."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != self.to_python(self.prepare_value(initial)))
        except ValidationError:
            return True


class _SecretInput(forms.PasswordInput):
    """Sends back that a secret was typed, and never the secret."""

    typed = False

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        shown = super().render(name, None if self.typed else value, attrs, renderer)
        if not self.typed:
            return shown
        return format_html('{}<input type="hidden" name="{}" value="1">', shown, _was_typed(name))


def _was_typed(name: str) -> str:
    return f"{name}-typed"


class SecretField(forms.CharField):
    """A secret of the user's own, which no page sends back: see `SecretsForm`."""

    def __init__(self, **kwargs: Any) -> None:
        widget = _SecretInput(attrs={"autocomplete": "new-password"})
        super().__init__(required=False, strip=False, widget=widget, **kwargs)


class SecretsForm(forms.Form):
    """Says that a secret must be typed again where the form is shown again.

    Its field is empty then, which otherwise means: make one, or remove what is stored. So it is
    asked for until it is typed, however often the form is refused.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if isinstance(field, SealedFormField):
                render_value = True  # the mask of what is stored
                field.widget = _SecretInput(field.widget.attrs, render_value)
            if isinstance(field.widget, _SecretInput):
                field.widget.typed = self._typed(name) or self._typed_before(name)

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound:
            return
        refused = bool(self.errors)
        for name, field in self.fields.items():
            if not isinstance(field.widget, _SecretInput) or name in self.errors:
                continue
            lost = refused if self._typed(name) else self._typed_before(name)
            if lost and self.needs(name):
                self.add_error(name, gettext("Type it again: a page does not send a secret back."))

    def needs(self, name: str) -> bool:
        """Whether that secret has a meaning, as the form is filled in."""
        return True

    def _typed(self, name: str) -> bool:
        return self.is_bound and self[name].data not in (None, "", MASK)

    def _typed_before(self, name: str) -> bool:
        return self.is_bound and _was_typed(self.add_prefix(name)) in self.data


class ListField(_WrittenField):
    """Texts, one a line."""

    widget = lines(3)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class PairsField(_WrittenField):
    """`name: text` lines."""

    widget = lines(3)
    no_pair: Promise = _("Write one a line, as “name: text”.")
    twice: Promise = _("“%(name)s” is given twice.")

    def same(self, name: str) -> str:
        """What two names are told apart by."""
        return name

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return "\n".join(f"{name}: {content}" for name, content in value.items())
        return value

    def to_python(self, value: Any) -> Any:
        pairs: dict[str, str] = {}
        seen = set()
        for line in filter(str.strip, str(value or "").splitlines()):
            name, colon, content = line.partition(":")
            name = name.strip()
            if not colon:
                raise ValidationError(str(self.no_pair))
            if self.same(name) in seen:
                raise ValidationError(str(self.twice) % {"name": name[:100]})
            seen.add(self.same(name))
            pairs[name] = content.strip()
        return pairs


class HeadersField(PairsField):
    """`Name: value` lines. What is stored is shown masked; a masked line keeps its value."""

    no_pair = _("Write one header a line, as “Name: value”.")
    twice = _("The header “%(name)s” is given twice.")

    def same(self, name: str) -> str:
        return name.lower()

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value(value.masked() if isinstance(value, Sealed) else value)

    def to_python(self, value: Any) -> Any:
        """A dict; the mask alone where what is stored cannot be read and is to stay."""
        return MASK if str(value or "").strip() == MASK else super().to_python(value)


def waits_as_text(waits: Iterable[float]) -> str:
    """Seconds, as a person would write them: `0, 1m, 5m, 1h`."""
    return ", ".join(_wait_as_text(wait) for wait in waits)


def _wait_as_text(wait: float) -> str:
    for unit in ("d", "h", "m"):
        if wait and wait % _UNITS[unit] == 0:
            return f"{wait / _UNITS[unit]:g}{unit}"
    return f"{wait:g}"


class ScheduleField(_WrittenField):
    """`0, 1m, 5m, 1h`: the wait before each attempt; numbers alone are seconds."""

    def prepare_value(self, value: Any) -> Any:
        return waits_as_text(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[float] | None:  # type: ignore[override]
        text = str(value or "").strip().strip("[]").strip()
        if not text:
            return None
        waits = []
        for part in map(str.strip, re.split("[,;]", text)):
            match = _WAIT.fullmatch(part.lower())
            if match is None:
                raise ValidationError(
                    gettext("“%(part)s” is no wait: write 0, 90, 5m, 1h or 1d.")
                    % {"part": part[:100]}
                )
            waits.append(float(match[1]) * _UNITS[match[2]])
        return waits
