"""Deliveries as a file: what is in it, what never is, who may have it, and the record of it."""

from __future__ import annotations

import csv
import errno
import io
import json
import stat
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from tests.webhooks.conftest import Login
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event
from webhooks import operations
from webhooks.fields import MASK
from webhooks.models import AuditEntry, Delivery, Event, Webhook
from webhooks.operations import DeliveryFilter, matching

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_english")]

PAGE = "/admin/webhooks/delivery/export/"
LIST = "/admin/webhooks/delivery/"
LOOK = ("view_delivery", "export_delivery")
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1"]


def a_story(webhook: Webhook | None = None) -> Delivery:
    """Failed, then arrived."""
    delivery = a_delivery(
        webhook or a_webhook(),
        an_event(),
        status="delivered",
        attempt_count=2,
        last_status_code=200,
    )
    an_attempt(delivery, error="status", response_body="first answer")
    an_attempt(
        delivery,
        number=2,
        status_code=200,
        request_headers={
            "Authorization": "Bearer s3gred0",
            "X-Api-Key": "s3gred0",
            "Accept": "*/*",
        },
        response_headers={"Set-Cookie": "s3gred0", "server": "test"},
        response_body="second answer",
    )
    return delivery


def exported(format: str, deliveries: Any = None, **options: Any) -> list[dict[str, Any]]:
    chosen = matching(DeliveryFilter()) if deliveries is None else deliveries
    return read(format, "".join(operations.export(chosen, format=format, **options).pieces))


def read(format: str, text: str) -> list[dict[str, Any]]:
    if format == "csv":
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    return [json.loads(line) for line in text.splitlines()]


# --- what is in it ------------------------------------------------------------------------------
def test_json_lines_tell_each_delivery_with_its_attempts() -> None:
    older, newer = a_story(), a_delivery(a_webhook(name="Outro"), status="pending")
    first, second = exported("jsonl")
    assert first["id"] == f"delivery_{older.pk}"
    assert first["eventId"] == older.event.public_id
    assert (first["webhookName"], first["status"]) == ("ERP", "delivered")
    assert [each["statusCode"] for each in first["attempts"]] == [500, 200]
    assert first["attempts"][0]["error"] == "status"
    assert (second["id"], second["attempts"]) == (f"delivery_{newer.pk}", [])
    assert second["finishedAt"] is None


def test_csv_tells_each_delivery_with_its_last_attempt() -> None:
    a_story()
    a_delivery(a_webhook(name='Loja "ã", 2\nE'), status="pending")
    first, second = exported("csv")
    assert (first["status"], first["lastAttemptNumber"]) == ("delivered", "2")
    assert second["webhookName"] == 'Loja "ã", 2\nE'
    assert (second["lastAttemptNumber"], second["finishedAt"]) == ("", "")
    assert first.keys() == second.keys()


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_payloads_only_where_they_are_asked_for_and_credentials_never(format: str) -> None:
    delivery = a_story()
    without = str(exported(format))
    for text in ("answer", "João", "Authorization", "Set-Cookie", "server", "errorDetail"):
        assert text not in without

    rows = exported(format, payloads=True)
    whole = json.dumps(rows, ensure_ascii=False)
    last = rows[0]["attempts"][-1] if format == "jsonl" else rows[0]
    name = "requestBody" if format == "jsonl" else "lastAttemptRequestBody"
    assert last[name] == delivery.event.body
    assert "second answer" in whole and MASK in whole and "*/*" in whole
    assert "s3gred0" not in whole

    Event.objects.update(body="")  # pruned, or erased
    assert exported(format, payloads=True)[0].get(name) in ("", None)


def test_what_an_address_may_hold_of_secrets_is_not_in_it() -> None:
    an_attempt(a_delivery(a_webhook()), url="http://127.0.0.1:9/erp?token=S3GREDO")
    [row] = exported("jsonl")
    assert row["attempts"][0]["url"] == "http://127.0.0.1:9/erp?token=••••"


@pytest.mark.parametrize("text", FORMULAS)
def test_nothing_in_a_spreadsheet_becomes_a_formula(text: str) -> None:
    delivery = a_delivery(a_webhook(name=text))
    an_attempt(delivery, response_body=text)
    (row,) = exported("csv", payloads=True)
    assert row["webhookName"] == row["lastAttemptResponseBody"] == f"'{text}"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValidationError):
        exported("xlsx")


def test_memory_and_queries_of_a_batch_do_not_grow_with_the_number(
    django_assert_max_num_queries: Any,
) -> None:
    webhook = a_webhook()
    event = an_event()
    Event.objects.bulk_create(
        Event(type="cliente.criado", occurred_at=event.occurred_at, body="x" * 2000)
        for _ in range(1200)
    )
    Delivery.objects.bulk_create(
        Delivery(event=each, webhook=webhook, status="failed", created_at=each.occurred_at)
        for each in Event.objects.iterator()
    )
    pieces = operations.export(matching(DeliveryFilter()), format="jsonl").pieces
    tracemalloc.start()
    try:
        with django_assert_max_num_queries(8):  # two for each of three batches, and the end
            count = sum(piece.count("\n") for piece in pieces)
        assert count == 1201
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()


def test_what_comes_later_is_not_in_it() -> None:
    a_story()
    export = operations.export(matching(DeliveryFilter()), format="jsonl")
    a_delivery(a_webhook(name="Depois"))
    assert export.count == len("".join(export.pieces).splitlines()) == 1


# --- the record ---------------------------------------------------------------------------------
def test_it_is_recorded_before_anything_is_read() -> None:
    a_story()
    a_story(a_webhook(name="Outro"))
    chosen = {"status": "delivered"}
    export = operations.export(
        matching(DeliveryFilter()), format="csv", payloads=True, chosen=chosen
    )
    entry = AuditEntry.objects.get(action="exported")
    assert (entry.count, entry.detail) == (2, "csv, with payloads, status=delivered")
    next(export.pieces)
    assert AuditEntry.objects.count() == 1

    exported("csv", matching(DeliveryFilter(statuses=("cancelled",))))
    assert AuditEntry.objects.count() == 1  # nothing was


# --- the admin ----------------------------------------------------------------------------------
def content(answer: Any) -> str:
    assert answer.status_code == 200 and answer.streaming
    return b"".join(answer.streaming_content).decode()


def test_the_selected_are_exported(login: Login) -> None:
    chosen, _other = a_story(), a_story(a_webhook(name="Outro"))
    client = login(*LOOK)
    answer = client.post(LIST, {"action": "export_selected", "_selected_action": [chosen.pk]})
    assert answer.status_code == 302
    assert "1 delivery is exported" in client.get(answer["Location"]).content.decode()
    assert not AuditEntry.objects.exists()  # looking exports nothing

    file = client.post(answer["Location"], {"format": "csv"})
    assert file["Content-Type"] == "text/csv; charset=utf-8"
    assert file["Content-Disposition"].startswith('attachment; filename="deliveries-')
    assert "no-store" in file["Cache-Control"]
    assert [row["id"] for row in read("csv", content(file))] == [f"delivery_{chosen.pk}"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.user, entry.origin) == ("exported", User.objects.get(), "user")
    assert (entry.subject, entry.count) == (f"delivery_{chosen.pk}", 1)
    assert f"ids={chosen.pk}" in entry.detail


def test_all_that_the_list_shows_are_exported_on_whatever_page_they_are(login: Login) -> None:
    webhook = a_webhook()
    for _ in range(60):  # more than a page
        a_delivery(webhook)
    a_delivery(webhook, status="pending")
    old = a_delivery(webhook, at=ago(days=3))
    client = login(*LOOK)
    values = {"action": "export_selected", "_selected_action": [old.pk], "select_across": "1"}
    answer = client.post(f"{LIST}?status__exact=failed&period=24h", values)
    file = client.post(answer["Location"], {"format": "jsonl"})
    rows = read("jsonl", content(file))
    assert len(rows) == 60 and {row["status"] for row in rows} == {"failed"}
    entry = AuditEntry.objects.get()
    assert entry.detail == "jsonl, without payloads, status=failed, period=24h"


def test_payloads_take_a_permission_of_their_own(login: Login) -> None:
    a_story()
    values = {"format": "jsonl", "payloads": "on"}
    assert 'name="payloads"' not in login(*LOOK).get(PAGE).content.decode()
    assert "answer" not in content(login(*LOOK).post(PAGE, values))
    may = login(*LOOK, "view_payload")
    assert "answer" in content(may.post(PAGE, values))
    assert "answer" not in content(may.post(PAGE, {"format": "jsonl"}))  # nor without asking


def test_nobody_exports_who_may_not(login: Login) -> None:
    delivery = a_story()
    for client in (login("view_delivery"), login("export_delivery"), login("view_payload")):
        assert client.get(PAGE).status_code == 403
        assert client.post(PAGE, {"format": "csv"}).status_code == 403
    answer = login("view_delivery").post(
        LIST, {"action": "export_selected", "_selected_action": [delivery.pk]}
    )
    assert PAGE not in answer.get("Location", "")
    assert Client().post(PAGE, {"format": "csv"}).status_code == 302  # to the login
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(User.objects.create_superuser("root"))
    assert forged.post(PAGE, {"format": "csv"}).status_code == 403
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "query", ["ids=x", "ids=", f"ids={10**30}", "since=nada", "q=%00", "http=x"]
)
def test_a_choice_that_cannot_be_read_exports_nothing(login: Login, query: str) -> None:
    a_story()
    answer = login(*LOOK).post(f"{PAGE}?{query}", {"format": "csv"})
    assert answer.status_code == 302 and answer["Location"] == LIST
    assert not AuditEntry.objects.exists()


def test_a_format_that_is_none_is_told_at_its_field(login: Login) -> None:
    a_story()
    assert "errorlist" in login(*LOOK).post(PAGE, {"format": "exe"}).content.decode()


# --- the command --------------------------------------------------------------------------------
def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("webhooks_export", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_writes_what_is_chosen() -> None:
    erp, loja = a_webhook(), a_webhook(name="Loja")
    failed = a_delivery(erp, an_event("tarefa.criada"), at=ago(days=2))
    a_delivery(loja, status="pending")
    a_story(loja)

    def ids(*options: str) -> int:
        return len(read("csv", run(*options)))

    assert ids() == 3
    assert ids("--webhook", "loja") == 2
    assert ids("--status", "failed") == ids("--event-type", "tarefa.*") == 1
    assert ids("--status", "pending") == 1
    assert ids("--since", "1d") == 2 and ids("--until", "1d") == 1
    assert ids("--id", str(failed.pk)) == ids("--id", failed.event.public_id) == 1
    assert "answer" not in run("--format", "jsonl")
    assert "answer" in run("--format", "jsonl", "--payloads")


def test_the_command_is_recorded_with_its_choice() -> None:
    a_story()
    run("--webhook", "ERP", "--event-type", "cliente.*", "--payloads")
    entry = AuditEntry.objects.get()
    assert entry.origin == "command" and entry.actor.startswith("webhooks_export")
    assert entry.detail == "csv, with payloads, status=all, webhook=ERP, event_type=cliente.*"


def test_a_file_is_its_owners_and_none_is_written_over(tmp_path: Path) -> None:
    a_story()
    file = tmp_path / "entregas.csv"
    assert "1 delivery" in run("--output", str(file))
    assert len(read("csv", file.read_bytes().decode())) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(CommandError, match="File exists"):
        run("--output", str(file))
    assert AuditEntry.objects.count() == 1


def test_a_full_disk_is_told() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    a_story()
    with pytest.raises(CommandError, match="No space left"):
        call_command("webhooks_export", stdout=Full())
