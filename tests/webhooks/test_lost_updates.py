"""Two people change one webhook: what each of them changed is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.api.conftest import Caller, problem
from tests.services.base import PATIENCE
from tests.webhooks.makers import a_webhook
from webhooks import operations, transport
from webhooks.models import AuditEntry, SigningKey, Webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

ELSEWHERE = "http://127.0.0.1:9/elsewhere"


@pytest.fixture
def while_looked_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """`while_looked_up(deed)`: what another does, once, while a name server is asked for an
    address; in a thread, with a connection of its own."""
    look_up = transport.resolve_and_check
    deeds: list[Any] = []
    failures: list[BaseException] = []

    def run(deed: Any) -> None:
        try:
            deed()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    def slow(*args: Any, **kwargs: Any) -> Any:
        if deeds:
            thread = threading.Thread(target=run, args=(deeds.pop(),))
            thread.start()
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the row is locked while a name server is asked"
        return look_up(*args, **kwargs)

    monkeypatch.setattr(transport, "resolve_and_check", slow)
    yield deeds.append
    assert not deeds and not failures


def stored() -> Webhook:
    found: Webhook = Webhook.objects.get()
    return found


def test_a_change_leaves_what_another_changed_meanwhile(while_looked_up: Any) -> None:
    webhook = a_webhook(headers={"X-Conta": "7"}, timeout_seconds=5)
    while_looked_up(
        lambda: operations.update_webhook(webhook, headers={"X-Conta": "8"}, timeout_seconds=9)
    )
    changed = operations.update_webhook(webhook, name="Loja", url=f"{webhook.url}new")
    assert (changed.name, changed.timeout_seconds) == ("Loja", 9)
    after = stored()
    assert (after.name, after.url) == ("Loja", f"{webhook.url}new")
    assert (after.headers.reveal(), after.timeout_seconds) == ({"X-Conta": "8"}, 9)
    details = AuditEntry.objects.filter(action="changed").order_by("id")
    assert list(details.values_list("detail", flat=True)) == [
        "headers, timeout_seconds",
        "name, url",
    ]


def test_a_change_that_no_longer_fits_what_another_changed_is_refused(
    while_looked_up: Any,
) -> None:
    webhook = a_webhook()
    bearer = {"auth_type": "bearer", "auth_secret": "a-token"}
    while_looked_up(lambda: operations.update_webhook(webhook, **bearer))
    with pytest.raises(ValidationError) as refused:
        operations.update_webhook(webhook, url=ELSEWHERE, headers={"Authorization": "x"})
    assert list(refused.value.message_dict) == ["headers"]
    after = stored()
    assert (after.auth_type, after.url) == ("bearer", webhook.url)


def test_a_change_of_one_that_is_deleted_meanwhile_is_none(while_looked_up: Any) -> None:
    webhook = a_webhook()
    while_looked_up(lambda: operations.delete_webhook(webhook))
    with pytest.raises(Webhook.DoesNotExist):
        operations.update_webhook(webhook, url=ELSEWHERE)


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    start = threading.Barrier(len(deeds))

    def run(deed: Callable[[], Any]) -> Any:
        try:
            start.wait(PATIENCE)
            return deed()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


def test_changes_at_the_same_moment_are_all_kept() -> None:
    webhook = a_webhook()
    for number in range(1, 6):
        at_once(
            partial(operations.update_webhook, webhook, name=f"N{number}"),
            partial(operations.update_webhook, webhook, timeout_seconds=number),
            partial(operations.update_webhook, webhook, rate_limit=number),
            partial(operations.update_webhook, webhook, headers={"X-Conta": f"{number}"}),
        )
        after = stored()
        assert (after.name, after.timeout_seconds, after.rate_limit) == (
            f"N{number}",
            number,
            number,
        )
        assert after.headers.reveal() == {"X-Conta": f"{number}"}


# --- the API --------------------------------------------------------------------------------------
@pytest.fixture
def root(transactional_db: None) -> Caller:
    return Caller(User.objects.create_superuser("root"))


def test_of_many_rotations_of_one_state_one_is_made(root: Caller) -> None:
    path = f"webhooks/{a_webhook().pk}/"
    tag = root.get(path)["ETag"]
    rotate = f"{path}rotate-secret/"
    answers = at_once(*[lambda: root.post(rotate, {}, if_match=tag) for _ in range(4)])
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 3
    for answer in refused:
        problem(answer, "changed-meanwhile")
    assert SigningKey.objects.count() == 2


def test_what_was_changed_since_it_was_read_is_not_deleted(root: Caller) -> None:
    webhook = a_webhook()
    path = f"webhooks/{webhook.pk}/"
    tag = root.get(path)["ETag"]
    operations.update_webhook(webhook, name="Loja")
    problem(root.delete(path, if_match=tag), "changed-meanwhile")
    assert stored().name == "Loja"
    assert root.delete(path, if_match=root.get(path)["ETag"]).status_code == 204


def test_a_client_of_rd_station_changes_what_it_names(root: Caller, while_looked_up: Any) -> None:
    options = {"entity_type": "CONTACT", "event_identifiers": [], "include_relations": []}
    webhook = a_webhook(format="rd-station", events=["cliente.criado"], format_options=options)
    while_looked_up(
        lambda: operations.update_webhook(
            webhook, format_options={**options, "include_relations": ["COMPANY"]}
        )
    )
    path = f"/integrations/webhooks/{webhook.pk}"
    answer = root.put(path, {"url": ELSEWHERE})
    assert answer.status_code == 200, answer.content
    after = stored()
    assert after.url == ELSEWHERE
    assert after.format_options["include_relations"] == ["COMPANY"]


# --- the admin's form -----------------------------------------------------------------------------
@pytest.fixture
def browser(transactional_db: None) -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("ana", password="x"))
    return client


def page(webhook: Webhook) -> str:
    return reverse("admin:webhooks_webhook_change", args=[webhook.pk])


def as_shown(browser: Client, webhook: Webhook) -> dict[str, Any]:
    """What a browser sends back of the form if nobody touches it."""
    form = browser.get(page(webhook)).context["adminform"].form
    sent: dict[str, Any] = {}
    for field in form:
        widget, value = field.field.widget, field.value()
        widget = getattr(widget, "widget", widget)  # the admin's, around a related field's
        if isinstance(widget, forms.CheckboxInput):
            sent |= {field.html_name: "on"} if value else {}
        elif isinstance(widget, forms.CheckboxSelectMultiple):
            sent[field.html_name] = list(value or [])
        else:
            shown = widget.format_value(value)
            shown = shown[0] if isinstance(shown, list) and shown else shown
            sent[field.html_name] = "" if shown in (None, []) else shown
    return sent


def everything(**more: Any) -> Webhook:
    """A webhook that has something in every field."""
    return a_webhook(
        **{
            "events": ["tarefa.*", "cliente.criado"],
            "headers": {"X-Conta": "7"},
            "auth_type": "basic",
            "auth_username": "ana",
            "auth_secret": "a-password",
            "timeout_seconds": 5,
            "retry_schedule": [0, 60],
            "rate_limit": 3,
            "owner": User.objects.get(username="ana"),
            **more,
        }
    )


CHANGED_BY_ANOTHER: list[dict[str, Any]] = [
    {"name": "Outro"},
    {"url": "http://127.0.0.1:9/other"},
    {"events": ["chamado.*"]},
    {"headers": {"X-Conta": "8", "X-Loja": "9"}},
    {"headers": {}},
    {"auth_secret": "another-password"},
    {"auth_type": "none"},
    {"timeout_seconds": 7.5},
    {"retry_schedule": None},
    {"rate_limit": None},
    {"keep_responses": False},
    {"owner": None},
    {"format": "lead-connector"},
]


@pytest.mark.parametrize("changes", CHANGED_BY_ANOTHER, ids=str)
def test_a_form_saves_what_was_changed_on_it_and_leaves_what_another_changed(
    browser: Client, changes: dict[str, Any]
) -> None:
    webhook = everything()
    sent = as_shown(browser, webhook)
    operations.update_webhook(webhook, **changes)
    before = stored()
    mine = {"timeout_seconds": "9"} if "name" in changes else {"name": "Loja"}

    answer = browser.post(page(webhook), {**sent, **mine})

    assert answer.status_code == 302, answer.context["adminform"].form.errors
    after = stored()
    assert (after.name, after.timeout_seconds) == (
        (before.name, 9) if "name" in changes else ("Loja", before.timeout_seconds)
    )
    untouched = operations.EDITABLE - set(mine)
    assert {name: getattr(after, name) for name in untouched} == {
        name: getattr(before, name) for name in untouched
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"X-Conta": "7"}},
        {"auth_type": "bearer", "auth_secret": "a-token"},
        {"auth_type": "basic", "auth_username": "ana", "auth_secret": "a-password"},
    ],
    ids=str,
)
def test_a_form_that_was_shown_empty_empties_nothing_that_another_filled(
    browser: Client, changes: dict[str, Any]
) -> None:
    webhook = a_webhook()
    sent = as_shown(browser, webhook)
    operations.update_webhook(webhook, **changes)
    before = stored()
    assert browser.post(page(webhook), {**sent, "name": "Loja"}).status_code == 302
    after = stored()
    assert after.name == "Loja"
    assert {name: getattr(after, name) for name in changes} == {
        name: getattr(before, name) for name in changes
    }


def test_what_is_secret_is_changed_and_removed_as_ever(browser: Client) -> None:
    webhook = everything()
    sent = as_shown(browser, webhook)
    browser.post(page(webhook), {**sent, "headers": "X-Conta: 8", "auth_secret": "new"})
    after = stored()
    assert after.headers.reveal() == {"X-Conta": "8"}
    assert after.auth_secret.reveal() == "new"
    sent = as_shown(browser, webhook)
    browser.post(page(webhook), {**sent, "headers": "", "auth_type": "none"})
    assert not stored().headers and not stored().auth_secret


def test_a_form_that_nobody_touched_changes_nothing(browser: Client) -> None:
    webhook = everything()
    sent = as_shown(browser, webhook)
    version = stored().version
    assert browser.post(page(webhook), sent).status_code == 302
    assert stored().version == version


def test_a_form_whose_fields_another_made_unfit_says_so_and_keeps_what_was_written(
    browser: Client,
) -> None:
    webhook = a_webhook()
    sent = as_shown(browser, webhook)
    operations.update_webhook(webhook, auth_type="bearer", auth_secret="a-token")
    answer = browser.post(page(webhook), {**sent, "headers": "Authorization: x"})
    assert answer.status_code == 200
    form = answer.context["adminform"].form
    assert list(form.errors) == ["headers"]
    assert form["shown"].value() == sent["shown"]
    assert stored().headers.reveal() == {}


def test_a_forms_fingerprints_tell_no_secret_and_fit_no_other_webhook(browser: Client) -> None:
    one, two = everything(), everything(name="Two")
    shown = [as_shown(browser, each)["shown"] for each in (one, two)]
    assert "a-password" not in shown[0] and "X-Conta" not in shown[0]
    assert not set(shown[0].split('"')[3::4]) & set(shown[1].split('"')[3::4])


@pytest.mark.postgres_only
def test_two_forms_saved_at_the_same_moment_are_both_kept(browser: Client) -> None:
    webhook = everything()
    sent = as_shown(browser, webhook)
    other = Client()
    other.force_login(User.objects.create_superuser("bia", password="x"))
    for number in range(5):
        at_once(
            partial(browser.post, page(webhook), {**sent, "name": f"N{number}"}),
            partial(other.post, page(webhook), {**sent, "timeout_seconds": f"{number + 1}"}),
        )
        after = stored()
        assert (after.name, after.timeout_seconds) == (f"N{number}", number + 1)
        sent = as_shown(browser, webhook)
