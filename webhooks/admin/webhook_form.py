"""The form of a webhook: one screen, and the same rules as everywhere (`operations`)."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.formats import number_format
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from uuid_utils.compat import uuid7

from api_common.brief import quote_briefly

from .. import catalog, formats, operations
from ..conf import settings
from ..databases import writing
from ..eventos import DISABLED_EVENT
from ..models import SigningKey, Webhook
from . import merging
from .form_fields import (
    HeadersField,
    ScheduleField,
    SecretField,
    SecretsForm,
    lines,
    waits_as_text,
)
from .option_fields import OptionsForm, field_name, stored_options


class EventsWidget(forms.CheckboxSelectMultiple):
    """Checkboxes under their area's heading, each with what the event means."""

    template_name = "webhooks/widgets/events.html"

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """With the formats that have no equivalent of it."""
        option = super().create_option(name, value, *args, **kwargs)
        without = [each for each in formats.all_formats() if not each.tells(str(value))]
        return {**option, "without": without}


class WebhookForm(SecretsForm, OptionsForm, forms.ModelForm):  # type: ignore[type-arg]
    """Creates and changes a webhook. The address is vetted by the admin before, see there."""

    # Also the new webhook's id, so that the same form sent twice makes one webhook.
    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid7, required=False)
    # What the form was shown with: see merging.py.
    shown = forms.CharField(widget=forms.HiddenInput, required=False)
    event_types = forms.MultipleChoiceField(label=_("Events"), widget=EventsWidget, required=False)
    patterns = forms.CharField(
        label=_("Patterns"),
        required=False,
        widget=lines(3),
        help_text=_(
            "One a line, besides the events ticked: “cliente.*”, “*.criado”, or “*” for all, "
            "those that come later included."
        ),
    )
    format = forms.ChoiceField(label=_("Format"))
    secret = SecretField(
        label=_("Secret of your own"),
        help_text=_("16 to 256 characters. Empty: one is made, and shown once after saving."),
    )
    headers = HeadersField(
        label=_("Custom headers"),
        required=False,
        help_text=format_lazy(
            "{} {}",
            _("One a line: “Name: value”."),
            _("Stored values are hidden; a line left as it is keeps its value."),
        ),
    )
    retry_schedule = ScheduleField(
        label=_("Retry schedule"),
        required=False,
        help_text=_("The wait before each attempt, such as “0, 1m, 5m, 15m, 1h”."),
    )

    class Meta:
        model = Webhook
        fields = (
            "name",
            "url",
            "format",
            "auth_type",
            "auth_username",
            "auth_header_name",
            "auth_secret",
            "headers",
            "timeout_seconds",
            "retry_schedule",
            "rate_limit",
            "keep_responses",
            "owner",
        )
        help_texts = {
            "url": _(
                "A token belongs into a header or the authentication below. In the address, who "
                "may change the webhook sees it, and so do the logs of what lies between."
            ),
        }
        widgets = {
            "url": forms.URLInput(attrs={"class": "vURLField wh-wide", "inputmode": "url"}),
        }

    # Set by the admin: what vetting the address found, before the transaction of the request.
    url_problem: str = ""

    def needs(self, name: str) -> bool:
        given = self.data.get(self.add_prefix("auth_type"))
        return name != "auth_secret" or given not in (None, Webhook.Authentication.NONE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            quote_briefly(field)
        self._set_choices()
        self._say_defaults()
        webhook = self.instance
        if webhook._state.adding:
            return
        self._before = merging.stored(webhook)
        self._initially("shown", merging.fingerprints(webhook))
        known = {event_type.name for event_type in catalog.subscribable()}
        self.show_options(webhook)
        self._initially("event_types", [name for name in webhook.events if name in known])
        patterns = [pattern for pattern in webhook.events if pattern not in known]
        self._initially("patterns", "\n".join(patterns))
        if "patterns" in self.fields:
            self.fields["patterns"].widget.attrs["rows"] = max(3, len(patterns) + 1)

    def _set_choices(self) -> None:
        if "event_types" in self.fields:
            areas: dict[str, list[tuple[str, Any]]] = {}
            own = DISABLED_EVENT.area  # what the CRM tells comes first
            for event_type in sorted(catalog.subscribable(), key=lambda each: each.area == own):
                group = areas.setdefault(str(event_type.area), [])
                group.append((event_type.name, event_type.description))
            self.fields["event_types"].choices = list(areas.items())  # type: ignore[attr-defined]
        if "format" in self.fields:
            self.fields["format"].choices = [  # type: ignore[attr-defined]
                (known.name, known.label) for known in formats.all_formats()
            ]

    def _say_defaults(self) -> None:
        """What holds where a field is left empty, as the settings have it now."""
        for name, before, empty in (
            (
                "timeout_seconds",
                "",
                gettext("Empty: the default, %(seconds)s seconds.")
                % {"seconds": number_format(f"{settings.TIMEOUT_SECONDS:g}")},
            ),
            (
                "retry_schedule",
                self.base_fields["retry_schedule"].help_text,
                gettext("Empty: the default, “%(waits)s”.")
                % {"waits": waits_as_text(settings.RETRY_SCHEDULE_SECONDS)},
            ),
            (
                "rate_limit",
                gettext("What comes faster waits, in the order in which it came."),
                gettext("Empty: no limit."),
            ),
        ):
            if name in self.fields:
                self.fields[name].help_text = f"{before} {empty}".strip()

    def _initially(self, field: str, value: Any) -> None:
        if field in self.fields:
            self.initial.setdefault(field, value)

    def clean_token(self) -> UUID:
        token: UUID = self.cleaned_data["token"] or uuid7()
        if self.instance._state.adding and writing(Webhook.all_objects).filter(pk=token).exists():
            raise ValidationError(gettext("This form was sent before."), code="sent")
        return token

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if secret:
            format = str(self.data.get(self.add_prefix("format"), ""))
            known = dict(self.fields["format"].choices)  # type: ignore[attr-defined]
            algorithms = formats.get(format).algorithms if format in known else ()
            if format in known and not algorithms:
                raise ValidationError(gettext("The format of this webhook does not sign."))
            if format in known and formats.get(format).signs_with_all:
                raise ValidationError(gettext("The keys of this format are made here; give none."))
            operations.clean_secret(
                secret, next(iter(algorithms), SigningKey.Algorithm.HMAC_SHA256)
            )
        return secret

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.instance._state.adding:
            merging.keep_sealed(self.instance, cleaned, cleaned.get("shown", ""))
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        webhook, cleaned = self.instance, self.cleaned_data
        if webhook._state.adding and cleaned.get("token"):
            webhook.pk = cleaned["token"]
        if "event_types" in self.fields:
            free = re.split(r"[\s,;]+", cleaned.get("patterns", "").strip())
            webhook.events = [*cleaned.get("event_types", []), *filter(None, free)]
        if "format" in cleaned:
            stored = {} if "format" in self.changed_data else stored_options(webhook)
            webhook.format_options = self.options(webhook.format, stored)
            self.forget_other_options(webhook.format)
        if not webhook._state.adding:
            merging.leave_untouched(webhook, self._before, cleaned.get("shown", ""))
        try:
            operations.clean_webhook(webhook, resolve=False)
        except ValidationError as error:
            self._take_over(error)
        if self.url_problem and "url" not in self.errors:
            self.add_error("url", self.url_problem)

    def _take_over(self, error: ValidationError) -> None:
        """Show the rules' messages where the fields are; those already complained of say enough."""
        for rule, messages in error.message_dict.items():
            field = "patterns" if rule == "events" else rule
            if option := rule.partition("format_options.")[2]:
                field = field_name(self.instance.format, option)
            if field in self.errors:
                continue
            self.add_error(field if field in self.fields else NON_FIELD_ERRORS, messages)


class RotateForm(SecretsForm):
    """Asks how to change a webhook's secret."""

    # The key that was the newest when the form was shown: sent twice, it rotates once.
    newest = forms.IntegerField(widget=forms.HiddenInput, required=False)
    secret = SecretField(
        label=_("Secret of your own"),
        help_text=_("16 to 256 characters. Empty: one is made, and shown once."),
    )
    overlap_hours = forms.FloatField(
        label=_("The old secret still signs for (hours)"),
        min_value=0,
        max_value=24 * 30,
        help_text=_("0 ends it at once: use that when it has leaked."),
    )
