"""What came of telling it: deliveries and their attempts."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from . import stored
from .event import Event
from .webhook import Webhook


class Delivery(models.Model):
    """One event owed to one webhook, until it is delivered or visibly failed."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")
        # Its webhook was deleted or not resumed in time, or what it would have told was erased
        # (`Event.erased_at`).
        CANCELLED = "cancelled", _("cancelled")

    id = models.BigAutoField(primary_key=True)
    # Neither has an index of its own: it leads one of those below, and each costs every claim.
    event = models.ForeignKey(
        Event,
        on_delete=models.CASCADE,
        related_name="deliveries",
        verbose_name=_("event"),
        db_index=False,
    )
    webhook = models.ForeignKey(
        Webhook,
        on_delete=models.PROTECT,
        related_name="deliveries",
        verbose_name=_("webhook"),
        db_index=False,
    )
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.PENDING
    )
    lane = models.PositiveSmallIntegerField(
        _("lane"), choices=Webhook.Lane.choices, default=Webhook.Lane.NORMAL
    )
    # When it is due; while a worker holds it, when that worker's lease ends. Empty: settled.
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True)
    # Rises with every claim: a result is recorded only by the claim that is still the newest.
    fence = models.PositiveIntegerField(default=0)
    attempt_count = models.PositiveIntegerField(_("attempts"), default=0)
    # How far along the schedule; a replay begins it anew, `attempt_count` goes on.
    schedule_position = models.PositiveSmallIntegerField(default=0)
    last_status_code = models.PositiveSmallIntegerField(_("last HTTP status"), null=True)
    last_error = models.CharField(_("last failure"), max_length=20, blank=True)
    created_at = models.DateTimeField(_("created at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)

    TEST_UNDER_WAY: ClassVar[Q] = Q(
        lane=Webhook.Lane.PARKED, event__only_webhook__isnull=False, attempt_count=0
    )
    """Of pending ones: whoever sends the test (operations.testing) does it, and no worker."""

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["event", "webhook"], name="webhooks_delivery_once")
        ]
        indexes = [
            models.Index(
                fields=["lane", "next_attempt_at"],
                condition=Q(status="pending"),
                name="webhooks_delivery_due",
            ),
            # Each receiver of the troubled lane is claimed for on its own.
            models.Index(
                fields=["webhook", "next_attempt_at"],
                condition=Q(status="pending", lane=Webhook.Lane.TROUBLED),
                name="webhooks_delivery_troubled",
            ),
            models.Index(fields=["webhook", "status", "id"], name="webhooks_delivery_webhook"),
            models.Index(fields=["status", "id"], name="webhooks_delivery_status"),
            models.Index(fields=["created_at"], name="webhooks_delivery_created"),
            # A webhook's last failure that is still being retried, behind whatever waits for it.
            models.Index(
                fields=["webhook", "id"],
                condition=Q(status="pending") & ~Q(last_error=""),
                name="webhooks_delivery_retried",
            ),
            # What failed last at a receiver, whatever becomes of it.
            models.Index(
                fields=["webhook", "id"],
                condition=~Q(last_error=""),
                name="webhooks_delivery_failing",
            ),
            # What one looks for after a bad night: a kind of failure, an HTTP status.
            models.Index(
                fields=["last_error", "id"],
                condition=~Q(last_error=""),
                name="webhooks_delivery_error",
            ),
            models.Index(
                fields=["last_status_code", "id"],
                condition=~Q(last_error=""),
                name="webhooks_delivery_http",
            ),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Delivery:
        delivery = super().from_db(*args, **kwargs)
        stored.mend(delivery, {})
        return delivery

    @staticmethod
    def settled(status: str) -> dict[str, Any]:
        """The changes that end deliveries without another attempt."""
        return {"status": status, "next_attempt_at": None, "finished_at": timezone.now()}


class Attempt(models.Model):
    """One request that was sent, or that could not be, and what came back."""

    class Error(models.TextChoices):
        """Kinds of failure; `webhooks.failures` has a sentence for each."""

        NONE = "", pgettext_lazy("failure", "none")
        DNS = "dns", _("name not resolved")
        BLOCKED = "blocked", _("address not allowed")
        CONNECT = "connect", _("connection failed")
        TLS = "tls", _("TLS failed")
        TIMEOUT = "timeout", _("too slow")
        PROTOCOL = "protocol", _("not a valid HTTP answer")
        REDIRECT = "redirect", _("redirect")
        STATUS = "status", _("HTTP error status")
        FORMAT = "format", _("could not be built")
        INTERNAL = "internal", _("internal error")

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="attempts", verbose_name=_("delivery")
    )
    number = models.PositiveIntegerField(_("number"))
    started_at = models.DateTimeField(_("started at"))
    duration_ms = models.PositiveIntegerField(_("duration (ms)"))
    url = models.CharField(_("address (URL)"), max_length=2000)
    request_headers = models.JSONField(_("request headers"), default=dict)  # secrets masked
    # Only where it is not the event's own body.
    request_body = models.TextField(_("request body"), null=True)
    status_code = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    response_headers = models.JSONField(_("response headers"), default=dict)
    response_body = models.TextField(_("response body"), blank=True, default="")
    response_truncated = models.BooleanField(_("response truncated"), default=False)
    error = models.CharField(
        _("kind of failure"), max_length=20, blank=True, choices=Error.choices, default=""
    )
    error_detail = models.CharField(_("detail"), max_length=500, blank=True, default="")
    # Its worker's lease had ended: the request was sent, but another's result counts.
    superseded = models.BooleanField(_("superseded"), default=False)

    EMPTY: ClassVar[dict[str, Any]] = {
        "request_body": None,
        "response_headers": {},
        "response_body": "",
        "error_detail": "",
    }
    """What is left of what was sent and answered, once its event was erased."""

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ("delivery", "id")
        indexes = [
            models.Index(
                fields=["started_at", "id"],
                condition=~Q(response_body="", response_headers={}),
                name="webhooks_attempt_response",
            ),
            models.Index(fields=["id"], condition=~Q(error=""), name="webhooks_attempt_failed"),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.number}"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Attempt:
        attempt = super().from_db(*args, **kwargs)
        stored.mend(
            attempt,
            {"request_headers": stored.named_texts, "response_headers": stored.named_texts},
        )
        return attempt

    @property
    def succeeded(self) -> bool:
        return not self.error
