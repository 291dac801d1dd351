"""What happened: events, and the counter of each object's."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from . import stored
from .webhook import Webhook


class Subject(models.Model):
    """The counter behind an object's rising `sequence`; it outlives pruned events."""

    id = models.CharField(primary_key=True, max_length=100)
    last_sequence = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.id


class Event(models.Model):
    """Something that happened, frozen in the transaction in which it happened."""

    class Origin(models.TextChoices):
        """Through what the change came; `actor` says who."""

        USER = "user", _("user")
        API = "api", _("API")
        COMMAND = "command", _("command")
        IMPORT = "import", _("import")
        SYSTEM = "system", _("system")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    type = models.CharField(_("type"), max_length=100)
    subject = models.CharField(_("object"), max_length=100, blank=True)  # "cliente_123"
    # The person (LGPD's "titular") whose data it tells: of a task's events, the task's client.
    data_subject = models.CharField(_("data subject"), max_length=100, blank=True)
    sequence = models.PositiveBigIntegerField(_("sequence"), default=0)
    occurred_at = models.DateTimeField(_("occurred at"))
    body = models.TextField(_("body"))  # the default format's exact bytes, UTF-8
    # {"record": the whole object, "changes": as in `alteracoes`}: what other formats tell from.
    snapshot = models.TextField(_("snapshot"), default="{}")
    origin = models.CharField(
        _("origin"), max_length=10, choices=Origin.choices, default=Origin.SYSTEM
    )
    actor = models.CharField(_("actor"), max_length=150, blank=True)
    # Set: told only to this webhook (tests). Empty: to all that subscribe.
    only_webhook = models.ForeignKey(
        Webhook, null=True, editable=False, on_delete=models.CASCADE, related_name="+"
    )
    fanned_out = models.BooleanField(_("distributed"), default=False)
    # W3C Trace Context of the recording, where that was traced; see tracing.py.
    traceparent = models.CharField(max_length=55, null=True, editable=False)
    # Set: what it told was erased at its data subject's request (operations.forget).
    erased_at = models.DateTimeField(_("erased at"), null=True, editable=False)

    EMPTY: ClassVar[dict[str, Any]] = {"body": "", "snapshot": "{}"}
    """What is left of what it told, once that was pruned or erased."""

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-id",)
        indexes = [
            models.Index(
                fields=["id"], condition=Q(fanned_out=False), name="webhooks_event_pending"
            ),
            models.Index(fields=["subject", "sequence"], name="webhooks_event_subject"),
            models.Index(
                fields=["data_subject", "id"],
                condition=Q(data_subject__gt=""),
                name="webhooks_event_data_subject",
            ),
            models.Index(fields=["type", "id"], name="webhooks_event_type"),
            models.Index(
                fields=["actor", "id"], condition=Q(actor__gt=""), name="webhooks_event_actor"
            ),
            models.Index(fields=["origin", "id"], name="webhooks_event_origin"),
            models.Index(fields=["occurred_at"], name="webhooks_event_occurred"),
            # What pruning looks for, however much it has emptied before.
            models.Index(
                fields=["occurred_at", "id"], condition=~Q(body=""), name="webhooks_event_payload"
            ),
            models.Index(
                fields=["erased_at"],
                condition=Q(erased_at__isnull=False),
                name="webhooks_event_erased",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.public_id}"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Event:
        event = super().from_db(*args, **kwargs)
        stored.mend(event, {})
        return event

    @property
    def public_id(self) -> str:
        """The id that receivers see: constant over attempts, replays and webhooks."""
        return event_public_id(self.id)


def event_public_id(id: uuid.UUID) -> str:
    return f"evt_{id.hex}"
