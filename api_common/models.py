"""What the API keeps: who may call it, and what it answered to requests that may be repeated."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Token(models.Model):
    """A bearer token. Only its digest is kept: whoever reads the table can call nothing."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="api_tokens",
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("What uses it: “ERP”, “site”."))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # The first characters, by which people tell their tokens apart.
    prefix = models.CharField(_("begins with"), max_length=16, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"))
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    # Written once in a while: see `tokens.USE_NOTED_EVERY`.
    last_used_at = models.DateTimeField(_("last used at"), null=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()

    def revoke(self) -> bool:
        """From now on it opens nothing. False: it was revoked already."""
        now = timezone.now()
        changed = Token.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=now)
        self.revoked_at = self.revoked_at or now
        return bool(changed)


class KeptAnswer(models.Model):
    """What a request with an `Idempotency-Key` was answered, for those who ask again.

    Neither the key nor the answer can be read here: the row holds the key's digest, and the answer
    (which may be a secret, or somebody's data) is encrypted with what only the key's owner knows.
    """

    user = models.ForeignKey(  # the constraint below has an index that begins with it
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key_digest = models.CharField(max_length=64)
    # Of method, path and body: the same key with another of them is a mistake.
    request_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    # Set while the request is under way outside of a transaction; beyond it, its process has died.
    busy_until = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key_digest"], name="api_common_answer_once")
        ]
        indexes = [models.Index(fields=["created_at"], name="api_common_answer_age")]

    def __str__(self) -> str:
        return self.key_digest[:8]
