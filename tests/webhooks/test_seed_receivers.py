"""The receivers that seed 004 publishes take what is signed here, and nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.receivers.fixtures import SeedReceiver
from tests.services.base import PATIENCE
from webhooks.exactjson import dumps
from webhooks.signing import Key, generate_secret, hex_signature

SECRET = "sua_chave_secreta"
MOMENT = datetime.datetime(2024, 1, 1, 10, 0, tzinfo=datetime.UTC)
# What is easy to write in a way that JavaScript does not: each of these breaks `json.dumps`.
DATA: dict[str, Any] = {
    "id": "cliente_123",
    "nome": "João Silva 🙂 \u2028 \x7f \x01 \ud800",
    "numeros": [1.0, -0.0, 1e-5, 1e16, 1e21, 2**53, 0.1 + 0.2],
    "camposPersonalizados": {"b": 1, "a": None, "01": True, "": []},
    "createdAt": MOMENT,
}


@pytest.fixture(params=["node", "python"])
def start_receiver(request: pytest.FixtureRequest) -> Callable[[str], SeedReceiver]:
    start: Callable[[str], SeedReceiver] = request.getfixturevalue(f"{request.param}_receiver")
    return start


def post(url: str, body: bytes, signature: str) -> requests.Response:
    headers = {"Content-Type": "application/json", "X-Webhook-Signature": signature}
    return requests.post(url, data=body, headers=headers, timeout=PATIENCE)


@pytest.mark.parametrize("secret", [SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_what_is_signed_here_is_taken(
    start_receiver: Callable[[str], SeedReceiver], secret: str
) -> None:
    receiver = start_receiver(secret)
    key = Key.parse("hmac-sha256", secret)
    for event in ("cliente.criado", "tarefa.criada", "chamado.aberto"):
        body = dumps({"event": event, "timestamp": MOMENT, "data": DATA}).encode()
        answer = post(receiver.url, body, hex_signature(key, body))
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    receiver.process.wait_for("Novo cliente criado")


def test_what_is_signed_with_another_secret_is_refused(
    start_receiver: Callable[[str], SeedReceiver],
) -> None:
    receiver = start_receiver(SECRET)
    body = dumps({"event": "cliente.criado", "data": DATA}).encode()
    other = Key.parse("hmac-sha256", generate_secret())
    assert post(receiver.url, body, hex_signature(other, body)).status_code == 401


def test_the_largest_body_that_events_may_have_is_taken(
    start_receiver: Callable[[str], SeedReceiver], settings: Any
) -> None:
    from webhooks.conf import DEFAULTS

    receiver = start_receiver(SECRET)
    frame = dumps({"event": "cliente.criado", "data": {"nome": ""}})
    name = "x" * (DEFAULTS["BODY_MAX_BYTES"] - len(frame))
    body = dumps({"event": "cliente.criado", "data": {"nome": name}}).encode()
    assert len(body) == DEFAULTS["BODY_MAX_BYTES"]
    signature = hex_signature(Key.parse("hmac-sha256", SECRET), body)
    assert post(receiver.url, body, signature).status_code == 200
