"""What may be asked of webhooks: JSON's types are looked at here, the rules are the operations'."""

from __future__ import annotations

from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers

from api_common import fields
from api_common.problems import Problem, django_problem, drf_errors

from .. import formats
from ..fields import MASK
from ..models import SigningKey, Webhook

# Of the model's fields, as the API calls them.
NAMES = {
    "auth_type": "authentication.type",
    "auth_username": "authentication.username",
    "auth_header_name": "authentication.headerName",
    "auth_secret": "authentication.secret",
    "timeout_seconds": "timeoutSeconds",
    "retry_schedule": "retrySchedule",
    "rate_limit": "rateLimit",
    "keep_responses": "keepResponses",
    "overlap_seconds": "overlapSeconds",
    "format_options": "formatOptions",
    **{
        f"format_options.{option}": f"formatOptions.{option}"
        for format in formats.all_formats()
        for option in format.options
    },
}

BodyT = TypeVar("BodyT", bound=serializers.Serializer[Any])


def checked(body: BodyT) -> BodyT:
    """:raises Problem: 400, the body is not valid."""
    if not body.is_valid():
        raise Problem("invalid", errors=drf_errors(body.errors))
    return body


class Texts(fields.Field):
    """A list of texts."""

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
            raise serializers.ValidationError(_("Give a list of texts."))
        return data


class Numbers(fields.Field):
    """A list of numbers."""

    def to_internal_value(self, data: Any) -> list[float]:
        if not isinstance(data, list) or not all(
            isinstance(each, (int, float)) and not isinstance(each, bool) for each in data
        ):
            raise serializers.ValidationError(_("Give a list of numbers."))
        return data


class Names(fields.Field):
    """An object whose values are texts."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict) or not all(isinstance(each, str) for each in data.values()):
            raise serializers.ValidationError(_("Give an object whose values are texts."))
        return data


class Object(fields.Field):
    """An object; what it may hold is looked at elsewhere."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(_("Give an object."))
        return data


class AuthenticationBody(fields.Body):
    """How requests to the receiver authenticate."""

    type = fields.Choice(Webhook.Authentication.choices)
    username = fields.Text(required=False, allow_null=True)
    headerName = fields.Text(required=False, allow_null=True)  # noqa: N815
    secret = fields.Text(required=False, allow_null=True, trim_whitespace=False)


class WebhookBody(fields.Body):
    """A webhook as it is created or changed. Masks (••••••••) stand for what is stored."""

    ignored = ("id", "status", "statusReason", "problems", "createdAt", "updatedAt", "keys")
    # pause/ and enable/ change it.
    as_it_is = ("status",)

    name = fields.Text()
    url = fields.Text()
    events = Texts()
    format = fields.Text(required=False)
    formatOptions = Object(required=False, source="format_options")  # noqa: N815
    headers = Names(required=False)
    authentication = AuthenticationBody(required=False)
    timeoutSeconds = fields.Number(  # noqa: N815
        required=False, allow_null=True, source="timeout_seconds"
    )
    retrySchedule = Numbers(  # noqa: N815
        required=False, allow_null=True, source="retry_schedule"
    )
    rateLimit = fields.Number(required=False, allow_null=True, source="rate_limit")  # noqa: N815
    keepResponses = fields.Boolean(required=False, source="keep_responses")  # noqa: N815
    secret = fields.Text(required=False, allow_null=True, trim_whitespace=False)
    algorithm = fields.Choice(SigningKey.Algorithm.choices, required=False)

    def now(self, name: str) -> Any:
        return getattr(self.instance or Webhook(), name)

    @sensitive_variables()
    def values(self) -> dict[str, Any]:
        """Field by field of the model; for a PUT, also what it leaves out."""
        found = dict(self.validated_data)
        stored = self.instance
        if stored is not None and not self.partial:
            defaults = {name: _default(name) for name in _REPLACED}
            found = {**defaults, "authentication": {"type": Webhook.Authentication.NONE}, **found}
        if "headers" in found and stored is not None:
            try:
                found["headers"] = stored.headers.unmasked(found["headers"])
            except ValidationError as error:
                raise django_problem(ValidationError({"headers": error})) from error
        if (authentication := found.pop("authentication", None)) is not None:
            found |= _authentication(authentication, stored)
        return found


_REPLACED = (
    "format",
    "format_options",
    "headers",
    "timeout_seconds",
    "retry_schedule",
    "rate_limit",
    "keep_responses",
)


def _default(name: str) -> Any:
    return Webhook._meta.get_field(name).get_default()  # type: ignore[union-attr]


@sensitive_variables()
def _authentication(given: dict[str, Any], stored: Webhook | None) -> dict[str, Any]:
    secret: Any = given.get("secret")
    if secret in (None, "", MASK):
        # What is stored stays, for the kind that it was stored for.
        same = stored is not None and stored.auth_type == given["type"]
        secret = stored.auth_secret if same else ""  # type: ignore[union-attr]
    return {
        "auth_type": given["type"],
        "auth_username": given.get("username") or "",
        "auth_header_name": given.get("headerName") or "",
        "auth_secret": secret,
    }


class RotationBody(fields.Body):
    """How a secret is changed."""

    secret = fields.Text(required=False, allow_null=True, trim_whitespace=False)
    algorithm = fields.Choice(SigningKey.Algorithm.choices, required=False)
    overlapSeconds = fields.Number(required=False, source="overlap_seconds")  # noqa: N815


class RecoveryBody(fields.Body):
    """What is to be made up for."""

    since = fields.Moment()
    until = fields.Moment(required=False, allow_null=True)
    dryRun = fields.Boolean(required=False)  # noqa: N815

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["since"] > timezone.now():
            raise serializers.ValidationError({"since": _("This is in the future.")})
        _in_order(attrs)
        return attrs


class ReplayBody(fields.Body):
    """Which deliveries are sent again: all conditions together, one at least; what failed, unless
    it says otherwise."""

    webhookId = fields.Text(required=False)  # noqa: N815
    statuses = Texts(required=False)
    events = Texts(required=False)
    ids = Texts(required=False)
    eventIds = Texts(required=False)  # noqa: N815
    since = fields.Moment(required=False)
    until = fields.Moment(required=False)
    dryRun = fields.Boolean(required=False)  # noqa: N815

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        conditions = [str(name) for name in self.fields if str(name) != "dryRun"]
        # Nothing said would mean all that ever failed, which must be said.
        if not attrs.keys() & set(conditions):
            raise serializers.ValidationError(
                _("Say which, by one of these at least: %(known)s.")
                % {"known": ", ".join(conditions)}
            )
        _in_order(attrs)
        return attrs


def _in_order(period: dict[str, Any]) -> None:
    """:raises ValidationError: it ends before it begins."""
    since, until = period.get("since"), period.get("until")
    if since is not None and until is not None and until <= since:
        raise serializers.ValidationError({"until": _("This is not after “since”.")})
