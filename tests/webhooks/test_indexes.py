"""Indexes: none repeats another, and what lost one of its own is still found along one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet

from tests.webhooks.makers import a_delivery, a_tally, a_webhook, an_event
from webhooks.models import Delivery, Tally, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

OURS = {"webhooks", "api_common", "clientes", "tarefas", "chamados"}


def repeated() -> list[str]:
    """Indexes of whole tables whose columns are the first ones of another such index."""
    found = []
    ours = {each._meta.db_table for each in apps.get_models() if each._meta.app_label in OURS}
    for table in sorted(ours & {*connection.introspection.table_names()}):
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, table)
            partial = _partial(cursor, table)
        # With the orders: one that ends with what is null serves another list backwards.
        indexes = {
            name: tuple(
                zip(about["columns"], about.get("orders") or itertools.repeat("ASC"), strict=False)
            )
            for name, about in constraints.items()
            if (about["index"] or about["unique"] or about["primary_key"])
            and name not in partial
            and about["columns"]
            and None not in about["columns"]
            and not name.endswith("_like")  # another operator class
        }
        found += [
            f"{table}: {name} repeats {other}"
            for name, columns in indexes.items()
            for other, longer in indexes.items()
            if len(longer) > len(columns) and longer[: len(columns)] == columns
        ]
    return found


def _partial(cursor: Any, table: str) -> set[str]:
    if connection.vendor == "sqlite":
        cursor.execute("SELECT name FROM pragma_index_list(%s) WHERE partial", [table])
    else:
        cursor.execute(
            "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
            "WHERE x.indrelid = %s::regclass AND x.indpred IS NOT NULL",
            [table],
        )
    return {name for (name,) in cursor.fetchall()}


def test_no_index_repeats_the_beginning_of_another():
    assert repeated() == []


def plan(rows: QuerySet[Any]) -> str:
    sql, params = rows.query.sql_with_params()
    how = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # the tables are small here
        cursor.execute(f"{how} {sql}", params)
        return "\n".join(str(row) for row in cursor.fetchall())


def test_what_lost_an_index_of_its_own_is_found_along_a_composite_one():
    webhook, event = a_webhook(), an_event()
    a_delivery(webhook, event)
    a_tally(webhook, failures=1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # of tables in which other tests had other rows
    deliveries = Delivery.objects.order_by()
    for rows, indexes in (
        # The cascade from an event, its page, pruning.
        (deliveries.filter(event__in=[event.pk]), {"webhooks_delivery_once", "autoindex"}),
        # Whether a webhook may go, and what the lists show of one.
        (deliveries.filter(webhook__in=[webhook.pk]), {"webhooks_delivery_webhook"}),
        (Tally.objects.order_by().filter(webhook=webhook.pk), {"webhooks_tally_hour", "autoindex"}),
    ):
        told = plan(rows)
        # SQLite names the index of a constraint itself.
        assert any(index in told for index in indexes), told


def test_rows_that_others_depend_on_go_with_them_or_hold_them_back():
    webhook = a_webhook()
    a_delivery(webhook)
    a_tally(webhook, failures=1)
    Delivery.objects.get().event.delete()
    assert not Delivery.objects.exists()
    Webhook.all_objects.all().delete()
    assert not Tally.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_migration_can_be_taken_back_and_made_again():
    try:
        call_command("migrate", "webhooks", "0004", verbosity=0)
        assert {each.split(":")[0] for each in repeated()} == {
            "webhooks_delivery",
            "webhooks_tally",
        }
    finally:
        call_command("migrate", "webhooks", verbosity=0)
    assert repeated() == []
