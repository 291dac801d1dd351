"""What is done to a webhook: pause, resume, test, change its secret; singly and several at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from .. import formats, gate, operations, reasons
from ..conf import settings
from ..databases import writing
from ..models import Delivery, SigningKey, Webhook
from . import presentation
from .base import button, page_of
from .snippets import public_snippets, snippets
from .webhook_form import RotateForm

MOST_TESTED = 5
MOVING_SECONDS = 5.0  # for several together: then workers do the rest
SECRETS = ("secret", "auth_secret", "headers")


class WebhookButtons(admin.ModelAdmin):  # type: ignore[type-arg]
    """Every one is a POST, with a permission of its own besides that to see the webhook."""

    actions = ("pause_selected", "resume_selected", "test_selected")

    def has_test_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.test_webhook"))

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.rotate_secret"))

    def get_urls(self) -> list[URLPattern]:
        return [
            button(self, "pause", self.pause_view),
            button(self, "resume", self.resume_view),
            button(self, "test", self.test_view),
            button(self, "rotate", self.rotate_view, methods=("GET", "POST")),
            button(self, "expire", self.expire_view),
            *super().get_urls(),
        ]

    def _allowed(self, request: HttpRequest, object_id: str, allowed: bool) -> Webhook:
        """:raises PermissionDenied: also for who may not see the webhook."""
        webhook = self.get_object(request, object_id)
        if webhook is None:
            raise Http404
        if not (allowed and self.has_view_permission(request, webhook)):
            raise PermissionDenied
        return webhook  # type: ignore[no-any-return]

    def pause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        webhook = self._allowed(request, object_id, self.has_change_permission(request))
        self._pause(request, webhook)
        return HttpResponseRedirect(page_of(webhook))

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        webhook = self._allowed(request, object_id, self.has_change_permission(request))
        self._resume(request, webhook)
        return HttpResponseRedirect(page_of(webhook))

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        webhook = self._allowed(request, object_id, self.has_test_permission(request))
        try:
            delivery = self._test(request, webhook)
        except gate.Busy as busy:
            text = ngettext(
                "Not tested: too many tests are being sent. Try again in %(seconds)d second.",
                "Not tested: too many tests are being sent. Try again in %(seconds)d seconds.",
                busy.retry_after,
            )
            self.message_user(request, text % {"seconds": busy.retry_after}, messages.WARNING)
            return HttpResponseRedirect(page_of(webhook))
        if request.user.has_perm("webhooks.view_delivery"):
            return HttpResponseRedirect(page_of(delivery))
        return HttpResponseRedirect(page_of(webhook))

    def expire_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        webhook = self._allowed(request, object_id, self.has_rotate_permission(request))
        if operations.expire_old_keys(webhook):
            self.log_change(request, webhook, gettext("Old secrets ended."))
            self.message_user(
                request, gettext("Only the newest secret signs now."), messages.SUCCESS
            )
        return HttpResponseRedirect(page_of(webhook))

    @sensitive_variables()
    @method_decorator([sensitive_post_parameters(*SECRETS), never_cache])
    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET asks how, POST does it and shows the new secret, once."""
        webhook = self._allowed(request, object_id, self.has_rotate_permission(request))
        newest = writing(webhook.signing_keys).values_list("pk", flat=True).first()
        initial = {
            "newest": newest,
            "overlap_hours": f"{settings.SECRET_OVERLAP_SECONDS / 3600:g}",
        }
        form = RotateForm(request.POST if request.method == "POST" else None, initial=initial)
        if formats.get_or_missing(webhook.format).signs_with_all:
            del form.fields["secret"]  # its keys are made here
        if request.method == "POST" and form.is_valid():
            if form.cleaned_data["newest"] != newest:
                self.message_user(
                    request,
                    gettext("The secret was changed meanwhile; nothing was changed now."),
                    messages.WARNING,
                )
                return HttpResponseRedirect(page_of(webhook))
            try:
                secret = operations.rotate_secret(
                    webhook,
                    secret=form.cleaned_data.get("secret") or None,
                    overlap_seconds=form.cleaned_data["overlap_hours"] * 3600,
                )
            except ValidationError as error:
                form.add_error("secret" if "secret" in form.fields else None, error.messages)
            else:
                self.log_change(request, webhook, gettext("Secret changed."))
                return self.secret_page(request, webhook, secret)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Change the secret of “%(name)s”") % {"name": webhook.name},
            "opts": self.opts,
            "webhook": webhook,
            "form": form,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/webhooks/webhook/rotate.html", context)

    @sensitive_variables()
    def secret_page(self, request: HttpRequest, webhook: Webhook, secret: str) -> HttpResponse:
        """The one page that shows a secret: the answer to the POST that made it, kept nowhere.

        Of private keys, which nobody else needs, it shows the public ones.

        :param secret: "" where the receiver shares none.
        """
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "webhook": webhook,
            "media": self.media,
        }
        if secret:
            context |= {
                "title": gettext("The secret of “%(name)s”") % {"name": webhook.name},
                "secret": secret,
                "snippets": snippets(secret, webhook.format),
            }
        else:
            public_keys = operations.public_keys(webhook)
            context |= {
                "title": gettext("The public keys of “%(name)s”") % {"name": webhook.name},
                "public_keys": [
                    (SigningKey.Algorithm(algorithm).label, text, max(3, len(text.splitlines())))
                    for algorithm, text in public_keys.items()
                ],
                "overlap_until": operations.active_keys(webhook).aggregate(until=Max("expires_at"))[
                    "until"
                ],
                "snippets": public_snippets(public_keys),
            }
        response = TemplateResponse(request, "admin/webhooks/webhook/secret.html", context)
        response["Cache-Control"] = "no-store"
        # Here, where an error report hides the template's variables; later it would show them.
        return response.render()

    # --- actions on several -----------------------------------------------------------------
    @admin.action(description=_("Pause the selected webhooks"), permissions=["change"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        for webhook, share in zip(queryset, self.shares(), strict=False):
            self._pause(request, webhook, share)

    @admin.action(description=_("Resume the selected webhooks"), permissions=["change"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        for webhook, share in zip(queryset, self.shares(), strict=False):
            self._resume(request, webhook, share)

    @admin.action(description=_("Send a test to the selected webhooks"), permissions=["test"])
    def test_selected(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        chosen = list(queryset[: MOST_TESTED + 1])
        if len(chosen) > MOST_TESTED:
            self.message_user(
                request,
                gettext("At most %(most)d webhooks can be tested at once.") % {"most": MOST_TESTED},
                messages.ERROR,
            )
            return
        # All together hold the request's thread for twice as long as one may, at most.
        until = time.monotonic() + settings.TEST_TIMEOUT_SECONDS
        left = []
        for webhook in chosen:
            if time.monotonic() > until:
                left.append(webhook.name)
                continue
            try:
                self._test(request, webhook)
            except gate.Busy:
                left.append(webhook.name)
        if left:
            self.message_user(
                request,
                gettext("Not tested, since all together may take too long: %(names)s.")
                % {"names": ", ".join(left)},
                messages.WARNING,
            )

    def shares(self) -> Iterator[int]:
        """How many deliveries a request moves at once for each of several webhooks: the usual, and
        none once it has taken long."""
        until = time.monotonic() + MOVING_SECONDS
        while True:
            yield operations.AT_ONCE if time.monotonic() < until else 0

    def say_what_follows(self, request: HttpRequest, webhook: Webhook) -> None:
        """Where all of it was more than a request does."""
        job = operations.job_of(webhook)
        if job is None:
            return
        left = presentation.at_most(max(0, job.total - job.changed), operations.MOST_COUNTED)
        text = gettext(
            "“%(name)s”: of its deliveries, moved at once: %(changed)d. To follow, by workers: "
            "%(left)s."
        ) % {"name": webhook.name, "changed": job.changed, "left": left}
        self.message_user(request, text, messages.INFO)

    def _pause(
        self, request: HttpRequest, webhook: Webhook, share: int = operations.AT_ONCE
    ) -> None:
        by = reasons.known("by", user=request.user.get_username())
        operations.pause(webhook, by, at_once=share)
        self.log_change(request, webhook, gettext("Paused."))
        self.message_user(
            request,
            gettext("“%(name)s” is paused. What waits for it goes out when it is resumed.")
            % {"name": webhook.name},
            messages.SUCCESS,
        )
        self.say_what_follows(request, webhook)

    def _resume(
        self, request: HttpRequest, webhook: Webhook, share: int = operations.AT_ONCE
    ) -> None:
        pending = writing(webhook.deliveries).filter(status=Delivery.Status.PENDING)
        waiting = pending.order_by()[: operations.COUNTED_OF_EACH].count()
        operations.resume(webhook, at_once=share)
        self.log_change(request, webhook, gettext("Resumed."))
        self.message_user(
            request,
            ngettext(
                "“%(name)s” is active again; %(count)d delivery was waiting.",
                "“%(name)s” is active again; %(count)d deliveries were waiting.",
                waiting,
            )
            % {"name": webhook.name, "count": waiting},
            messages.SUCCESS,
        )
        self.say_what_follows(request, webhook)

    def _test(self, request: HttpRequest, webhook: Webhook) -> Any:
        """:returns: the delivery."""
        attempt = operations.send_test(webhook, request=request)
        self.log_change(request, webhook, gettext("Test sent."))
        timeout = webhook.timeout_seconds or settings.TIMEOUT_SECONDS
        if attempt.succeeded:
            text = gettext("“%(name)s” accepted the test: HTTP %(status)s in %(ms)d ms.") % {
                "name": webhook.name,
                "status": attempt.status_code,
                "ms": attempt.duration_ms,
            }
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = gettext("“%(name)s” did not accept the test. %(sentence)s") % {
                "name": webhook.name,
                "sentence": presentation.failure_sentence(attempt, timeout),
            }
            self.message_user(request, text, messages.ERROR)
        return attempt.delivery
