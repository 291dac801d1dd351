"""Who wants to be told: a webhook, its keys, and how its hours went."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.conf import settings as django_settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from uuid_utils.compat import uuid7

from .. import reasons
from ..fields import SealedJSONField, SealedTextField
from . import stored


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def active(self) -> WebhookQuerySet:
        return self.filter(status=Webhook.Status.ACTIVE)

    def troubled(self) -> WebhookQuerySet:
        """Those whose receiver is slow or failing; a limited rate alone is no trouble."""
        return self.filter(
            Q(rate_limit=None) | Q(failing_since__isnull=False), lane=Webhook.Lane.TROUBLED
        )


_READERS: dict[str, stored.Reader] = {
    "events": stored.texts,
    "format_options": stored.mapping,
    "timeout_seconds": stored.positive,
    "retry_schedule": stored.waits,
    "rate_limit": stored.finite,
}


class LiveWebhooks(models.Manager.from_queryset(WebhookQuerySet)):  # type: ignore[misc]
    """Webhooks that were not deleted."""

    def get_queryset(self) -> WebhookQuerySet:
        rows: WebhookQuerySet = super().get_queryset().filter(deleted_at=None)
        return rows


class Webhook(models.Model):
    """An address that wants to be told of some types of event."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")  # by a person
        DISABLED = "disabled", _("disabled")  # by the system; `status_reason` says why

    class Authentication(models.TextChoices):
        # With a context: other apps say “none” of other things, which Portuguese tells apart.
        NONE = "none", pgettext_lazy("authentication", "none")
        BASIC = "basic", _("Basic (user and password)")
        BEARER = "bearer", _("Bearer token")
        HEADER = "header", _("token in a header of its own")

    class Lane(models.IntegerChoices):
        """Which claim query serves a delivery; see queue.py."""

        NORMAL = 0, _("normal")
        TROUBLED = 1, _("troubled")  # its receiver is slow, failing or behind: served on its own
        PARKED = 2, _("parked")  # its webhook is paused or disabled: not claimed at all

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=100)
    url = models.CharField(_("address (URL)"), max_length=2000)
    events = models.JSONField(
        _("events"),
        default=list,
        help_text=_("Patterns: an event type, “cliente.*”, “*.criado” or “*”."),
    )
    format = models.CharField(_("format"), max_length=50, default="sistema-crm")
    # What the format alone knows the meaning of: {"include_relations": ["COMPANY"], ...}.
    format_options = models.JSONField(default=dict, blank=True, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE
    )
    status_reason = models.CharField(_("reason of the status"), max_length=300, blank=True)
    status_changed_at = models.DateTimeField(_("status since"), default=timezone.now)

    headers = SealedJSONField(_("custom headers"), default=dict, blank=True)
    auth_type = models.CharField(
        _("authentication"),
        max_length=10,
        choices=Authentication.choices,
        default=Authentication.NONE,
    )
    auth_username = models.CharField(_("user"), max_length=200, blank=True)
    auth_header_name = models.CharField(_("header name"), max_length=100, blank=True)
    auth_secret = SealedTextField(_("password or token"), blank=True, default="")

    timeout_seconds = models.FloatField(
        _("timeout (seconds)"), null=True, blank=True, help_text=_("Empty: the system's default.")
    )
    retry_schedule = models.JSONField(
        _("retry schedule (seconds)"),
        null=True,
        blank=True,
        help_text=_("Seconds before each attempt, such as [0, 60, 300]. Empty: the default."),
    )
    rate_limit = models.FloatField(_("rate limit (requests per second)"), null=True, blank=True)
    keep_responses = models.BooleanField(_("keep the answers' bodies"), default=True)

    lane = models.PositiveSmallIntegerField(
        _("lane"), choices=Lane.choices, default=Lane.NORMAL, editable=False
    )
    version = models.PositiveBigIntegerField(default=1, editable=False)
    # Kept by the workers, apart from `version`: see breaker.py.
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    failure_count = models.PositiveIntegerField(
        _("failures since the last success"), default=0, editable=False
    )
    # Nothing is sent before: the breaker, or the receiver asked for time.
    hold_until = models.DateTimeField(_("held until"), null=True, editable=False)
    # The same by its rate limit: what was claimed last uses up the time until then.
    next_turn_at = models.DateTimeField(_("next turn"), null=True, editable=False)
    owner = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    # The address that was read together with the credentials; None: it was not read.
    read_url: str | None = None
    # What is stored in columns that gave way to a default as they were read: models/stored.py.
    wrong: Mapping[str, Any] = MappingProxyType({})

    objects = LiveWebhooks()
    all_objects = models.Manager()

    class Meta:
        base_manager_name = "all_objects"  # a delivery still reaches its deleted webhook
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("name",)
        permissions = [
            ("replay_delivery", _("Can replay deliveries")),
            ("export_delivery", _("Can export deliveries")),
            ("test_webhook", _("Can send test events")),
            ("view_payload", _("Can see payloads")),
            ("rotate_secret", _("Can rotate signing secrets")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def reason(self) -> str:
        """Why it is in its status, in words; `status_reason` is how that is kept."""
        return reasons.told(self.status_reason)

    @property
    def is_troubled(self) -> bool:
        """As the query set's `troubled`."""
        return self.lane == self.Lane.TROUBLED and (
            self.rate_limit is None or self.failing_since is not None
        )

    @property
    def home_lane(self) -> int:
        """Its lane while all is well: a limited rate needs a queue of its own."""
        return self.Lane.NORMAL if self.rate_limit is None else self.Lane.TROUBLED

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Webhook:
        webhook = super().from_db(*args, **kwargs)
        webhook.read_url = webhook.__dict__.get("url")
        webhook.wrong = stored.mend(webhook, _READERS)
        return webhook

    def refresh_from_db(
        self, using: str | None = None, fields: Any = None, from_queryset: Any = None
    ) -> None:
        super().refresh_from_db(using, fields, from_queryset)
        if fields is None or "url" in fields:
            self.read_url = self.url

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.lane == self.Lane.NORMAL and self.rate_limit is not None:
            self.lane = self.Lane.TROUBLED
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "lane"}
        # Workers notice by the version that something changed.
        if not self._state.adding:
            self.version = F("version") + 1
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "version", "updated_at"}
        super().save(*args, **kwargs)
        if "version" in self.__dict__ and hasattr(self.version, "resolve_expression"):
            self.refresh_from_db(using=self._state.db, fields=["version"])


class SigningKey(models.Model):
    """A secret that signs a webhook's requests; several may be active during a rotation."""

    class Algorithm(models.TextChoices):
        HMAC_SHA256 = "hmac-sha256", "HMAC-SHA256"
        ED25519 = "ed25519", "Ed25519"
        RSA_SHA256 = "rsa-sha256", "RSA-SHA256"

    webhook = models.ForeignKey(
        Webhook, on_delete=models.CASCADE, related_name="signing_keys", verbose_name=_("webhook")
    )
    algorithm = models.CharField(
        _("algorithm"), max_length=20, choices=Algorithm.choices, default=Algorithm.HMAC_SHA256
    )
    secret = SealedTextField(_("secret"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        ordering = ("-created_at", "-id")

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> SigningKey:
        key = super().from_db(*args, **kwargs)
        stored.mend(key, {})
        return key

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        touch(self.webhook_id)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        touch(self.webhook_id)
        return deleted

    def __str__(self) -> str:
        return f"{self.algorithm} ({self.created_at:%Y-%m-%d})" if self.pk else self.algorithm


def touch(webhook_id: uuid.UUID) -> None:
    """Make workers read the webhook and its keys again."""
    Webhook.all_objects.filter(pk=webhook_id).update(version=F("version") + 1)


class Tally(models.Model):
    """A webhook's attempts within one hour, counted as they are recorded."""

    webhook = models.ForeignKey(  # the constraint below has an index that begins with it
        Webhook,
        on_delete=models.CASCADE,
        related_name="tallies",
        verbose_name=_("webhook"),
        db_index=False,
    )
    hour = models.DateTimeField(_("hour"))
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    failures = models.PositiveIntegerField(_("failures"), default=0)
    duration_ms = models.PositiveBigIntegerField(_("duration of the successes (ms)"), default=0)
    # How many of the successes took at most so long, and longer than the column before: latency.py.
    within_2_ms = models.PositiveIntegerField(default=0)
    within_5_ms = models.PositiveIntegerField(default=0)
    within_10_ms = models.PositiveIntegerField(default=0)
    within_20_ms = models.PositiveIntegerField(default=0)
    within_30_ms = models.PositiveIntegerField(default=0)
    within_50_ms = models.PositiveIntegerField(default=0)
    within_75_ms = models.PositiveIntegerField(default=0)
    within_100_ms = models.PositiveIntegerField(default=0)
    within_150_ms = models.PositiveIntegerField(default=0)
    within_200_ms = models.PositiveIntegerField(default=0)
    within_300_ms = models.PositiveIntegerField(default=0)
    within_500_ms = models.PositiveIntegerField(default=0)
    within_750_ms = models.PositiveIntegerField(default=0)
    within_1000_ms = models.PositiveIntegerField(default=0)
    within_1500_ms = models.PositiveIntegerField(default=0)
    within_2000_ms = models.PositiveIntegerField(default=0)
    within_3000_ms = models.PositiveIntegerField(default=0)
    within_5000_ms = models.PositiveIntegerField(default=0)
    within_10000_ms = models.PositiveIntegerField(default=0)
    within_30000_ms = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        ordering = ("webhook", "hour")
        constraints = [
            models.UniqueConstraint(fields=["webhook", "hour"], name="webhooks_tally_hour")
        ]
        indexes = [models.Index(fields=["hour"], name="webhooks_tally_by_hour")]

    def __str__(self) -> str:
        return f"{self.webhook_id} {self.hour:%Y-%m-%d %H:00}"
