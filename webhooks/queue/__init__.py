"""The queue of deliveries; base.py says what a queue does, a file for each database how."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections

from .base import Due, Failing, Job, Pulse, Queue, Result
from .postgresql import PostgreSQLQueue
from .sqlite import SQLiteQueue

__all__ = ["Due", "Failing", "Job", "Pulse", "Queue", "Result", "queue_on"]


def queue_on(using: str = DEFAULT_DB_ALIAS) -> Queue:
    """:raises NotImplementedError: the database is neither PostgreSQL nor SQLite."""
    vendor = connections[using].vendor
    if vendor == "postgresql":
        return PostgreSQLQueue(using)
    if vendor == "sqlite":
        return SQLiteQueue(using)
    raise NotImplementedError(f"Deliveries cannot be queued on {vendor}: use PostgreSQL or SQLite.")
