import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from clientes.models import Cliente
from crm_common.validators import MAX_TEXT_BYTES, MAX_TEXT_LENGTH
from tests.crm import make_cliente, names_told

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_only_the_name_is_required():
    with pytest.raises(ValidationError) as refusal:
        Cliente().full_clean()
    assert list(refusal.value.message_dict) == ["nome"]
    Cliente(nome="João Silva").full_clean()


def test_one_spelling_is_kept_whichever_way_it_arrives():
    saved = make_cliente(telefone="(11) 99999-9999", documento="12.abc.345/01de-35")
    assert (saved.telefone, saved.documento) == ("+5511999999999", "12ABC34501DE35")
    (bulk,) = Cliente.objects.bulk_create([Cliente(nome="Bia", telefone="11 3333-4444")])
    Cliente.objects.filter(pk=saved.pk).update(telefone="(21) 99999-9999", documento="")
    saved.refresh_from_db()
    bulk.refresh_from_db()
    assert (saved.telefone, saved.documento) == ("+5521999999999", "")
    assert bulk.telefone == "+551133334444"


def test_what_cannot_be_normalized_is_refused_by_save_too():
    for values in ({"telefone": "não tem"}, {"documento": "123"}):
        with pytest.raises(ValidationError), transaction.atomic():
            make_cliente(**values)
    with pytest.raises(ValidationError):
        Cliente.objects.update(documento="529.982.247-26")


def test_validation_normalizes_and_names_the_field():
    cliente = Cliente(nome="João", telefone="11 99999 9999", documento="529.982.247-25")
    cliente.full_clean()
    assert (cliente.telefone, cliente.documento) == ("+5511999999999", "52998224725")
    cliente = Cliente(nome="João", telefone="9", documento="1", email="joao@")
    with pytest.raises(ValidationError) as refusal:
        cliente.full_clean()
    assert set(refusal.value.message_dict) == {"telefone", "documento", "email"}


def test_a_document_belongs_to_one_client_and_many_may_have_none():
    make_cliente()
    make_cliente(documento="529.982.247-25")
    make_cliente()
    with pytest.raises(ValidationError) as refusal:
        Cliente(nome="Outro", documento="52998224725").full_clean()
    assert refusal.value.messages == ["There is a client with this CPF or CNPJ already."]
    with pytest.raises(IntegrityError), transaction.atomic():
        make_cliente(documento="529.982.247-25")


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ("VIP", "a list of texts"),
        ({"a": 1}, "a list of texts"),
        (["VIP", 1], "a list of texts"),
        (["VIP", "vip"], "twice"),
        (["a,b"], "comma"),
        ([" VIP"], "stray spaces"),
        ([""], "empty"),
        (["nul\0"], "cannot be a tag"),
        (["x" * 51], "longer than 50"),
        ([str(n) for n in range(21)], "at most 20"),
    ],
)
def test_tags_are_a_list_of_short_texts(tags, says):
    with pytest.raises(ValidationError) as refusal:
        Cliente(nome="João", etiquetas=tags).full_clean()
    assert says in refusal.value.message_dict["etiquetas"][0]
    with pytest.raises(ValidationError), transaction.atomic():
        make_cliente(etiquetas=tags)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (["a"], "a JSON object"),
        ("a", "a JSON object"),
        ({"1": "a"}, "“{…}” cannot be sent as it is: no key may be a number"),
        ({"a": {"0": 1}}, "“a” cannot be sent"),
        ({"a": [1, float("nan")]}, "“a[1]” cannot be sent"),
        ({"a": float("inf")}, "cannot be sent"),
        ({"__proto__": 1}, "cannot be sent"),
        ({1: "a"}, "cannot be sent"),
        ({"a": "nul\0"}, "no text"),
        ({"a": ["\ud800"]}, "no text"),
        ({"a": "x" * 10_000}, "at most 10000"),
        ({"a": json.loads("[" * 500 + "]" * 500)}, "too deep"),
    ],
)
def test_custom_fields_are_an_object_that_can_be_told_exactly(fields, says):
    with pytest.raises(ValidationError) as refusal:
        Cliente(nome="João", campos_personalizados=fields).full_clean()
    assert says in refusal.value.message_dict["campos_personalizados"][0]
    with pytest.raises(ValidationError), transaction.atomic():
        make_cliente(campos_personalizados=fields)


def test_custom_fields_come_back_as_they_were():
    fields = {"plano": "ouro", "filhos": 2, "ação": [True, None, {"é": 1.5}], "b": 1, "a": 2}
    make_cliente(campos_personalizados=fields)
    assert Cliente.objects.get().campos_personalizados == fields


def test_nothing_given_is_an_empty_list_and_an_empty_object():
    cliente = make_cliente(etiquetas=None, campos_personalizados=None, telefone=None)
    cliente.refresh_from_db()
    assert (cliente.etiquetas, cliente.campos_personalizados, cliente.telefone) == ([], {}, "")


def test_long_texts_are_bounded():
    Cliente(nome="João", observacoes="ã" * MAX_TEXT_LENGTH).full_clean()
    for text in ("a" * (MAX_TEXT_LENGTH + 1), "😀" * (MAX_TEXT_BYTES // 4 + 1)):
        with pytest.raises(ValidationError) as refusal:
            Cliente(nome="João", observacoes=text).full_clean()
        assert list(refusal.value.message_dict) == ["observacoes"]


def test_changing_all_that_a_client_may_hold_can_still_be_told():
    def largest(letter: str) -> dict[str, object]:
        return {
            "nome": letter * 200,
            "email": f"{letter}@{'.'.join(['a' * 60] * 4)[:240]}.br",
            "empresa": letter * 200,
            "origem": letter * 100,
            "etiquetas": [letter * 48 + f"{n:02d}" for n in range(20)],
            "campos_personalizados": {"a": letter * (9_900 // len(letter.encode()))},
            "observacoes": letter * ((MAX_TEXT_BYTES - 2) // len(letter.encode())),
        }

    cliente = make_cliente(**largest("😀"))
    Cliente(**{**largest("😀"), "email": ""}).full_clean()
    for name, value in largest("\U0001f601").items():
        setattr(cliente, name, value)
    cliente.save()
    assert names_told() == ["cliente.criado", "cliente.atualizado"]


def test_a_partial_save_moves_updated_at_and_nothing_else():
    before = timezone.now() - timedelta(days=1)
    cliente = make_cliente(nome="João", empresa="ACME")
    Cliente.objects.update(updated_at=before, empresa="Outra")
    cliente.nome = "João Silva"
    cliente.save(update_fields=["nome"])
    cliente.refresh_from_db()
    assert (cliente.nome, cliente.empresa) == ("João Silva", "Outra")
    assert cliente.updated_at > before

    Cliente.objects.update(updated_at=before)
    partial = Cliente.objects.only("nome").get()
    partial.nome = "J. Silva"
    partial.save()
    partial.refresh_from_db()
    assert partial.updated_at > before

    Cliente.objects.update(updated_at=before)
    partial.save(update_fields=[])
    assert Cliente.objects.get().updated_at == before


def test_telling_of_a_client_reads_its_row_before_a_change_and_never_after(
    django_assert_max_num_queries,
):
    told = 1 if connection.vendor == "postgresql" else 2
    with django_assert_max_num_queries(1 + told):
        cliente = Cliente.objects.create(nome="João", telefone="(11) 99999-9999")
    cliente.telefone = "(11) 88888-8888"
    with django_assert_max_num_queries(2 + told):
        cliente.save()
