"""The admin's frame: its name, its languages, and what its pages are allowed to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from crm_project.middleware import HEADER

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    """A request leaves its language behind in the thread."""
    with translation.override("en"):
        yield


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def test_it_speaks_portuguese_at_first_and_english_when_asked(root: Client) -> None:
    html = root.get("/admin/").content.decode()
    assert '<html lang="pt-br"' in html
    assert "Sistema CRM" in html
    assert "Entregas" in html

    answer = root.post("/i18n/setlang/", {"language": "en", "next": "/admin/webhooks/delivery/"})
    assert answer.headers["Location"] == "/admin/webhooks/delivery/"
    html = root.get("/admin/").content.decode()
    assert '<html lang="en"' in html
    assert "CRM System" in html
    assert "Deliveries" in html


def test_the_switch_is_there_before_one_has_logged_in() -> None:
    html = Client().get("/admin/login/").content.decode()
    assert 'name="language" value="en"' in html
    assert 'name="language" value="pt-br" lang="pt-br"' in html


def test_every_answer_says_that_nothing_comes_from_elsewhere_or_within_the_page(
    root: Client,
) -> None:
    for path in ("/admin/", "/admin/login/", "/admin/webhooks/webhook/add/", "/nowhere/"):
        policy = root.get(path).headers[HEADER]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
