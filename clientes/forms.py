"""How a client is edited."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from .models import Cliente
from .validators import split_tags


class TagsField(forms.Field):
    """A list of tags, edited as comma-separated text."""

    widget = AdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        return split_tags(value or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


class CustomFieldsField(forms.JSONField):
    """A JSON object, shown indented; hostile JSON is an error beside the field, never a 500."""

    widget = AdminTextareaWidget

    def to_python(self, value: Any) -> Any:
        try:
            value = super().to_python(value)
        except RecursionError:
            raise ValidationError(_("This is nested too deeply."), code="too_deep") from None
        except ValueError:  # a number with thousands of digits
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": str(value)[:40]}
            ) from None
        return {} if value is None else value

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):  # typed, and as `to_python` has it no object: never quoted
            return value
        return json.dumps(value, ensure_ascii=False, indent=2) if value else ""

    def bound_data(self, data: Any, initial: Any) -> Any:
        # As it was typed: parsing it again here could raise what `to_python` has handled.
        return initial if self.disabled else data

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.to_python(data))
        except ValidationError:
            return True


class ClienteForm(forms.ModelForm):
    etiquetas = TagsField(
        label=capfirst(_("tags")),
        required=False,
        help_text=_("Separated by commas, like: VIP, indicação."),
    )
    campos_personalizados = CustomFieldsField(
        label=capfirst(_("custom fields")),
        required=False,
        help_text=_('A JSON object, like {"plano": "ouro"}.'),
    )

    class Meta:
        model = Cliente
        fields = (
            "nome",
            "email",
            "telefone",
            "documento",
            "empresa",
            "origem",
            "etiquetas",
            "nao_perturbe",
            "campos_personalizados",
            "observacoes",
        )
