"""What the logs say: enough to find a delivery, and nothing that it holds."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from tests.crm import make_cliente
from tests.processes import Process
from tests.webhooks.makers import SECRET, a_webhook, receiver
from tests.webhooks.test_delivery import Canned, a_job, a_target
from webhooks import delivery
from webhooks.logs import JSONFormatter, cause
from webhooks.models import Delivery, Event
from webhooks.transport import TransportError


@pytest.mark.django_db(transaction=True)
def test_a_workers_json_lines_lead_to_each_delivery(
    start_worker: Callable[..., Process],
) -> None:
    with receiver() as (url, _), receiver(500, b"your-answer") as (broken, _):
        a_webhook(url=url)
        a_webhook(url=broken, retry_schedule=[0])
        make_cliente(nome="Nome Que Ninguém Lê")
        worker = start_worker(
            "--concurrency=1", "--without-gossip", "--without-mingle",
            LOG_FORMAT="json", LOG_LEVEL="debug",
        )  # fmt: skip
        worker.wait_for("succeeded.")
        worker.wait_for("the last one.")
        assert worker.stop() == 0

    lines = [json.loads(line) for line in worker.lines if line.startswith("{")]
    assert {"celery.apps.worker", "webhooks.engine"} <= {line["logger"] for line in lines}
    told = {line["delivery_id"]: line for line in lines if "delivery_id" in line}
    event = Event.objects.get()
    for owed in Delivery.objects.all():
        line = told[owed.pk]
        assert line["event_id"] == event.public_id
        assert line["webhook_id"] == str(owed.webhook_id)
        assert (line["event_type"], line["attempt"]) == ("cliente.criado", 1)
        failed = owed.status == Delivery.Status.FAILED
        assert line["level"] == ("WARNING" if failed else "DEBUG")
        assert (line["status_code"], line["error"]) == ((500, "status") if failed else (200, ""))
    for kept_quiet in (SECRET, "Ninguém", "your-answer", url):
        assert kept_quiet not in worker.output


@pytest.mark.parametrize("bug", [RuntimeError("a bug"), TransportError("internal", "a bug")])
def test_a_bug_is_told_with_its_traceback_and_the_deliverys_id(bug: Exception) -> None:
    written = _logged(lambda: delivery.attempt(a_job(), a_target(), Canned(bug)))
    assert written["delivery_id"] == a_job().delivery_id
    assert written["exception"].endswith("a bug")
    assert "\n" in written["exception"]


def test_a_databases_complaint_is_one_line_without_a_password_or_a_rows_values() -> None:
    error = OperationalError(
        'connection to "db" (p4ss) failed:\n\tConnection refused\nDETAIL:  Failing row: João.\n'
    )
    assert cause(error, "p4ss", "") == (
        'OperationalError: connection to "db" (…) failed: Connection refused'
    )
    assert cause(OperationalError()) == "OperationalError"
    assert len(cause(OperationalError("x" * 10_000))) == 300


def test_a_json_line_holds_nothing_that_was_not_asked_for() -> None:
    log = logging.getLogger("webhooks.tests")
    extra = {"request": "GET /?token=secret", "delivery_id": 7, "password": "secret"}
    written = _logged(lambda: log.warning("Olá, %s", "\n", extra=extra))
    assert written.pop("time").endswith("+00:00")
    assert written.pop("process")
    assert written == {
        "level": "WARNING",
        "logger": "webhooks.tests",
        "message": "Olá, \n",
        "delivery_id": 7,
    }


def test_an_unknown_format_is_refused(start: Callable[..., Process]) -> None:
    process = start("manage.py", "check", LOG_FORMAT="xml")
    process.wait_for("LOG_FORMAT is 'xml': write text or json")
    assert process.wait() != 0


def _logged(act: Callable[[], Any]) -> dict[str, Any]:
    """The one line that it writes, as JSON."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(JSONFormatter())
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    logging.getLogger("webhooks").addHandler(handler)
    try:
        act()
    finally:
        logging.getLogger("webhooks").removeHandler(handler)
    [line] = lines
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found
