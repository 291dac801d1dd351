"""A form that was refused twice, at a real browser: what was typed is there, and is saved."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from clientes.models import Cliente
from tests.browser.conftest import Visit
from tests.crm import names_told

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ADD = "/admin/clientes/cliente/add/"
WRITTEN = '{"plano":   "ouro",\n"itens": [1]}'


@pytest.mark.parametrize("language", ["pt-br", "en"])
@pytest.mark.parametrize(
    ("written", "meant"), [("", {}), (WRITTEN, {"plano": "ouro", "itens": [1]})]
)
def test_a_client_is_saved_after_two_mistyped_telephones(
    visit: Visit, transactional_db: None, language: str, written: str, meant: dict[str, object]
) -> None:
    person = visit(language)
    page = person.page
    person.arrive_as(User.objects.create_superuser("ana"))
    person.open(ADD)
    page.locator("#id_nome").fill("João Silva")
    page.locator("#id_observacoes").fill("duas\nlinhas")
    page.locator("#id_campos_personalizados").fill(written)
    for mistyped in ("99999", "(11) 9"):
        page.locator("#id_telefone").fill(mistyped)
        page.locator("[name=_save]").first.click()
        expect(page.locator(".errornote")).to_be_visible()
        expect(page.locator("#id_telefone")).to_have_value(mistyped)
        expect(page.locator("#id_campos_personalizados")).to_have_value(written)
        expect(page.locator("#id_observacoes")).to_have_value("duas\nlinhas")
    page.locator("#id_telefone").fill("(11) 98888-7777")
    page.locator("[name=_save]").first.click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    cliente = Cliente.objects.get()
    assert (cliente.telefone, cliente.campos_personalizados) == ("+5511988887777", meant)
    assert names_told() == ["cliente.criado"]
