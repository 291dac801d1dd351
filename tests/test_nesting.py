"""JSON that outsiders give: what is taken is saved, changed and sent; the rest is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_common.parsers import MAX_DEPTH as MAX_BODY_DEPTH
from clientes.models import Cliente
from tests.api.conftest import Caller
from tests.webhooks.makers import a_message
from webhooks import catalog, events, exactjson, formats
from webhooks.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

MOST = events.MAX_INPUT_DEPTH
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "twenty": [{}, {"payload": "current"}],
    "freshmarketer": [{"custom_data": {"a": "{{camposPersonalizados.k.k.k}}"}}],
}
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("aé ", max_size=3)
)


def nested(levels: int, kinds: str = "object", leaf: Any = 1) -> dict[str, Any]:
    """An object that has so many levels, itself included."""
    value = leaf
    for level in range(levels - 1):
        value = [value] if kinds == "list" or (kinds == "both" and level % 2) else {"k": value}
    return {"k": value}


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    levels = draw(st.integers(1, 120))
    kinds = draw(st.sampled_from(["object", "list", "both"]))
    leaf = draw(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=4))
    return nested(levels, kinds, leaf)


@pytest.fixture
def root(db: None) -> Caller:
    return Caller(User.objects.create_superuser("root"))


def send_all() -> int:
    """Write every event in every format that tells it; the number of bodies."""
    count = 0
    for event in Event.objects.all():
        for format in formats.all_formats():
            for options in OPTIONS.get(format.name, [{}]):
                if not format.tells(event.type):
                    continue
                message = a_message(
                    event.type,
                    {},
                    default_body=event.body,
                    snapshot_text=event.snapshot,
                    options=options,
                )
                json.loads(format.body(message))
                count += 1
    return count


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=objects(), second=objects())
def test_what_is_accepted_is_saved_changed_and_sent_in_every_format(
    root: Caller, first: dict[str, Any], second: dict[str, Any]
) -> None:
    Event.objects.all().delete()
    body = {"nome": "Ana", "camposPersonalizados": first}
    created = root.post("clientes/", body)
    many = root.post("clientes/lote/", {"clientes": [body]})
    assert created.status_code == many.status_code
    if created.status_code != 201:
        assert created.status_code == 400
        created = root.post("clientes/", {"nome": "Ana"})
    path = created["Location"]
    assert root.patch(path, {"nome": "Bia"}).status_code == 200
    assert root.patch(path, {"camposPersonalizados": second}).status_code in (200, 400)
    assert root.patch(path, {"camposPersonalizados": {}}).status_code == 200
    assert send_all()


@pytest.mark.parametrize("kinds", ["object", "list", "both"])
def test_custom_fields_have_a_bounded_number_of_levels(root: Caller, kinds: str) -> None:
    body = {"nome": "Ana", "camposPersonalizados": nested(MOST, kinds)}
    assert root.post("clientes/", body).status_code == 201
    assert root.post("clientes/lote/", {"clientes": [body]}).status_code == 201

    body["camposPersonalizados"] = nested(MOST + 1, kinds)
    [error] = root.post("clientes/", body).json()["errors"]
    assert (error["field"], error["code"]) == ("camposPersonalizados", "too_deep")
    [error] = root.post("clientes/lote/", {"clientes": [body]}).json()["errors"]
    assert (error["field"], error["code"]) == ("clientes[0].camposPersonalizados", "too_deep")


@pytest.mark.parametrize("levels", [MOST, MOST + 1, MAX_BODY_DEPTH, 98, 500, 900, 50_000])
def test_no_form_and_no_endpoint_fails_at_any_number_of_levels(
    root: Caller, admin_client: Client, levels: int
) -> None:
    text = '{"k":' * levels + "1" + "}" * levels
    form = {"nome": "Ana", "campos_personalizados": text, "_save": ""}
    assert admin_client.post("/admin/clientes/cliente/add/", form).status_code in (200, 302)
    for path, body in (
        ("clientes/", f'{{"nome":"a","camposPersonalizados":{text}}}'),
        ("clientes/lote/", f'{{"clientes":[{{"nome":"a","camposPersonalizados":{text}}}]}}'),
        ("webhooks/", f'{{"name":"a","url":"https://a","events":["*"],"headers":{text}}}'),
        ("webhooks/", f'{{"name":"a","url":"https://a","events":["*"],"formatOptions":{text}}}'),
        ("webhooks/", f'{{"name":"a","url":"https://a","events":{text}}}'),
        ("webhooks/", f'{{"name":{text},"url":{text},"events":["*"],"retrySchedule":[{text}]}}'),
        ("/integrations/webhooks", f'{{"url":{text},"event_identifiers":{text}}}'),
    ):
        response = root.post(path, body)
        assert response.status_code in (201, 400, 422), (path, response.content)
        assert (response.status_code == 201) == (levels <= MOST and path.startswith("clientes"))
    assert Cliente.objects.filter(nome="Ana").exists() == (levels <= MOST)


@pytest.mark.parametrize("levels", [MOST + 1, 97, 98, 100])
def test_what_was_kept_before_the_bound_can_be_read_changed_and_mended(
    root: Caller, levels: int
) -> None:
    cliente = Cliente.objects.create(nome="Ana")
    Cliente.objects.update(campos_personalizados=nested(levels))
    path = f"clientes/{cliente.public_id}/"

    assert root.get(path).json()["camposPersonalizados"] == nested(levels)
    assert root.patch(path, {"nome": "Bia"}).status_code == 200
    preview = f"event-types/cliente.atualizado/preview/?object={cliente.public_id}"
    assert root.get(preview).status_code == 200
    assert root.patch(path, {"camposPersonalizados": {}}).status_code == 200
    assert root.delete(path).status_code == 204
    assert send_all()


def test_what_no_event_can_tell_is_refused_and_not_a_fault(root: Caller) -> None:
    cliente = Cliente.objects.create(nome="Ana")
    Cliente.objects.update(campos_personalizados=nested(exactjson.MAX_DEPTH))
    response = root.patch(f"clientes/{cliente.public_id}/", {"nome": "Bia"})
    assert response.status_code == 400
    assert "camposPersonalizados" in response.json()["errors"][0]["detail"]
    cliente.refresh_from_db()
    assert cliente.nome == "Ana"


# --- emit -------------------------------------------------------------------------------------
@pytest.fixture
def event_type(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(catalog, "_types", dict(catalog._types))
    return events.declare(
        "nota.escrita", description="", area="", data_schema={"type": "object"}, example={}
    ).name


@pytest.mark.parametrize("kinds", ["object", "list", "both"])
def test_emitted_data_has_a_bounded_number_of_levels(event_type: str, kinds: str) -> None:
    most = exactjson.MAX_DATA_DEPTH
    events.emit(event_type, data=nested(most, kinds))
    assert send_all()
    with pytest.raises(events.TooDeep, match=f"deeper than {most} levels"):
        events.emit(event_type, data=nested(most + 1, kinds))


def test_data_that_holds_itself_is_refused_at_once(event_type: str) -> None:
    circle: dict[str, Any] = {}
    circle |= {"a": circle, "b": circle}
    with pytest.raises(ValueError, match="containing itself"):
        events.emit(event_type, data=circle)
    assert not Event.objects.exists()


def test_both_databases_keep_what_any_bound_lets_by() -> None:
    value = nested(exactjson.MAX_DEPTH)
    cliente = Cliente.objects.create(nome="Ana")
    Cliente.objects.filter(pk=cliente.pk).update(campos_personalizados=value)
    cliente.refresh_from_db()
    assert cliente.campos_personalizados == value
    assert connection.is_usable()
