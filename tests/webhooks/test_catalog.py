"""The types of event that exist."""

from __future__ import annotations

import dataclasses
import json

import jsonschema
import pytest

from webhooks import catalog
from webhooks.catalog import EventType, UnknownEventType


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(catalog, "_types", dict(catalog._types))


def a_type(name: str = "pedido.pago", **values: object) -> EventType:
    return EventType(
        **{
            "name": name,
            "description": "An order was paid.",
            "area": "Orders",
            "data_schema": {
                "type": "object",
                "properties": {"id": {"type": "string"}},
                "required": ["id"],
                "additionalProperties": False,
            },
            "data_example": {"id": "pedido_1"},
            **values,
        }
    )


def test_a_declared_type_is_found_by_its_name_and_listed_in_order():
    before = catalog.all_types()
    first, second = catalog.declare(a_type()), catalog.declare(a_type("pedido.aberto"))
    assert catalog.get("pedido.pago") is first
    assert catalog.all_types() == [*before, first, second]


def test_declaring_the_same_type_again_is_harmless_but_another_of_its_name_is_refused():
    catalog.declare(a_type())
    catalog.declare(a_type())
    assert [each.name for each in catalog.all_types()].count("pedido.pago") == 1
    with pytest.raises(ValueError, match=r"pedido\.pago.*declared twice"):
        catalog.declare(a_type(description="Something else."))


def test_an_unknown_type_is_refused_with_the_known_ones_named():
    with pytest.raises(UnknownEventType, match=r"cliente\.criad'.*cliente\.criado"):
        catalog.get("cliente.criad")


def test_types_that_are_sent_on_purpose_cannot_be_subscribed_to():
    catalog.declare(a_type(subscribable=False))
    assert "pedido.pago" not in {each.name for each in catalog.subscribable()}
    assert "webhook.teste" not in {each.name for each in catalog.subscribable()}
    assert "cliente.criado" in {each.name for each in catalog.subscribable()}


def test_a_type_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalog.get("cliente.criado").name = "x"  # type: ignore[misc]


@pytest.mark.parametrize("name", [each.name for each in catalog.all_types()])
def test_the_whole_bodys_schema_is_valid_and_strict_and_the_example_keeps_it(name):
    event_type = catalog.get(name)
    schema = json.loads(json.dumps(event_type.schema))  # nothing lazy left in it
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(event_type.example, schema)
    assert list(event_type.example) == ["event", "timestamp", "data"]
    for broken in (
        {**event_type.example, "event": "another"},
        {**event_type.example, "more": 1},
        {key: value for key, value in event_type.example.items() if key != "timestamp"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)
