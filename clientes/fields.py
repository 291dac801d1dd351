"""Model fields that keep one normalized spelling of what people write in many."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import models

from webhooks import events

from . import documents, phones


class NormalizedFormField(forms.CharField):
    """Shows the value as people write it; cleans to the spelling that is stored.

    `to_python` normalizes, so that a form knows an untouched value from a changed one.
    """

    def __init__(self, *, model_field: NormalizedField, **kwargs: Any) -> None:
        self.model_field = model_field
        # The bound is the stored spelling's; what is typed may hold spaces and punctuation.
        kwargs["max_length"] = None
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> str:
        return self.model_field.normalize(super().to_python(value) or "")

    def prepare_value(self, value: Any) -> Any:
        return self.model_field.formatted(value) if isinstance(value, str) else value


class NormalizedField(models.CharField):
    """A CharField whose column never holds another spelling than `normalize` gives.

    Validation, `save()`, `bulk_create()` and `QuerySet.update()` all normalize; what cannot be
    is a ValidationError in each of them. Look values up in their stored spelling.
    """

    stored_on_instance = True  # see webhooks/rows.py

    def normalize(self, text: str) -> str:
        """The stored spelling; raises ValidationError for what has none."""
        raise NotImplementedError

    def normalize_stored(self, text: str) -> str:
        """The same, for values that no form has seen. It may ask for less."""
        return self.normalize(text)

    def formatted(self, text: str) -> str:
        raise NotImplementedError

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        if isinstance(value, str):
            value = self.normalize(value)
        return super().clean(value, model_instance)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        if value is None or isinstance(value, str):
            # The instance shall read as the row does.
            value = self.normalize_stored(value or "")
            setattr(model_instance, self.attname, value)
        return value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if isinstance(value, str):
            value = self.normalize_stored(value)
        return super().get_db_prep_save(value, connection)

    def formfield(self, **kwargs: Any) -> Any:
        kwargs["form_class"] = NormalizedFormField
        kwargs["model_field"] = self
        # The admin gives every CharField its own widget; ours is no less wide.
        return super().formfield(**kwargs)


class PhoneField(NormalizedField):
    """A telephone number, E.164 in the column."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 16)
        super().__init__(*args, **kwargs)

    def normalize(self, text: str) -> str:
        return phones.normalize(text)

    def normalize_stored(self, text: str) -> str:
        return phones.normalize(text, strict=False)

    def formatted(self, text: str) -> str:
        return phones.formatted(text)


class DocumentField(NormalizedField):
    """A CPF or CNPJ, without punctuation in the column."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 14)
        super().__init__(*args, **kwargs)

    def normalize(self, text: str) -> str:
        return documents.normalize(text)

    def formatted(self, text: str) -> str:
        return documents.formatted(text)


class CheckedJSONField(models.JSONField):
    """JSON whose validators hold at every `save()` too, stored as an event tells it: 1.0 as 1, what
    no receiver reads exactly as text."""

    stored_on_instance = True  # see webhooks/rows.py
    # Validators see "", [] and {} too: what passes a form must pass `pre_save`, which asks them.
    empty_values = (None,)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        if value is None and not self.null:
            value = self.get_default()
            setattr(model_instance, self.attname, value)
        if not hasattr(value, "resolve_expression"):
            # Not `run_validators()`, which lets "" pass where a list is due.
            for validate in self.validators:
                validate(value)
            # The instance shall read as the row does.
            value = events.exact_json(value)
            setattr(model_instance, self.attname, value)
        return value
