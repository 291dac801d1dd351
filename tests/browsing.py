"""Forms of pages as a browser without scripts has them: what they hold, and what it sends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_NUMBER = re.compile(r"-?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?")  # HTML: a valid float
_BUTTONS = {"submit", "button", "image", "reset"}


@dataclass
class Control:
    """What can be written or chosen; checkboxes and radios of one name are one control."""

    name: str
    kind: str
    """An input's type, “textarea”, “select” or “select-multiple”."""
    values: list[str] = field(default_factory=list)
    """What it holds, as `sanitized`."""
    options: list[str] = field(default_factory=list)
    disabled: bool = False
    max_length: int | None = None

    @property
    def typed(self) -> bool:
        """Whether somebody writes into it."""
        return self.kind != "hidden" and not self.chosen

    @property
    def chosen(self) -> bool:
        """Whether one or some of its options are chosen."""
        return self.kind in {"checkbox", "radio", "select", "select-multiple"}

    def can_hold(self, text: str) -> bool:
        fits = self.max_length is None or len(text) <= self.max_length
        return fits and self.sanitized(text) == text

    def sanitized(self, text: str) -> str:
        """What a browser makes of a text that is put into it (HTML, 4.10.5.1)."""
        if self.kind == "textarea":
            return text.replace("\r\n", "\n").replace("\r", "\n")
        if self.kind == "hidden":
            return text
        text = re.sub(r"[\r\n]", "", text)
        if self.kind in {"email", "url"}:
            return text.strip()
        if self.kind == "number":
            return text if _NUMBER.fullmatch(text) else ""
        return text

    def write(self, text: str) -> None:
        self.values = [self.sanitized(text)]

    def sent(self) -> list[str]:
        """As it is encoded: each line break is CR LF (HTML, 4.10.22.4)."""
        return [re.sub(r"\r\n|\r|\n", "\r\n", value) for value in self.values]


@dataclass
class PageForm:
    method: str
    action: str
    controls: dict[str, Control] = field(default_factory=dict)

    def data(self) -> dict[str, list[str]]:
        return {
            name: control.sent()
            for name, control in self.controls.items()
            if control.values and not control.disabled
        }


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[PageForm] = []
        self._form: PageForm | None = None
        self._text: list[str] | None = None  # of the textarea that is open
        self._open: Control | None = None  # textarea or select
        self._first: str | None = None  # option of the select

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self._form = PageForm((has.get("method") or "get").lower(), has.get("action") or "")
            self.forms.append(self._form)
        if self._form is None:
            return
        if tag == "input":
            self._input(has)
        elif tag == "textarea":
            self._open, self._text = self._control(has, "textarea"), []
        elif tag == "select":
            kind = "select-multiple" if "multiple" in has else "select"
            self._open, self._first = self._control(has, kind), None
        elif tag == "option" and self._open is not None:
            value = has.get("value") or ""
            self._open.options.append(value)
            if self._first is None and "disabled" not in has:
                self._first = value
            if "selected" in has:
                chosen = [] if self._open.kind == "select" else self._open.values
                self._open.values = [*chosen, value]

    def _input(self, has: dict[str, str | None]) -> None:
        kind = (has.get("type") or "text").lower()
        if kind in _BUTTONS or not has.get("name"):
            return
        control = self._control(has, kind)
        if kind in {"checkbox", "radio"}:
            value = has.get("value", "on") or ""
            control.options.append(value)
            if "checked" in has:
                control.values = [*control.values, value] if kind == "checkbox" else [value]
        else:
            control.write(has.get("value") or "")

    def _control(self, has: dict[str, str | None], kind: str) -> Control:
        assert self._form is not None
        name = has.get("name") or ""
        control = self._form.controls.setdefault(name, Control(name, kind))
        control.disabled = "disabled" in has
        if has.get("maxlength"):
            control.max_length = int(str(has["maxlength"]))
        return control

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._open is not None and self._text is not None:
            # The line break after the start tag is no part of the value.
            self._open.write(re.sub(r"\A\r?\n", "", "".join(self._text)))
            self._open = self._text = None
        elif tag == "select" and self._open is not None:
            if self._open.kind == "select" and not self._open.values and self._first is not None:
                self._open.values = [self._first]
            self._open = None
        elif tag == "form":
            self._form = None


def forms_of(html: str) -> list[PageForm]:
    """The forms of a page, in order."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.forms
