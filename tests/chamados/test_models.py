from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from chamados.models import Chamado, Departamento, Resposta
from crm_common.models import InvalidTransition
from crm_common.validators import MAX_TEXT_LENGTH
from tests.crm import make_chamado, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

STATUSES = Chamado.Status.values
ALLOWED = {
    ("ABERTO", "EM_ANDAMENTO"),
    ("ABERTO", "RESOLVIDO"),
    ("ABERTO", "FECHADO"),
    ("EM_ANDAMENTO", "ABERTO"),
    ("EM_ANDAMENTO", "RESOLVIDO"),
    ("EM_ANDAMENTO", "FECHADO"),
    ("RESOLVIDO", "EM_ANDAMENTO"),
    ("RESOLVIDO", "FECHADO"),
}


@pytest.mark.parametrize(
    ("before", "after"), [(before, after) for before in STATUSES for after in STATUSES]
)
def test_a_status_moves_only_where_the_table_leads(before, after):
    chamado = make_chamado(status=before)
    chamado.status = after
    if before == after or (before, after) in ALLOWED:
        chamado.full_clean()
        chamado.save()
        assert Chamado.objects.get().status == after
        return
    for refuses in (chamado.full_clean, chamado.save):
        with pytest.raises(ValidationError) as refusal:
            refuses()
        (message,) = refusal.value.message_dict["status"]
        assert f"({before}) cannot become" in message and f"({after})" in message
    assert Chamado.objects.get().status == before


def test_closed_is_final_and_says_so():
    with pytest.raises(InvalidTransition) as refusal:
        make_chamado(status="FECHADO").change_status("ABERTO")
    assert refusal.value.messages == [
        "Closed (FECHADO) cannot become Open (ABERTO): it is final.",
    ]


def test_resolver_says_who_and_when_and_the_first_one_stays():
    ana, bia = make_user("ana"), make_user("bia")
    chamado = make_chamado(created_at=timezone.now() - timedelta(hours=4, minutes=15, seconds=5))
    second_copy = Chamado.objects.get()
    assert chamado.resolver(ana) is True
    resolved_at = Chamado.objects.get().data_resolucao
    assert second_copy.resolver(bia) is False
    stored = Chamado.objects.get()
    assert stored.usuario_resolucao == ana and second_copy.usuario_resolucao == ana
    assert stored.data_resolucao == resolved_at
    assert stored.tempo_resolucao == "4h 15m"


def test_resolver_with_nobody_in_particular():
    chamado = make_chamado()
    assert chamado.resolver(None) is True
    assert Chamado.objects.get().usuario_resolucao is None
    assert Chamado.objects.get().data_resolucao is not None


def test_a_closed_ticket_cannot_be_resolved_and_stays_as_it_was():
    chamado = make_chamado(status="FECHADO")
    with pytest.raises(InvalidTransition):
        chamado.resolver(make_user())
    assert (chamado.status, chamado.usuario_resolucao) == ("FECHADO", None)
    assert Chamado.objects.get().data_resolucao is None


def test_reopening_clears_the_resolution_and_closing_keeps_it():
    ana = make_user()
    chamado = make_chamado()
    chamado.resolver(ana)
    chamado.change_status("EM_ANDAMENTO")
    stored = Chamado.objects.get()
    assert (stored.data_resolucao, stored.usuario_resolucao) == (None, None)
    chamado.resolver(ana)
    resolved_at = Chamado.objects.get().data_resolucao
    chamado.change_status("FECHADO")
    stored = Chamado.objects.get()
    assert (stored.data_resolucao, stored.usuario_resolucao) == (resolved_at, ana)


def test_a_stale_copy_cannot_undo_the_resolution_by_closing():
    ana = make_user()
    stale = make_chamado()
    Chamado.objects.get().resolver(ana)
    stale.status = "FECHADO"
    stale.save()
    stored = Chamado.objects.get()
    assert stored.usuario_resolucao == ana and stored.data_resolucao is not None


def test_the_database_itself_holds_status_and_date_together():
    make_chamado()
    for values in ({"status": "RESOLVIDO"}, {"data_resolucao": timezone.now()}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Chamado.objects.update(**values)


def test_responder_keeps_the_reply_with_its_user():
    ana = make_user()
    chamado = make_chamado()
    resposta = chamado.responder(ana, "Estamos verificando o problema")
    assert resposta.public_id == f"resposta_{resposta.pk}"
    assert list(chamado.respostas.all()) == [resposta]
    assert Resposta.objects.get().usuario == ana
    assert chamado.responder(None, "Automática").usuario is None


@pytest.mark.parametrize("mensagem", ["", "  \n", "a" * (MAX_TEXT_LENGTH + 1)])
def test_an_empty_or_overlong_reply_is_refused(mensagem):
    with pytest.raises(ValidationError) as refusal:
        make_chamado().responder(None, mensagem)
    assert list(refusal.value.message_dict) == ["mensagem"]
    assert not Resposta.objects.exists()


def test_a_closed_ticket_takes_no_replies_whatever_the_copy_in_memory_says():
    chamado = make_chamado()
    stale = Chamado.objects.get()
    chamado.change_status("FECHADO")
    for copy in (chamado, stale):
        with pytest.raises(ValidationError, match="takes no replies"):
            copy.responder(None, "Tarde demais")


def test_a_department_with_tickets_cannot_be_deleted():
    departamento = make_chamado().departamento
    with pytest.raises(ProtectedError):
        departamento.delete()
    assert departamento.public_id == f"dept_{departamento.pk}"
    assert Departamento.objects.count() == 1
