"""Indexes: none repeats another, and what lost one of its own is still found along one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from tests.webhooks.makers import a_delivery, a_tally, a_webhook
from webhooks.models import Delivery, Tally, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

OURS = {"webhooks", "api_common", "clientes", "tarefas", "chamados"}


def whole_indexes() -> dict[str, dict[str, tuple[tuple[str, str], ...]]]:
    """By table, those of all its rows: by name, each column with its order."""
    ours = {each._meta.db_table for each in apps.get_models() if each._meta.app_label in OURS}
    found = {}
    for table in sorted(ours & {*connection.introspection.table_names()}):
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, table)
            partial = _partial(cursor, table)
        found[table] = {
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
    return found


def repeated() -> list[str]:
    """Indexes whose columns are the first ones of another, in the same order: one that ends with
    what is null serves another list backwards."""
    return [
        f"{table}: {name} repeats {other}"
        for table, indexes in whole_indexes().items()
        for name, columns in indexes.items()
        for other, longer in indexes.items()
        if len(longer) > len(columns) and longer[: len(columns)] == columns
    ]


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


def test_every_foreign_key_leads_an_index():
    """Cascades, pruning and pages look rows up by it."""
    leads = {
        (table, columns[0][0])
        for table, indexes in whole_indexes().items()
        for columns in indexes.values()
    }
    keys = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        if model._meta.app_label in OURS
        for field in model._meta.local_fields
        if field.is_relation
    }
    assert ("webhooks_delivery", "event_id") in keys
    assert keys - leads == set()


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
