"""Swagger UI and Redoc, with files from here alone."""

from __future__ import annotations

from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.browser.conftest import Visit


def test_redoc_shows_the_document(visit: Visit) -> None:
    person = visit()
    person.open("/api/v1/docs/redoc/")
    expect(person.page.locator("[data-section-id]").nth(20)).to_be_attached()
    assert "cliente.criado" in person.page.content()
    # What takes its maker's logo for one that could not be loaded.
    expect(person.page.get_by_alt_text("redocly logo")).to_have_count(0)


def test_swagger_shows_it_and_who_is_logged_in_tries_a_change_as_themselves(visit: Visit) -> None:
    person = visit()
    person.arrive_as(User.objects.create_superuser("root"))
    person.open("/admin/")  # gives the token against forged requests
    person.open("/api/v1/docs/")
    expect(person.page.locator(".opblock-summary-path").nth(20)).to_be_attached()
    assert "cliente.criado" in person.page.content()
    operation = person.page.locator("[id$=departamento_create]")
    operation.locator(".opblock-summary-control").click()
    operation.locator(".try-out__btn").click()
    operation.locator("textarea.body-param__text").fill('{"nome": "Suporte"}')
    operation.locator("button.execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status")
    expect(status).to_contain_text("201")
