"""Where rows are read that decide what is written: where they are written, not at a replica.

A project may send reads to a replica, which is behind. What was read there and is then acted upon
leaves out what happened since: an erasure that finds nothing to erase, and says that all is erased.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models, router

Row = TypeVar("Row", bound=models.Model)


def writing(rows: type[Row] | models.Manager[Row] | models.QuerySet[Row]) -> Any:
    """The rows of a model (by its default manager), of a manager or of a query set, in the database
    that is written to, unless they are of a named one already."""
    found: Any = rows._default_manager if isinstance(rows, type) else rows
    using = found._db or router.db_for_write(found.model)
    if isinstance(found, models.Manager):  # of a row's own rows it would ask the router again
        return found.db_manager(using).all()
    return found.using(using)


def refresh(row: models.Model, *fields: str) -> None:
    """Read fields of a row anew, all by default, from where they are written."""
    row.refresh_from_db(using=router.db_for_write(type(row)), fields=fields or None)
