import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from tarefas.models import Tarefa
from tests.crm import forget, make_cliente, make_tarefa, make_user, names_told

pytestmark = pytest.mark.django_db

LIST = reverse("admin:tarefas_tarefa_changelist")


@pytest.fixture
def page(client):
    """The admin as seen by somebody who may change tasks, in English."""
    client.force_login(make_user("ana", "tarefas.change_tarefa", "tarefas.add_tarefa"))
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def edit_page(tarefa):
    return reverse("admin:tarefas_tarefa_change", args=[tarefa.pk])


def conclude(client, *tarefas):
    response = client.post(
        LIST, {"action": "concluir", "_selected_action": [each.pk for each in tarefas]}
    )
    return response, [str(message) for message in get_messages(response.wsgi_request)]


def test_the_action_concludes_each_and_says_which_it_could_not(page):
    pending, doing = make_tarefa(), make_tarefa(status="EM_ANDAMENTO")
    done, cancelled = make_tarefa(status="CONCLUIDA"), make_tarefa(status="CANCELADA")
    forget()
    _, said = conclude(page, pending, doing, done, cancelled)
    assert said == [
        "2 tasks marked as done.",
        "1 was so already and stays as it is.",
        f"{cancelled.public_id} (Configurar sistema): Cancelled (CANCELADA) cannot become "
        "Done (CONCLUIDA). It can become: Pending (PENDENTE).",
    ]
    assert Tarefa.objects.filter(status="CONCLUIDA").count() == 3
    assert names_told(pending.public_id) == ["tarefa.atualizada", "tarefa.concluida"]
    assert names_told(done.public_id) == names_told(cancelled.public_id) == []


def test_the_action_names_twenty_problems_and_counts_the_rest(page):
    _, said = conclude(page, *(make_tarefa(status="CANCELADA") for _ in range(23)))
    assert len(said) == 21
    assert said[-1] == "And 3 more."


def test_the_action_is_not_for_who_may_only_view(client):
    client.force_login(make_user("olha", "tarefas.view_tarefa"))
    tarefa = make_tarefa()
    assert b"concluir" not in client.get(LIST).content
    conclude(client, tarefa)
    tarefa.refresh_from_db()
    assert tarefa.status == "PENDENTE"


def test_the_action_says_nothing_in_a_get(page):
    tarefa = make_tarefa()
    page.get(LIST, {"action": "concluir", "_selected_action": tarefa.pk})
    tarefa.refresh_from_db()
    assert tarefa.status == "PENDENTE"


def test_an_illegal_transition_is_an_error_beside_the_status(page):
    tarefa = make_tarefa(status="CANCELADA")
    response = page.post(
        edit_page(tarefa), {"titulo": "x", "status": "CONCLUIDA", "prioridade": "BAIXA"}
    )
    assert response.status_code == 200
    assert response.context["adminform"].form.errors == {
        "status": [
            "Cancelled (CANCELADA) cannot become Done (CONCLUIDA). "
            "It can become: Pending (PENDENTE)."
        ]
    }


def test_concluding_in_the_form_sets_the_date_and_tells(page):
    tarefa = make_tarefa()
    forget()
    response = page.post(
        edit_page(tarefa), {"titulo": "x", "status": "CONCLUIDA", "prioridade": "BAIXA"}
    )
    assert response.status_code == 302
    tarefa.refresh_from_db()
    assert tarefa.data_conclusao is not None
    assert names_told() == ["tarefa.atualizada", "tarefa.concluida"]


def test_search_finds_the_task_and_those_of_a_client_and_of_a_person(page):
    cliente, ana = make_cliente(nome="Maria Souza"), make_user("outra")
    first = make_tarefa(titulo="Ligar", cliente=cliente)
    second = make_tarefa(titulo="Visitar", responsavel=ana)

    def found(query):
        return set(page.get(LIST, {"q": query}).context["cl"].queryset)

    assert found(first.public_id) == found(cliente.public_id) == {first}
    assert found("souza") == found("ligar") == {first}
    assert found(f"usuario_{ana.pk}") == {second}
    assert found("tarefa_999999") == set()


def test_the_list_filters_and_costs_the_same_however_long_it_is(
    page, django_assert_max_num_queries
):
    for number in range(10):
        make_tarefa(cliente=make_cliente(), responsavel=make_user(f"pessoa{number}"))
    with django_assert_max_num_queries(10):
        assert page.get(LIST).status_code == 200
    overdue = make_tarefa(data_vencimento="2020-01-01T00:00:00Z")
    assert set(page.get(LIST, {"vencidas": "1"}).context["cl"].queryset) == {overdue}
    assert page.get(LIST, {"data_vencimento__year": "2020"}).status_code == 200


def test_the_forms_offer_clients_by_search_and_dates_to_read_only(page):
    html = page.get(edit_page(make_tarefa(status="CONCLUIDA"))).content.decode()
    assert html.count("admin-autocomplete") >= 2
    assert 'name="data_conclusao' not in html
    assert "0m" in html
