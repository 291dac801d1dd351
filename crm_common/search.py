"""Indexes by which lists find words within texts, on PostgreSQL. Elsewhere a search reads all rows.

A migration of the app that has the table makes them: they hang on an operator class of `pg_trgm`,
which other databases have not, so that they are no part of the models.
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

    def make(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"CREATE INDEX {name} ON {table} USING gin ({', '.join(keys)})")

    def drop(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")

    # A trusted extension: who owns the database may create it.
    return [TrigramExtension(), migrations.RunPython(make, drop, elidable=False)]
