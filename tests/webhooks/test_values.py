"""From an instance's attribute to what JSON says of it, and the schema that says so."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from django.db.models import IntegerChoices, TextChoices
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from webhooks import exactjson, values
from webhooks.values import Value


class Cor(TextChoices):
    AZUL = "AZUL", "azul"
    VERDE = "VERDE", "verde"


class Nivel(IntegerChoices):
    NENHUM = 0, "nenhum"
    ALTO = 2, "alto"


def said(value: Value, found: Any) -> Any:
    """What is told of an instance whose attribute `x` is that; it must fit the value's schema."""
    told = value.read(SimpleNamespace(x=found, pk=found))  # type: ignore[arg-type]
    checker = jsonschema.FormatChecker()
    as_received = json.loads(exactjson.dumps({"x": told}))["x"]
    jsonschema.Draft202012Validator(value.schema, format_checker=checker).validate(as_received)
    return told


NOON = dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "found", "expected"),
    [
        (values.text("x"), "João", "João"),
        (values.text("x"), "", ""),
        (values.text("x"), gettext_lazy("active"), "ativo"),
        (values.text("x", null=True), "", None),
        (values.text("x", null=True), None, None),
        (values.text("x", format="email"), "a@b.c", "a@b.c"),
        (values.text(lambda each: each.x.upper()), "a", "A"),
        (values.time("x"), NOON, "2024-01-01T10:00:00Z"),
        (values.time("x"), NOON.astimezone(ZoneInfo("America/Sao_Paulo")), "2024-01-01T10:00:00Z"),
        (values.time("x"), NOON.replace(microsecond=999_999), "2024-01-01T10:00:00Z"),
        (values.time("x", null=True), None, None),
        (values.day("x"), dt.date(2024, 1, 5), "2024-01-05"),
        (values.day("x", null=True), None, None),
        (values.public_id("cliente", "x"), 123, "cliente_123"),
        (values.public_id("cliente"), 7, "cliente_7"),
        (values.public_id("cliente", "x", null=True), None, None),
        (values.choice("x", Cor), Cor.AZUL, "AZUL"),
        (values.choice("x", Cor), "VERDE", "VERDE"),
        (values.choice("x", Cor, null=True), "", None),
        (values.choice("x", Nivel), Nivel.ALTO, "2"),
        (values.choice("x", Nivel), 0, "0"),
        (values.choice("x", Nivel, null=True), 0, "0"),
        (values.choice("x", Nivel, null=True), None, None),
        (values.boolean("x"), True, True),
        (values.boolean("x"), None, False),
        (values.integer("x"), 5, 5),
        (values.integer("x", null=True), None, None),
        (values.number("x"), 1.5, 1.5),
        (values.array("x"), ["a", "b"], ["a", "b"]),
        (values.array("x", {"type": "integer"}), [1], [1]),
        (values.object("x"), {"plano": "ouro"}, {"plano": "ouro"}),
    ],
)
def test_every_kind_is_told_in_its_form_and_fits_its_schema(value, found, expected):
    told = said(value, found)
    assert told == expected
    assert type(told) is type(expected)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (values.text("x", null=True), "texto"),
        (values.choice("x", Cor), "AZUL"),
        (values.integer("x"), 1),
    ],
)
def test_a_schema_refuses_what_the_value_never_is(value, found):
    said(value, found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(["a list"], value.schema)


def test_a_decimal_is_text_so_that_no_receiver_rounds_it():
    assert said(values.decimal("x"), Decimal("1234.50")) == Decimal("1234.50")
    assert exactjson.dumps(Decimal("1234.50")) == '"1234.50"'
    assert said(values.decimal("x", null=True), None) is None


@pytest.mark.parametrize(
    "value",
    [
        values.text("x"),
        values.time("x"),
        values.day("x"),
        values.public_id("cliente", "x"),
        values.choice("x", Cor),
    ],
    ids=lambda value: str(value.schema),
)
def test_what_was_declared_never_to_be_none_is_an_error_that_names_it(value):
    with pytest.raises(ValueError, match=r"x of .* is None.*null=True"):
        said(value, None)


@pytest.mark.parametrize("value", [values.time("x"), values.day("x"), values.time("x", null=True)])
def test_a_naive_or_missing_moment_is_an_error_not_a_guess(value):
    with pytest.raises((ValueError, AttributeError)):
        said(value, None if value.schema["type"] == "string" else dt.datetime(2024, 1, 1))


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_is_the_same_moment_in_utc_to_the_second(moment):
    try:
        moment.astimezone(dt.UTC)
    except OverflowError:
        return
    text = values.instant(moment)
    assert len(text) == 20
    read = dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    assert read == moment.astimezone(dt.UTC).replace(microsecond=0)


def test_changes_need_a_before_and_an_after():
    schema = values.changes().schema
    jsonschema.validate({"telefone": {"anterior": None, "novo": [1]}}, schema)
    for wrong in ({}, {"telefone": {"novo": 1}}, {"telefone": {"anterior": 1, "novo": 2, "x": 3}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
