"""What is kept: who wants to be told, what happened, and what came of telling it.

Webhook ──< SigningKey          an Event becomes one Delivery per webhook that subscribes to it,
   │                            and each try at a Delivery is an Attempt.
   └──< Delivery >── Event
           └──< Attempt
"""

from __future__ import annotations

from .delivery import Attempt, Delivery
from .event import Event, Subject, event_public_id
from .operation import AppendOnly, AuditEntry, BulkJob, Worker
from .webhook import LiveWebhooks, SigningKey, Tally, Webhook, WebhookQuerySet, touch

__all__ = [
    "AppendOnly",
    "Attempt",
    "AuditEntry",
    "BulkJob",
    "Delivery",
    "Event",
    "LiveWebhooks",
    "SigningKey",
    "Subject",
    "Tally",
    "Webhook",
    "WebhookQuerySet",
    "Worker",
    "event_public_id",
    "touch",
]
