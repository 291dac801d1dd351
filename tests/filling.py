"""Filling the forms of any page: what each field takes and refuses, found by asking it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils import translation

from tests.browsing import Control, PageForm, forms_of

# What most fields take comes first. Some of it is worth quoting, or has two lines.
RIGHT = (
    'Conta: <A> & "B" 16\nLoja: 2',
    'Conta: <A> & "B" 16',
    "outro-nome_de-16+",
    "tarefa.*",
    "cliente.criado",
    '{"plano": "ouro",\n  "itens": [1, "é", null]}',
    '{"plano": "prata"}',
    "(11) 98888-7777",
    "529.982.247-25",
    "ana@example.com",
    "http://127.0.0.1:8001/gancho",
    "0, 1m, 1h",
    "7",
    "2.5",
    "03/02/2031",
    "10:20",
    "+351 21 234 5678",
    "12.ABC.345/01DE-35",
    "bia@example.com",
    "http://127.0.0.1:8002/outro",
    "2031-02-03",
    "12",
)
WRONG = ("", "(11) 9", "{", "não é", "-1", "99:99", "a b", "9" * 400, "x" * 11_000)


@dataclass
class Asked:
    """One field of a page, and the name of its control."""

    field: forms.Field
    optional: bool
    """Left empty, nothing is complained of."""

    def takes(self, text: str) -> bool:
        try:
            self.field.clean(text)
        except ValidationError:
            return False
        return True


class Shown:
    """A page with a form of Django's, and where nothing else is said, in this language."""

    def __init__(self, response: HttpResponse, language: str) -> None:
        context: Any = getattr(response, "context", None) or {}
        self.language = language
        self.response = response
        self.forms = list(_forms_in(context))
        self.asked = dict(pair for form in self.forms for pair in _asked(form))
        self.form = self._page_form() if self.asked else None

    def _page_form(self) -> PageForm | None:
        """The one on the page that holds these fields."""
        for form in forms_of(self.response.content.decode()):
            if form.method == "post" and form.controls.keys() & self.asked.keys():
                return form
        return None

    @property
    def html(self) -> PageForm:
        assert self.form is not None
        return self.form

    def errors(self) -> dict[str, str]:
        """By control; of what is no field's, by “”."""
        found: dict[str, str] = {}
        for form in self.forms:
            for name, messages in form.errors.items():
                text = " ".join(map(str, messages))
                if name not in form.fields:
                    found[""] = text
                    continue
                for control in _controls(form, name):
                    found[control] = text
        return found

    def right(self, name: str) -> Iterator[list[str]]:
        """What may be written there, one after the other, as the control would hold it."""
        control, asked = self.html.controls[name], self.asked[name]
        if control.kind == "checkbox" and len(control.options) == 1:
            yield [] if control.values else control.options
        elif control.chosen:
            yield from _choices(control, asked.field)
        else:
            with translation.override(self.language):
                for text in RIGHT:
                    if control.can_hold(text) and text and asked.takes(text):
                        yield [text]

    def wrong(self, name: str) -> str | None:
        """What a field refuses by itself, if somebody at a browser can write it."""
        control, asked = self.html.controls[name], self.asked[name]
        if not control.typed:
            return None
        with translation.override(self.language):
            for text in WRONG:
                nothing = asked.optional and not text
                if not nothing and control.can_hold(text) and not asked.takes(text):
                    return text
        return None


def _forms_in(context: Any) -> Iterator[forms.BaseForm]:
    if "adminform" in context:
        yield context["adminform"].form
        for inline in context.get("inline_admin_formsets") or ():
            yield inline.formset.management_form
            yield from inline.formset.forms
    elif isinstance(context.get("form"), forms.BaseForm):
        yield context["form"]


def _asked(form: forms.BaseForm) -> Iterator[tuple[str, Asked]]:
    for bound in form:
        field = bound.field
        if bound.is_hidden or field.disabled:
            continue
        parts = getattr(field, "fields", None) or [field]
        optional = form.empty_permitted or not field.required
        for name, part in zip(_controls(form, bound.name), parts, strict=True):
            yield name, Asked(part, optional)


def _controls(form: forms.BaseForm, name: str) -> list[str]:
    bound = form[name]
    suffixes = getattr(bound.field.widget, "widgets_names", None) or [""]
    return [bound.html_name + suffix for suffix in suffixes]


def _choices(control: Control, field: forms.Field) -> Iterator[list[str]]:
    options = [each for each in control.options if each and each not in control.values]
    rows = getattr(field, "queryset", None)
    if rows is not None and not options:  # fetched by a script
        known = [str(pk) for pk in rows.order_by("pk").values_list("pk", flat=True)[:3]]
        options = [pk for pk in known if pk not in control.values]
    if control.kind in {"checkbox", "select-multiple"}:
        yield [*control.values, *options[:2]]
    for option in options:
        yield [option]


def write_all(form: PageForm, values: Mapping[str, list[str]]) -> None:
    for name, each in values.items():
        control = form.controls[name]
        if control.chosen:
            control.values = list(each)
        else:
            control.write(each[0])
