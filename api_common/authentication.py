"""Who calls: a bearer token, or the browser's session with its CSRF token."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from rest_framework import authentication
from rest_framework.request import Request

from . import tokens
from .problems import Problem

MAX_TOKEN_LENGTH = 200


class BearerAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        text = text.strip()
        if not text or len(text) > MAX_TOKEN_LENGTH or not text.isascii():
            raise Problem("not-authenticated", _("The Authorization header holds no valid token."))
        token = tokens.find(text)
        if token is None or not token.user.is_active:
            raise Problem("not-authenticated", _("There is no such token."))
        if token.revoked_at is not None:
            raise Problem("not-authenticated", _("This token was revoked."))
        if not token.usable:
            raise Problem("not-authenticated", _("This token has expired."))
        tokens.note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def _never_called(request: Any) -> Any:
    raise AssertionError


class SessionAuthentication(authentication.SessionAuthentication):
    """Whoever is logged in in the browser; what changes anything needs the CSRF token."""

    def enforce_csrf(self, request: Any) -> None:
        check: Any = authentication.CSRFCheck(_never_called)
        check.process_request(request)
        if check.process_view(request, None, (), {}):
            raise Problem("csrf")
