"""Model fields whose values are encrypted at rest and opened only where they are used.

A sealed attribute holds a `Sealed`, not the secret: rows can be listed, copied, pickled and saved
without opening anything, `repr()` and `str()` never show it, and where its key is lost it is
`reveal()` that raises; the ciphertext itself stays as it was, through any number of saves.

Forms show `MASK` in place of what is stored, and a mask that comes back unchanged keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from .formfields import SealedFormField, SealedJSONFormField
from .sealed import MASK, EncryptionKeyMissing, Sealed, SecretUnreadable, fernet

__all__ = [
    "MASK",
    "EncryptionKeyMissing",
    "Sealed",
    "SealedJSONField",
    "SealedTextField",
    "SecretUnreadable",
    "fernet",
]

if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]  # generic to the type checker only
else:
    _TextField = models.TextField

_DUMPED = "sealed:"  # before a ciphertext in a fixture


class _SealedAttribute(DeferredAttribute):
    """Seals whatever is assigned; so a model instance never carries a secret in the open."""

    field: SealedTextField

    @sensitive_variables()
    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = self.field.seal(value)


class SealedTextField(_TextField):
    """Text encrypted with WEBHOOKS["ENCRYPTION_KEYS"]; assign the plain text, `.reveal()` it."""

    description = _("Encrypted text")
    descriptor_class = _SealedAttribute
    as_json = False

    @sensitive_variables()
    def seal(self, value: Any) -> Any:
        """What the attribute holds once `value` is assigned: a `Sealed`, or None."""
        if value is None or isinstance(value, Sealed):
            return value
        return Sealed.seal(value, as_json=self.as_json)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(value, self.as_json, stored=True)

    def get_prep_value(self, value: Any) -> str | None:
        sealed = self.seal(value)
        return None if sealed is None else sealed.token

    def value_to_string(self, obj: models.Model) -> str:
        """What `dumpdata` writes: the ciphertext, which only the same keys can read."""
        sealed = self.value_from_object(obj)
        return f"{_DUMPED}{sealed.token}" if sealed else ""

    def to_python(self, value: Any) -> Any:
        """Read what `loaddata` gives. Assignment does not come through here: whoever may store a
        secret must not be able to have a ciphertext opened that they got hold of."""
        if isinstance(value, str) and value.startswith(_DUMPED):
            return Sealed(value.removeprefix(_DUMPED), self.as_json)
        try:
            return self.seal({} if self.as_json and value == "" else value)
        except (TypeError, ValueError) as error:
            raise ValidationError(str(error), code="invalid") from error

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        super().validate(value, model_instance)
        if value is not None and not value and not self.blank:
            raise ValidationError(self.error_messages["blank"], code="blank")

    def run_validators(self, value: Any) -> None:
        """Validators see the plain secret; of one that cannot be read, nothing."""
        if not value:
            return
        try:
            plain = value.reveal()
        except SecretUnreadable:
            return
        super().run_validators(plain)

    def get_lookup(self, lookup_name: str) -> Any:
        """Only `isnull`: equal secrets have different ciphertexts, so no other could be right."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        stored = self.value_from_object(instance) or Sealed("", self.as_json)
        try:
            value = stored.unmasked(data)
            setattr(instance, self.attname, {} if self.as_json and value is None else value)
        except (ValidationError, TypeError, ValueError) as error:
            message = error if isinstance(error, ValidationError) else str(error)
            raise ValidationError({self.name: message}) from error

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        # What the admin gives to any TextField. (Its class cannot be imported beside models.)
        if getattr(kwargs.get("widget"), "__name__", "") == "AdminTextareaWidget":
            del kwargs["widget"]
        kwargs.setdefault("form_class", SealedFormField)
        kwargs.setdefault("widget", kwargs["form_class"].widget)
        field = super().formfield(**kwargs)
        if field is not None:
            # A callable default (`dict`) would also put the initial value into a hidden input.
            field.show_hidden_initial = False
        return field


class SealedJSONField(SealedTextField):
    """A JSON object encrypted the same way."""

    description = _("Encrypted JSON")
    as_json = True

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        kwargs.setdefault("form_class", SealedJSONFormField)
        return super().formfield(**kwargs)
