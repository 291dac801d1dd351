"""Indexes that PostgreSQL alone has: of words within texts, and of orders. Elsewhere rows are read.

A migration of the app that has the table makes them; they are no part of the models, which other
databases keep too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations
from django.db.migrations.operations.base import Operation


def words_index(
    table: str, name: str, *, texts: Sequence[str], exact: Sequence[str] = ()
) -> list[Operation]:
    """Operations that make one index (GIN, trigrams) of a table's columns; nothing on SQLite.

    :param texts: columns that are asked for by `icontains`, which PostgreSQL is asked as
        `UPPER(column) LIKE UPPER(…)`.
    :param exact: columns that are asked for by `contains` or `startswith`.
    """
    keys = [f"UPPER({column}) gin_trgm_ops" for column in texts]
    keys += [f"{column} gin_trgm_ops" for column in exact]

    # A trusted extension: who owns the database may create it.
    return [TrigramExtension(), _index(table, name, f"USING gin ({', '.join(keys)})")]


def latest_first_index(table: str, name: str, column: str) -> Operation:
    """An operation that makes an index of the order by a column, descending, in which what has no
    value comes last; nothing on SQLite, which knows no such index."""
    return _index(table, name, f"({column} DESC NULLS LAST, id DESC)")


def _index(table: str, name: str, definition: str) -> Operation:
    def make(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"CREATE INDEX {name} ON {table} {definition}")

    def drop(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")

    return migrations.RunPython(make, drop)
