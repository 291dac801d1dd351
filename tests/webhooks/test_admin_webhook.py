"""The webhooks' pages: one screen to create, a secret shown once, buttons that need permission."""

from __future__ import annotations

import re
import sys
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.signals import got_request_exception
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.views.debug import ExceptionReporter

from tests.receivers.hostile import Receiver as Hostile
from tests.receivers.hostile import hang
from tests.webhooks.conftest import Login
from tests.webhooks.makers import (
    NOBODY,
    SECRET,
    a_delivery,
    a_tally,
    a_webhook,
    ago,
    an_attempt,
    an_event,
    lose_the_encryption_key,
    receiver,
)
from webhooks import operations
from webhooks.fields import MASK
from webhooks.models import Delivery, SigningKey, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_english")]

ADD = "/admin/webhooks/webhook/add/"
LIST = "/admin/webhooks/webhook/"


@pytest.fixture
def root() -> Client:
    user = User.objects.create_superuser("root", password="x")
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(user)
    return client


def page(webhook: Webhook, name: str = "change") -> str:
    return reverse(f"admin:webhooks_webhook_{name}", args=[webhook.pk])


def form(**changes: Any) -> dict[str, Any]:
    values = {
        "token": str(uuid.uuid4()),
        "name": "ERP",
        "url": "http://127.0.0.1:8001/webhook",
        "event_types": ["cliente.criado"],
        "patterns": "tarefa.*",
        "format": "sistema-crm",
        "auth_type": "none",
        "keep_responses": "on",
    }
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def secret_on(html: str) -> str:
    found = re.search(r"<textarea[^>]*wh-secret[^>]*>([^<]*)</textarea>", html)
    assert found is not None
    return found[1]


# --- creating -----------------------------------------------------------------------------------
def test_creating_takes_one_screen_and_shows_the_secret_once(root: Client) -> None:
    html = root.get(ADD).content.decode()
    for words in ("cliente.criado", "tarefa.concluida", "<legend>", "Standard Webhooks"):
        assert words in html

    answer = root.post(ADD, form(headers="X-Conta: 7\nX-Loja: 8"))

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    webhook = Webhook.objects.get()
    assert webhook.events == ["cliente.criado", "tarefa.*"]
    assert webhook.headers.reveal() == {"X-Conta": "7", "X-Loja": "8"}
    secret = secret_on(answer.content.decode())
    assert secret == webhook.signing_keys.get().secret.reveal()

    assert secret not in root.get(page(webhook)).content.decode()
    assert secret not in "".join(str(cookie) for cookie in root.cookies.values())
    assert not any(secret in str(vars(entry)) for entry in LogEntry.objects.all())
    assert secret not in str(dict(root.session))


def test_a_secret_of_ones_own_can_be_given(root: Client) -> None:
    answer = root.post(ADD, form(secret="um segredo só meu"))
    assert secret_on(answer.content.decode()) == "um segredo só meu"
    assert Webhook.objects.get().signing_keys.get().secret.reveal() == "um segredo só meu"


def test_the_same_form_sent_twice_makes_one_webhook(root: Client) -> None:
    values = form()
    root.post(ADD, values)
    webhook = Webhook.objects.get()
    again = root.post(ADD, values)
    assert again.status_code == 302
    assert again["Location"] == page(webhook)
    assert Webhook.objects.get().signing_keys.count() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "http://10.0.0.1/"}, "10.0.0.1"),
        ({"url": "http://169.254.169.254/"}, "169.254.169.254"),
        ({"url": "nada"}, "errorlist"),
        ({"format": "rd-station", "secret": "um segredo só meu"}, "does not sign"),
        ({"format": "lead-connector", "secret": "um segredo só meu"}, "are made here"),
        ({"event_types": None, "patterns": ""}, "at least one event"),
        ({"patterns": "cliente.inexistente"}, "cliente.inexistente"),
        ({"secret": "curta"}, "16 to 256"),
        ({"headers": "Host: x"}, "Host"),
        ({"headers": "sem dois pontos"}, "Name: value"),
        ({"headers": "X-A: 1\nx-a: 2"}, "twice"),
        ({"headers": f"X-A: {MASK}"}, "X-A"),
        ({"retry_schedule": "logo"}, "logo"),
        ({"retry_schedule": "0, 60, 9999d"}, "errorlist"),
        ({"timeout_seconds": "90"}, "30"),
        ({"auth_type": "basic"}, "needs a user"),
        ({"format": "nao-existe"}, "errorlist"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_saved(
    root: Client, changes: dict[str, Any], words: str
) -> None:
    answer = root.post(ADD, form(**changes))
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "errorlist" in html
    assert words in html
    assert not Webhook.objects.exists()


def test_a_refused_form_does_not_send_the_secrets_back(root: Client) -> None:
    values = form(
        name="", secret="um segredo só meu", auth_type="bearer", auth_secret="token-secreto"
    )
    html = root.post(ADD, values).content.decode()
    assert "um segredo só meu" not in html
    assert "token-secreto" not in html


def test_whoever_gave_a_secret_is_asked_for_it_again_when_the_form_is_refused(
    root: Client,
) -> None:
    """Its field is empty then, and empty means otherwise that one is made."""
    given = {"secret": "um segredo só meu"}
    answer = root.post(ADD, form(name="", **given))
    assert list(answer.context["adminform"].form.errors) == ["name", "secret"]
    assert list(root.post(ADD, form(name="")).context["adminform"].form.errors) == ["name"]
    webhook = a_webhook()
    answer = root.post(page(webhook, "rotate"), {"overlap_hours": "-1", **given})
    assert list(answer.context["form"].errors) == ["overlap_hours", "secret"]
    assert webhook.signing_keys.get().secret.reveal() == SECRET


def test_a_secret_is_asked_for_until_it_is_typed_however_often_the_form_is_refused(
    root: Client,
) -> None:
    secrets = {"secret": "um segredo só meu", "auth_secret": "token-secreto"}
    bearer = {"auth_type": "bearer"}
    html = root.post(ADD, form(name="", **secrets, **bearer)).content.decode()
    # What the page takes along; what was typed is not in it.
    typed = {f"{name}-typed": "1" for name in secrets}
    assert all(f'name="{name}"' in html for name in typed)
    again = root.post(ADD, form(name="", **typed, **bearer))
    assert {*again.context["adminform"].form.errors} == {"name", *secrets}
    assert all(f'name="{name}"' in again.content.decode() for name in typed)
    alone = root.post(ADD, form(**typed, **bearer))
    assert {*alone.context["adminform"].form.errors} == {*secrets}
    assert not Webhook.objects.exists()

    root.post(ADD, form(**secrets, **typed, **bearer))
    webhook = Webhook.objects.get()
    assert webhook.signing_keys.get().secret.reveal() == secrets["secret"]
    assert webhook.auth_secret.reveal() == secrets["auth_secret"]


def test_a_new_password_that_was_refused_does_not_remove_the_stored_one(root: Client) -> None:
    webhook = a_webhook(auth_type="bearer", auth_secret="o-antigo")
    values = form(auth_type="bearer", auth_secret="um-token-novo")
    html = root.post(page(webhook), {**values, "name": ""}).content.decode()
    assert "um-token-novo" not in html
    typed = {"auth_secret-typed": "1"}
    answer = root.post(page(webhook), form(auth_type="bearer", auth_secret="", **typed))
    assert [*answer.context["adminform"].form.errors] == ["auth_secret"]
    webhook.refresh_from_db()
    assert webhook.auth_secret.reveal() == "o-antigo"
    # Without authentication none is needed.
    answer = root.post(page(webhook), form(auth_type="none", auth_secret="", **typed))
    assert answer.status_code == 302


def test_the_list_is_narrowed_by_format_under_its_name(root: Client) -> None:
    a_webhook(name="De casa")
    a_webhook(name="Do padrão", format="standard-webhooks")
    html = root.get(LIST, {"format": "standard-webhooks"}).content.decode()
    assert ">Standard Webhooks</a>" in html.replace("\n", "").replace("  ", "")
    assert "Do padrão" in html
    assert "De casa" not in html


def test_the_list_is_narrowed_to_those_in_trouble(root: Client) -> None:
    lane = Webhook.Lane.TROUBLED
    rows = {
        "active": [a_webhook(), a_webhook(rate_limit=5, lane=lane)],
        "troubled": [
            a_webhook(lane=lane),
            a_webhook(rate_limit=5, lane=lane, failing_since=ago(hours=1)),
        ],
        "paused": [a_webhook(status=Webhook.Status.PAUSED)],
        "disabled": [a_webhook(status=Webhook.Status.DISABLED)],
    }
    for state, wanted in rows.items():
        answer = root.get(LIST, {"state": state})
        shown = [row.pk for row in answer.context["cl"].result_list]
        assert sorted(shown) == sorted(row.pk for row in wanted)
    html = root.get(LIST, {"state": "troubled"}).content.decode()
    assert len(re.findall(r'class="wh-badge[^>]*>troubled<', html)) == 2


def test_who_may_not_see_users_owns_what_he_creates(login: Login) -> None:
    client = login("add_webhook", "change_webhook", "view_webhook")
    assert 'name="owner"' not in client.get(ADD).content.decode()
    client.post(ADD, form())
    user = User.objects.get()
    webhook = Webhook.objects.get()
    assert webhook.owner == user
    assert 'name="owner"' in login("add_webhook", "view_user").get(ADD).content.decode()
    html = login("view_webhook").get(page(webhook)).content.decode()
    assert user.username in html
    assert "/admin/auth/user/" not in html


def test_of_a_private_key_the_public_one_is_shown(root: Client) -> None:
    webhook, secret = operations.create_webhook(
        name="ERP", url=NOBODY, events=["*"], algorithm="ed25519"
    )
    assert secret == ""
    newest = webhook.signing_keys.get()
    private = newest.secret.reveal()
    public = operations.public_key(newest)
    assert public is not None
    assert public in root.get(page(webhook)).content.decode()

    answer = root.post(page(webhook, "rotate"), {"newest": newest.pk, "overlap_hours": "1"})

    [fresh, old] = webhook.signing_keys.all()
    assert old.pk == newest.pk
    html = answer.content.decode()
    assert secret_on(html) == operations.public_key(fresh) != public
    assert "Ed25519PublicKey" in html
    for shown in (html, root.get(page(webhook)).content.decode()):
        assert "whsk_" not in shown
        assert private not in shown


def secrets_on(html: str) -> list[str]:
    found = re.findall(r"<textarea[^>]*wh-secret[^>]*>([^<]*)</textarea>", html)
    return [text.strip() for text in found]


def test_of_a_webhook_with_two_pairs_both_public_keys_are_shown_and_no_private_one(
    root: Client,
) -> None:
    made = root.post(ADD, form(format="lead-connector")).content.decode()
    webhook = Webhook.objects.get()
    before = [pem.strip() for pem in operations.public_keys(webhook).values()]
    assert secrets_on(made) == before
    assert before[0].startswith("-----BEGIN PUBLIC KEY-----")
    assert "x-ghl-signature" in made  # how the receiver verifies
    assert "The old keys sign until" not in made

    asked = root.get(page(webhook, "rotate")).content.decode()
    assert 'name="secret"' not in asked
    newest = webhook.signing_keys.all()[0]
    values = {"newest": newest.pk, "overlap_hours": "1"}
    rotated = root.post(page(webhook, "rotate"), values).content.decode()
    after = [pem.strip() for pem in operations.public_keys(webhook).values()]
    assert secrets_on(rotated) == after != before
    assert "The old keys sign until" in rotated

    shown = root.get(page(webhook)).content.decode()
    assert all(public in shown for public in (*before, *after))
    for key in webhook.signing_keys.all():
        private = key.secret.reveal()
        lines = [line for line in private.splitlines() if not line.startswith("-----")]
        for html in (made, asked, rotated, shown):
            assert not any(line in html for line in lines)
            assert "PRIVATE" not in html


def test_waits_can_be_written_with_units(root: Client) -> None:
    root.post(ADD, form(retry_schedule="0, 90, 5m, 1h"))
    assert Webhook.objects.get().retry_schedule == [0, 90, 300, 3600]


def test_the_form_says_what_holds_where_a_field_is_left_empty(root: Client, settings: Any) -> None:
    settings.WEBHOOKS = {
        **settings.WEBHOOKS,
        "TIMEOUT_SECONDS": 7.5,
        "RETRY_SCHEDULE_SECONDS": [0, 90, 300, 86_400],
    }
    html = root.get(ADD).content.decode()
    assert "Empty: the default, 7.5 seconds." in html
    assert "Empty: the default, “0, 90, 5m, 1d”." in html
    assert "Empty: no limit." in html


def test_the_forms_areas_are_the_projects_first_and_the_apps_own_last(root: Client) -> None:
    html = root.get(ADD, headers={"accept-language": "pt-br"}).content.decode()
    areas = re.findall(r"<legend>([^<]+)</legend>", html)
    assert areas == ["Clientes", "Tarefas", "Helpdesk", "Webhooks"]


def test_all_patterns_are_seen(root: Client) -> None:
    webhook = a_webhook(events=["cliente.*", "*.criado", "tarefa.*", "chamado.*", "x.*"])
    html = root.get(page(webhook)).content.decode()
    [rows] = re.findall(r'<textarea name="patterns"[^>]* rows="(\d+)"', html)
    assert int(rows) > 5


def test_no_authentication_agrees_with_its_noun_in_portuguese(root: Client) -> None:
    html = root.get(ADD, headers={"accept-language": "pt-br"}).content.decode()
    assert '<option value="none" selected>nenhuma</option>' in html


def test_its_backlog_and_last_failure_lead_to_the_deliveries(login: Login) -> None:
    webhook = a_webhook()
    failed = a_delivery(webhook)
    an_attempt(failed)
    pending = f'href="/admin/webhooks/delivery/?webhook={webhook.pk}&amp;status__exact=pending"'
    failure = f'href="/admin/webhooks/delivery/{failed.pk}/change/"'
    html = login("view_webhook", "view_delivery").get(page(webhook)).content.decode()
    assert pending in html and failure in html
    html = login("view_webhook").get(page(webhook)).content.decode()
    assert "/admin/webhooks/delivery/" not in html


def test_a_name_that_does_not_resolve_is_saved_with_a_warning(root: Client) -> None:
    html = root.post(ADD, form(url="http://nao-existe.invalid/")).content.decode()
    assert Webhook.objects.get().url == "http://nao-existe.invalid/"
    assert "nao-existe.invalid could not be found" in html


# --- changing -----------------------------------------------------------------------------------
def test_changing_keeps_what_is_masked_and_the_state(root: Client) -> None:
    webhook = a_webhook(
        url="http://127.0.0.1:8001/webhook",
        events=["cliente.criado", "tarefa.*"],
        headers={"X-Conta": "sete-mil"},
        auth_type="bearer",
        auth_secret="token-secreto",
    )
    html = root.get(page(webhook)).content.decode()
    assert "sete-mil" not in html
    assert "token-secreto" not in html
    assert f"X-Conta: {MASK}" in html
    operations.pause(webhook, "manutenção")

    answer = root.post(
        page(webhook),
        form(
            name="Outro",
            headers=f"X-Conta: {MASK}\nX-Nova: 1",
            auth_type="bearer",
            auth_secret=MASK,
            secret=None,
            token=None,
        ),
    )
    assert answer.status_code == 302, answer.content.decode()

    webhook.refresh_from_db()
    assert webhook.name == "Outro"
    assert webhook.events == ["cliente.criado", "tarefa.*"]
    assert webhook.headers.reveal() == {"X-Conta": "sete-mil", "X-Nova": "1"}
    assert webhook.auth_secret.reveal() == "token-secreto"
    assert webhook.status == Webhook.Status.PAUSED
    assert webhook.signing_keys.get().secret.reveal() == SECRET
    logged = LogEntry.objects.latest("id").change_message
    assert "sete-mil" not in logged
    assert "token-secreto" not in logged


@pytest.mark.parametrize(
    ("former", "latter"), [("rd-station", "sistema-crm"), ("lead-connector", "twenty")]
)
def test_a_format_that_takes_a_secret_of_its_own_has_one_made_and_shown_once(
    root: Client, former: str, latter: str
) -> None:
    webhook, _secret = operations.create_webhook(
        name="ERP", url="http://127.0.0.1:8001/", events=["*"], format=former
    )
    changed = form(token=None, format=latter, event_types=None, patterns="*")

    secret = secret_on(root.post(page(webhook), changed).content.decode())

    key = webhook.signing_keys.get(algorithm=SigningKey.Algorithm.HMAC_SHA256)
    assert key.secret.reveal() == secret
    assert secret not in root.get(page(webhook)).content.decode()
    # Once: the way there and back finds it.
    root.post(page(webhook), {**changed, "format": former})
    assert root.post(page(webhook), changed).status_code == 302
    assert webhook.signing_keys.get(algorithm=SigningKey.Algorithm.HMAC_SHA256) == key


def test_who_may_not_change_secrets_is_told_that_one_was_made(login: Login) -> None:
    webhook, _secret = operations.create_webhook(
        name="ERP", url="http://127.0.0.1:8001/", events=["*"], format="rd-station"
    )
    client = login("view_webhook", "change_webhook")
    changed = form(token=None, format="sistema-crm", event_types=None, patterns="*")
    html = client.post(page(webhook), changed, follow=True).content.decode()
    assert "Who may change secrets can show one" in html
    assert webhook.signing_keys.get().secret.reveal() not in html


def test_deleting_is_soft_and_not_held_back_by_history(
    root: Client, django_capture_on_commit_callbacks: Any
) -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook, status=Delivery.Status.PENDING)
    assert webhook.name in root.get(page(webhook, "delete")).content.decode()
    with django_capture_on_commit_callbacks() as after_the_commit:
        root.post(page(webhook, "delete"), {"post": "yes"})
    assert not Webhook.objects.exists()
    # In the page's transaction, each of them would stay locked until all are cancelled.
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.PENDING
    for call in after_the_commit:
        call()
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.CANCELLED


def test_several_are_deleted_softly_too(root: Client) -> None:
    webhooks = [a_webhook(name=name) for name in "ab"]
    for webhook in webhooks:
        a_delivery(webhook)
    selected = {"action": "delete_selected", "_selected_action": [w.pk for w in webhooks]}
    root.post(LIST, {**selected, "post": "yes"})
    assert not Webhook.objects.exists()
    assert Webhook.all_objects.count() == 2


# --- the list -----------------------------------------------------------------------------------
def test_the_list_tells_health_with_as_many_queries_for_many_as_for_one(
    root: Client, django_assert_max_num_queries: Any
) -> None:
    first = a_webhook()
    a_tally(first, failures=1)
    an_attempt(a_delivery(first))
    html = root.get(LIST).content.decode()
    for words in ("0.0% (0/1)", "wh-badge wh-good", "500"):
        assert words in html
    for index in range(12):
        an_attempt(a_delivery(a_webhook(name=f"n{index}")))
    with django_assert_max_num_queries(16):
        assert root.get(LIST).status_code == 200


# --- buttons ------------------------------------------------------------------------------------
BUTTONS = {
    "pause": "change_webhook",
    "resume": "change_webhook",
    "test": "test_webhook",
    "rotate": "rotate_secret",
    "expire": "rotate_secret",
}


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_needs_its_permission_and_that_to_see_the_webhook(login: Login, name: str) -> None:
    webhook = a_webhook()
    others = sorted({"view_webhook", *BUTTONS.values()} - {BUTTONS[name]})
    for permissions in ([], ["view_webhook"], others, [BUTTONS[name]]):
        if permissions == ["change_webhook"]:  # who may change may see
            continue
        before = Webhook.objects.get().version
        answer = login(*permissions).post(page(webhook, name), {"overlap_hours": "1"})
        assert answer.status_code == 403, permissions
        assert Webhook.objects.get().version == before
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("name", [name for name in BUTTONS if name != "rotate"])
def test_nothing_happens_on_a_get(root: Client, name: str) -> None:
    webhook = a_webhook()
    before = Webhook.objects.get().version
    assert root.get(page(webhook, name)).status_code == 405
    assert Webhook.objects.get().version == before
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_needs_the_csrf_token(name: str) -> None:
    webhook = a_webhook()
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root", password="x"))
    assert client.post(page(webhook, name)).status_code == 403


def test_the_buttons_shown_are_those_that_may_be_used(login: Login) -> None:
    webhook = a_webhook()
    html = login("view_webhook").get(page(webhook)).content.decode()
    for name in BUTTONS:
        assert page(webhook, name) not in html
    html = login("view_webhook", "test_webhook").get(page(webhook)).content.decode()
    assert page(webhook, "test") in html
    assert page(webhook, "pause") not in html


def test_pause_and_resume(root: Client) -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook, status=Delivery.Status.PENDING)
    root.post(page(webhook, "pause"))
    webhook.refresh_from_db()
    assert webhook.status == Webhook.Status.PAUSED
    with translation.override("pt-br"):
        assert webhook.reason == "por root"
    answer = root.post(page(webhook, "resume"), follow=True)
    assert "1 delivery was waiting" in answer.content.decode()
    delivery.refresh_from_db()
    assert delivery.lane == Webhook.Lane.NORMAL


@pytest.mark.django_db(transaction=True)
def test_a_test_shows_its_outcome(root: Client) -> None:
    with receiver(body=b"<script>alert(1)</script>") as (url, got):
        webhook = a_webhook(url=url)
        html = root.post(page(webhook, "test"), follow=True).content.decode()
    assert len(got) == 1
    assert "accepted the test: HTTP 200" in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert(1)" not in html

    webhook = a_webhook(name="Mau", url=NOBODY)
    html = root.post(page(webhook, "test"), follow=True).content.decode()
    assert "did not accept the test" in html


def test_changing_the_secret_shows_the_new_one_once_and_the_old_signs_along(root: Client) -> None:
    webhook = a_webhook()
    html = root.get(page(webhook, "rotate")).content.decode()
    assert SECRET not in html
    key = webhook.signing_keys.get()
    values = {"newest": key.pk, "overlap_hours": "2", "secret": ""}

    answer = root.post(page(webhook, "rotate"), values)
    assert "no-store" in answer["Cache-Control"]
    secret = secret_on(answer.content.decode())
    assert [k.secret.reveal() for k in operations.active_keys(webhook)] == [secret, SECRET]

    again = root.post(page(webhook, "rotate"), values)
    assert again.status_code == 302
    assert operations.active_keys(webhook).count() == 2

    assert page(webhook, "expire") in root.get(page(webhook)).content.decode()
    root.post(page(webhook, "expire"))
    assert [k.secret.reveal() for k in webhook.signing_keys.all()] == [secret]
    assert not any(secret in str(vars(entry)) for entry in LogEntry.objects.all())


def test_the_page_that_changes_a_secret_asks_in_whole_hours_and_has_a_way_back(
    root: Client,
) -> None:
    webhook = a_webhook()
    html = root.get(page(webhook, "rotate"), headers={"accept-language": "pt-br"}).content.decode()
    assert 'name="overlap_hours" value="24"' in html
    assert f'href="{page(webhook)}">Não, voltar</a>' in html


def test_a_secret_whose_encryption_key_was_lost_can_be_changed(root: Client, settings: Any) -> None:
    webhook = a_webhook()
    lose_the_encryption_key(settings)
    assert root.get(page(webhook, "rotate")).status_code == 200
    values = {"newest": webhook.signing_keys.get().pk, "overlap_hours": "0", "secret": ""}
    secret = secret_on(root.post(page(webhook, "rotate"), values).content.decode())
    assert webhook.signing_keys.get().secret.reveal() == secret


@pytest.mark.parametrize(
    "values",
    [
        {"overlap_hours": "-1"},
        {"overlap_hours": "nan"},
        {"overlap_hours": "1", "secret": "curta"},
        {"overlap_hours": "1", "secret": SECRET},
    ],
)
def test_a_wrong_rotation_is_refused_without_repeating_the_secret(
    root: Client, values: dict[str, str]
) -> None:
    webhook = a_webhook()
    values = {"newest": str(webhook.signing_keys.get().pk), **values}
    html = root.post(page(webhook, "rotate"), values).content.decode()
    assert "errorlist" in html
    assert not values.get("secret") or values["secret"] not in html
    assert webhook.signing_keys.count() == 1


# --- actions ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("action", "permission"),
    [
        ("pause_selected", "change_webhook"),
        ("resume_selected", "change_webhook"),
        ("test_selected", "test_webhook"),
        ("delete_selected", "delete_webhook"),
    ],
)
def test_an_action_is_refused_to_who_may_only_look(
    login: Login, action: str, permission: str
) -> None:
    webhook = a_webhook()
    client = login("view_webhook")
    assert action not in client.get(LIST).content.decode()
    client.post(LIST, {"action": action, "_selected_action": [webhook.pk], "post": "yes"})
    webhook.refresh_from_db()
    assert webhook.status == Webhook.Status.ACTIVE
    assert webhook.deleted_at is None
    assert not Delivery.objects.exists()
    assert action in login("view_webhook", permission).get(LIST).content.decode()


def test_actions_on_several(root: Client) -> None:
    webhooks = [a_webhook(name=name) for name in "ab"]
    selected = [webhook.pk for webhook in webhooks]
    root.post(LIST, {"action": "pause_selected", "_selected_action": selected})
    assert not Webhook.objects.active().exists()
    root.post(LIST, {"action": "resume_selected", "_selected_action": selected})
    assert Webhook.objects.active().count() == 2


def test_only_a_few_are_tested_at_once(root: Client) -> None:
    selected = [a_webhook(name=f"n{index}").pk for index in range(6)]
    values = {"action": "test_selected", "_selected_action": selected}
    html = root.post(LIST, values, follow=True).content.decode()
    assert "At most 5" in html
    assert not Delivery.objects.exists()


def test_tests_that_may_take_too_long_together_are_not_all_sent(
    root: Client, settings: Any
) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "TEST_TIMEOUT_SECONDS": 1.0}
    with Hostile(hang) as silent:
        hanging = a_webhook(name="a slow one", timeout_seconds=30, url=silent.url)
        other = a_webhook(name="another", timeout_seconds=5)
        values = {"action": "test_selected", "_selected_action": [hanging.pk, other.pk]}
        html = root.post(LIST, values, follow=True).content.decode()
    assert "take too long: another." in html
    told = re.search(
        r"did not accept the test\. The receiver did not answer within ([\d.]+) s", html
    )
    assert told is not None and float(told[1]) < 30
    assert "within 30 s" not in html
    assert Delivery.objects.get().webhook == hanging


# --- who may only look --------------------------------------------------------------------------
def test_who_may_only_look_sees_everything_but_secrets_and_changes_nothing(login: Login) -> None:
    webhook = a_webhook(
        headers={"X-Conta": "sete-mil"}, auth_type="bearer", auth_secret="token-secreto"
    )
    an_attempt(a_delivery(webhook, an_event()))
    client = login("view_webhook")
    html = client.get(page(webhook)).content.decode()
    for secret in (SECRET, "sete-mil", "token-secreto", "whsec_"):
        assert secret not in html
    assert webhook.url in html
    assert client.post(page(webhook), form(name="Outro")).status_code == 403
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, form()).status_code == 403
    assert Webhook.objects.get().name == "ERP"


def test_who_may_only_look_reads_words_and_what_holds_where_nothing_is_set(
    login: Login, settings: Any
) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "TIMEOUT_SECONDS": 7.5}
    webhook = a_webhook(format="rd-station", retry_schedule=[0, 90, 3600])
    html = login("view_webhook").get(page(webhook)).content.decode()
    shown = dict(re.findall(r'field-(\w+)">.*?<div class="readonly">(.*?)</div>', html, re.S))
    assert shown["shown_format"] == "RD Station"
    assert shown["options"] == shown["rate"] == "—"
    assert (shown["timeout"], shown["schedule"]) == ("7.5", "0, 90, 1h")
    assert "None" not in shown.values()
    assert "Empty:" not in html


def test_strangers_see_nothing(login: Login) -> None:
    webhook = a_webhook()
    for url in (LIST, page(webhook), ADD):
        assert login().get(url).status_code == 403
        assert Client().get(url).status_code == 302


def test_the_pages_work_under_a_strict_content_security_policy(root: Client) -> None:
    webhook = a_webhook()
    for url in (LIST, ADD, page(webhook), page(webhook, "rotate")):
        html = root.get(url).content.decode()
        own = html[html.index('id="content"') :]
        assert not re.search(r"\son\w+=", own)
        assert " style=" not in own
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", own)
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//(?!127\.0\.0\.1)""", html)


def test_an_error_report_shows_no_secret(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("disk full")

    reports: list[str] = []

    def report(request: Any, **kwargs: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.extend([reporter.get_traceback_html(), reporter.get_traceback_text()])

    monkeypatch.setattr(SigningKey, "save", fail)
    root.raise_request_exception = False
    got_request_exception.connect(report)
    try:
        answer = root.post(
            ADD,
            form(
                secret="um segredo só meu",
                headers="X-Conta: sete-mil",
                auth_type="bearer",
                auth_secret="token-secreto",
            ),
        )
    finally:
        got_request_exception.disconnect(report)

    assert answer.status_code == 500
    assert len(reports) == 2
    for html in reports:
        assert "disk full" in html
        for secret in ("um segredo só meu", "sete-mil", "token-secreto"):
            assert secret not in html
    assert not Webhook.objects.exists()
