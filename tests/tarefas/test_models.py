import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_common.models import InvalidTransition
from tarefas.models import Tarefa
from tests.crm import forget, make_cliente, make_tarefa, make_user, names_told
from tests.services.base import PATIENCE
from webhooks import events

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

STATUSES = Tarefa.Status.values
# Written out again, so that a change of the table is a change of this test.
ALLOWED = {
    ("PENDENTE", "EM_ANDAMENTO"),
    ("PENDENTE", "CONCLUIDA"),
    ("PENDENTE", "CANCELADA"),
    ("EM_ANDAMENTO", "PENDENTE"),
    ("EM_ANDAMENTO", "CONCLUIDA"),
    ("EM_ANDAMENTO", "CANCELADA"),
    ("CONCLUIDA", "EM_ANDAMENTO"),
    ("CANCELADA", "PENDENTE"),
}
PAIRS = [(before, after) for before in STATUSES for after in STATUSES]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_status_moves_only_where_the_table_leads(before, after):
    tarefa = make_tarefa(status=before)
    tarefa.status = after
    if before == after or (before, after) in ALLOWED:
        tarefa.full_clean()
        tarefa.save()
        assert Tarefa.objects.get().status == after
        return
    for refuses in (tarefa.full_clean, tarefa.save, lambda: tarefa.save(update_fields=["status"])):
        with pytest.raises(ValidationError) as refusal:
            refuses()
        (message,) = refusal.value.message_dict["status"]
        assert f"({before}) cannot become" in message and f"({after})." in message
    assert isinstance(refusal.value, InvalidTransition)
    assert (refusal.value.before, refusal.value.after) == (before, after)
    assert Tarefa.objects.get().status == before


@pytest.mark.parametrize("status", STATUSES)
def test_a_task_may_begin_in_any_status(status):
    tarefa = Tarefa(titulo="Importada", status=status)
    tarefa.full_clean()
    tarefa.save()
    assert (Tarefa.objects.get().data_conclusao is None) == (status != "CONCLUIDA")


def test_an_unknown_status_is_refused_by_save_too():
    for refuses in (Tarefa(titulo="a", status="FEITA").save, Tarefa(titulo="a", status="").save):
        with pytest.raises(ValidationError) as refusal:
            refuses()
        assert "PENDENTE, EM_ANDAMENTO, CONCLUIDA, CANCELADA" in refusal.value.messages[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(STATUSES), max_size=12))
def test_any_walk_keeps_date_events_and_table_in_agreement(walk):
    tarefa = make_tarefa()
    forget()
    status, done = "PENDENTE", 0
    for wanted in walk:
        stale = Tarefa.objects.get(pk=tarefa.pk)
        tarefa.status = wanted
        if wanted == status or (status, wanted) in ALLOWED:
            tarefa.save()
            done += wanted == "CONCLUIDA" and status != "CONCLUIDA"
            status = wanted
        else:
            with pytest.raises(InvalidTransition):
                tarefa.save()
        stored = Tarefa.objects.get(pk=tarefa.pk)
        assert stored.status == status
        assert (stored.data_conclusao is not None) == (status == "CONCLUIDA")
        assert (stored.tempo_total is not None) == (status == "CONCLUIDA")
        assert stale.pk == stored.pk
    assert names_told(tarefa.public_id).count("tarefa.concluida") == done


def test_the_status_before_is_the_databases_not_the_copys():
    stale = make_tarefa()
    Tarefa.objects.get().concluir()
    stale.titulo = "Outro título"
    with pytest.raises(InvalidTransition, match="CONCLUIDA"):
        stale.save()
    with pytest.raises(ValidationError, match="CONCLUIDA"):
        stale.full_clean()
    stale.save(update_fields=["titulo"])
    stored = Tarefa.objects.get()
    assert (stored.titulo, stored.status) == ("Outro título", "CONCLUIDA")


def test_a_stale_copy_that_asks_for_what_is_so_keeps_the_date():
    stale = make_tarefa()
    Tarefa.objects.get().concluir()
    done_at = Tarefa.objects.get().data_conclusao
    stale.status = Tarefa.Status.CONCLUIDA
    stale.save()
    assert Tarefa.objects.get().data_conclusao == stale.data_conclusao == done_at

    reopened = Tarefa.objects.get()
    reopened.change_status("EM_ANDAMENTO")
    stale.status = Tarefa.Status.EM_ANDAMENTO  # with the old date still in memory
    stale.save()
    assert Tarefa.objects.get().data_conclusao is None


def test_concluir_sets_the_date_and_tells_whether_it_did_anything():
    tarefa = make_tarefa(created_at=timezone.now() - timedelta(hours=2, minutes=30, seconds=5))
    assert tarefa.concluir() is True
    stored = Tarefa.objects.get()
    assert abs(stored.data_conclusao - timezone.now()) < timedelta(seconds=30)
    assert stored.tempo_total == tarefa.tempo_total == "2h 30m"
    assert tarefa.concluir() is False
    assert Tarefa.objects.get().data_conclusao == stored.data_conclusao


def test_concluir_writes_nothing_else_that_the_copy_holds():
    tarefa = make_tarefa(titulo="Original")
    tarefa.titulo = "Não salvo"
    tarefa.concluir()
    assert Tarefa.objects.get().titulo == "Original"
    assert tarefa.titulo == "Não salvo"


def test_what_was_refused_does_not_linger_in_memory():
    tarefa = make_tarefa(status="CANCELADA")
    with pytest.raises(InvalidTransition):
        tarefa.concluir()
    assert (tarefa.status, tarefa.data_conclusao) == ("CANCELADA", None)
    tarefa.titulo = "Segue valendo"
    tarefa.save()


def test_leaving_done_clears_the_date_and_coming_back_sets_a_new_one():
    long_ago = timezone.now() - timedelta(days=30)
    tarefa = make_tarefa(status="CONCLUIDA", created_at=long_ago, data_conclusao=long_ago)
    assert Tarefa.objects.get().data_conclusao == long_ago  # imported history keeps its date
    tarefa.change_status("EM_ANDAMENTO")
    assert Tarefa.objects.get().data_conclusao is None
    tarefa.concluir()
    assert Tarefa.objects.get().data_conclusao > long_ago


def test_deferred_columns_stay_as_they_are():
    tarefa = make_tarefa(descricao="Não me apague")
    tarefa.concluir()
    done_at = Tarefa.objects.get().data_conclusao
    partial = Tarefa.objects.only("titulo").get()
    partial.titulo = "Novo"
    partial.save()
    stored = Tarefa.objects.get()
    assert (stored.titulo, stored.descricao) == ("Novo", "Não me apague")
    assert (stored.status, stored.data_conclusao) == ("CONCLUIDA", done_at)

    partial = Tarefa.objects.only("titulo").get()
    partial.status = "EM_ANDAMENTO"
    partial.save()
    stored = Tarefa.objects.get()
    assert (stored.status, stored.data_conclusao) == ("EM_ANDAMENTO", None)
    partial = Tarefa.objects.defer("status").get()
    partial.refresh_from_db()
    assert partial.status == "EM_ANDAMENTO"
    assert partial.concluir() is True


def _selects(action) -> int:
    with (
        events.silenced(),
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        action()
    return sum(query["sql"].startswith("SELECT") for query in queries)


def test_the_check_costs_one_read_and_only_where_an_existing_status_is_written():
    assert _selects(make_tarefa) == 0
    tarefa = Tarefa.objects.get()
    assert _selects(lambda: tarefa.save(update_fields=["titulo"])) == 0
    assert _selects(tarefa.save) == 1
    tarefa.status = "EM_ANDAMENTO"
    assert _selects(lambda: tarefa.save(update_fields=["status"])) == 1
    partial = Tarefa.objects.only("titulo").get()
    assert _selects(partial.save) == 0


def test_the_database_itself_holds_status_and_date_together():
    make_tarefa()
    with pytest.raises(IntegrityError), transaction.atomic():
        Tarefa.objects.update(status="CONCLUIDA")
    with pytest.raises(IntegrityError), transaction.atomic():
        Tarefa.objects.update(data_conclusao=timezone.now())
    Tarefa.objects.update(status="CONCLUIDA", data_conclusao=timezone.now())


def test_a_row_that_is_gone_is_not_made_anew():
    tarefa = make_tarefa()
    Tarefa.objects.all().delete()
    with pytest.raises(DatabaseError):
        tarefa.concluir()


def test_a_row_with_a_given_key_is_checked_like_any_other():
    tarefa = make_tarefa(status="CANCELADA")
    with pytest.raises(InvalidTransition):
        Tarefa(pk=tarefa.pk, titulo="Por cima", status="CONCLUIDA").save()
    Tarefa(pk=tarefa.pk + 1, titulo="Nova", status="CONCLUIDA").save()
    assert Tarefa.objects.filter(status="CONCLUIDA").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_people_acting_at_once_only_one_can_be_right():
    tarefa = make_tarefa()
    other = Tarefa.objects.get()
    outcome = []

    def cancel() -> None:
        try:
            other.change_status("CANCELADA")
            outcome.append("cancelled")
        except InvalidTransition as refusal:
            outcome.append(refusal.before)
        finally:
            connection.close()

    thread = threading.Thread(target=cancel)
    with transaction.atomic():
        tarefa.concluir()
        thread.start()
        thread.join(0.3)  # it must wait for this transaction, so it cannot end meanwhile
        assert thread.is_alive()
    thread.join(PATIENCE)
    assert outcome == ["CONCLUIDA"]
    assert Tarefa.objects.get().status == "CONCLUIDA"


def test_deleting_a_client_deletes_its_tasks_and_deleting_a_user_does_not():
    user = make_user()
    cliente = make_cliente()
    make_tarefa(cliente=cliente, responsavel=user)
    user.delete()
    assert Tarefa.objects.get().responsavel is None
    cliente.delete()
    assert not Tarefa.objects.exists()


def test_overdue_is_what_is_still_to_be_done_past_its_date():
    past, future = (timezone.now() + timedelta(days=days) for days in (-1, 1))
    for status in STATUSES:
        make_tarefa(titulo=status, status=status, data_vencimento=past)
        make_tarefa(titulo="futura", status=status, data_vencimento=future)
        make_tarefa(titulo="sem data", status=status)
    overdue = Tarefa.objects.vencidas().values_list("titulo", flat=True)
    assert sorted(overdue) == ["EM_ANDAMENTO", "PENDENTE"]
