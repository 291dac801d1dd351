"""Says who acts: events recorded during a request carry its user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from .context import acting


class OriginMiddleware:
    """Place it after AuthenticationMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Asked at the event, not here: reading the user costs a query.
        def user() -> Any:
            found = getattr(request, "user", None)
            return found if found is not None and found.is_authenticated else None

        def actor() -> str:
            found = user()
            return "" if found is None else f"usuario_{found.pk}"

        with acting("user", actor, user):
            return self.get_response(request)
