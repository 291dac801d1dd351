"""What would be sent: the exact headers and body of an event, without telling or sending it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from .. import catalog, delivery, outbox, tracking
from ..directory import receiver_of
from ..modelevents import Changes, Draft, ModelEvents
from ..models import Event, Subject, Webhook
from ..queue import Job


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A request that was not sent."""

    url: str
    headers: dict[str, str]
    """As they would be sent, credentials masked. Those of the transport (Host, Content-Length,
    User-Agent …) come on top."""
    body: str
    subscribed: bool
    """Whether the webhook's patterns and format would let the event through."""


def previewed_object(event_type: str, public_id: str) -> Model:
    """The row that an event of that type would be about.

    :param public_id: `cliente_123`.
    :raises ValidationError: no row has it, or events of that type are about no such rows.
    """
    declaration = tracking.for_type(event_type)
    prefix = "" if declaration is None else f"{declaration.prefix}_"
    found = None
    if declaration is not None and public_id.startswith(prefix):
        found = _row(declaration, public_id.removeprefix(prefix))
    if found is None:
        raise ValidationError(
            {
                "object": _("Events of the type %(type)s tell of no “%(id)s”.")
                % {"type": event_type, "id": public_id[:100]}
            }
        )
    return found


def preview(
    event_type: str, webhook: Webhook, instance: Model | None = None, *, signed: bool = True
) -> Preview:
    """The request that would tell a webhook of that event, if it happened now.

    :param webhook: one that is not saved will do, to see a format; it signs nothing.
    :param instance: what the event is about; None: the type's example.
    :param signed: whether the signatures are shown. They are good ones: whoever has them can make
        the receiver believe what did not happen, so they are for those who may change the secret.
    :raises ValidationError: the object is not in the state that events of that type tell of.
    :raises catalog.UnknownEventType: nobody declared the type.
    :raises SecretUnreadable: a secret of the webhook cannot be opened.
    :raises CannotTell: the webhook's format cannot write it.
    """
    kind = catalog.get(event_type)
    now = timezone.now()
    draft = (
        Draft(event_type, "", dict(kind.data_example), now, dict(kind.data_example))
        if instance is None
        else _draft(event_type, instance, now)
    )
    receiver = receiver_of(webhook, None if signed and not webhook._state.adding else ())
    told = receiver.format.tells(event_type)
    job = Job(
        delivery_id=0,
        webhook_id=webhook.pk,
        event_id=uuid7(),
        fence=0,
        attempt_count=0,
        schedule_position=0,
        lane=webhook.lane,
        event_type=event_type,
        sequence=_next_sequence(draft.subject),
        occurred_at=now,
        body=outbox.body_of(draft),
    )
    kept: dict[str, Any] = {}
    message = delivery.message_of(job, receiver, now, json.dumps(draft.snapshot))
    body, url = b"", webhook.url
    if told:
        body, _headers = delivery.build_request(message, receiver, kept)
        url = receiver.format.address(message, url)
    return Preview(
        url=url,
        headers=kept.get("request_headers", {}),
        body=body.decode(),
        subscribed=told
        and kind.subscribable
        and receiver.subscription.wants(event_type)
        and receiver.format.wants(message),
    )


def _row(declaration: ModelEvents, key: str) -> Model | None:
    model = declaration.model
    try:
        pk = model._meta.pk.to_python(key)
        found = model._base_manager.filter(pk=pk).first() if str(pk) == key else None
    except (ValidationError, ValueError, OverflowError):
        return None
    return found


def _draft(event_type: str, instance: Model, now: datetime) -> Draft:
    declaration = tracking.for_type(event_type)
    assert declaration is not None  # noqa: S101 - `previewed_object` found the row by it
    if not declaration.fits(event_type, instance):
        raise ValidationError(
            {
                "object": _("%(type)s is not told of “%(id)s” in the state that it is in.")
                % {"type": event_type, "id": declaration.subject(instance)}
            }
        )
    return declaration.on_demand(
        event_type, instance, now, _changes(event_type, declaration, instance)
    )


def _changes(event_type: str, declaration: ModelEvents, instance: Model) -> Changes:
    """What `alteracoes` says: as it last was of this object, else as in the type's example."""
    if declaration.updated is None or declaration.updated.name != event_type:
        return {}
    last = (
        Event.objects.filter(type=event_type, subject=declaration.subject(instance))
        .exclude(body="")
        .order_by("-id")
        .values_list("snapshot", flat=True)
        .first()
    )
    try:
        changes: Changes = json.loads(last).get("changes", {}) if last else {}
    except (ValueError, AttributeError):  # what is stored is no snapshot
        changes = {}
    return changes or dict(declaration.updated.example.get("alteracoes", {}))


def _next_sequence(subject: str) -> int:
    if not subject:
        return 0
    last = Subject.objects.filter(pk=subject).values_list("last_sequence", flat=True).first()
    return (last or 0) + 1
