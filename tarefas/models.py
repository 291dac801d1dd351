"""What has to be done, by whom and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm_common import durations
from crm_common.models import StatusRecord
from crm_common.validators import MAX_TEXT_LENGTH, long_text_validators
from webhooks import events


class TarefaQuerySet(models.QuerySet["Tarefa"]):
    def por_fazer(self) -> TarefaQuerySet:
        """Neither done nor given up."""
        return self.filter(status__in=(Tarefa.Status.PENDENTE, Tarefa.Status.EM_ANDAMENTO))

    def vencidas(self, agora: datetime | None = None) -> TarefaQuerySet:
        """Still to be done though their due date has passed."""
        return self.por_fazer().filter(data_vencimento__lt=agora or timezone.now())


class Tarefa(StatusRecord, events.TrackedModel):
    """A task, for a client or (without one) of the house itself."""

    class Status(models.TextChoices):
        PENDENTE = "PENDENTE", pgettext_lazy("task status", "Pending")
        EM_ANDAMENTO = "EM_ANDAMENTO", pgettext_lazy("task status", "In progress")
        CONCLUIDA = "CONCLUIDA", pgettext_lazy("task status", "Done")
        CANCELADA = "CANCELADA", pgettext_lazy("task status", "Cancelled")

    class Prioridade(models.TextChoices):
        BAIXA = "BAIXA", pgettext_lazy("priority", "Low")
        MEDIA = "MEDIA", pgettext_lazy("priority", "Medium")
        ALTA = "ALTA", pgettext_lazy("priority", "High")
        URGENTE = "URGENTE", pgettext_lazy("priority", "Urgent")

    PUBLIC_PREFIX = "tarefa"
    STATUS_COLUMNS = ("data_conclusao",)
    TRANSITIONS = {
        Status.PENDENTE: (Status.EM_ANDAMENTO, Status.CONCLUIDA, Status.CANCELADA),
        Status.EM_ANDAMENTO: (Status.PENDENTE, Status.CONCLUIDA, Status.CANCELADA),
        # Reopening means that work goes on; nobody un-begins what was once finished.
        Status.CONCLUIDA: (Status.EM_ANDAMENTO,),
        # What was given up must be wanted again before anybody can begin or finish it.
        Status.CANCELADA: (Status.PENDENTE,),
    }

    titulo = models.CharField(_("title"), max_length=200)
    descricao = models.TextField(
        _("description"),
        max_length=MAX_TEXT_LENGTH,
        blank=True,
        validators=long_text_validators,
    )
    status = models.CharField(
        _("status"), max_length=20, choices=Status.choices, default=Status.PENDENTE
    )
    prioridade = models.CharField(
        _("priority"), max_length=20, choices=Prioridade.choices, default=Prioridade.MEDIA
    )
    data_vencimento = models.DateTimeField(_("due"), null=True, blank=True)
    data_conclusao = models.DateTimeField(_("done at"), null=True, blank=True, editable=False)
    cliente = models.ForeignKey(
        "clientes.Cliente",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="tarefas",
        verbose_name=_("client"),
    )
    responsavel = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="tarefas",
        verbose_name=_("responsible"),
    )

    objects = TarefaQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        constraints = [
            models.CheckConstraint(
                condition=Q(status="CONCLUIDA", data_conclusao__isnull=False)
                | (~Q(status="CONCLUIDA") & Q(data_conclusao__isnull=True)),
                name="tarefa_done_has_its_date",
                violation_error_message=_("A task has a date of completion when it is done."),
            )
        ]
        indexes = [
            models.Index(fields=["status", "data_vencimento"], name="tarefa_status_due"),
            models.Index(fields=["data_vencimento"], name="tarefa_due"),
            models.Index(fields=["titulo", "id"], name="tarefa_titulo"),
        ]

    def __str__(self) -> str:
        return self.titulo

    def apply_status(self, stored: Mapping[str, Any] | None) -> None:
        if self.status != self.Status.CONCLUIDA:
            self.data_conclusao = None
        elif stored is None:  # history being imported may bring its date
            self.data_conclusao = self.data_conclusao or timezone.now()
        elif stored["status"] != self.Status.CONCLUIDA:
            self.data_conclusao = timezone.now()
        else:
            self.data_conclusao = self.data_conclusao or stored["data_conclusao"]

    def concluir(self) -> bool:
        """Marks the task as done, now; False when it was done already.

        Raises InvalidTransition (a cancelled task must be taken up again first).
        """
        return self.change_status(self.Status.CONCLUIDA)

    @property
    def tempo_total(self) -> str | None:
        """From creation to completion, like `2h 30m` (see `durations.between`)."""
        if self.data_conclusao is None:
            return None
        return durations.between(self.created_at, self.data_conclusao)
