"""The main job, whole: records saved here, workers and receivers as programs of their own."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import transaction

from chamados.models import Chamado, Resposta
from clientes.models import Cliente
from tarefas.models import Tarefa
from tests.crm import make_chamado, make_cliente, make_tarefa, make_user
from tests.environment import FERNET_KEY
from tests.processes import Process
from tests.receivers.fixtures import SeedReceiver
from tests.services.base import PATIENCE, wait_until
from tests.webhooks.makers import SECRET, a_webhook, nothing_is_owed
from webhooks import catalog, operations
from webhooks.models import Delivery, Event, Webhook
from webhooks.signing import verify_hex
from webhooks.testing import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True)]

Worker = Callable[..., Process]


def delivered(count: int) -> Callable[[], bool]:
    return lambda: Delivery.objects.filter(status=Delivery.Status.DELIVERED).count() >= count


@pytest.fixture(params=["files", "redis", "rabbitmq"])
def broker(
    request: pytest.FixtureRequest, use_broker: Callable[..., None], tmp_path: Any
) -> dict[str, str]:
    """What a worker's environment says of the broker, to which this process publishes too."""
    if request.param == "files":
        return {}  # nobody publishes: the worker finds what is due by itself
    server = request.getfixturevalue(request.param)
    use_broker(server.url)
    return {"CELERY_BROKER_URL": server.url, "WEBHOOKS_POLL_SECONDS": "60"}


def test_a_saved_record_arrives_signed_over_each_broker(
    broker: dict[str, str], start_worker: Worker
) -> None:
    with Receiver(secrets=[SECRET]) as receiver:
        a_webhook(url=receiver.url, events=["cliente.*"])
        start_worker(**broker)
        # With a broker, workers look by themselves only every 60 s: what arrives sooner was told.
        cliente = make_cliente()
        receiver.wait_for(1)
        [request] = receiver.requests
        assert request.verified
        assert request.json()["data"]["id"] == cliente.public_id
        wait_until(delivered(1), what="the outcome to be recorded")


@pytest.mark.both_databases
def test_what_is_rolled_back_is_not_sent(start_worker: Worker) -> None:
    class Changed(Exception):
        pass

    with Receiver(secrets=[SECRET]) as receiver:
        a_webhook(url=receiver.url, events=["*"])
        start_worker()
        with pytest.raises(Changed), transaction.atomic():
            make_cliente(nome="Nunca")
            raise Changed
        make_cliente(nome="Sempre")
        receiver.wait_for(1)
        wait_until(nothing_is_owed, what="everything to be settled")
        assert [request.json()["data"]["nome"] for request in receiver.requests] == ["Sempre"]


def every_event_of_the_crm() -> set[str]:
    """Make each happen. :returns: the types."""
    user = make_user()
    cliente = make_cliente(
        nome='João "Zé" \u2028 \\ 😀 <b>',
        email="joao@example.com",
        telefone="(11) 99999-9999",
        campos_personalizados={"peso": 0.00001, "maior": 2**60, "nada": None, "lista": [1.0, -0.0]},
    )
    cliente.telefone = "(11) 98888-8888"
    cliente.save()
    tarefa = make_tarefa(cliente=cliente, descricao="linha\nlinha\tfim")
    tarefa.concluir()
    chamado = make_chamado(cliente=cliente)
    chamado.responder(user, "Estamos verificando o problema")
    chamado.resolver(user)
    cliente.delete()  # and with it the task and the ticket
    assert not Tarefa.objects.exists() and not Chamado.objects.exists()
    assert not Resposta.objects.exists()
    return {each.name for each in catalog.subscribable() if not each.name.startswith("webhook.")}


def test_the_seeds_own_receivers_accept_every_event(
    start_worker: Worker,
    node_receiver: Callable[[str], SeedReceiver],
    python_receiver: Callable[[str], SeedReceiver],
) -> None:
    receivers = {"node": node_receiver(SECRET), "python": python_receiver(SECRET)}
    for name, receiver in receivers.items():
        a_webhook(name=name, url=receiver.url, events=["*"])
    start_worker()
    types = every_event_of_the_crm()
    assert set(Event.objects.values_list("type", flat=True)) == types
    wait_until(nothing_is_owed, what="everything to be settled")
    # They answer 200 only to what they verified, over JSON.stringify(req.body) in one of them.
    for name in receivers:
        outcomes = Delivery.objects.filter(webhook__name=name)
        assert set(outcomes.values_list("event__type", flat=True)) == types
        assert set(outcomes.values_list("status", "last_status_code")) == {("delivered", 200)}


def test_a_wrong_secret_is_refused_by_them_and_shown(
    start_worker: Worker, python_receiver: Callable[[str], SeedReceiver]
) -> None:
    a_webhook(url=python_receiver("another-secret-altogether").url, retry_schedule=[0])
    start_worker()
    make_cliente()
    wait_until(nothing_is_owed, what="everything to be settled")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.last_status_code) == (Delivery.Status.FAILED, 401)
    assert "Assinatura" in delivery.attempts.get().response_body


@pytest.mark.both_databases
def test_one_receiver_that_hangs_costs_the_others_nothing(start_worker: Worker) -> None:
    events, healthy = 1000, 9
    receivers = [Receiver(secrets=[SECRET]) for _ in range(healthy)]
    hanging = Receiver(Answer(delay=math.inf))
    try:
        for number, receiver in enumerate([*receivers, hanging]):
            a_webhook(name=str(number), url=receiver.url, events=["cliente.criado"])
        # It keeps each request for longer than all the rest may take.
        Webhook.objects.filter(url=hanging.url).update(timeout_seconds=200)
        start_worker("--concurrency=1", WEBHOOKS_LEASE_SECONDS="300")
        with transaction.atomic():
            for number in range(events):
                Cliente.objects.create(nome=f"Cliente {number}")
        for receiver in receivers:
            receiver.wait_for(events, timeout=150)
        # The one that hangs has answered nothing yet, and holds no more than its share.
        assert not hanging_is_over(hanging)
        assert hanging.count <= 2 * 4
        for receiver in receivers:
            names = {request.json()["data"]["nome"] for request in receiver.requests}
            assert len(names) == receiver.count == events
            assert all(request.verified for request in receiver.requests)
    finally:
        for receiver in [*receivers, hanging]:
            receiver.close()


def hanging_is_over(hanging: Receiver) -> bool:
    return Delivery.objects.filter(webhook__url=hanging.url, attempt_count__gt=0).exists()


@pytest.mark.both_databases
def test_what_failed_is_replayed_once_the_receiver_is_well(start_worker: Worker) -> None:
    with Receiver(Answer(status=500), secrets=[SECRET]) as receiver:
        a_webhook(url=receiver.url, events=["cliente.criado"], retry_schedule=[0, 0])
        start_worker()
        for number in range(5):
            make_cliente(nome=f"Cliente {number}")
        failed = Delivery.objects.filter(status=Delivery.Status.FAILED)
        wait_until(lambda: failed.count() == 5, what="all to have failed")
        assert receiver.count == 10
        first = {request.id for request in receiver.requests}

        receiver.answer = Answer(delay=0.2)
        call_command("webhooks_replay", "--yes")
        call_command("webhooks_replay", "--yes", "--status", "all", "--webhook", "ERP")
        wait_until(delivered(5), what="all to be delivered")
        wait_until(nothing_is_owed, what="everything to be settled")
        again = receiver.requests[10:]
        # The second command took up none that the first had set on its way, unless it had arrived.
        assert {request.id for request in again} == first
        assert all(int(request.attempt) >= 3 for request in again)
        assert all(request.verified for request in again)


@pytest.mark.both_databases
def test_secrets_rotate_with_an_overlap(start_worker: Worker) -> None:
    with Receiver() as receiver:
        webhook = a_webhook(url=receiver.url, events=["cliente.criado"])
        start_worker()
        new = operations.rotate_secret(webhook)
        make_cliente()
        receiver.wait_for(1)
        [request] = receiver.requests
        # A receiver of Standard Webhooks is content with either secret.
        assert len(request.headers["webhook-signature"].split(" ")) == 2
        assert verify_hex(new, request.body, request.headers["x-webhook-signature"])

        operations.expire_old_keys(webhook)
        make_cliente()
        receiver.wait_for(2)
        request = receiver.requests[1]
        assert len(request.headers["webhook-signature"].split(" ")) == 1
        assert not verify_hex(SECRET, request.body, request.headers["x-webhook-signature"])


def test_a_receiver_with_the_old_secret_takes_it_at_the_second_attempt(
    start_worker: Worker, python_receiver: Callable[[str], SeedReceiver]
) -> None:
    webhook = a_webhook(
        url=python_receiver(SECRET).url, events=["cliente.criado"], retry_schedule=[0, 0]
    )
    operations.rotate_secret(webhook)
    start_worker()
    make_cliente()
    wait_until(delivered(1), what="it to be delivered")
    attempts = Delivery.objects.get().attempts.order_by("number")
    assert list(attempts.values_list("status_code", flat=True)) == [401, 200]


@pytest.mark.both_databases
def test_encryption_keys_rotate_under_running_workers(
    start_worker: Worker, start: Callable[..., Process]
) -> None:
    new = Fernet.generate_key().decode()
    with Receiver(secrets=[SECRET]) as receiver:
        a_webhook(url=receiver.url, events=["cliente.criado"])
        both = {"WEBHOOKS_ENCRYPTION_KEYS": f"{new},{FERNET_KEY}"}
        worker = start_worker(**both)
        make_cliente()
        receiver.wait_for(1)
        rotation = start("manage.py", "webhooks_rotate_keys", **both)
        assert rotation.wait() == 0, rotation.output
        make_cliente()
        receiver.wait_for(2)
        worker.terminate()
        worker.wait()
        # The old key is gone.
        start_worker(WEBHOOKS_ENCRYPTION_KEYS=new)
        make_cliente()
        receiver.wait_for(3)
        assert all(request.verified for request in receiver.requests)


@pytest.mark.both_databases
def test_web_worker_and_commands_write_at_once(
    start_worker: Worker, start: Callable[..., Process]
) -> None:
    """On SQLite none of them may meet "database is locked"."""
    each = 60
    with Receiver(secrets=[SECRET]) as receiver:
        a_webhook(url=receiver.url, events=["cliente.criado"])
        workers = [start_worker("--hostname", f"celery@{name}") for name in ("um", "dois")]
        code = (
            "from clientes.models import Cliente\n"
            f"for n in range({each}): Cliente.objects.create(nome=f'C{{n}}')"
        )
        commands = [start("manage.py", "shell", "-c", code) for _ in range(2)]
        errors: list[BaseException] = []

        def save() -> None:
            from django.db import connection

            try:
                for number in range(each):
                    make_cliente(nome=f"T{number}")
            except BaseException as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=save) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for command in commands:
            assert command.wait() == 0, command.output
        assert errors == []
        receiver.wait_for(4 * each, timeout=PATIENCE)
        wait_until(nothing_is_owed, what="everything to be settled")
        assert receiver.count == 4 * each
        for process in workers:
            assert "locked" not in process.output
            assert "The database is away" not in process.output
