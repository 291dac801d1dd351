"""A delivery's attempts, as its page tells them: what was sent, what came back, what is hidden."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from ..addresses import shown_address, without_address
from ..conf import settings
from ..eventos import TEST_EVENT
from ..headers import is_harmless
from ..models import Attempt, Delivery
from . import presentation

MOST_ATTEMPTS = 50  # shown, the newest


def timeline(request: HttpRequest, delivery: Delivery, revealed: bool) -> dict[str, Any]:
    """What the page's template needs.

    :param revealed: whether all that was told is shown, which somebody asked for.
    """
    told = revealed or is_test(delivery)
    answered = revealed or (is_test(delivery) and may_read_answer(request, delivery))
    timeout = delivery.webhook.timeout_seconds or settings.TIMEOUT_SECONDS
    newest = list(delivery.attempts.order_by("-id")[:MOST_ATTEMPTS])
    bodies = [
        delivery.event.body
        if attempt.request_body is None
        else hide_address(request, attempt.request_body, attempt)
        for attempt in newest
    ]
    entries = [
        {
            "attempt": attempt,
            "url": address(request, attempt),
            "sentence": presentation.failure_sentence(attempt, timeout),
            "request_body": _show(body, told),
            "response_headers": attempt.response_headers
            if answered
            else _harmless(attempt.response_headers),
            "response_body": _show(attempt.response_body, answered),
        }
        for attempt, body in zip(newest, bodies, strict=True)
    ]
    curl = ""
    if newest:
        body = bodies[0] if told else presentation.masked(bodies[0], indent=False)
        curl = presentation.as_curl(newest[0], address(request, newest[0]), body)
    return {"attempts": entries[::-1], "curl": curl, "is_test": is_test(delivery)}


def is_test(delivery: Delivery) -> bool:
    """A test's body is ours and tells nobody's data."""
    return delivery.event.type == TEST_EVENT.name


def may_read_answer(request: HttpRequest, delivery: Delivery) -> bool:
    """Of a test: whoever sent it wants to see what came of it. A receiver may answer anything, so
    for anybody else it is like any payload."""
    return request.user.has_perm("webhooks.view_payload") or (
        delivery.event.actor == f"usuario_{request.user.pk}"
    )


def address(request: HttpRequest, attempt: Attempt) -> str:
    may_change = request.user.has_perm("webhooks.change_webhook")
    return attempt.url if may_change else shown_address(attempt.url)


def hide_address(request: HttpRequest, body: str, attempt: Attempt) -> str:
    """Some formats repeat the address in the body."""
    may_change = request.user.has_perm("webhooks.change_webhook")
    return body if may_change else without_address(body, attempt.url)


def _show(body: str, openly: bool) -> str:
    return presentation.pretty(body) if openly else presentation.masked(body)


def _harmless(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: value if is_harmless(name, value) else presentation.HIDDEN
        for name, value in headers.items()
    }
