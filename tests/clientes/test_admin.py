import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from clientes.models import Cliente
from tests.crm import forget, make_cliente, make_user, told

pytestmark = pytest.mark.django_db

LIST = reverse("admin:clientes_cliente_changelist")
ADD = reverse("admin:clientes_cliente_add")
VALID = {
    "nome": "João Silva",
    "email": "joao@example.com",
    "telefone": "(11) 99999-9999",
    "documento": "529.982.247-25",
    "empresa": "ACME",
    "origem": "site",
    "etiquetas": " VIP, indicação ,, vip",
    "campos_personalizados": '{"plano": "ouro"}',
    "observacoes": "",
}


@pytest.fixture
def page(client):
    """The admin as seen by somebody who may do anything with clients, in English."""
    actions = ("add", "change", "delete", "view")
    client.force_login(make_user("ana", *(f"clientes.{each}_cliente" for each in actions)))
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def edit_page(cliente):
    return reverse("admin:clientes_cliente_change", args=[cliente.pk])


def found(page, query):
    return {row.nome for row in page.get(LIST, {"q": query}).context["cl"].queryset}


def test_a_client_is_registered_and_told_of(page):
    response = page.post(ADD, VALID)
    assert response.status_code == 302, response.context["errors"]
    cliente = Cliente.objects.get()
    assert cliente.telefone == "+5511999999999"
    assert cliente.documento == "52998224725"
    assert cliente.etiquetas == ["VIP", "indicação"]
    assert cliente.campos_personalizados == {"plano": "ouro"}
    ((name, data),) = told()
    assert (name, data["telefone"]) == ("cliente.criado", "(11) 99999-9999")


def test_the_form_shows_values_as_people_write_them(page):
    cliente = make_cliente(
        telefone="+5511999999999",
        documento="12ABC34501DE35",
        etiquetas=["VIP", "indicação"],
        campos_personalizados={"ação": 1},
    )
    html = page.get(edit_page(cliente)).content.decode()
    assert 'value="(11) 99999-9999"' in html
    assert 'value="12.ABC.345/01DE-35"' in html
    assert 'value="VIP, indicação"' in html
    assert "{\n  &quot;ação&quot;: 1\n}" in html
    assert cliente.public_id in html


def test_saving_the_form_untouched_changes_and_tells_nothing(page):
    cliente = make_cliente(**{**VALID, "etiquetas": ["VIP"], "campos_personalizados": {"a": [1]}})
    forget()
    form = page.get(edit_page(cliente)).context["adminform"].form
    shown = {name: form[name].value() for name in VALID}
    assert page.post(edit_page(cliente), shown).status_code == 302
    assert told() == []
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_an_edit_tells_what_changed(page):
    cliente = make_cliente(**{**VALID, "etiquetas": [], "campos_personalizados": {}})
    forget()
    page.post(
        edit_page(cliente),
        {**VALID, "etiquetas": "", "campos_personalizados": "", "telefone": "11 3333 4444"},
    )
    ((name, data),) = told()
    assert name == "cliente.atualizado"
    assert data["alteracoes"] == {
        "telefone": {"anterior": "(11) 99999-9999", "novo": "(11) 3333-4444"}
    }


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("nome", "", "required"),
        ("email", "joao", "valid email"),
        ("telefone", "99999-9999", "area code"),
        ("telefone", "1" * 10_000, "too long"),
        ("documento", "529.982.247-26", "not a valid CPF"),
        ("documento", "0" * 10_000, "neither"),
        ("etiquetas", "x" * 51, "longer than 50"),
        ("etiquetas", ",".join(map(str, range(30))), "at most 20"),
        ("campos_personalizados", "{", "valid JSON"),
        ("campos_personalizados", "[1]", "a JSON object"),
        ("campos_personalizados", '"a"', "a JSON object"),
        ("campos_personalizados", '""', "a JSON object"),
        ("campos_personalizados", "[]", "a JSON object"),
        ("campos_personalizados", '{"1": 1}', "no key may be a number"),
        ("campos_personalizados", '{"a": NaN}', "cannot be sent"),
        ("campos_personalizados", '{"a": "\\u0000"}', "no text"),
        ("campos_personalizados", '{"a": ' + "9" * 5000 + "}", "valid JSON"),
        ("campos_personalizados", "[" * 100_000, "nested too deeply"),
        ("campos_personalizados", '{"a": "' + "x" * 20_000 + '"}', "at most 10000"),
        ("observacoes", "x" * 10_001, "at most 10000"),
        ("observacoes", "\U0001f600" * 9_000, "at most 30000"),
    ],
)  # fmt: skip
def test_a_bad_value_is_an_error_beside_its_field(page, field, value, says):
    response = page.post(ADD, {**VALID, field: value})
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert says in " ".join(errors[field])
    assert not Cliente.objects.exists()


def test_custom_fields_that_were_not_sent_are_no_null(page):
    response = page.post(ADD, {"nome": "João", "telefone": "1"})
    assert 'name="campos_personalizados"' in response.content.decode()
    assert response.context["adminform"].form["campos_personalizados"].value() == ""
    assert page.post(ADD, {"nome": "João"}).status_code == 302
    assert Cliente.objects.get().campos_personalizados == {}


def test_a_second_client_with_one_document_is_refused(page):
    make_cliente(documento="52998224725")
    response = page.post(ADD, VALID)
    assert "There is a client with this CPF or CNPJ already." in response.content.decode()


def test_search_finds_names_ids_telephones_and_documents(page):
    joao = make_cliente(nome="João", telefone="(11) 99999-9999", documento="529.982.247-25")
    make_cliente(nome="Bia", telefone="(21) 3333-4444", email="bia@example.com")
    make_cliente(nome="ACME", documento="12.ABC.345/01DE-35")
    make_cliente(nome="Casa 1234")
    assert found(page, joao.public_id) == found(page, f" {joao.public_id.upper()} ") == {"João"}
    assert found(page, "(11) 99999-9999") == found(page, "99999-9999") == {"João"}
    assert found(page, "+55 11 99999-9999") == found(page, "011 99999 9999") == {"João"}
    assert found(page, "529.982") == found(page, "52998224725") == {"João"}
    assert found(page, "12.abc.345/01de-35") == {"ACME"}
    assert found(page, "bia@") == {"Bia"}
    assert found(page, "Casa 1234") == {"Casa 1234"}
    for nobody in ("cliente_999999", "cliente_0", "0000", "tarefa_1"):
        assert found(page, nobody) == set()


def test_the_list_costs_the_same_however_long_it_is(page, django_assert_max_num_queries):
    make_cliente()
    page.get(LIST)
    with django_assert_max_num_queries(8):
        page.get(LIST)
    for _ in range(10):
        make_cliente(telefone="(11) 99999-9999")
    with django_assert_max_num_queries(8):
        assert "(11) 99999-9999" in page.get(LIST).content.decode()


def test_who_may_only_view_cannot_change(client):
    cliente = make_cliente()
    client.force_login(make_user("olha", "clientes.view_cliente"))
    assert client.get(edit_page(cliente)).status_code == 200
    assert client.post(edit_page(cliente), VALID).status_code == 403
    assert client.get(ADD).status_code == 403
