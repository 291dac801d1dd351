"""The kinds of problem that an answer may tell, each with its address under `problems/`."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


@dataclass(frozen=True)
class Kind:
    """One thing that can be wrong, whatever endpoint says so."""

    code: str
    status: int
    title: Text
    detail: Text
    """What to do about it; an answer may have a better one."""


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind(
            "invalid",
            400,
            _("Invalid request"),
            _("Something in the request is not valid; “errors” says what."),
        ),
        Kind(
            "malformed",
            400,
            _("Unreadable request"),
            _("The request could not be read. Send JSON in UTF-8."),
        ),
        Kind(
            "not-authenticated",
            401,
            _("Not authenticated"),
            _("Say who you are: Authorization: Bearer <token>."),
        ),
        Kind(
            "forbidden",
            403,
            _("Not allowed"),
            _("You do not have the permission for this."),
        ),
        Kind(
            "csrf",
            403,
            _("CSRF token missing or wrong"),
            _("With a browser's session, send its CSRF token in the header X-CSRFToken."),
        ),
        Kind("not-found", 404, _("Not found"), _("There is nothing at this address.")),
        Kind(
            "method-not-allowed",
            405,
            _("Method not allowed"),
            _("This address does not take that method; the header Allow lists those it does."),
        ),
        Kind(
            "not-acceptable",
            406,
            _("Not acceptable"),
            _("The answer is JSON: let Accept allow application/json."),
        ),
        Kind(
            "conflict",
            409,
            _("Conflict"),
            _("It does not fit the state in which things are now."),
        ),
        Kind(
            "in-use",
            409,
            _("Still in use"),
            _("Other records refer to it, so it cannot be deleted."),
        ),
        Kind(
            "request-in-progress",
            409,
            _("Request in progress"),
            _("A request with this Idempotency-Key is still being handled. Ask again shortly."),
        ),
        Kind("gone", 410, _("No longer kept"), _("It was here, and was deleted for good.")),
        Kind(
            "length-required",
            411,
            _("Length required"),
            _("Say how long the body is (Content-Length): this server reads none in chunks."),
        ),
        Kind(
            "changed-meanwhile",
            412,
            _("Changed meanwhile"),
            _("It is no longer as in your If-Match. Read it again, and decide anew."),
        ),
        Kind("too-large", 413, _("Too large"), _("The request is larger than is accepted.")),
        Kind(
            "unsupported-media-type",
            415,
            _("Unsupported media type"),
            _("Send JSON, with Content-Type: application/json."),
        ),
        Kind(
            "idempotency-key-reused",
            422,
            _("Idempotency-Key used before"),
            _("This Idempotency-Key came with another request. Use a new key for each."),
        ),
        Kind(
            "too-many-requests",
            429,
            _("Too many requests"),
            _("Wait for as many seconds as the header Retry-After says."),
        ),
        Kind(
            "internal",
            500,
            _("Internal error"),
            _("Something went wrong on our side. It was recorded; try again later."),
        ),
        Kind(
            "unavailable",
            503,
            _("Unavailable for the moment"),
            _("The database could not serve the request now. Try again shortly."),
        ),
    )
}
