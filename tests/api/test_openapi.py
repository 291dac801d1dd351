"""The API describes itself: what its OpenAPI document says, held against the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from django.conf import settings
from openapi_spec_validator import OpenAPIV31SpecValidator

from crm_common.validators import MAX_TEXT_LENGTH
from tests.api.conftest import Caller
from webhooks import catalog, exactjson, signing

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(anyone: Caller) -> dict[str, Any]:
    response = anyone.get("schema/")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By operationId."""
    return {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for operation in item.values()
    }


def test_every_address_is_described_and_each_operation_named_once(
    document: dict[str, Any],
) -> None:
    from django.urls import get_resolver
    from rest_framework.schemas.generators import EndpointEnumerator

    endpoints = EndpointEnumerator(get_resolver().url_patterns).get_api_endpoints()
    known = {(path, method) for path, method, callback in endpoints if callback.cls.tag != ""}
    described = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item
    }
    assert known == described and len(known) > 50
    assert len(operations(document)) == len(described)


def test_every_operation_says_who_may_and_what_can_go_wrong(document: dict[str, Any]) -> None:
    kept = operations(document)
    assert kept["cliente_list"]["security"] == [{"bearer": []}, {"session": []}]
    assert "`clientes.view_cliente`" in kept["cliente_list"]["description"]
    assert kept["schema_retrieve"]["security"] == [{}]
    for name, operation in kept.items():
        assert operation["summary"], name
        problems = {status for status in operation["responses"] if int(status) >= 400}
        assert {"400", "500", "503"} <= problems, name
        # Without a body there is nothing that could not be accepted.
        assert ("406" in problems) == ("204" not in operation["responses"]), name
        if operation["security"] != [{}]:
            assert {"401", "403", "429"} <= problems, name
        for status in problems:
            response = operation["responses"][status]
            reference = response.get("$ref", "").rpartition("/")[2]
            content = document["components"]["responses"].get(reference, response)["content"]
            kind = "json" if name.startswith("rd_station") else "problem+json"
            assert list(content) == [f"application/{kind}"]


def test_headers_of_the_protocol_are_documented(document: dict[str, Any]) -> None:
    def parameters(name: str) -> list[str]:
        return [each.get("$ref", "").rpartition("/")[2] for each in kept[name]["parameters"]]

    kept = operations(document)
    assert "Idempotency-Key" in parameters("cliente_create")
    assert "If-Match" in parameters("cliente_partial_update")
    assert "If-None-Match" in parameters("cliente_retrieve")
    assert set(kept["cliente_create"]["responses"]["201"]["headers"]) == {
        "ETag",
        "Location",
        "Idempotent-Replayed",
    }
    assert "304" in kept["cliente_retrieve"]["responses"]
    assert "412" in kept["cliente_destroy"]["responses"]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["components"]["securitySchemes"]["session"]["in"] == "cookie"


def test_every_filter_says_what_it_finds(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        for each in operation.get("parameters", []):
            if each.get("in") == "query":
                assert each.get("description"), (name, each["name"])


def test_what_may_be_sent_is_as_long_as_the_api_takes(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    client = schemas["ClienteBody"]["properties"]
    assert client["nome"]["maxLength"] == 200
    assert client["observacoes"]["maxLength"] == MAX_TEXT_LENGTH
    # Kept without their punctuation, in whatever spelling they come.
    assert not {"maxLength"} & (client["documento"].keys() | client["telefone"].keys())
    assert client["etiquetas"]["maxItems"] == 20
    assert client["etiquetas"]["items"]["maxLength"] == 50
    assert "10000" in client["camposPersonalizados"]["description"]
    for name in ("TarefaBody", "ChamadoPatch"):
        assert schemas[name]["properties"]["descricao"]["maxLength"] == MAX_TEXT_LENGTH
    assert schemas["RespostaBody"]["properties"]["mensagem"]["maxLength"] == MAX_TEXT_LENGTH
    assert schemas["DepartamentoBody"]["properties"]["descricao"]["maxLength"] == 500
    task = schemas["TarefaBody"]["properties"]
    assert "`auth.view_user`" in task["responsavelId"]["description"]
    batch = operations(document)["cliente_lote"]["description"]
    assert str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) in batch


def test_it_speaks_the_callers_language(anyone: Caller, document: dict[str, Any]) -> None:
    portuguese = anyone.get("schema/", accept_language="pt-BR").json()
    for name, operation in operations(portuguese).items():
        assert operation["summary"] != operations(document)[name]["summary"], name
    OpenAPIV31SpecValidator(portuguese).validate()


def test_the_document_has_a_state_that_can_be_asked_for(anyone: Caller) -> None:
    tag = anyone.get("schema/")["ETag"]
    assert anyone.get("schema/", if_none_match=tag).status_code == 304


# --- webhooks -----------------------------------------------------------------------------------
def test_every_type_of_event_is_a_webhook_of_the_document(document: dict[str, Any]) -> None:
    assert list(document["webhooks"]) == [each.name for each in catalog.all_types()]
    for each in catalog.all_types():
        content = document["webhooks"][each.name]["post"]["requestBody"]["content"]
        body = content["application/json"]
        jsonschema.Draft202012Validator(body["schema"]).validate(body["example"])
        assert body["example"] == each.example


def test_the_examples_verify_with_the_secret_that_is_named(document: dict[str, Any]) -> None:
    from webhooks.api.openapi import EXAMPLE_MOMENT, EXAMPLE_SECRET

    assert [each for each in document["tags"] if EXAMPLE_SECRET in each["description"]]
    for each in document["webhooks"].values():
        operation = each["post"]
        headers = {item["name"]: item["example"] for item in operation["parameters"]}
        body = exactjson.dumps(
            operation["requestBody"]["content"]["application/json"]["example"]
        ).encode()
        assert signing.verify_hex(EXAMPLE_SECRET, body, headers["X-Webhook-Signature"])
        assert signing.verify_standard(
            EXAMPLE_SECRET, headers, body, now=int(EXAMPLE_MOMENT.timestamp())
        )
        for item in operation["parameters"]:
            jsonschema.Draft202012Validator(item["schema"]).validate(item["example"])


def keywords(document: dict[str, Any], schema: Any, seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Every keyword of a schema and of those within it, references followed."""
    if isinstance(schema, list):
        for each in schema:
            yield from keywords(document, each, seen)
    elif isinstance(schema, dict):
        for keyword, value in schema.items():
            yield keyword, value
            if keyword == "$ref" and value not in seen:
                seen.add(value)
                found: Any = document
                for step in value.removeprefix("#/").split("/"):
                    found = found[step]
                yield from keywords(document, found, seen)
            elif keyword in ("properties", "patternProperties", "$defs"):
                yield from keywords(document, list(value.values()), seen)
            elif keyword not in ("const", "enum", "examples", "required"):
                yield from keywords(document, value, seen)


def test_no_update_has_a_default_that_programs_would_send(document: dict[str, Any]) -> None:
    changing = 0
    for address, item in document["paths"].items():
        for method in {"put", "patch"} & set(item):
            content = item[method]["requestBody"]["content"]["application/json"]
            names = [name for name, _value in keywords(document, content["schema"], set())]
            assert names and "default" not in names, (method, address)
            changing += 1
    assert changing >= 11


def test_a_creation_says_what_holds_without(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["WebhookCreation"]
    assert schema["properties"]["format"]["default"] == "sistema-crm"
