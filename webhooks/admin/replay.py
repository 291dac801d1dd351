"""Sending many deliveries again: a page that says which and asks. And the pages of all jobs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth import get_user_model
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import operations
from ..models import BulkJob
from ..operations import ReplayFilter, jobs
from . import presentation, records
from .base import ReadOnlyAdmin, button, page_of
from .choosing import Inexpressible, chosen_by_list

_SALT = "webhooks.replay"
_ASKED_FOR_SECONDS = 3600  # after which the page's figures are too old to be agreed to


class PaceForm(forms.Form):
    rate = forms.IntegerField(
        label=_("Deliveries per second"),
        min_value=jobs.RATES[0],
        max_value=jobs.RATES[1],
        initial=jobs.DEFAULT_RATE,
        help_text=_("Slower is kinder to receivers; what is new goes out in between."),
    )


class ReplayPages(ReadOnlyAdmin):
    """For the list of deliveries: the page that asks. GET shows, POST begins."""

    def get_urls(self) -> list[URLPattern]:
        ask = button(self, "replay_many", self.ask_view, ("GET", "POST"), of_one=False)
        return [ask, *super().get_urls()]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.replay_delivery"))

    def ask_view(self, request: HttpRequest) -> HttpResponse:
        if not (self.has_view_permission(request) and self.has_replay_permission(request)):
            raise PermissionDenied
        back = reverse("admin:webhooks_delivery_changelist")
        form = PaceForm(request.POST or None)
        try:
            if request.method == "POST":
                chosen, until_id = _agreed(request.POST.get("chosen", ""))
                if form.is_valid():
                    return self._begin(request, chosen, until_id, form.cleaned_data["rate"])
            else:
                chosen = chosen_by_list(request.GET.dict())
                until_id = operations.newest_delivery()
        except IncorrectLookupParameters:
            self.message_user(request, gettext("The filter cannot be read."), messages.ERROR)
            return HttpResponseRedirect(back)
        except Inexpressible as problem:
            self.message_user(request, str(problem), messages.ERROR)
            return HttpResponseRedirect(f"{back}?{request.GET.urlencode()}")
        except signing.BadSignature:
            text = gettext("This page is too old to be agreed to; look again.")
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(back)
        return self._ask(request, form, chosen, until_id)

    def _ask(
        self, request: HttpRequest, form: PaceForm, chosen: ReplayFilter, until_id: int
    ) -> HttpResponse:
        deliveries = operations.replayable(chosen).filter(id__lte=until_id)
        counts = operations.count_replay(deliveries, most=operations.MOST_COUNTED)
        total = sum(count.deliveries for count in counts)
        written = {"filter": jobs.written(chosen), "until_id": until_id}
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Send again"),
            "opts": self.opts,
            "media": self.media,
            "form": form,
            "counts": counts,
            "total": total,
            "first_at": min((c.first_at for c in counts if c.first_at), default=None),
            "or_more": total >= operations.MOST_COUNTED,
            "conditions": presentation.conditions(chosen),
            "chosen": signing.dumps(written, salt=_SALT, compress=True),
        }
        return TemplateResponse(request, "admin/webhooks/delivery/replay.html", context)

    def _begin(
        self, request: HttpRequest, chosen: ReplayFilter, until_id: int, rate: int
    ) -> HttpResponse:
        try:
            job = operations.start_replay(chosen, user=request.user, rate=rate, until_id=until_id)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.WARNING)
            return HttpResponseRedirect(reverse("admin:webhooks_delivery_changelist"))
        return HttpResponseRedirect(page_of(job))


def _agreed(text: str) -> tuple[ReplayFilter, int]:
    """What the page showed when it asked.

    :raises signing.BadSignature: it was not this page, or it was long ago.
    """
    written = signing.loads(text, salt=_SALT, max_age=_ASKED_FOR_SECONDS)
    return jobs.read(written["filter"]), written["until_id"]


@admin.register(BulkJob)
class BulkJobAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "kind",
        "about",
        "created_at",
        "user",
        "shown_state",
        "progress",
        "finished_at",
    )
    list_filter = ("kind", "state")
    list_select_related = ("user", "webhook")
    fields = ("kind", "user", "created_at", "rate")
    readonly_fields = fields

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or self._may_replay(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_fields(self, request: HttpRequest, obj: BulkJob | None = None) -> Any:
        leads = {"user": (get_user_model(), "user_name")}
        return records.leading(request, self.admin_site, self.fields, leads)

    @admin.display(description=_("user"))
    def user_name(self, job: BulkJob) -> str:
        return presentation.user_name(job.user)

    def _may_replay(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.replay_delivery"))

    @admin.display(description=_("state"))
    def shown_state(self, job: BulkJob) -> Any:
        return presentation.job_badge(job)

    @admin.display(description=_("webhook"))
    def about(self, job: BulkJob) -> str | None:
        return None if job.webhook is None else job.webhook.name

    @admin.display(description=_("progress"))
    def progress(self, job: BulkJob) -> str:
        return presentation.job_progress(job)

    def get_urls(self) -> list[URLPattern]:
        return [
            button(self, "stop", self.stop_view),
            button(self, "resume", self.resume_view),
            *super().get_urls(),
        ]

    def stop_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self._allowed(request, object_id)
        operations.stop_replay(job, user=request.user)
        return HttpResponseRedirect(page_of(job))

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self._allowed(request, object_id)
        operations.resume_replay(job, user=request.user)
        return HttpResponseRedirect(page_of(job))

    def _allowed(self, request: HttpRequest, object_id: str) -> BulkJob:
        job: BulkJob | None = self.get_object(request, object_id)
        if job is None:
            raise Http404
        if not self._may_replay(request):
            raise PermissionDenied
        return job

    def story(self, request: HttpRequest, obj: BulkJob) -> dict[str, Any]:
        conditions: list[tuple[str, Any]] = []
        query = ""
        replays = obj.kind in jobs.CHOSEN
        if replays:
            try:
                chosen = jobs.read(obj.chosen)
                conditions, query = presentation.conditions(chosen), presentation.list_query(chosen)
            except jobs.ChosenUnreadable as problem:
                conditions = [("", str(problem))]
        else:
            conditions = [(gettext("webhook"), obj.webhook)]
            query = f"webhook={obj.webhook_id}"
        list_url = reverse("admin:webhooks_delivery_changelist")
        return {
            "job": obj,
            "replays": replays,
            "state": presentation.job_badge(obj),
            "progress": presentation.job_progress(obj),
            "share": presentation.job_share(obj),
            "running": obj.state == BulkJob.State.RUNNING,
            "stopped": obj.state == BulkJob.State.STOPPED,
            "conditions": conditions,
            "deliveries_url": f"{list_url}?{query}"
            if request.user.has_perm("webhooks.view_delivery")
            else "",
            "may_replay": replays and self._may_replay(request),
        }
