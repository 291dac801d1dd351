"""Attempts in monthly partitions: everything works as before, and a month goes in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from tests.crm import make_cliente
from tests.processes import Process
from tests.webhooks.makers import SECRET, a_delivery, a_webhook, an_attempt, an_event, receiver
from webhooks import operations
from webhooks.models import Attempt, Delivery, Event
from webhooks.operations import partitioning, partitions
from webhooks.testing import Receiver, deliver_all

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def own_database(transactional_db: None) -> Iterator[None]:
    """A copy of the tests' database: there is no way back from partitions."""
    settings, name = connection.settings_dict, "partitioned"
    original = settings["NAME"]

    def administer(statement: str) -> None:
        connection.close()
        with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(statement)

    administer(f'CREATE DATABASE {name} TEMPLATE "{original}" STRATEGY FILE_COPY')
    settings["NAME"] = name
    yield
    connection.close()
    settings["NAME"] = original
    administer(f"DROP DATABASE {name} WITH (FORCE)")


def run(*options: str) -> str:
    out = StringIO()
    call_command("webhooks_partition", *options, stdout=out)
    return out.getvalue()


def a_kept_attempt(**values: object) -> Attempt:
    return an_attempt(a_delivery(a_webhook(events=[]), an_event()), **values)


def month_of(attempt: Attempt) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM webhooks_attempt WHERE id = %s", [attempt.pk]
        )
        return str(cursor.fetchone()[0])


def names() -> list[str]:
    return [each.name for each in partitions.partitions()]


def test_a_worker_delivers_into_a_converted_table_and_finds_what_was_there(
    start_worker: Callable[..., Process], own_database: None
) -> None:
    kept = a_kept_attempt()
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict)
    with Receiver(secrets=[SECRET]) as reached:
        a_webhook(url=reached.url)
        worker = start_worker("--concurrency=1", "--without-gossip", DATABASE_URL=url)
        make_cliente()
        reached.wait_for(1)
        out = run("--yes")  # while it works
        make_cliente()
        reached.wait_for(2)
        assert worker.stop() == 0
    assert "stumbled" not in worker.output

    assert "Exchanging the tables" in out
    assert month_of(kept) == "webhooks_attempt_p0"
    newest = Attempt.objects.latest("id")
    assert month_of(newest) == f"webhooks_attempt_p{timezone.now():%Y_%m}"
    assert Delivery.objects.get(pk=kept.delivery_id).attempts.get() == kept
    assert Attempt.objects.count() == 3


def test_months_follow_each_other_and_an_expired_one_is_dropped_whole() -> None:
    run("--yes")
    a_kept_attempt()
    later = partitions.months_after(timezone.now().date(), 4)
    out = run("--month", f"{later:%Y-%m}")
    again = run("--month", f"{later:%Y-%m}")
    assert "Making" not in again
    assert "go on" not in again, "an id that was given away meanwhile would be given again"
    second = a_kept_attempt()

    assert f"The ids go on in webhooks_attempt_p{later:%Y_%m}." in out
    assert month_of(second) == f"webhooks_attempt_p{later:%Y_%m}"
    assert [each.month for each in partitions.partitions()[-3:]] == [
        partitions.months_after(later, number) for number in (1, 2, 3)
    ]
    assert "open" in out
    assert not partitions.roll(date(2020, 1, 1)), "time does not go back"
    assert month_of(a_kept_attempt()) == month_of(second)

    Event.objects.update(occurred_at=timezone.now() - timedelta(days=1))
    limit = timezone.now() + timedelta(seconds=1)
    expected = operations.count_prunable(limit)
    with CaptureQueriesContext(connection) as asked:
        pruned = operations.prune(limit)
    assert pruned.partitions == expected.partitions >= 1
    assert pruned.events == expected.events == 3
    assert not Attempt.objects.exists() and not Delivery.objects.exists()
    assert f"webhooks_attempt_p{timezone.now():%Y_%m}" not in names()
    assert any("DROP TABLE webhooks_attempt_p" in each["sql"] for each in asked)


def test_what_is_owed_keeps_its_month() -> None:
    run("--yes")
    owed = a_kept_attempt()
    Delivery.objects.filter(pk=owed.delivery_id).update(status="pending")
    settled = a_kept_attempt()
    partitions.roll(date(2100, 1, 1))
    Event.objects.update(occurred_at=datetime(2020, 1, 1, tzinfo=UTC))

    pruned = operations.prune(timezone.now() + timedelta(seconds=1))

    assert pruned.events == 1
    assert list(Attempt.objects.all()) == [owed]
    assert not Attempt.objects.filter(pk=settled.pk).exists()


def test_nothing_is_dropped_that_is_kept_for_ever(settings: object) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "RETENTION_DAYS": {"metadata": None}}  # type: ignore[attr-defined]
    run("--yes")
    kept = a_kept_attempt()
    partitions.roll(date(2100, 1, 1))
    operations.maintain()
    assert Attempt.objects.get() == kept


def test_replaying_emptying_and_forgetting_work_as_before() -> None:
    run("--yes")
    with receiver() as (url, got):
        webhook = a_webhook(url=url)
        event = an_event(fanned_out=False, data_subject="cliente_1")
        deliver_all()
        partitions.roll(date(2100, 1, 1))
        operations.replay(Delivery.objects.filter(status="delivered"))
        deliver_all()
    assert len(got) == 2
    months = {month_of(attempt) for attempt in Attempt.objects.all()}
    assert months == {f"webhooks_attempt_p{timezone.now():%Y_%m}", "webhooks_attempt_p2100_01"}
    later = timezone.now() + timedelta(seconds=1)
    assert operations.prune(later, ["response"]).responses == 2
    operations.forget("cliente_1")
    event.refresh_from_db()
    assert event.erased_at is not None
    assert webhook.deliveries.get().attempts.count() == 2


def test_migrations_and_indexes_serve_every_partition() -> None:
    run("--yes")
    kept = a_kept_attempt()
    partitions.roll(date(2100, 1, 1))
    field = models.IntegerField(null=True)
    field.set_attributes_from_name("extra")
    index = models.Index(fields=["number"], name="extra_index")
    with connection.schema_editor() as editor:
        editor.add_field(Attempt, field)
        editor.add_index(Attempt, index)
        editor.remove_index(Attempt, index)
        editor.remove_field(Attempt, field)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        for attempts in (
            Attempt.objects.filter(delivery=kept.delivery_id),
            Attempt.objects.order_by("-id")[:1000],
            Attempt.objects.filter(pk=kept.pk),
        ):
            assert "Seq Scan" not in attempts.explain()
        cursor.execute("RESET enable_seqscan")


def test_a_dry_run_changes_nothing_and_a_conversion_is_confirmed() -> None:
    assert "would be converted" in run("--dry-run")
    with pytest.raises(CommandError, match="--yes"):
        run()
    assert not partitions.is_partitioned()
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW slow AS SELECT * FROM webhooks_attempt")
    with pytest.raises(CommandError, match="slow"):
        run("--yes")
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW slow")
    run("--yes")
    before = partitions.partitions()
    assert "To be made: webhooks_attempt_p" in run("--dry-run", "--ahead", "6")
    assert partitions.partitions() == before
    with pytest.raises(partitions.CannotPartition, match="already"):
        partitioning.convert()
    with pytest.raises(CommandError, match="2027-01"):
        run("--month", "soon")
    with pytest.raises(CommandError, match="a year away"):
        run("--month", "2100-01")
