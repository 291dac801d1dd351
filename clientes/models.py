"""The people and companies that the CRM is about."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from crm_common.models import Record
from crm_common.validators import MAX_TEXT_LENGTH, long_text_validators
from webhooks import events

from . import documents, phones
from .fields import CheckedJSONField, DocumentField, PhoneField
from .validators import validate_custom_fields, validate_tags


class Cliente(Record, events.TrackedModel):
    """A client. Only the name is required: the rest is learnt as the conversation goes on."""

    PUBLIC_PREFIX = "cliente"

    nome = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail"), blank=True)
    telefone = PhoneField(
        _("telephone"),
        blank=True,
        help_text=_("With the area code; with + and the country code outside Brazil."),
    )
    documento = DocumentField(
        _("CPF or CNPJ"), blank=True, help_text=_("With or without punctuation.")
    )
    empresa = models.CharField(_("company"), max_length=200, blank=True)
    origem = models.CharField(
        _("source"), max_length=100, blank=True, help_text=_("Where the client came from.")
    )
    etiquetas = CheckedJSONField(_("tags"), default=list, blank=True, validators=[validate_tags])
    nao_perturbe = models.BooleanField(
        _("do not disturb"), default=False, help_text=_("The client asked not to be contacted.")
    )
    campos_personalizados = CheckedJSONField(
        _("custom fields"),
        default=dict,
        blank=True,
        validators=[validate_custom_fields],
        help_text=_('A JSON object, like {"plano": "ouro"}.'),
    )
    observacoes = models.TextField(
        _("notes"),
        max_length=MAX_TEXT_LENGTH,
        blank=True,
        validators=long_text_validators,
    )

    class Meta:
        verbose_name = _("client")
        verbose_name_plural = _("clients")
        constraints = [
            models.UniqueConstraint(
                fields=["documento"],
                condition=~Q(documento=""),
                name="cliente_documento_unique",
                violation_error_code="unique",
                violation_error_message=_("There is a client with this CPF or CNPJ already."),
            )
        ]
        indexes = [
            models.Index(fields=["nome"], name="cliente_nome"),
            models.Index(fields=["telefone"], name="cliente_telefone"),
            # As they are asked for: in any letter case.
            models.Index(Upper("email"), name="cliente_email_upper"),
            models.Index(Upper("origem"), "created_at", "id", name="cliente_origem_upper"),
            # Of the few who do not want to be contacted.
            models.Index(
                fields=["created_at", "id"],
                condition=Q(nao_perturbe=True),
                name="cliente_nao_perturbe",
            ),
        ]

    def __str__(self) -> str:
        return self.nome

    @property
    def telefone_formatado(self) -> str:
        return phones.formatted(self.telefone)

    @property
    def documento_formatado(self) -> str:
        return documents.formatted(self.documento)
