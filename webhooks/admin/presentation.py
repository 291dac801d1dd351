"""How things look: states as badges, bodies pretty-printed, ids read back."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from .. import failures
from ..indented import indented
from ..models import Attempt, BulkJob, Delivery, Webhook
from ..operations import MOST_COUNTED, LastFailure, ReplayFilter

_TONES: dict[str, str] = {
    Delivery.Status.PENDING: "waiting",
    Delivery.Status.DELIVERED: "good",
    Delivery.Status.FAILED: "bad",
    Delivery.Status.CANCELLED: "quiet",
}
_WEBHOOK_TONES: dict[str, str] = {
    Webhook.Status.ACTIVE: "good",
    Webhook.Status.PAUSED: "quiet",
    Webhook.Status.DISABLED: "bad",
}
_JOB_TONES: dict[str, str] = {
    BulkJob.State.RUNNING: "waiting",
    BulkJob.State.STOPPED: "quiet",
    BulkJob.State.SUPERSEDED: "quiet",
    BulkJob.State.DONE: "good",
}
HIDDEN = "•••"
# What tells nobody's data: the envelope, and ids such as cliente_123 or evt_….
_OPEN_KEYS = {"event", "type", "timestamp", "event_type", "webhookId", "sequence"}
_PUBLIC_ID = re.compile(r"[a-z]+_[0-9a-f]+")
MOST_PRETTY = 200_000  # characters: beyond, a body is shown as it is


def badge(text: object, tone: str, title: str = "") -> SafeString:
    """A short text on a coloured ground; the colour says nothing that the text does not."""
    return format_html('<span class="wh-badge wh-{}" title="{}">{}</span>', tone, title, text)


def shortened(text: str) -> SafeString:
    """A text that is cut where there is no room for it; whole where one points at it."""
    return format_html('<span class="wh-short" title="{0}">{0}</span>', text)


def delivery_badge(delivery: Delivery) -> SafeString:
    return badge(delivery.get_status_display(), _TONES.get(delivery.status, ""))


def webhook_badge(webhook: Webhook) -> SafeString:
    if webhook.status == Webhook.Status.ACTIVE and webhook.is_troubled:
        return badge(
            _("troubled"),
            "waiting",
            _("Its receiver is slow or failing; it is served apart from the others."),
        )
    tone = _WEBHOOK_TONES.get(webhook.status, "bad")
    return badge(webhook.get_status_display(), tone, webhook.reason)


def pretty(text: str) -> str:
    """JSON with indents; what is no JSON, as it is."""
    if len(text) > MOST_PRETTY:
        return text
    try:
        return indented(json.loads(text), of=len(text)) or text
    except (ValueError, RecursionError):
        return text


def masked(text: str, *, indent: bool = True) -> str:
    """What a body is made of, without what it says.

    Keys, ids and the envelope stay, and so does null: that there is no value is what a receiver
    stumbles over, and tells of nobody. What is true or false of a person is theirs as any text is.
    """
    if not text:
        return ""
    try:
        hidden = _hide(json.loads(text))
        return (indented(hidden, of=len(text)) if indent else "") or json.dumps(
            hidden, ensure_ascii=False
        )
    except (ValueError, RecursionError):
        return HIDDEN


def _hide(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _hide(content, name) for name, content in value.items()}
    if isinstance(value, list):
        return [_hide(item) for item in value]
    if value is None or key in _OPEN_KEYS:
        return value
    return value if isinstance(value, str) and _PUBLIC_ID.fullmatch(value) else HIDDEN


def as_curl(attempt: Attempt, url: str, body: str) -> str:
    """The attempt's request as a shell command; its headers' secrets are masked where kept."""
    words = [["curl", "--request", "POST", url]]
    words += [["--header", f"{name}: {value}"] for name, value in attempt.request_headers.items()]
    words.append(["--data-raw", body])
    return " \\\n  ".join(shlex.join(pair) for pair in words)


def failure_sentence(attempt: Attempt, timeout: float | None) -> str:
    """What went wrong with an attempt and what to do; empty if it succeeded."""
    if attempt.succeeded:
        return ""
    return failures.sentence(
        attempt.error,
        detail=attempt.error_detail,
        status=attempt.status_code,
        timeout=timeout and failures.had(timeout, attempt.duration_ms),
    )


def event_id(text: str) -> UUID | None:
    """The id in `evt_…` or in a UUID's text; None if it is neither."""
    try:
        return UUID(text.strip().removeprefix("evt_"))
    except ValueError:
        return None


def http_status(text: str) -> int | None:
    """The status in `HTTP 503`; None if it is something else."""
    match = re.fullmatch(r"http\s*([1-5][0-9]{2})", text.strip().lower())
    return int(match[1]) if match else None


def error_label(error: str) -> str:
    """The name of a kind of failure; unknown ones as they are."""
    try:
        return str(Attempt.Error(error).label) if error else ""
    except ValueError:
        return error


def user_name(user: Any) -> str:
    """Where no link to the user's page may stand."""
    return "—" if user is None else str(user.get_username())


def last_answer(delivery: Delivery) -> str | None:
    """What came of its last attempt, in short."""
    if delivery.last_status_code is not None:
        return f"HTTP {delivery.last_status_code}"
    return error_label(delivery.last_error) or None


def next_attempt(delivery: Delivery) -> str | None:
    at = delivery.next_attempt_at
    return None if at is None else moment(at)


def last_failure(failure: LastFailure, *, linked: bool) -> SafeString:
    """When and what, as a link to the delivery for who may see it."""
    if not linked:
        return format_html("{} {}", moment(failure.at), failure.sentence)
    return format_html(
        '<a href="{}">{}</a> <span class="wh-sentence" title="{}">{}</span>',
        reverse("admin:webhooks_delivery_change", args=[failure.delivery_id]),
        moment(failure.at),
        failure.sentence,
        failure.sentence,
    )


def lasted(seconds: float) -> str:
    """How long something took, in the largest unit that says enough; "" for less than a second."""
    for size, name in (
        (86_400, ngettext_lazy("%(count)d day", "%(count)d days", "count")),
        (3600, ngettext_lazy("%(count)d hour", "%(count)d hours", "count")),
        (60, ngettext_lazy("%(count)d minute", "%(count)d minutes", "count")),
        (1, ngettext_lazy("%(count)d second", "%(count)d seconds", "count")),
    ):
        if seconds >= (2 * size if size > 1 else 1):
            return name % {"count": int(seconds // size)}
    return ""


def moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT")


def job_badge(job: BulkJob) -> SafeString:
    return badge(job.get_state_display(), _JOB_TONES.get(job.state, "bad"))


def at_most(count: int, most: int) -> str:
    """A count that was made up to a bound."""
    return str(count) if count < most else _("%(count)d or more") % {"count": most}


def job_progress(job: BulkJob) -> str:
    total = at_most(job.total, MOST_COUNTED)
    return _("%(sent)d of %(total)s") % {"sent": job.changed, "total": total}


def job_share(job: BulkJob) -> int:
    """How far a job has come, in percent."""
    if job.state == BulkJob.State.DONE:
        return 100
    if job.total < MOST_COUNTED:
        return min(99, 100 * job.changed // max(1, job.total))
    return min(99, 100 * job.last_id // max(1, job.until_id))


def conditions(chosen: ReplayFilter) -> list[tuple[str, str]]:
    """What a replay takes, as names and values to be read."""
    return [(str(name), str(value)) for name, value in _conditions(chosen)]


def list_query(chosen: ReplayFilter) -> str:
    """The list of deliveries with what a replay takes, whatever has become of it since.

    So without states and failures; and by the day, as that list is narrowed.
    """
    asked: dict[str, str] = {
        "webhook": str(chosen.webhook.pk) if chosen.webhook is not None else "",
        "type": "".join(chosen.event_patterns[:1]),
        "id__in": ",".join(map(str, chosen.ids)),
        "q": chosen.subject or "".join(f"evt_{UUID(str(id)).hex}" for id in chosen.event_ids[:1]),
    }
    if chosen.created_since is not None:
        asked["since"] = str(timezone.localdate(chosen.created_since))
    if chosen.created_until is not None:
        last = chosen.created_until - timedelta(microseconds=1)
        asked["until"] = str(timezone.localdate(last))
    return urlencode({name: value for name, value in asked.items() if value})


def _conditions(chosen: ReplayFilter) -> Iterator[tuple[str, str]]:
    labels = dict(Delivery.Status.choices)
    statuses = (str(labels.get(status, status)) for status in chosen.statuses)
    yield _("status"), ", ".join(statuses) or "—"
    if chosen.webhook is not None:
        yield _("webhook"), chosen.webhook.name
    for name, values in (
        (_("event type"), chosen.event_patterns),
        (_("object"), (chosen.subject,) if chosen.subject else ()),
        (_("kind of failure"), tuple(error_label(error) for error in chosen.errors)),
        (_("HTTP status"), chosen.status_codes),
        (_("event"), tuple(f"evt_{UUID(str(id)).hex}" for id in chosen.event_ids)),
        (_("number"), chosen.ids),
    ):
        if values:
            yield name, ", ".join(map(str, values))
    if chosen.created_since is not None:
        yield _("made since"), moment(chosen.created_since)
    if chosen.created_until is not None:
        yield _("made before"), moment(chosen.created_until)
