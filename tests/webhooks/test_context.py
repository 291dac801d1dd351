"""Who acts and whether it is told: what events take from where they happen."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import RequestFactory

from tests.crm import make_cliente, make_user, names_told
from webhooks import events
from webhooks.context import acting, is_silenced, silenced, who
from webhooks.middleware import OriginMiddleware
from webhooks.models import Event


def test_without_anything_said_it_is_the_system():
    assert who() == ("system", "")
    assert not is_silenced()


def test_the_innermost_actor_counts_and_the_one_before_comes_back_even_after_a_failure():
    with acting("import", "planilha.csv"):
        with pytest.raises(ZeroDivisionError), acting("command", "importar"):
            assert who() == ("command", "importar")
            raise ZeroDivisionError
        assert who() == ("import", "planilha.csv")
    assert who() == ("system", "")


def test_an_origin_that_events_do_not_have_is_refused():
    with pytest.raises(ValueError, match="robot"), acting("robot"):
        pass


def test_every_origin_of_an_event_may_act():
    for origin in Event.Origin.values:
        with acting(origin):
            assert who() == (origin, "")


def test_an_actor_may_be_asked_for_late_and_is_cut_to_its_column():
    asked = []
    with acting("api", lambda: asked.append(1) or "x" * 200):
        assert asked == []
        assert who() == ("api", "x" * 150)


def test_silence_nests_and_is_this_threads_own():
    heard = []
    with silenced():
        with silenced():
            pass
        assert is_silenced()
        thread = threading.Thread(target=lambda: heard.append(is_silenced()))
        thread.start()
        thread.join()
    assert heard == [False]
    assert not is_silenced()


@pytest.mark.django_db
@pytest.mark.both_databases
def test_an_event_says_through_what_and_whom_it_came():
    with events.acting("import", "planilha.csv"):
        make_cliente()
    make_cliente()
    assert list(Event.objects.order_by("id").values_list("origin", "actor")) == [
        ("import", "planilha.csv"),
        ("system", ""),
    ]


@pytest.mark.django_db
def test_nothing_is_told_in_silence_and_what_was_changed_then_is_not_told_later():
    with events.silenced():
        cliente = make_cliente()
        cliente.nome = "Outro"
        cliente.save()
        assert events.emit("cliente.criado", cliente) == []
    assert names_told() == []
    cliente.empresa = "Acme"
    cliente.save()
    [body] = Event.objects.values_list("body", flat=True)
    assert '"alteracoes":{"empresa":' in body


# --- the middleware ---------------------------------------------------------------------------


def during_a_request(user, act):
    request = RequestFactory().get("/")
    if user is not None:
        request.user = user

    def view(_request):
        act()
        return HttpResponse()

    OriginMiddleware(view)(request)


@pytest.mark.django_db
def test_what_a_request_changes_is_its_users_doing():
    user = make_user()
    during_a_request(user, make_cliente)
    during_a_request(AnonymousUser(), make_cliente)
    during_a_request(None, make_cliente)
    assert list(Event.objects.order_by("id").values_list("origin", "actor")) == [
        ("user", f"usuario_{user.pk}"),
        ("user", ""),
        ("user", ""),
    ]
    assert who() == ("system", "")


@pytest.mark.django_db
def test_a_request_that_tells_nothing_does_not_ask_who_its_user_is(
    client, django_assert_num_queries
):
    client.force_login(make_user())
    with django_assert_num_queries(0):
        client.get("/nothing-here/")


@pytest.mark.django_db
def test_the_project_has_the_middleware_where_it_knows_the_user(client):
    user = make_user("ana", "clientes.add_cliente", "clientes.view_cliente")
    client.force_login(user)
    answer = client.post(
        "/admin/clientes/cliente/add/",
        {"nome": "João", "etiquetas": "[]", "campos_personalizados": "{}"},
    )
    assert answer.status_code == 302, answer.content
    event = Event.objects.get(type="cliente.criado")
    assert (event.origin, event.actor) == ("user", f"usuario_{user.pk}")
