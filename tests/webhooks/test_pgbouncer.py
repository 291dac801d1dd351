"""All of it through PgBouncer in transaction mode: no two transactions of a client on the same
connection, and none that outlives one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection, connections, transaction

from clientes.models import Cliente
from tests.crm import make_cliente
from tests.processes import Process
from tests.services import PgBouncer
from tests.services.base import wait_until
from tests.webhooks.makers import SECRET, a_webhook
from webhooks import operations
from webhooks.models import Delivery, Event
from webhooks.testing import Receiver

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def pooled(transactional_db: None, pgbouncer: PgBouncer) -> Iterator[str]:
    """The tests' database through PgBouncer, also for this process; its address."""
    settings = connection.settings_dict
    connection.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings, "PORT", str(pgbouncer.port))
        patch.setitem(settings, "DISABLE_SERVER_SIDE_CURSORS", True)
        yield pgbouncer.database_url(settings["NAME"])
        connection.close()


def test_many_save_and_a_worker_delivers_over_few_connections(
    pooled: str, pgbouncer: PgBouncer, start_worker: Callable[..., Process]
) -> None:
    clients, each = 4, 5

    def work(number: int) -> int:
        try:
            mine = [make_cliente(nome=f"Cliente {number}-{n}").pk for n in range(each)]
            with transaction.atomic():
                for cliente in Cliente.objects.filter(pk__in=mine):
                    cliente.nome += "!"
                    cliente.save()
            return sum(1 for _ in Cliente.objects.filter(pk__in=mine).iterator(chunk_size=2))
        finally:
            connections.close_all()

    with Receiver(secrets=[SECRET]) as receiver:
        webhook = a_webhook(url=receiver.url)
        worker = start_worker(
            "--concurrency=1",
            "--without-gossip",
            "--without-mingle",
            DATABASE_URL=pooled,
            DISABLE_SERVER_SIDE_CURSORS="true",
        )
        with ThreadPoolExecutor(clients) as pool:
            assert list(pool.map(work, range(clients))) == [each] * clients
        told = clients * each * 2
        receiver.wait_for(told)
        wait_until(
            lambda: webhook.deliveries.filter(status=Delivery.Status.DELIVERED).count() == told,
            what="all to be recorded",
        )
        operations.replay(webhook.deliveries.filter(event__sequence=1))
        receiver.wait_for(told + clients * each)
        [used] = [row for row in pgbouncer.ask("SHOW POOLS") if row["database"] != "pgbouncer"]
        assert worker.stop() == 0

    assert "Traceback" not in worker.output and "stumbled" not in worker.output
    assert all(request.verified for request in receiver.requests)
    assert used["pool_mode"] == "transaction"
    at_postgres = sum(int(str(used[name])) for name in used if name.startswith("sv_"))
    assert at_postgres <= pgbouncer.server_connections
    assert set(Event.objects.values_list("sequence", flat=True)) == {1, 2}


def test_what_needs_a_session_would_fail_there(pooled: str) -> None:
    """So that the test above means something: it is no session that PgBouncer gives."""
    first, second = (psycopg.connect(pooled, autocommit=True) for _ in range(2))
    with first, second:
        first.execute("SET work_mem = '7MB'")
        with second.transaction():
            second.execute("SELECT 1")  # takes the connection that `first` had
            assert first.execute("SHOW work_mem").fetchone() != ("7MB",)
