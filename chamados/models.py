"""The help desk: tickets, the departments that handle them, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm_common import durations, public_ids
from crm_common.models import Record, StatusRecord
from crm_common.validators import MAX_TEXT_LENGTH, long_text_validators
from webhooks import events


class Departamento(Record):
    """Who handles a ticket."""

    PUBLIC_PREFIX = "dept"

    nome = models.CharField(_("name"), max_length=100, unique=True)
    descricao = models.CharField(_("description"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")

    def __str__(self) -> str:
        return self.nome


class Chamado(StatusRecord, events.TrackedModel):
    """A client's request for help."""

    class Status(models.TextChoices):
        ABERTO = "ABERTO", pgettext_lazy("ticket status", "Open")
        EM_ANDAMENTO = "EM_ANDAMENTO", pgettext_lazy("ticket status", "In progress")
        RESOLVIDO = "RESOLVIDO", pgettext_lazy("ticket status", "Resolved")
        FECHADO = "FECHADO", pgettext_lazy("ticket status", "Closed")

    class Prioridade(models.TextChoices):
        BAIXA = "BAIXA", pgettext_lazy("priority", "Low")
        MEDIA = "MEDIA", pgettext_lazy("priority", "Medium")
        ALTA = "ALTA", pgettext_lazy("priority", "High")
        URGENTE = "URGENTE", pgettext_lazy("priority", "Urgent")

    PUBLIC_PREFIX = "chamado"
    STATUS_COLUMNS = ("data_resolucao", "usuario_resolucao_id")
    TRANSITIONS = {
        # Closing at once is for what needs no solution: a duplicate, a mistake, spam.
        Status.ABERTO: (Status.EM_ANDAMENTO, Status.RESOLVIDO, Status.FECHADO),
        Status.EM_ANDAMENTO: (Status.ABERTO, Status.RESOLVIDO, Status.FECHADO),
        # The client may say that it does not work after all, or be content.
        Status.RESOLVIDO: (Status.EM_ANDAMENTO, Status.FECHADO),
        # Final, so that what was told about a closed ticket stays true; a new problem is a new
        # ticket.
        Status.FECHADO: (),
    }

    titulo = models.CharField(_("title"), max_length=200)
    descricao = models.TextField(
        _("description"),
        max_length=MAX_TEXT_LENGTH,
        blank=True,
        validators=long_text_validators,
    )
    status = models.CharField(
        _("status"), max_length=20, choices=Status.choices, default=Status.ABERTO
    )
    prioridade = models.CharField(
        _("priority"), max_length=20, choices=Prioridade.choices, default=Prioridade.MEDIA
    )
    departamento = models.ForeignKey(
        Departamento,
        on_delete=models.PROTECT,
        related_name="chamados",
        verbose_name=_("department"),
    )
    cliente = models.ForeignKey(
        "clientes.Cliente",
        on_delete=models.CASCADE,
        related_name="chamados",
        verbose_name=_("client"),
    )
    data_resolucao = models.DateTimeField(_("resolved at"), null=True, blank=True, editable=False)
    usuario_resolucao = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="chamados_resolvidos",
        verbose_name=_("resolved by"),
    )

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        constraints = [
            models.CheckConstraint(
                # A closed ticket may have been resolved before, or not.
                condition=Q(status="FECHADO")
                | Q(status="RESOLVIDO", data_resolucao__isnull=False)
                | (~Q(status__in=("RESOLVIDO", "FECHADO")) & Q(data_resolucao__isnull=True)),
                name="chamado_resolved_has_its_date",
                violation_error_message=_("A ticket has a date of resolution when it is resolved."),
            )
        ]
        indexes = [
            models.Index(fields=["status", "created_at"], name="chamado_status_created"),
            models.Index(fields=["data_resolucao"], name="chamado_resolved"),
            models.Index(fields=["titulo", "id"], name="chamado_titulo"),
        ]

    def __str__(self) -> str:
        return self.titulo

    def apply_status(self, stored: Mapping[str, Any] | None) -> None:
        if self.status in (self.Status.ABERTO, self.Status.EM_ANDAMENTO):
            self.data_resolucao = self.usuario_resolucao = None
        elif stored is None:  # history being imported may bring its date
            if self.status == self.Status.RESOLVIDO:
                self.data_resolucao = self.data_resolucao or timezone.now()
        elif self.status == self.Status.FECHADO:
            # Closing keeps how it was resolved, if it was.
            self.data_resolucao = stored["data_resolucao"]
            self.usuario_resolucao_id = stored["usuario_resolucao_id"]
        elif stored["status"] != self.Status.RESOLVIDO:
            self.data_resolucao = timezone.now()
        else:
            self.data_resolucao = self.data_resolucao or stored["data_resolucao"]
            self.usuario_resolucao_id = self.usuario_resolucao_id or stored["usuario_resolucao_id"]

    def is_closed(self) -> bool:
        """Whether the ticket is closed in the database, whatever this copy says.

        It stays so until the end of the transaction, if in one.
        """
        stored = self._stored_status(self._database(None))
        return stored is not None and stored["status"] == self.Status.FECHADO

    def resolver(self, usuario: AbstractUser | None) -> bool:
        """Marks the ticket as resolved by `usuario` (None: nobody in particular), now.

        False when it was resolved already; who resolved it first stays. Raises
        InvalidTransition (a closed ticket stays closed).
        """
        return self.change_status(self.Status.RESOLVIDO, usuario_resolucao=usuario)

    def responder(self, usuario: AbstractUser | None, mensagem: str) -> Resposta:
        """Adds a reply and returns it.

        Raises ValidationError for an empty or overlong message, or when the ticket is closed.
        """
        resposta = Resposta(chamado=self, usuario=usuario, mensagem=mensagem)
        with transaction.atomic(using=self._database(None)):
            # Whether ticket and user exist the database will say.
            resposta.clean_fields(exclude={"chamado", "usuario"})
            resposta.clean()
            resposta.save()
        return resposta

    @property
    def tempo_resolucao(self) -> str | None:
        """From creation to resolution, like `4h 15m` (see `durations.between`)."""
        if self.data_resolucao is None:
            return None
        return durations.between(self.created_at, self.data_resolucao)


class Resposta(events.TrackedModel):
    """An answer on a ticket. It was sent, so it does not change afterwards."""

    PUBLIC_PREFIX = "resposta"

    chamado = models.ForeignKey(
        Chamado, on_delete=models.CASCADE, related_name="respostas", verbose_name=_("ticket")
    )
    mensagem = models.TextField(
        _("message"),
        max_length=MAX_TEXT_LENGTH,
        validators=long_text_validators,
    )
    usuario = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="respostas",
        verbose_name=_("user"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return public_ids.public_id(self.PUBLIC_PREFIX, self.pk)

    def clean(self) -> None:
        super().clean()
        if not (self.mensagem or "").strip():
            raise ValidationError({"mensagem": _("The message is empty.")}, code="required")
        chamado = getattr(self, "chamado", None)  # none yet in a form that lacks it
        if self._state.adding and chamado is not None and chamado.is_closed():
            raise ValidationError(
                _("A closed ticket takes no replies: open a new one."), code="closed"
            )
