"""Web, worker and beat at work behind nginx: what comes in over HTTPS goes out signed, and nothing
is lost when the units end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.production.conftest import USER, Start
from tests.production.curl import Visitor
from tests.production.deployment import Deployment
from tests.services.base import wait_until
from tests.webhooks.makers import SECRET
from webhooks.testing import Answer, Receiver

pytestmark = pytest.mark.slow

Api = Callable[..., Any]


@pytest.fixture(scope="module")
def token(deployment: Deployment) -> str:
    return deployment.manage("api_token", USER).splitlines()[-1].strip()


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, deployment: Deployment) -> str:
    """Over which the web's hint must come: the worker looks by itself only every minute."""
    server = request.getfixturevalue(request.param)
    deployment.write_environment(
        CELERY_BROKER_URL=server.url,
        WEBHOOKS_POLL_SECONDS="60",
        WEBHOOKS_TIMEOUT_SECONDS="50",  # a machine that is busy is no receiver that is slow
    )
    return str(request.param)


@pytest.fixture
def api(visitor: Visitor, token: str) -> Api:
    def post(path: str, status: int, **body: Any) -> Any:
        headers = ["Content-Type: application/json", f"Authorization: Bearer {token}"]
        options = [word for header in headers for word in ("--header", header)]
        answer = visitor.get(f"/api/v1/{path}/", *options, "--data", json.dumps(body))
        assert answer.status == status, answer.text
        return json.loads(answer.body)

    return post


def test_a_client_posted_through_nginx_arrives_signed_and_all_end_in_order(
    broker: str, start_units: Start, api: Api
) -> None:
    web, worker, beat = start_units("crm-web", "crm-worker", "crm-beat")
    let_go = threading.Event()
    with Receiver(secrets=[SECRET]) as receiver, ThreadPoolExecutor() as pool:
        try:
            body = {"name": broker, "url": receiver.url, "events": ["cliente.criado"]}
            webhook = api("webhooks", 201, **body, secret=SECRET)
            cliente = api("clientes", 201, nome="João Silva")
            [request] = receiver.wait_for(1)
            assert request.verified
            assert request.json()["data"]["id"] == cliente["id"]

            # All end while the receiver keeps them waiting: the web for a test, the worker for
            # deliveries.
            receiver.answer = held_until(let_go)
            for number in range(8):
                api("clientes", 201, nome=f"Cliente {number}")
            receiver.wait_for(1 + 4)
            test = pool.submit(api, f"webhooks/{webhook['id']}/test", 200)
            receiver.wait_for(1 + 4 + 1)
            for service in (web, beat, worker):
                service.ask_to_stop()
            worker.process.wait_for("Warm shutdown")
            web.process.wait_for("Handling signal: term")
        finally:
            let_go.set()
        assert test.result()
        for service in (web, beat, worker):
            assert service.wait() == 0, service.process.output
        receiver.answer = Answer()

        start_units("crm-worker")
        names = {"João Silva", *(f"Cliente {number}" for number in range(8))}
        wait_until(lambda: set(arrived(receiver)) == names, what="the rest to arrive")
        # None was sent twice: what was under way at the end was recorded.
        assert sorted(arrived(receiver)) == sorted(names)
        assert all(each.verified for each in receiver.requests)


def arrived(receiver: Receiver) -> list[str]:
    bodies = [request.json() for request in receiver.requests]
    return [body["data"]["nome"] for body in bodies if body["event"] == "cliente.criado"]


def held_until(let_go: threading.Event) -> Callable[[Any], Answer]:
    def answer(request: Any) -> Answer:
        let_go.wait(60)
        return Answer()

    return answer
