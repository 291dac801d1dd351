"""What can be done with a webhook, beside changing it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import etags, filters
from api_common.problems import Problem, django_problem
from api_common.views import ApiViewSet

from .. import gate, operations
from ..databases import writing
from ..models import Webhook
from . import lookups, representations
from .bodies import NAMES, RecoveryBody, RotationBody, checked

# A request that replays walks rows for so long at most; the rest is a job.
WALK_SECONDS = 5.0


class Share:
    """Progress of an operation in batches, which it stops when it was enough for a request."""

    def __init__(self) -> None:
        self._end = time.monotonic() + WALK_SECONDS
        self._left = operations.AT_ONCE
        self.stopped = False

    def __call__(self, count: int) -> object:
        self._left -= count
        if self._left > 0 and time.monotonic() < self._end:
            return None
        self.stopped = True
        return operations.STOP


class WebhookActions(ApiViewSet):
    """The part of the webhooks' view set that changes no field."""

    action_permissions: Mapping[str, Sequence[str]] = {
        "keys": ["webhooks.view_webhook"],
        "health": ["webhooks.view_webhook"],
        "test": ["webhooks.view_webhook", "webhooks.test_webhook"],
        "rotate_secret": ["webhooks.view_webhook", "webhooks.rotate_secret"],
        "expire_secrets": ["webhooks.view_webhook", "webhooks.rotate_secret"],
        "recover": ["webhooks.view_webhook", "webhooks.replay_delivery"],
    }

    def webhook(self, id: str, *, to_change: bool = False, lock: bool = False) -> Webhook:
        """The webhook of that id.

        :param to_change: hold it against `If-Match`.
        :raises Http404: there is none.
        """
        pk = lookups.webhook_id(id)
        # What a request acts upon, and what it answers once it has acted, is no replica's.
        looks = self.request.method in SAFE_METHODS
        rows = Webhook.objects.all() if looks else writing(Webhook)
        rows = rows.select_for_update() if lock else rows
        found: Webhook | None = None if pk is None else rows.filter(pk=pk).first()
        if found is None:
            raise Http404
        if to_change:
            etags.check_if_match(self.request, _state(found))
        return found

    def representation(self, webhook: Webhook) -> dict[str, Any]:
        return representations.webhook(webhook, whole_url=lookups.whole_urls(self.request))

    def answer_webhook(self, webhook: Webhook, status: int = 200, **more: Any) -> Response:
        """:param more: as of `answer`."""
        data = self.representation(webhook)
        return self.answer(data, status, state=_state(webhook), **more)

    @sensitive_variables()
    def answer_with_keys(
        self, webhook: Webhook, secret: str, status: int = 200, **headers: str
    ) -> Response:
        """The webhook, its secret (this once) and the keys in force, of which some were just made.

        :param secret: "" where receivers share none.
        """
        keys = [representations.key(each) for each in operations.active_keys(webhook)]
        told = {"secret": secret or None, "keys": keys}
        return self.answer_webhook(webhook, status, secrets=told, **headers)

    @action(detail=True, methods=["get"])
    @sensitive_variables()
    def keys(self, request: Request, id: str) -> Response:
        """What signs its requests: the kinds and their times, and public keys to verify with."""
        filters.refuse_unknown(request, ())
        found = operations.active_keys(self.webhook(id))
        return Response({"results": [representations.key(each) for each in found]})

    @action(detail=True, methods=["get"])
    def health(self, request: Request, id: str) -> Response:
        """How it fares: its attempts of the last 24 hours, what waits, and its last failure."""
        filters.refuse_unknown(request, ())
        webhook = self.webhook(id)
        state = operations.health([webhook])[webhook.pk]
        job = operations.job_of(webhook)
        return Response(representations.health(webhook, state, job))

    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: str) -> Response:
        """Send it a test event now, paused or not, and answer how that went.

        It tells nobody's data: who may test may see what was sent and answered.
        """
        webhook = self.webhook(id, to_change=True)
        try:
            attempt = operations.send_test(webhook, request=request)
        except gate.Busy as busy:
            raise Problem(
                "too-many-requests",
                _("Too many tests are being sent at this moment. Try again shortly."),
                headers={"Retry-After": str(busy.retry_after)},
            ) from busy
        found = attempt.delivery
        return Response(
            {
                "succeeded": attempt.succeeded,
                "message": representations.sentence(attempt, found.webhook),
                "deliveryId": representations.delivery_id(found.pk),
                "eventId": found.event.public_id,
                "attempt": representations.attempt(
                    attempt, found, payloads=True, whole_url=lookups.whole_urls(request)
                ),
            }
        )

    @action(detail=True, methods=["post"], url_path="rotate-secret")
    @sensitive_variables()
    def rotate_secret(self, request: Request, id: str) -> Response:
        """Give it a new secret, answered this once, or new keys; the old ones sign for a while."""
        webhook = self.webhook(id, to_change=True, lock=True)
        values = dict(checked(RotationBody(data=request.data)).validated_data)
        try:
            secret = operations.rotate_secret(webhook, **values)
        except ValidationError as error:
            raise django_problem(error, NAMES) from error
        return self.answer_with_keys(self.webhook(id), secret)

    @action(detail=True, methods=["post"], url_path="expire-secrets")
    def expire_secrets(self, request: Request, id: str) -> Response:
        """End a rotation's overlap now: only the newest secret signs on."""
        webhook = self.webhook(id, to_change=True, lock=True)
        return Response({"expired": operations.expire_old_keys(webhook)})

    @action(detail=True, methods=["post"])
    def recover(self, request: Request, id: str) -> Response:
        """Send it everything it missed or failed since a moment; with `dryRun`, only count."""
        webhook = self.webhook(id, to_change=True)
        values = dict(checked(RecoveryBody(data=request.data)).validated_data)
        dry_run = values.pop("dryRun", False)
        share = Share()
        recovery = operations.recover(webhook, **values, dry_run=dry_run, progress=share)
        if share.stopped:
            operations.recover_rest(webhook, **values)
        return Response(
            {
                "dryRun": dry_run,
                "missing": recovery.missing,
                "failed": recovery.failed,
                "total": recovery.total,
                "gone": recovery.gone,
                "types": recovery.types,
                "complete": not share.stopped,
            },
            status=200 if dry_run else 202,
        )


def _state(webhook: Webhook) -> list[Any]:
    """What its ETag is made of: what is masked, and the secret, may change while the answer reads
    as before, even within the second that it tells."""
    newest = writing(webhook.signing_keys).order_by("-pk").values_list("pk", flat=True).first()
    return [representations.webhook(webhook, whole_url=True), webhook.updated_at, newest]
