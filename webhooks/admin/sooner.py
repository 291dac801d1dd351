"""For deliveries that wait for a later try: a button and an action that have it made at once."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import operations
from ..models import Delivery
from .base import button, page_of
from .replay import ReplayPages


class Hastening(ReplayPages):
    """Takes the permission to send again."""

    def get_urls(self) -> list[URLPattern]:
        return [button(self, "try_now", self.try_now_view), *super().get_urls()]

    def may_be_hastened(self, delivery: Delivery) -> bool:
        return operations.hastenable(Delivery.objects.filter(pk=delivery.pk)).exists()

    def to_be_sent(self, request: HttpRequest, object_id: str) -> Delivery:
        """What a button on a delivery's page is about.

        :raises Http404: it is gone.
        :raises PermissionDenied: the user may not see it, or not send it.
        """
        delivery: Delivery | None = self.get_object(request, object_id)
        if delivery is None:
            raise Http404
        if not (
            self.has_view_permission(request, delivery) and self.has_replay_permission(request)
        ):
            raise PermissionDenied
        return delivery

    def try_now_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        delivery = self.to_be_sent(request, object_id)
        if self._try_now(request, Delivery.objects.filter(pk=delivery.pk)):
            self.log_change(request, delivery, gettext("Tried at once."))
        return HttpResponseRedirect(page_of(delivery))

    @admin.action(description=_("Try the selected deliveries now"), permissions=["replay"])
    def try_selected_now(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._try_now(request, queryset)

    def _try_now(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> int:
        sent = operations.try_now(deliveries)
        if sent:
            text = ngettext(
                "%(count)d delivery is tried now.", "%(count)d deliveries are tried now.", sent
            )
            self.message_user(request, text % {"count": sent}, messages.SUCCESS)
        else:
            text = gettext(
                "None of them waits for a later try: each is settled, due or being sent already, "
                "or its webhook is paused."
            )
            self.message_user(request, text, messages.WARNING)
        if sent == operations.MOST_AT_ONCE:
            text = gettext("More may be waiting: ask again for the rest.")
            self.message_user(request, text, messages.WARNING)
        return sent
