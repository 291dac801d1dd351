"""Payloads are shown with their values hidden, until somebody who may asks to see them.

Asking is a POST with a permission of its own, written in the audit trail; what it opens is shown
once, on the page that follows.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern

from .. import audit
from ..models import Delivery, Event
from .base import button, page_of

_KEY = "webhooks_revealed"


class Revealing(admin.ModelAdmin):  # type: ignore[type-arg]
    def get_urls(self) -> list[URLPattern]:
        return [button(self, "reveal", self.reveal_view), *super().get_urls()]

    def reveal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not (
            self.has_view_permission(request, row)
            and request.user.has_perm("webhooks.view_payload")
        ):
            raise PermissionDenied
        event: Event = row if isinstance(row, Event) else row.event
        # First the record: no payload is shown that it cannot tell of.
        audit.record(
            audit.Action.VIEWED_PAYLOAD,
            user=request.user,
            subject=audit.of(row),
            detail=f"{event.public_id} {event.data_subject}".rstrip(),
        )
        request.session[_KEY] = audit.of(row)
        return HttpResponseRedirect(page_of(row))

    def revealed(self, request: HttpRequest, row: Event | Delivery) -> bool:
        """Whether this page is the one that was asked for; the next one is not."""
        if request.session.get(_KEY) != audit.of(row):
            return False
        del request.session[_KEY]
        return request.user.has_perm("webhooks.view_payload")

    def revealing(
        self, request: HttpRequest, row: Event | Delivery, revealed: bool
    ) -> dict[str, Any]:
        """What the page's template needs."""
        may = request.user.has_perm("webhooks.view_payload")
        return {"revealed": revealed, "may_reveal": may and not revealed}
