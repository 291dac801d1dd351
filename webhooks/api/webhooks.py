"""Webhooks: created (the secret is answered this once), changed, paused, tested, recovered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import filters, idempotency
from api_common.problems import FieldError, Problem, django_problem

from .. import formats, operations, reasons
from ..context import acting
from ..models import Webhook
from . import descriptions, schemas
from .bodies import NAMES, WebhookBody, checked
from .webhook_actions import WebhookActions


class WebhookFilters(filters.FilterSet):
    q = filters.TextFilter(
        "name", lookup_expr="icontains", help_text=gettext_lazy("Found in the name.")
    )
    status = filters.ChoicesFilter("status", choices=Webhook.Status.choices)
    format = filters.ChoicesFilter(
        "format", choices=[(format.name, format.label) for format in formats.all_formats()]
    )


# What is changed is answered as it is then.
_CHANGING = ["webhooks.view_webhook", "webhooks.change_webhook"]


class WebhookViewSet(WebhookActions):
    acting = acting
    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    orderings = {"createdAt": "created_at", "updatedAt": "updated_at", "name": "name"}
    descriptions = descriptions.webhook_operations(WebhookFilters, list(orderings))
    tag = gettext_lazy("Webhooks")
    action_permissions = {
        "list": ["webhooks.view_webhook"],
        "retrieve": ["webhooks.view_webhook"],
        "create": ["webhooks.add_webhook"],
        "update": _CHANGING,
        "partial_update": _CHANGING,
        "destroy": ["webhooks.delete_webhook"],
        "pause": _CHANGING,
        "enable": _CHANGING,
        **WebhookActions.action_permissions,
    }
    action_scopes = {"test": "test", "recover": "recover"}
    # They walk many rows, or wait for a receiver.
    not_atomic = ("destroy", "pause", "enable", "test", "recover")

    def path_parameters(self) -> dict[str, Any]:
        return {"id": schemas.UUID}

    # --- reading ----------------------------------------------------------------------------
    def list(self, request: Request) -> Response:
        return self.page(Webhook.objects.all(), self.representation, filterset=WebhookFilters)

    def retrieve(self, request: Request, id: str) -> Response:
        filters.refuse_unknown(request, ())
        return self.answer_webhook(self.webhook(id))

    # --- writing ----------------------------------------------------------------------------
    def preparation(self) -> Callable[[], None]:
        # Vetting an address asks name servers: not while a transaction holds locks.
        match self.action:
            case "create":
                return self._prepare_creation
            case "update" | "partial_update":
                return self._prepare_change
        return idempotency.nothing

    @sensitive_variables()
    def create(self, request: Request) -> Response:
        try:
            secret = operations.add_webhook(self.prepared, **self.key)
        except ValidationError as error:
            raise django_problem(error, NAMES) from error
        location = f"{request.path}{self.prepared.pk}/"
        return self.answer_with_keys(self.prepared, secret, 201, Location=location)

    def update(self, request: Request, id: str) -> Response:
        return self._change(id)

    def partial_update(self, request: Request, id: str) -> Response:
        return self._change(id)

    def destroy(self, request: Request, id: str) -> Response:
        with transaction.atomic():  # what If-Match names is what is deleted
            job = operations.mark_deleted(self.webhook(id, to_change=True, lock=True))
        operations.cancel_owed(job)
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def pause(self, request: Request, id: str) -> Response:
        """Send it nothing more until it is enabled; what waits for it is kept."""
        webhook = self.webhook(id, to_change=True)
        reason = reasons.known("by", user=request.user.get_username())
        return self.answer_webhook(operations.pause(webhook, reason))

    @action(detail=True, methods=["post"])
    def enable(self, request: Request, id: str) -> Response:
        """Send to it again, first what waited."""
        webhook = self.webhook(id, to_change=True)
        return self.answer_webhook(operations.resume(webhook))

    # --- what they share --------------------------------------------------------------------
    @sensitive_variables()
    def _prepare_creation(self) -> None:
        values = checked(WebhookBody(data=self.request.data)).values()
        self.key = {
            "secret": values.pop("secret", None),
            "algorithm": values.pop("algorithm", None),
        }
        owner: Any = self.request.user
        self.prepared = Webhook(owner=owner)
        self._set(self.prepared, values, resolve=True)

    @sensitive_variables()
    def _prepare_change(self) -> None:
        webhook = self.webhook(self.kwargs["id"], to_change=True)
        url = webhook.url
        values = self._changes(webhook)
        self._set(webhook, values, resolve=values.get("url", url) != url)

    @sensitive_variables()
    def _change(self, id: str) -> Response:
        # Set anew in the row as it is now, locked: another's change of another field stays.
        webhook = self.webhook(id, to_change=True, lock=True)
        self._set(webhook, self._changes(webhook), resolve=False)
        operations.save_webhook(webhook)
        return self.answer_webhook(webhook)

    def _changes(self, webhook: Webhook) -> dict[str, Any]:
        partial = self.action == "partial_update"
        values = checked(WebhookBody(webhook, data=self.request.data, partial=partial)).values()
        text = _("A secret is changed by rotate-secret/.")
        if errors := [FieldError(name, text) for name in ("secret", "algorithm") if name in values]:
            raise Problem("invalid", text, errors=errors)
        return values

    @sensitive_variables()
    def _set(self, webhook: Webhook, values: dict[str, Any], *, resolve: bool) -> None:
        try:
            operations.assign(webhook, values)
            operations.clean_webhook(webhook, resolve=resolve)
        except ValidationError as error:
            raise django_problem(error, NAMES) from error
