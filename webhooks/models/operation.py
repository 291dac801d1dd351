"""The operators' own: who works, what is being sent again, and who did what."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import stored
from .event import Event
from .webhook import Webhook


class Worker(models.Model):
    """A process that delivers, and when it last said that it lives; see heartbeat.py."""

    id = models.CharField(primary_key=True, max_length=200)  # "host:1234"
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    seen_at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    # Requests that it was sending just then.
    in_flight = models.PositiveIntegerField(_("in flight"), default=0)
    # What its machine lacks just then, so that it sends less at a time; see shortage.py.
    shortage = models.CharField(_("shortage"), max_length=200, null=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ("id",)
        default_permissions = ()

    def __str__(self) -> str:
        return self.id


class BulkJob(models.Model):
    """A change of many deliveries, done a slice at a time by workers; see jobs.py."""

    class Kind(models.TextChoices):
        REPLAY = "replay", _("send again")
        RECOVER = "recover", _("recover what was missed")
        # What a webhook has pending, once it was stopped, resumed or deleted.
        PARK = "park", _("park what waits")
        RELEASE = "release", _("release what waited")
        CANCEL = "cancel", _("cancel what waits")

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        STOPPED = "stopped", _("stopped")  # by a person; can be resumed
        SUPERSEDED = "superseded", _("superseded")  # the webhook got another state meanwhile
        DONE = "done", _("done")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.REPLAY)
    # Of those that follow its state; the others are chosen by conditions, which may name one.
    webhook = models.ForeignKey(
        Webhook,
        verbose_name=_("webhook"),
        null=True,
        on_delete=models.CASCADE,
        related_name="jobs",
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # Of the others, a ReplayFilter, as `operations.jobs` writes it.
    chosen = models.JSONField(_("chosen"), default=dict)
    total = models.PositiveBigIntegerField(_("total"), default=0)  # counted when it began
    # Empty: as fast as the database takes it.
    rate = models.PositiveIntegerField(_("deliveries per second"), null=True)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.RUNNING
    )
    # The ids that it has gone through, and where it ends: what comes later is not its business.
    last_id = models.PositiveBigIntegerField(default=0)
    until_id = models.PositiveBigIntegerField()
    changed = models.PositiveBigIntegerField(_("changed"), default=0)
    # Rows that others had locked, since it last began at the first; it comes back for them.
    passed_over = models.PositiveBigIntegerField(default=0)
    # A worker has it until then; while nobody has, whoever looks takes it on.
    leased_until = models.DateTimeField(null=True)
    # Rises with every lease: who comes back after the end of theirs changes nothing.
    fence = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = [
            models.Index(
                fields=["id"], condition=Q(state="running"), name="webhooks_bulkjob_running"
            )
        ]
        constraints = [
            # The newest wish alone is carried out.
            models.UniqueConstraint(
                fields=["webhook"], condition=Q(state="running"), name="webhooks_bulkjob_one"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> BulkJob:
        job = super().from_db(*args, **kwargs)
        stored.mend(job, {})
        return job


class AppendOnly(models.QuerySet["AuditEntry"]):
    """What was recorded stays as it was recorded."""

    def update(self, **kwargs: Any) -> int:
        raise TypeError("Audit entries are not changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit entries are not deleted.")


class AuditEntry(models.Model):
    """Who did what with personal data, deliveries or secrets; written by `webhooks.audit` only.

    It holds no secret, and no personal data beyond ids: it outlives what it tells of.
    """

    class Action(models.TextChoices):
        VIEWED_PAYLOAD = "viewed_payload", _("saw a payload")
        REPLAYED = "replayed", _("sent again")
        HASTENED = "hastened", _("had tried at once")
        RECOVERED = "recovered", _("recovered what was missed")
        EXPORTED = "exported", _("exported")
        FORGOT = "forgot", _("erased a data subject's data")
        PRUNED = "pruned", _("pruned")
        CREATED = "created", _("created a webhook")
        CHANGED = "changed", _("changed a webhook")
        PAUSED = "paused", _("paused a webhook")
        DISABLED = "disabled", _("disabled a webhook")
        RESUMED = "resumed", _("resumed a webhook")
        DELETED = "deleted", _("deleted a webhook")
        ROTATED_SECRET = "rotated_secret", _("changed a secret")
        EXPIRED_SECRETS = "expired_secrets", _("ended old secrets")
        TESTED = "tested", _("sent a test")

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("when"), default=timezone.now)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # As on events, such as "usuario_12"; stays where the user's row goes.
    actor = models.CharField(_("actor"), max_length=150, blank=True)
    origin = models.CharField(_("origin"), max_length=10, choices=Event.Origin.choices)
    action = models.CharField(_("action"), max_length=20, choices=Action.choices)
    # "evt_…", "delivery_12", "webhook_<uuid>", or a data subject such as "cliente_123".
    subject = models.CharField(_("object"), max_length=100, blank=True)
    count = models.PositiveBigIntegerField(_("count"), null=True)
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    objects = AppendOnly.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["at"], name="webhooks_audit_at"),
            models.Index(fields=["subject", "id"], name="webhooks_audit_subject"),
            models.Index(fields=["actor", "id"], name="webhooks_audit_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.subject}".rstrip()

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> AuditEntry:
        entry = super().from_db(*args, **kwargs)
        stored.mend(entry, {})
        return entry

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("Audit entries are not changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit entries are not deleted.")
