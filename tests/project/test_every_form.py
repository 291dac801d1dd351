"""Every form of the admin: refused as often as one likes, then right, it saves what was meant.

The forms are those of the pages of all that is registered, whichever app it comes with. A page that
holds one is asked for by its address; fields say themselves what they take (see tests/filling.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Group, User
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from api_common import tokens
from tests.browsing import PageForm
from tests.crm import make_chamado, make_tarefa, make_user
from tests.dumps import dump, undone
from tests.filling import Shown, write_all
from tests.webhooks.makers import a_delivery, a_webhook, an_attempt
from webhooks import formats
from webhooks.fields import Sealed

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

LANGUAGES = ("pt-br", "en")
PASSWORD = "a senha de quem entra"
# What no form's own rules give away, by the name of its control.
KNOWN = {"old_password": PASSWORD} | dict.fromkeys(
    ("password1", "password2", "new_password1", "new_password2"), "outra senha, de 16"
)
_NO_FORM = ("_changelist", "_delete", "_history")

Written = dict[str, list[str]]


def _pages() -> Iterator[tuple[str, type[models.Model] | None]]:
    """The name of each address that may hold a form, and whose row it takes."""
    yield "admin:login", None
    yield "admin:password_change", None
    for model, model_admin in site._registry.items():
        for pattern in model_admin.get_urls():
            name = getattr(pattern, "name", None)
            if name and not name.endswith(_NO_FORM):
                takes_row = bool(pattern.pattern.converters)
                yield f"admin:{name}", model if takes_row else None


PAGES = dict(_pages())
CHANGES = [name for name in PAGES if re.fullmatch(r".*(?<!_password)_change", name)]


@pytest.fixture(autouse=True)
def rows() -> None:
    """Something of everything, and to choose from."""
    make_user("ana")  # whose page is walked, while root looks on
    User.objects.create_superuser("root", password=PASSWORD)
    Group.objects.create(name="Vendas")
    make_chamado()
    make_tarefa()
    an_attempt(a_delivery(a_webhook()))
    tokens.create(User.objects.get(username="ana"), "ERP")


class Visitor:
    """Somebody who may do everything, before one page."""

    def __init__(self, name: str, language: str, pk: Any = None) -> None:
        self.url = reverse(name, args=[] if pk is None else [pk])
        self.language = language
        self.client = Client(HTTP_ACCEPT_LANGUAGE=language)
        self.client.force_login(User.objects.get(username="root"))

    def open(self) -> Shown:
        return Shown(self.client.get(self.url), self.language)

    def send(self, form: PageForm) -> Shown:
        return Shown(self.client.post(self.url, form.data()), self.language)


def saved(answer: Shown) -> bool:
    return answer.response.status_code == 302 or not answer.errors()


def counting(shown: Shown) -> list[str]:
    """The fields that count: a webhook has options of each format, and those of one do."""
    controls = shown.html.controls
    chosen = controls["format"].values[0] if "event_types" in controls else ""
    return [
        name
        for name in shown.asked
        if name in controls
        and (not name.startswith("option_") or name.startswith(f"option_{chosen}_"))
    ]


def directly(visit: Callable[[], Visitor], *, everything: bool, **known: str) -> Written:
    """What is to be written so that the form is saved at once.

    :param everything: into each field, not only where something must be.
    :param known: what stands in one field.
    """
    sure = {name: [value] for name, value in (KNOWN | known).items()}
    with undone():
        shown = visit().open()
        write_all(
            shown.html, {name: sure[name] for name in sure.keys() & shown.html.controls.keys()}
        )
        ways = {name: shown.right(name) for name in counting(shown)}
        written: Written = {name: sure[name] for name in sure if name in ways}

        def write_another(name: str) -> None:
            found = sure.get(name) or next(ways[name], None)
            if found is None:
                written.pop(name, None)  # it may not be said beside the others
            else:
                written[name] = found

        for name in ways:
            asked, control = shown.asked[name], shown.html.controls[name]
            needed = not asked.optional and not any(control.values)
            if control.kind != "radio" and (everything or needed):
                write_another(name)
    said: dict[str, str] = {}
    for _ in range(30):
        with undone():
            tried = deepcopy(shown.html)
            write_all(tried, written)
            answer = visit().send(tried)
            if saved(answer):
                return written
            said = answer.errors()
            assert said.keys() & ways.keys(), said
        refused = said.keys() & ways.keys()
        with translation.override(shown.language):
            again = gettext("Type it again: a page does not send a secret back.")
        for name in {name for name in refused if said[name] != again}:
            write_another(name)
    raise AssertionError(f"Nothing was found that is accepted: {written}, {said}")


def story(visitor: Visitor, written: Written) -> None:
    """Wrong in one field after the other, twice at least, then right."""
    shown = visitor.open()
    write_all(shown.html, written)
    right = {name: list(control.values) for name, control in shown.html.controls.items()}
    wrongs = {name: shown.wrong(name) for name in counting(shown)}
    names = [name for name, wrong in wrongs.items() if wrong is not None]
    for name in [*names, *names[:1]]:
        shown.html.controls[name].write(wrongs[name] or "")
        answer = visitor.send(shown.html)
        assert answer.response.status_code == 200 and answer.errors(), (name, wrongs[name])
        empty = _is_as_sent(shown.html.data(), answer)
        shown = answer
        write_all(shown.html, {name: right[name]} if name not in empty else {})
        if empty - answer.errors().keys():
            with undone():
                assert not saved(visitor.send(shown.html)), "a secret got lost, and nobody was told"
        write_all(shown.html, {each: right[each] for each in empty})
    answer = visitor.send(shown.html)
    assert saved(answer), answer.errors()


def _is_as_sent(sent: Written, answer: Shown) -> set[str]:
    """All that was typed is there again.

    :returns: the fields for secrets, which are sent back to nobody.
    """
    again = answer.html.data()
    empty = {
        name
        for name, control in answer.html.controls.items()
        if control.kind == "password" and control.values == [""] and sent.get(name) != [""]
    }
    said = {f"{name}-typed" for name in empty}  # that they were typed
    for name in (sent.keys() | again.keys()) - empty - said - {"csrfmiddlewaretoken"}:
        assert unsigned(again.get(name)) == unsigned(sent.get(name)), name
    return empty


def unsigned(values: list[str] | None) -> list[str] | None:
    """Without the moment at which a hidden value was signed, another on each page."""
    return values and [re.sub(r":[0-9A-Za-z]{6}:[\w-]{43}\Z", "", value) for value in values]


def page_with_form(name: str, language: str) -> Callable[[], Visitor] | None:
    """A way to begin there anew; None: the page holds no form, or there is no such page."""
    model = PAGES[name]
    pk = None
    if model is not None:
        row = model._default_manager.order_by("pk").first()
        if row is None:
            return None
        pk = row.pk
    with undone():
        shown = Visitor(name, language, pk).open()
    return (lambda: Visitor(name, language, pk)) if shown.form else None


def write_and_save(visitor: Visitor, written: Written) -> None:
    shown = visitor.open()
    write_all(shown.html, written)
    answer = visitor.send(shown.html)
    assert saved(answer), answer.errors()


def is_saved_as_meant(visit: Callable[[], Visitor], written: Written) -> None:
    dumps = []
    for _ in range(2):
        with undone():
            write_and_save(visit(), written)
            dumps.append(dump())
    with undone():
        story(visit(), written)
        after_failures = dump()
        empty_are_defaults(visit(), written)
    once, again = dumps
    assert after_failures.keys() == once.keys()
    # What is random is another each time.
    stable = [key for key in once if once[key] == again.get(key)]
    assert {key: after_failures[key] for key in stable} == {key: once[key] for key in stable}


def empty_are_defaults(visitor: Visitor, written: Written) -> None:
    """Of the row that was just added, what was left empty."""
    shown = visitor.open()
    form: Any = shown.forms[0]
    if not visitor.url.endswith("/add/"):
        return
    row = form._meta.model._base_manager.order_by("pk").last()
    left = [name for name in counting(shown) if name not in written]
    for field in row._meta.concrete_fields:
        if field.name in left and not any(shown.html.controls[field.name].values):
            value, default = getattr(row, field.name), field.get_default()
            if isinstance(value, Sealed):
                value, default = bool(value), bool(default)
            assert value == default, field.name


@pytest.mark.parametrize(
    ("language", "everything"), [("pt-br", True), ("en", True), ("pt-br", False)]
)
@pytest.mark.parametrize("name", PAGES)
def test_what_was_refused_is_shown_as_typed_and_saved_as_meant(
    name: str, language: str, everything: bool
) -> None:
    if visit := page_with_form(name, language):
        is_saved_as_meant(visit, directly(visit, everything=everything))


@pytest.mark.parametrize("format", [each.name for each in formats.all_formats() if each.options])
def test_so_are_the_options_of_each_format(format: str) -> None:
    visit = page_with_form("admin:webhooks_webhook_add", "pt-br")
    assert visit is not None
    is_saved_as_meant(visit, directly(visit, everything=True, format=format))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CHANGES)
def test_a_form_that_is_saved_untouched_changes_nothing(name: str, language: str) -> None:
    model = PAGES[name]
    if model is None or page_with_form(name, language) is None:
        return
    add = name.removesuffix("_change") + "_add"
    if add in PAGES and (visit := page_with_form(add, language)):
        write_and_save(visit(), directly(visit, everything=True))
    for row in model._default_manager.order_by("pk"):
        visitor = Visitor(name, language, row.pk)
        before = dump()
        write_and_save(visitor, {})
        after = dump()
        changed = {
            key: (before.get(key), after.get(key))
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key) and key[0] != "admin.LogEntry"
        }
        assert changed == {}


def test_the_forms_that_are_known_are_among_them() -> None:
    """A page without a form proves nothing."""
    known = (
        *("clientes_cliente_add", "tarefas_tarefa_change", "chamados_chamado_add"),
        *("chamados_departamento_add", "api_common_token_add", "auth_user_add", "auth_group_add"),
        *("webhooks_webhook_add", "webhooks_webhook_change", "webhooks_webhook_rotate"),
        *("webhooks_delivery_replay_many", "webhooks_delivery_export"),
        *("auth_user_password_change", "password_change"),
    )
    for name in known:
        assert page_with_form(f"admin:{name}", "en") is not None, name


def test_a_failed_login_keeps_the_name_and_leads_on() -> None:
    visitor = Visitor("admin:login", "pt-br")
    visitor.client.logout()
    shown = visitor.open()
    for _ in range(2):
        write_all(shown.html, {"username": ["root"], "password": ["errada"]})
        shown = visitor.send(shown.html)
        assert shown.errors()
        assert shown.html.controls["username"].values == ["root"]
        assert shown.html.controls["password"].values == [""]
    write_all(shown.html, {"password": [PASSWORD]})
    assert visitor.send(shown.html).response.status_code == 302
