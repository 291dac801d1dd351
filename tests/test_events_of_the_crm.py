"""What the CRM tells, held against seed 004."""

import json
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from django.db import transaction

from chamados.models import Chamado, Departamento, Resposta
from clientes.models import Cliente
from tarefas.models import Tarefa
from tests import seed
from tests.crm import (
    forget,
    make_chamado,
    make_cliente,
    make_tarefa,
    make_user,
    names_told,
    told,
)
from webhooks import catalog, events
from webhooks.models import Event
from webhooks.tracking import declaration_of

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

AREAS = ("cliente.", "tarefa.", "chamado.")
SEEDED = sorted(name for name in seed.payloads() if name.startswith(AREAS))
BEYOND = ["chamado.excluido", "tarefa.excluida"]
NOON = datetime(2024, 1, 1, 10, tzinfo=UTC)


def test_the_crm_tells_the_seeds_events_and_two_more():
    ours = [each.name for each in catalog.all_types() if each.name.startswith(AREAS)]
    assert len(SEEDED) == 10
    assert sorted(ours) == sorted([*SEEDED, *BEYOND])


@pytest.mark.parametrize("name", SEEDED)
def test_every_example_is_the_seeds_own_to_the_order_of_keys(name):
    assert json.dumps(catalog.get(name).example) == json.dumps(seed.payloads()[name])


@pytest.mark.parametrize("name", [*SEEDED, *BEYOND])
def test_every_type_is_described_and_its_example_fits_its_schema(name):
    event_type = catalog.get(name)
    jsonschema.Draft202012Validator.check_schema(event_type.schema)
    jsonschema.validate(event_type.example, event_type.schema)
    assert str(event_type.description).endswith(".")
    assert str(event_type.area)


@pytest.fixture
def seeded():
    """The seed's own objects: with these keys and values its payloads must come out."""
    usuario = make_user()
    type(usuario).objects.filter(pk=usuario.pk).update(id=123)
    departamento = Departamento.objects.create(pk=123, nome="Suporte")
    with events.silenced():
        cliente = make_cliente(
            pk=123,
            nome="João Silva",
            email="joao@example.com",
            telefone="(11) 88888-8888",
            created_at=NOON,
        )
    return {"cliente": cliente, "departamento": departamento, "usuario_id": 123}


def expected(name, **times):
    """The seed's `data`, with the moments that no test can choose put in."""
    data = json.loads(json.dumps(seed.payloads()[name]["data"]))
    assert set(times) <= set(data)
    return {**data, **times}


def test_clients_come_out_as_in_the_seed(seeded):
    Cliente.objects.all().delete()
    forget()
    make_cliente(
        pk=123,
        nome="João Silva",
        email="joao@example.com",
        telefone="(11) 99999-9999",
        created_at=NOON,
    )
    assert json.dumps(told()) == json.dumps([("cliente.criado", expected("cliente.criado"))])

    Cliente.objects.update(telefone="(11) 88888-8888")
    forget()
    cliente = Cliente.objects.get()
    cliente.telefone = "(11) 99999-9999"
    cliente.save()
    (updated,) = told()
    assert json.dumps(updated[1]) == json.dumps(
        expected("cliente.atualizado", updatedAt=updated[1]["updatedAt"])
    )

    forget()
    cliente.delete()
    ((name, data),) = told()
    assert json.dumps(data) == json.dumps(expected(name, excluidoEm=data["excluidoEm"]))


def test_tasks_come_out_as_in_the_seed(seeded):
    tarefa = make_tarefa(
        pk=123,
        titulo="Configurar sistema",
        descricao="Configurar o sistema CRM",
        prioridade="ALTA",
        data_vencimento=NOON + timedelta(days=4),
        cliente=seeded["cliente"],
        created_at=NOON,
    )
    assert json.dumps(told()) == json.dumps([("tarefa.criada", expected("tarefa.criada"))])

    forget()
    tarefa.change_status("EM_ANDAMENTO")
    ((name, data),) = told()
    assert json.dumps(data) == json.dumps(expected(name, updatedAt=data["updatedAt"]))

    forget()
    Tarefa.objects.update(created_at=datetime.now(UTC) - timedelta(hours=2, minutes=30, seconds=9))
    tarefa.refresh_from_db()
    tarefa.concluir()
    (updated, (name, data)) = told()
    assert name == "tarefa.concluida"
    assert json.dumps(data) == json.dumps(expected(name, dataConclusao=data["dataConclusao"]))
    assert updated[0] == "tarefa.atualizada"
    assert updated[1]["alteracoes"] == {
        "status": {"anterior": "EM_ANDAMENTO", "novo": "CONCLUIDA"},
        "dataConclusao": {"anterior": None, "novo": data["dataConclusao"]},
    }

    forget()
    tarefa.delete()
    ((name, data),) = told("tarefa_123")
    assert name == "tarefa.excluida"
    assert list(data) == ["id", "titulo", "excluidoEm"]


def test_tickets_come_out_as_in_the_seed(seeded):
    chamado = make_chamado(
        pk=123,
        titulo="Problema no sistema",
        descricao="O sistema não está funcionando",
        prioridade="URGENTE",
        departamento=seeded["departamento"],
        cliente=seeded["cliente"],
        created_at=NOON,
    )
    assert json.dumps(told()) == json.dumps([("chamado.aberto", expected("chamado.aberto"))])

    forget()
    chamado.change_status("EM_ANDAMENTO")
    ((name, data),) = told()
    assert json.dumps(data) == json.dumps(expected(name, updatedAt=data["updatedAt"]))

    forget()
    Resposta.objects.create(
        pk=123,
        chamado=chamado,
        usuario_id=seeded["usuario_id"],
        mensagem="Estamos verificando o problema",
        created_at=NOON,
    )
    ((name, data),) = told("chamado_123")  # the subject is the ticket
    assert json.dumps(data) == json.dumps(expected(name))

    forget()
    Chamado.objects.update(created_at=datetime.now(UTC) - timedelta(hours=4, minutes=15, seconds=9))
    chamado.refresh_from_db()
    chamado.change_status("RESOLVIDO", usuario_resolucao_id=seeded["usuario_id"])
    (updated, (name, data)) = told()
    assert name == "chamado.resolvido"
    assert json.dumps(data) == json.dumps(expected(name, dataResolucao=data["dataResolucao"]))
    assert updated[0] == "chamado.atualizado"
    assert set(updated[1]["alteracoes"]) == {"status", "dataResolucao", "usuarioResolucao"}


def test_what_is_not_known_is_null():
    cliente = make_cliente()
    chamado = make_chamado(cliente=cliente)
    chamado.responder(None, "Automática")
    chamado.resolver(None)
    make_tarefa()
    said = dict(told())
    assert said["cliente.criado"]["email"] is said["cliente.criado"]["telefone"] is None
    assert said["chamado.respondido"]["usuarioId"] is None
    assert said["chamado.resolvido"]["usuarioResolucao"] is None
    assert said["tarefa.criada"]["clienteId"] is said["tarefa.criada"]["dataVencimento"] is None


def test_only_what_truly_changed_is_told():
    cliente = make_cliente(email="joao@example.com", telefone="11999999999", etiquetas=["VIP"])
    forget()
    cliente.save()
    cliente.telefone = "(11) 99999-9999"  # the same number, written otherwise
    cliente.save()
    assert told() == []
    cliente.etiquetas = ["VIP", "indicação"]
    cliente.email = ""
    cliente.save()
    ((_, data),) = told()
    assert data["alteracoes"] == {
        "email": {"anterior": "joao@example.com", "novo": None},
        "etiquetas": {"anterior": ["VIP"], "novo": ["VIP", "indicação"]},
    }


def test_only_becoming_done_or_resolved_is_told():
    tarefa, chamado = make_tarefa(), make_chamado()
    tarefa.concluir()
    chamado.resolver(None)
    forget()
    tarefa.concluir()
    chamado.resolver(None)
    tarefa.save()
    chamado.save()
    assert told() == []
    tarefa.titulo = chamado.titulo = "Outro título"
    tarefa.save()
    chamado.save()
    assert names_told() == ["tarefa.atualizada", "chamado.atualizado"]


def test_closing_a_resolved_ticket_does_not_resolve_it_again():
    chamado = make_chamado()
    chamado.resolver(None)
    forget()
    chamado.change_status("FECHADO")
    ((name, data),) = told()
    assert (name, data["alteracoes"]) == (
        "chamado.atualizado",
        {"status": {"anterior": "RESOLVIDO", "novo": "FECHADO"}},
    )


def test_what_is_refused_tells_nothing():
    tarefa = make_tarefa(status="CANCELADA")
    forget()
    with pytest.raises(ValueError, match="never"), transaction.atomic():
        tarefa.change_status("PENDENTE")
        raise ValueError("never mind")
    assert told() == []


def test_a_cascade_tells_of_everything_that_went():
    cliente = make_cliente()
    tarefas = [make_tarefa(cliente=cliente) for _ in range(2)]
    chamado = make_chamado(cliente=cliente)
    chamado.responder(None, "Olá")
    forget()
    subjects = [each.public_id for each in (*tarefas, chamado, cliente)]
    Cliente.objects.filter(pk=cliente.pk).delete()
    assert sorted(Event.objects.values_list("subject", flat=True)) == sorted(subjects)
    assert sorted(names_told()) == [
        "chamado.excluido",
        "cliente.excluido",
        "tarefa.excluida",
        "tarefa.excluida",
    ]


@pytest.mark.parametrize("model", [Cliente, Tarefa, Chamado, Resposta])
def test_the_whole_record_can_be_read_without_a_query(model, django_assert_num_queries):
    cliente = make_cliente()
    make_tarefa(cliente=cliente)
    chamado = make_chamado(cliente=cliente)
    chamado.responder(None, "Olá")
    row = model.objects.get()
    declaration = declaration_of(model)
    with django_assert_num_queries(0):
        record = declaration.read(row)
    for key, value in declaration.record.items():
        jsonschema.validate(record[key], value.schema)
