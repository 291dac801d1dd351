"""How tokens are made and ended: by a command, and in the admin."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from api_common import tokens
from api_common.models import Token
from tests.api.conftest import Caller
from tests.crm import make_user

pytestmark = pytest.mark.django_db

LIST = "/admin/api_common/token/"
ADD = LIST + "add/"


def run(*args: str, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("api_token", *args, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_nothing_but_the_token_to_its_output() -> None:
    make_user("ana", "clientes.view_cliente")
    out, err = run("ana", "--days=30", "--name=ERP")
    text = out.strip()
    assert text.startswith("crm_") and "\n" not in text
    assert "ERP" in err and text not in err
    assert Caller(None, authorization=f"Bearer {text}").get("clientes/").status_code == 200
    token = Token.objects.get()
    assert 29 <= (token.expires_at - timezone.now()).days <= 30


def test_the_command_lists_and_revokes(db: None) -> None:
    make_user("ana")
    first, second = run("ana")[0].strip(), run("ana")[0].strip()
    listed = run("ana", "--list")[0]
    assert first[:10] in listed and first not in listed and listed.count("usable") == 2
    assert run("ana", "--revoke", first[:10])[0] == "Revoked: 1.\n"
    assert Token.objects.filter(revoked_at=None).get().prefix == second[:10]
    assert run("ana", "--revoke", "all")[0] == "Revoked: 1.\n"
    with pytest.raises(CommandError, match="No token"):
        run("ana", "--revoke", "all")
    with pytest.raises(CommandError, match="needs the beginning"):
        run("ana", "--revoke", "")
    with pytest.raises(CommandError, match="not allowed with"):
        run("ana", "--list", "--revoke", "all")
    assert Token.objects.count() == 2


@pytest.mark.parametrize(
    "args",
    [("nobody",), ("ana", "--days=0"), ("ana", "--days=x"), ("ana", "--days=99999"), ("off",)],
)
def test_the_command_refuses_what_makes_no_sense(args: tuple[str, ...]) -> None:
    make_user("ana")
    User.objects.create_user("off", is_active=False)
    with pytest.raises(CommandError):
        run(*args)
    assert not Token.objects.exists()


@pytest.fixture
def browser_of() -> Callable[..., Client]:
    def login(user: User) -> Client:
        client = Client(headers={"accept-language": "en"})
        client.force_login(user)
        return client

    return login


def test_the_admin_shows_a_new_token_once(browser_of: Callable[..., Client]) -> None:
    admin, ana = User.objects.create_superuser("root"), make_user("ana")
    client = browser_of(admin)
    body = {"user": ana.pk, "name": "ERP", "expires_at_0": "", "expires_at_1": ""}
    response = client.post(ADD, body)

    assert response.status_code == 200 and "no-store" in response["Cache-Control"]
    text = str(response.context["text"])
    assert text in response.content.decode()
    token = tokens.find(text)
    assert token is not None and token.user == ana
    for page in (LIST, f"{LIST}{token.pk}/change/"):
        assert text not in client.get(page).content.decode()
    assert Caller(None, authorization=f"Bearer {text}").get("event-types/").status_code == 200


def test_whoever_is_no_superuser_makes_and_sees_tokens_of_their_own_only(
    browser_of: Callable[..., Client],
) -> None:
    admin = User.objects.create_superuser("root")
    theirs, _text = tokens.create(admin, "root's")
    ana = make_user("ana", *(f"api_common.{v}_token" for v in ("add", "view", "change", "delete")))
    client = browser_of(ana)
    client.post(ADD, {"user": admin.pk, "name": "mine"})

    assert Token.objects.get(name="mine").user == ana
    page = client.get(LIST).content.decode()
    assert "mine" in page and "root&#x27;s" not in page
    assert client.get(f"{LIST}{theirs.pk}/change/").status_code == 302
    data = {"action": "revoke_selected", "_selected_action": [theirs.pk]}
    client.post(LIST, data)
    theirs.refresh_from_db()
    assert theirs.usable


def test_the_admin_revokes(browser_of: Callable[..., Client]) -> None:
    admin = User.objects.create_superuser("root")
    token, text = tokens.create(admin, "ERP")
    client = browser_of(admin)
    client.post(LIST, {"action": "revoke_selected", "_selected_action": [token.pk]}, follow=True)
    found = tokens.find(text)
    assert found is not None and not found.usable
    assert "revoked" in client.get(LIST).content.decode()


def test_a_token_is_renamed_and_otherwise_stays_as_it_is(
    browser_of: Callable[..., Client],
) -> None:
    admin = User.objects.create_superuser("root")
    token, _text = tokens.create(admin, "ERP")
    before = Token.objects.values().get()
    body = {"name": "Site", "user": make_user("ana").pk, "expires_at": "2999-01-01"}
    browser_of(admin).post(f"{LIST}{token.pk}/change/", body)
    assert Token.objects.values().get() == {**before, "name": "Site"}


@pytest.mark.parametrize("when", ["2001-01-01", "2999-01-01", "x"])
def test_the_admin_refuses_an_end_that_makes_no_sense(
    browser_of: Callable[..., Client], when: str
) -> None:
    admin = User.objects.create_superuser("root")
    body = {"user": admin.pk, "name": "ERP", "expires_at_0": when, "expires_at_1": "10:00"}
    response = browser_of(admin).post(ADD, body)
    assert response.status_code == 200 and not Token.objects.exists()
    assert response.context["errors"]
