"""The panel: how all of it goes, on one page that keeps itself up to date."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.translation import gettext

from .. import operations
from . import presentation
from .base import button
from .charts import charts, clock, day
from .webhook_buttons import WebhookButtons


class PanelPage(WebhookButtons):
    def get_urls(self) -> list[URLPattern]:
        return [button(self, "panel", self.panel_view, ("GET",), of_one=False), *super().get_urls()]

    def panel_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        by_day = request.GET.get("by") == "day"
        now = operations.panel(by_day=by_day)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Panel"),
            "opts": self.opts,
            "media": self.media,
            "panel": now,
            "by_day": by_day,
            "counted": {
                name: presentation.at_most(getattr(now.backlog, name), operations.COUNTED_AT_MOST)
                for name in ("pending", "due", "held", "parked", "undistributed")
            },
            "chart": charts(now.spans, day if by_day else clock),
            # An event that is yet to be distributed waits too, but in a line of its own.
            "waited": presentation.lasted(now.backlog.age_seconds(now.at))
            if now.backlog.due
            else "",
            "may_see_deliveries": request.user.has_perm("webhooks.view_delivery"),
        }
        return TemplateResponse(request, "admin/webhooks/panel.html", context)
