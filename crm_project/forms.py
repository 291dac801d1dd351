"""How every form of the project shows again what it could not accept. See FORM_RENDERER."""

from __future__ import annotations

from typing import Any

from django.forms import BoundField
from django.forms.renderers import DjangoTemplates


class AsTyped(BoundField):
    """Shows what was typed as it was typed.

    A field's `prepare_value` writes a value as text. Given a text that was typed, it writes that
    once more: a JSON field quotes it, at every save that fails; a telephone's spells it anew.
    """

    def value(self) -> Any:
        if self.form.is_bound and not self.field.disabled and isinstance(self.data, str):
            return self.data
        return super().value()

    def as_widget(
        self, widget: Any = None, attrs: dict[str, Any] | None = None, only_initial: bool = False
    ) -> Any:
        """Also keeps what a field of several inputs began with: Django takes what was typed for it,
        and says that nothing changed."""
        if not (only_initial and self.form.is_bound):
            return super().as_widget(widget, attrs, only_initial)
        hidden, name = self.field.hidden_widget(), self.html_initial_name
        value = hidden.value_from_datadict(self.form.data, self.form.files, name)
        attrs = {"id": self.html_initial_id, **(attrs or {})}
        return hidden.render(name, value, attrs, self.form.renderer)


class Renderer(DjangoTemplates):
    """Django's own, for fields that are `AsTyped`."""

    bound_field_class = AsTyped
