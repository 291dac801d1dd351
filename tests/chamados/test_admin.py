import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from chamados.models import Chamado, Departamento, Resposta
from tests.crm import forget, make_chamado, make_user, names_told, told

pytestmark = pytest.mark.django_db

LIST = reverse("admin:chamados_chamado_changelist")


@pytest.fixture
def ana():
    return make_user(
        "ana",
        "chamados.change_chamado",
        "chamados.add_chamado",
        "chamados.view_resposta",
        "chamados.add_resposta",
    )


@pytest.fixture
def page(client, ana):
    """The admin as Ana, who answers tickets, sees it in English."""
    client.force_login(ana)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def edit_page(chamado):
    return reverse("admin:chamados_chamado_change", args=[chamado.pk])


def form_of(chamado, *replies, **values):
    data = {
        "titulo": chamado.titulo,
        "descricao": chamado.descricao,
        "status": chamado.status,
        "prioridade": chamado.prioridade,
        "cliente": chamado.cliente_id,
        "departamento": chamado.departamento_id,
        "respostas-TOTAL_FORMS": len(replies),
        "respostas-INITIAL_FORMS": 0,
        **{f"respostas-{number}-mensagem": reply for number, reply in enumerate(replies)},
    }
    return {**data, **values}


def resolve(client, *chamados):
    response = client.post(
        LIST, {"action": "resolver", "_selected_action": [each.pk for each in chamados]}
    )
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_the_action_resolves_in_the_name_of_who_asked(page, ana):
    opened, closed, resolved = (
        make_chamado(status=each) for each in ("ABERTO", "FECHADO", "RESOLVIDO")
    )
    forget()
    said = resolve(page, opened, closed, resolved)
    assert said[0] == "1 ticket marked as resolved."
    assert said[1] == "1 was so already and stays as it is."
    assert said[2].startswith(f"{closed.public_id} (Problema no sistema): Closed (FECHADO) cannot")
    opened.refresh_from_db()
    assert opened.usuario_resolucao == ana
    assert told(opened.public_id)[1][1]["usuarioResolucao"] == f"usuario_{ana.pk}"
    resolved.refresh_from_db()
    assert resolved.usuario_resolucao is None


def test_the_action_is_not_for_who_may_only_view(client):
    client.force_login(make_user("olha", "chamados.view_chamado"))
    chamado = make_chamado()
    resolve(client, chamado)
    chamado.refresh_from_db()
    assert chamado.status == "ABERTO"


def test_resolving_in_the_form_notes_who_did(page, ana):
    chamado = make_chamado()
    forget()
    assert page.post(edit_page(chamado), form_of(chamado, status="RESOLVIDO")).status_code == 302
    chamado.refresh_from_db()
    assert chamado.usuario_resolucao == ana and chamado.data_resolucao is not None
    assert names_told() == ["chamado.atualizado", "chamado.resolvido"]


def test_editing_a_resolved_ticket_keeps_who_resolved_it(page):
    bia = make_user("bia")
    chamado = make_chamado()
    chamado.resolver(bia)
    page.post(edit_page(chamado), form_of(chamado, titulo="Outro título"))
    chamado.refresh_from_db()
    assert (chamado.titulo, chamado.usuario_resolucao) == ("Outro título", bia)


def test_a_reply_is_added_in_the_name_of_who_wrote_it(page, ana):
    chamado = make_chamado()
    forget()
    response = page.post(edit_page(chamado), form_of(chamado, "Estamos verificando", ""))
    assert response.status_code == 302
    resposta = Resposta.objects.get()
    assert (resposta.mensagem, resposta.usuario) == ("Estamos verificando", ana)
    ((name, data),) = told()
    assert (name, data["usuarioId"]) == ("chamado.respondido", f"usuario_{ana.pk}")


def test_a_ticket_may_be_opened_with_its_first_reply(page, ana):
    template = make_chamado()
    forget()
    add = reverse("admin:chamados_chamado_add")
    assert page.post(add, form_of(template, "Já estamos vendo")).status_code == 302
    assert names_told() == ["chamado.aberto", "chamado.respondido"]
    assert Resposta.objects.get().chamado == Chamado.objects.latest("pk")


def test_what_was_replied_cannot_be_changed_there(page):
    chamado = make_chamado()
    chamado.responder(None, "Já dito")
    html = page.get(edit_page(chamado)).content.decode()
    assert "Já dito" in html
    assert html.count("<textarea") == 3  # description, one new reply and its template


def test_a_closed_ticket_takes_no_reply(page):
    chamado = make_chamado(status="FECHADO")
    assert page.get(edit_page(chamado)).content.decode().count("<textarea") == 1
    page.post(edit_page(chamado), form_of(chamado, "Tarde demais"))
    assert not Resposta.objects.exists()


def test_a_ticket_may_be_closed_with_a_last_reply(page):
    chamado = make_chamado()
    page.post(edit_page(chamado), form_of(chamado, "Encerrando", status="FECHADO"))
    chamado.refresh_from_db()
    assert chamado.status == "FECHADO"
    assert chamado.respostas.get().mensagem == "Encerrando"


def test_an_illegal_transition_is_an_error_beside_the_status(page):
    chamado = make_chamado(status="FECHADO")
    response = page.post(edit_page(chamado), form_of(chamado, status="ABERTO"))
    assert response.context["adminform"].form.errors == {
        "status": ["Closed (FECHADO) cannot become Open (ABERTO): it is final."]
    }


def test_search_finds_by_the_id_of_the_ticket_and_of_all_it_belongs_to(page):
    ana = make_user("outra")
    chamado = make_chamado(departamento=Departamento.objects.create(nome="Financeiro"))
    make_chamado()
    resposta = chamado.responder(None, "Olá")
    chamado.resolver(ana)
    for query in (
        chamado.public_id,
        chamado.cliente.public_id,
        chamado.departamento.public_id,
        resposta.public_id,
        f"usuario_{ana.pk}",
    ):
        assert list(page.get(LIST, {"q": query}).context["cl"].queryset) == [chamado]


def test_the_list_costs_the_same_however_long_it_is(page, django_assert_max_num_queries):
    for _ in range(10):
        make_chamado()
    with django_assert_max_num_queries(10):
        assert page.get(LIST).status_code == 200


def test_a_ticket_with_many_replies_costs_no_more(page, django_assert_max_num_queries):
    chamado = make_chamado()
    for number in range(10):
        chamado.responder(make_user(f"pessoa{number}"), "Olá")
    page.get(edit_page(chamado))
    with django_assert_max_num_queries(16):
        page.get(edit_page(chamado))


def test_departments_are_found_by_id(client):
    client.force_login(make_user("chefe", "chamados.view_departamento"))
    departamento = Departamento.objects.create(nome="Financeiro")
    Departamento.objects.create(nome="Suporte")
    page = client.get(
        reverse("admin:chamados_departamento_changelist"), {"q": departamento.public_id}
    )
    assert list(page.context["cl"].queryset) == [departamento]
