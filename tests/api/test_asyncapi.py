"""The events as an AsyncAPI document, held against AsyncAPI's own schema and the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.api.conftest import Caller
from tests.receivers.fixtures import install_locked
from webhooks import catalog, exactjson, signing
from webhooks.api.openapi import EXAMPLE_SECRET

HERE = Path(__file__).parent / "asyncapi"

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(anyone: Caller) -> dict[str, Any]:
    response = anyone.get("asyncapi.json")
    assert response.status_code == 200 and response["Content-Type"] == "application/json"
    found: dict[str, Any] = response.json()
    return found


def test_the_document_is_what_asyncapi_publishes_a_schema_of(document: dict[str, Any]) -> None:
    if not install_locked(HERE, "@asyncapi/specs"):
        pytest.skip("AsyncAPI's schema comes from npm")
    folder = HERE / "node_modules" / "@asyncapi" / "specs" / "schemas"
    schema = json.loads((folder / f"{document['asyncapi']}.json").read_text())
    jsonschema.Draft7Validator(schema).validate(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({**document, "channels": 5})


def test_every_type_of_event_has_its_channel_operation_and_message(
    document: dict[str, Any],
) -> None:
    def at(reference: str) -> Any:
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return at(found["$ref"]) if "$ref" in found else found

    told = []
    for operation in document["operations"].values():
        assert operation["action"] == "send"
        channel = at(operation["channel"]["$ref"])
        assert channel["address"] is None
        [reference] = operation["messages"]
        told.append(at(reference["$ref"])["name"])
    assert told == [each.name for each in catalog.all_types()]
    assert len(document["channels"]) == len(document["components"]["messages"]) == len(told)


def test_every_example_fits_its_schemas_and_verifies(document: dict[str, Any]) -> None:
    for message in document["components"]["messages"].values():
        [example] = message["examples"]
        for part in ("headers", "payload"):
            jsonschema.Draft7Validator.check_schema(message[part])
            jsonschema.Draft7Validator(message[part]).validate(example[part])
        body = exactjson.dumps(example["payload"]).encode()
        assert signing.verify_hex(EXAMPLE_SECRET, body, example["headers"]["X-Webhook-Signature"])


def test_it_speaks_the_callers_language(anyone: Caller, document: dict[str, Any]) -> None:
    portuguese = anyone.get("asyncapi.json", accept_language="pt-BR").json()
    assert portuguese["info"]["title"] != document["info"]["title"]
