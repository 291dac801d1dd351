"""Errors as RFC 9457 problem details: one shape for everything that can go wrong.

::

    {"type": "https://crm.example/api/v1/problems/invalid/", "title": "…", "status": 400,
     "code": "invalid", "detail": "…",
     "errors": [{"in": "body", "field": "email", "code": "invalid", "detail": "…"}]}

The list of errors has an end: where there are more, its last one says how many (code “more”).

Texts are in the caller's language (`Accept-Language`). Nothing of the inside is told: what nobody
foresaw is a bare 500, and the log has the rest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import exceptions as django_errors
from django.core.signals import got_request_exception
from django.db import IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, UnreadablePostError
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.response import Response

from .brief import shortened
from .problem_kinds import KINDS, Kind, Text

logger = logging.getLogger("api")

CONTENT_TYPE = "application/problem+json"
# What came in may be as long as a request may be. An answer says what is wrong with it, and repeats
# no more of it than helps.
MAX_FIELD = 200  # characters of a field's name
MAX_ERRORS = 100  # that are listed
MAX_LISTED = 20_000  # bytes of them, as JSON
_BY_STATUS = {
    400: "malformed",
    401: "not-authenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
}


# Codes by which a model refuses not what was sent, but to do it in the state that it is in.
_OF_THE_STATE = {"invalid_transition", "closed"}


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one value of the request."""

    field: str
    """A key of the body (nested ones with dots: `authentication.secret`), a parameter, a header;
    "" for the body as a whole."""
    detail: Text
    code: str = "invalid"
    place: str = "body"
    """“body”, “query” or “header”."""

    def as_json(self) -> dict[str, str]:
        return {
            "in": self.place,
            "field": shortened(self.field, MAX_FIELD),
            "code": self.code,
            "detail": shortened(str(self.detail)),
        }


class Problem(exceptions.APIException):
    """Raise it anywhere in an endpoint.

    :param code: of `KINDS`.
    :param detail: a sentence for a person; None: the kind's own.
    :param extra: further members of the answer.
    """

    def __init__(
        self,
        code: str,
        detail: Text | None = None,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = KINDS[code]
        self.status_code = self.kind.status
        self.detail = detail or self.kind.detail  # type: ignore[assignment]
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def __str__(self) -> str:
        return str(self.detail)


def invalid(field: str, detail: Text, *, code: str = "invalid", place: str = "body") -> Problem:
    """A 400 about one value."""
    return Problem("invalid", errors=[FieldError(field, detail, code, place)])


def respond(problem: Problem, request: HttpRequest) -> Response:
    """The answer that tells a problem."""
    kind = problem.kind
    data = {
        "type": _address(kind.code, request),
        "title": str(kind.title),
        "status": kind.status,
        "code": kind.code,
        "detail": shortened(str(problem.detail)),
    }
    if problem.errors:
        data["errors"] = _listed(problem.errors)
    return Response(
        data | problem.extra,
        status=kind.status,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def _listed(errors: Sequence[FieldError]) -> list[dict[str, str]]:
    """As many as an answer has room for, and how many more there are."""
    found: list[dict[str, str]] = []
    room = MAX_LISTED
    for error in errors[:MAX_ERRORS]:
        each = error.as_json()
        room -= len(json.dumps(each))
        if room < 0 and found:
            break
        found.append(each)
    if more := len(errors) - len(found):
        text = gettext("And %(count)d more.") % {"count": more}
        found.append(FieldError("", text, "more", errors[-1].place).as_json())
    return found


def _address(code: str, request: HttpRequest) -> str:
    """Where the kind is explained, if the project has that page (RFC 9457, 3.1.1)."""
    try:
        return request.build_absolute_uri(reverse("api-problem", args=[code]))
    except (NoReverseMatch, django_errors.DisallowedHost):
        return "about:blank"


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: whatever is raised in an endpoint becomes a problem."""
    request = context["request"]
    problem = _problem_of(exc)
    if problem is None:
        # For error reporters, and for the test client, which raises it again.
        got_request_exception.send(sender=type(context["view"]), request=request._request)
        logger.exception("Unhandled in %s %s", request.method, request.path, exc_info=exc)
        problem = Problem("internal")
    if problem.kind.status == 401:
        problem.headers["WWW-Authenticate"] = context["view"].get_authenticate_header(request)
    return respond(problem, request)


def _problem_of(exc: Exception) -> Problem | None:  # noqa: PLR0911, PLR0912
    """None: nobody foresaw it."""
    match exc:
        case Problem():
            return exc
        case exceptions.Throttled():
            seconds: float | None = getattr(exc, "wait", None)
            wait = 1 if seconds is None else int(seconds) + 1
            return Problem("too-many-requests", headers={"Retry-After": str(wait)})
        case exceptions.ValidationError():
            return Problem("invalid", errors=drf_errors(exc.detail))
        case exceptions.ParseError():
            return Problem("malformed", str(exc.detail))
        case exceptions.APIException():
            code = _BY_STATUS.get(exc.status_code)
            return None if code is None else Problem(code)
        case Http404():
            return Problem("not-found")
        case django_errors.PermissionDenied():
            return Problem("forbidden")
        case django_errors.ValidationError():
            return django_problem(exc)
        case ProtectedError() | RestrictedError():
            return Problem("in-use", _in_use(exc))
        case django_errors.RequestDataTooBig():
            most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            text = gettext("A request may have %(most)d bytes.") % {"most": most or 0}
            return Problem("too-large", text)
        case UnreadablePostError() | django_errors.SuspiciousOperation():
            return Problem("malformed")
        case IntegrityError():
            # Two requests at once, each valid when it was looked at.
            logger.warning("A constraint refused what was valid: %s", exc)
            return Problem("conflict", _("Another request changed the same at the same time."))
        case OperationalError() | InterfaceError():
            logger.error("The database failed: %s", exc)
            return Problem("unavailable", headers={"Retry-After": "1"})
    return None


def _in_use(exc: Any) -> str:
    found: Any = getattr(exc, "protected_objects", None) or exc.restricted_objects
    names = sorted({str(each._meta.verbose_name_plural) for each in found})
    return gettext("It is still in use (%(names)s), so it cannot be deleted.") % {
        "names": ", ".join(names)
    }


def drf_errors(detail: Any, path: str = "", place: str = "body") -> list[FieldError]:
    """A serializer's (or filter set's) errors, flat."""
    return list(_flat(detail, path, place))


def _flat(detail: Any, path: str, place: str) -> Iterator[FieldError]:
    if isinstance(detail, Mapping):
        for name, each in detail.items():
            here = path if name == "non_field_errors" else f"{path}.{name}".lstrip(".")
            yield from _flat(each, here, place)
    elif isinstance(detail, (list, tuple)):
        for index, each in enumerate(detail):
            nested = isinstance(each, (Mapping, list, tuple))
            if nested and not each:
                continue
            yield from _flat(each, f"{path}[{index}]" if nested else path, place)
    else:
        yield FieldError(path, str(detail), getattr(detail, "code", None) or "invalid", place)


def django_problem(
    error: django_errors.ValidationError,
    names: Mapping[str, str] | None = None,
    path: str = "",
    place: str = "body",
) -> Problem:
    """A model's (or operation's) refusal.

    :param names: of the model's fields in the API: `{"data_vencimento": "dataVencimento"}`.
    :param path: where in the body the values stand, such as `clientes[3]`.
    """
    errors = list(django_field_errors(error, names, path, place))
    code = "conflict" if any(each.code in _OF_THE_STATE for each in errors) else "invalid"
    detail = errors[0].detail if code == "conflict" else None
    return Problem(code, detail, errors=errors)


def django_field_errors(
    error: django_errors.ValidationError,
    names: Mapping[str, str] | None = None,
    path: str = "",
    place: str = "body",
) -> Iterator[FieldError]:
    """As `django_problem`, one by one."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
    for field, errors in by_field.items():
        public = "" if field == django_errors.NON_FIELD_ERRORS else (names or {}).get(field, field)
        for each in errors:
            [message] = each.messages
            yield FieldError(
                f"{path}.{public}".strip("."), message, str(each.code or "invalid"), place
            )


__all__ = [
    "CONTENT_TYPE",
    "KINDS",
    "FieldError",
    "Kind",
    "Problem",
    "django_field_errors",
    "django_problem",
    "drf_errors",
    "handle",
    "invalid",
    "respond",
]
