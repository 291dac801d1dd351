"""The commands as an operator uses them: what they print, ask, change, and how they end."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from tests.processes import ROOT
from tests.services.base import PATIENCE
from tests.webhooks.makers import (
    NOBODY,
    a_delivery,
    a_tally,
    a_webhook,
    ago,
    an_attempt,
    an_event,
    receiver,
)
from webhooks import operations
from webhooks.management import arguments
from webhooks.models import AuditEntry, Delivery, Event, Webhook, Worker

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Status = Delivery.Status
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


@pytest.fixture(autouse=True)
def _in_english() -> object:
    with translation.override("en"):
        yield


def run(command: str, *options: str) -> str:
    out = StringIO()
    call_command(command, *options, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


# --- arguments ----------------------------------------------------------------------------------
def test_a_date_is_its_beginning_or_its_end_in_the_projects_zone() -> None:
    assert arguments.since("2024-01-31") == datetime(2024, 1, 31, tzinfo=SAO_PAULO)
    assert arguments.until("2024-01-31") == datetime(2024, 2, 1, tzinfo=SAO_PAULO)
    assert arguments.since("2024-01-31T10:00") == datetime(2024, 1, 31, 10, tzinfo=SAO_PAULO)
    assert arguments.since("2024-01-31T10:00Z").utcoffset() == timedelta(0)


def test_so_long_ago_is_a_moment() -> None:
    for text, age in (("90s", timedelta(seconds=90)), ("2h", timedelta(hours=2))):
        assert abs(timezone.now() - age - arguments.since(text)) < timedelta(seconds=60)
    assert arguments.duration("4w") == timedelta(weeks=4)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "2024-02-30T10:00", "1y", "-2h"])
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="2h or 7d"):
        arguments.since(text)


@pytest.mark.parametrize(
    "options", [("webhooks_prune", "--older-than"), ("webhooks_replay", "--since")]
)
def test_longer_ago_than_the_calendar_reaches_is_refused(options: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=r"999999w.*too long"):
        run(*options, "999999w")


@given(text=st.text(max_size=20))
def test_no_text_breaks_the_reading_of_moments(text: str) -> None:
    for read in (arguments.since, arguments.until, arguments.duration, arguments.positive):
        try:
            read(text)
        except ArgumentTypeError as error:
            assert str(error)


# --- webhooks_replay ----------------------------------------------------------------------------
def test_replay_counts_first_and_does_nothing_unasked() -> None:
    webhook = a_webhook()
    a_delivery(webhook)
    out = StringIO()
    with pytest.raises(CommandError, match="--yes"):
        call_command("webhooks_replay", stdout=out)
    assert f"1  to {webhook.name} <{webhook.url}>" in out.getvalue()
    assert Delivery.objects.get().status == Status.FAILED


def test_replay_dry_run_changes_nothing_and_ends_well() -> None:
    a_delivery(a_webhook())
    assert "Dry run" in run("webhooks_replay", "--dry-run")
    assert Delivery.objects.get().status == Status.FAILED


def test_replay_sends_with_yes_and_asked_twice_only_once() -> None:
    a_delivery(a_webhook())
    a_delivery(a_webhook(name="Outro"))
    assert "2 deliveries are on their way" in run("webhooks_replay", "--yes")
    assert "Nothing to send again" in run("webhooks_replay", "--yes")
    assert Delivery.objects.filter(status=Status.PENDING).count() == 2


def test_replay_filters_by_everything_it_offers() -> None:
    erp, shop = a_webhook(), a_webhook(name="Loja")
    client, task = an_event("cliente.criado"), an_event("tarefa.criada")
    old = a_delivery(erp, client, at=ago(days=3))
    new = a_delivery(erp, task, at=ago(hours=1))
    done = a_delivery(shop, client, status=Status.DELIVERED)

    def chosen(*options: str) -> int:
        text = run("webhooks_replay", "--dry-run", *options)
        return sum(int(line.split()[0]) for line in text.splitlines() if "  to " in line)

    assert chosen() == 2
    assert chosen("--webhook", "Loja") == 0
    assert chosen("--webhook", str(erp.pk)) == 2
    assert chosen("--event-type", "cliente.*") == 1
    assert chosen("--event-type", "cliente.*", "--event-type", "tarefa.*") == 2
    assert chosen("--status", "delivered") == 1
    assert chosen("--status", "all") == 3
    assert chosen("--since", "2h") == 1
    assert chosen("--until", "2d") == 1
    assert chosen("--id", str(old.pk), "--id", str(new.pk)) == 2
    assert chosen("--id", client.public_id) == 1
    assert chosen("--id", str(done.pk)) == 0
    assert chosen("--id", str(done.pk), "--status", "all") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--webhook", "nenhum"),
        ("--event-type", "não é padrão"),
        ("--since", "ontem"),
        ("--id", "abc"),
        ("--status", "pending"),
        ("--batch-size", "0"),
    ],
)
def test_replay_says_what_is_wrong_with_an_option(options: tuple[str, str]) -> None:
    with pytest.raises(CommandError) as caught:
        run("webhooks_replay", *options)
    assert options[1] in str(caught.value)


def test_replay_tells_that_a_paused_webhook_will_get_it_later() -> None:
    webhook = a_webhook()
    a_delivery(webhook)
    operations.pause(webhook, "")
    assert "sent when it is resumed" in run("webhooks_replay", "--dry-run")


@pytest.mark.parametrize(("answer", "code", "status"), [("y", 0, "pending"), ("n", 1, "failed")])
def test_replay_asks_on_a_terminal(
    project_environment: Callable[..., dict[str, str]], answer: str, code: int, status: str
) -> None:
    a_delivery(a_webhook())
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "webhooks_replay"],
            cwd=ROOT,
            env=dict(project_environment()),
            stdin=follower,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.write(leader, f"{answer}\n".encode())
        process.communicate(timeout=PATIENCE)
    finally:
        os.close(leader)
        os.close(follower)
    assert process.returncode == code
    assert Delivery.objects.get().status == status


# --- webhooks_status ----------------------------------------------------------------------------
def test_status_tells_each_webhook_in_words() -> None:
    webhook = a_webhook()
    a_tally(webhook, took=[10, 20], failures=1)
    Worker.objects.create(id="host:1", in_flight=3)
    an_attempt(a_delivery(webhook), error="dns", status_code=None)
    operations.pause(webhook, "maintenance")

    text = run("webhooks_status")
    for words in ("ERP", "paused (maintenance)", "66.7%", "p50 10 ms, p95 20 ms", "last failure"):
        assert words in text
    assert re.search(r"Worker host:1: since \S+ \S+, last seen 0 s ago, sending 3\.", text)


def test_status_as_json_is_for_programs() -> None:
    webhook = a_webhook()
    a_delivery(webhook, status=Status.PENDING, at=ago(minutes=2))
    a_webhook(name="Outro")
    report = json.loads(run("webhooks_status", "--json", "--webhook", "ERP"))
    assert report["backlog"]["due"] == 1
    assert 115 < report["backlog"]["oldestDueSeconds"] < 140
    [row] = report["webhooks"]
    assert row["id"] == str(webhook.pk)
    assert (row["pending"], row["successShare"], row["lastFailure"]) == (1, None, None)
    assert report["workers"] == []


def test_status_says_that_nobody_delivers() -> None:
    Worker.objects.create(id="killed:1", seen_at=ago(minutes=5))
    assert "No worker is running" in run("webhooks_status")
    Worker.objects.create(id="host:2", started_at=ago(hours=1), seen_at=ago(seconds=9))
    [row] = json.loads(run("webhooks_status", "--json"))["workers"]
    assert (row["id"], row["inFlight"]) == ("host:2", 0)
    assert 9 <= row["seenSecondsAgo"] < 30


def test_status_without_webhooks_says_so() -> None:
    assert "no webhooks" in run("webhooks_status")


@pytest.mark.parametrize(("limit", "code"), [("60", 1), ("600", 0)])
def test_status_ends_badly_when_something_has_waited_too_long(
    start: Callable[..., object], limit: str, code: int
) -> None:
    a_delivery(a_webhook(), status=Status.PENDING, at=ago(minutes=2))
    process = start("manage.py", "webhooks_status", "--fail-if-older-than", limit)
    assert process.wait() == code  # type: ignore[attr-defined]


# --- webhooks_test ------------------------------------------------------------------------------
def test_the_test_ends_by_its_outcome(start: Callable[..., object]) -> None:
    with receiver(body=b"<b>received</b>") as (url, got):
        a_webhook(name="Bom", url=url)
        a_webhook(name="Mau", url=NOBODY)
        good = start("manage.py", "webhooks_test", "bom")
        assert good.wait() == 0  # type: ignore[attr-defined]
        assert "<b>received</b>" in good.output  # type: ignore[attr-defined]
        bad = start("manage.py", "webhooks_test", "Mau")
        assert bad.wait() == 1  # type: ignore[attr-defined]
    assert len(got) == 1
    told = Event.objects.values_list("type", "origin", "actor")
    assert {row[:2] for row in told} == {("webhook.teste", "command")}
    assert all(row[2].startswith("webhooks_test") for row in told)
    assert len(told) == 2


def test_the_test_of_nobody_is_an_error_and_a_dry_run_sends_nothing() -> None:
    with pytest.raises(CommandError, match="nenhum"):
        run("webhooks_test", "nenhum")
    a_webhook()
    assert NOBODY in run("webhooks_test", "ERP", "--dry-run")
    assert not Event.objects.exists()


# --- webhooks_prune -----------------------------------------------------------------------------
def test_prune_takes_what_is_older_than_the_retention() -> None:
    webhook = a_webhook()
    for days in (1, 400):
        event = an_event(occurred_at=ago(days=days))
        a_delivery(webhook, event, status=Status.DELIVERED)
    assert "Events deleted: 1" in run("webhooks_prune", "--dry-run")
    assert Event.objects.count() == 2
    assert "Events deleted: 1" in run("webhooks_prune")
    assert Event.objects.count() == 1
    assert "Events deleted: 1" in run("webhooks_prune", "--older-than", "12h")


def test_prune_takes_only_the_kinds_named() -> None:
    an_attempt(a_delivery(a_webhook(), an_event(occurred_at=ago(days=9))))
    text = run("webhooks_prune", "--older-than", "7d", "--kind", "payload")
    assert "Payloads emptied: 1" in text
    assert Event.objects.get().body == ""
    assert Webhook.objects.exists()


@pytest.mark.parametrize("options", [("--older-than", "soon"), ("--kind", "all")])
def test_prune_says_what_is_wrong_with_an_option(options: tuple[str, str]) -> None:
    with pytest.raises(CommandError) as caught:
        run("webhooks_prune", *options)
    assert options[1] in str(caught.value)


# --- webhooks_forget ----------------------------------------------------------------------------
def test_forget_shows_first_what_and_who_was_sent_it() -> None:
    event = an_event(data_subject="cliente_1")
    an_attempt(a_delivery(a_webhook(), event))
    a_delivery(a_webhook(name="Loja"), event, status=Status.PENDING)
    text = run("webhooks_forget", "--subject", "cliente_1", "--dry-run")
    assert f"1  to ERP <{NOBODY}>" in text
    assert "events to erase: 1. Attempts to empty: 1. Pending deliveries to cancel: 1." in text
    assert "Dry run" in text
    with pytest.raises(CommandError, match="--yes"):
        run("webhooks_forget", "--subject", "cliente_1")
    assert Event.objects.get().erased_at is None


def test_forget_erases_with_yes_and_asked_twice_finds_nothing() -> None:
    a_delivery(a_webhook(), an_event(), status=Status.PENDING)
    text = run("webhooks_forget", "--subject", "cliente_1", "--yes")
    assert "Events erased: 1." in text
    assert "next 60 seconds" in text
    assert Event.objects.get().body == ""
    entry = AuditEntry.objects.get(action="forgot")
    assert entry.actor.startswith("webhooks_forget")
    assert "Nothing is kept about cliente_1" in run(
        "webhooks_forget", "--subject", "cliente_1", "--yes"
    )


@pytest.mark.parametrize("options", [(), ("--subject", " "), ("--subject", "x" * 101)])
def test_forget_wants_to_know_whom(options: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run("webhooks_forget", *options)


def test_replay_says_what_is_gone() -> None:
    a_delivery(a_webhook(), an_event())
    run("webhooks_forget", "--subject", "cliente_1", "--yes")
    text = run("webhooks_replay", "--yes")
    assert "1 delivery cannot be sent again: its payload was erased" in text
    assert "Nothing to send again" in text


@pytest.mark.sqlite_only
def test_partitions_need_postgresql():
    with pytest.raises(CommandError, match="SQLite has no partitions"):
        call_command("webhooks_partition", "--yes")
