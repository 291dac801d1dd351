"""What changes something reads where it writes: a project's replica may be far behind.

The router here sends every read to a replica that does not exist: whoever asks it fails, and so
cannot succeed by what it does not know.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from tests.api.conftest import Caller
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event, receiver
from webhooks import operations
from webhooks.models import (
    Attempt,
    AuditEntry,
    BulkJob,
    Delivery,
    Event,
    SigningKey,
    Tally,
    Webhook,
)
from webhooks.operations import ReplayFilter

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PENDING, FAILED, CANCELLED = (
    Delivery.Status.PENDING,
    Delivery.Status.FAILED,
    Delivery.Status.CANCELLED,
)
Elsewhere = Callable[[], None]


class ReadsElsewhere:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def elsewhere(settings: Any) -> Elsewhere:
    """From then on reads go to the replica."""

    def begin() -> None:
        settings.DATABASE_ROUTERS = [ReadsElsewhere()]

    return begin


def here(model: Any) -> Any:
    return model._base_manager.using("default")


def creating(elsewhere: Elsewhere) -> None:
    elsewhere()
    webhook, secret = operations.create_webhook(
        name="ERP", url="http://127.0.0.1:9/", events=["cliente.*"]
    )
    assert secret and webhook.version == here(Webhook).get().version


def adding(elsewhere: Elsewhere) -> None:
    elsewhere()
    operations.add_webhook(Webhook(name="ERP", url="http://127.0.0.1:9/", events=["*"]))
    assert here(SigningKey).count() == 1


def updating(elsewhere: Elsewhere) -> None:
    webhook = a_webhook(owner=User.objects.create_user("ana"))
    elsewhere()
    changed = operations.update_webhook(webhook, name="Loja", format="lead-connector")
    assert here(Webhook).get().name == changed.name == "Loja"
    assert here(SigningKey).count() > 1


def saving(elsewhere: Elsewhere) -> None:
    a_webhook(owner=User.objects.create_user("ana"))
    webhook = Webhook.objects.get()
    elsewhere()
    webhook.timeout_seconds = 9
    operations.save_webhook(webhook)
    assert here(Webhook).get().timeout_seconds == 9


def pausing(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    a_delivery(webhook, status=PENDING)
    elsewhere()
    operations.pause(webhook)
    assert here(Delivery).get().lane == Webhook.Lane.PARKED


def resuming(elsewhere: Elsewhere) -> None:
    webhook = operations.pause(a_webhook())
    a_delivery(webhook, status=PENDING, lane=Webhook.Lane.PARKED)
    elsewhere()
    operations.resume(webhook)
    assert here(Delivery).get().lane == Webhook.Lane.NORMAL


def disabling(elsewhere: Elsewhere) -> None:
    webhook = a_webhook(owner=User.objects.create_user("ana", "ana@example.com"))
    a_delivery(webhook, status=PENDING)
    elsewhere()
    assert operations.disable(webhook, "It fails.").status == Webhook.Status.DISABLED
    assert here(Delivery).get().lane == Webhook.Lane.PARKED


def deleting(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    a_delivery(webhook, status=PENDING)
    elsewhere()
    assert operations.delete_webhook(webhook) == 1
    assert not here(SigningKey).exists()


def cancelling(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    a_delivery(webhook, status=PENDING)
    elsewhere()
    job = operations.mark_deleted(webhook)
    assert operations.cancel_owed(job) == 1


def cancelling_what_expired(elsewhere: Elsewhere) -> None:
    webhook = operations.pause(a_webhook())
    event = an_event(occurred_at=ago(days=1000))
    a_delivery(webhook, event, status=PENDING, lane=Webhook.Lane.PARKED)
    elsewhere()
    assert operations.cancel_expired() == 1


def making_roles(elsewhere: Elsewhere) -> None:
    elsewhere()
    operations.ensure_roles()
    made = here(Group).get(name="Auditor")
    assert made.permissions.using("default").count() == len(operations.ROLES["Auditor"])


def forgetting(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    event = an_event(data_subject="cliente_7")
    an_attempt(a_delivery(webhook, event))
    a_delivery(webhook, an_event(subject="cliente_7"), status=PENDING)
    elsewhere()
    assert operations.count_forgettable("cliente_7").events == 2
    assert [each.deliveries for each in operations.recipients("cliente_7")] == [1]
    done = operations.forget("cliente_7")
    assert (done.events, done.attempts, done.cancelled, done.busy) == (2, 1, 1, 0)
    assert not here(Event).exclude(body="").exists()
    assert here(Attempt).get().response_body == ""


def erasing_late(elsewhere: Elsewhere) -> None:
    an_attempt(a_delivery(a_webhook(), an_event(erased_at=timezone.now(), body="")))
    elsewhere()
    assert operations.erase_late() == 1


def pruning(elsewhere: Elsewhere) -> None:
    gone = a_webhook(deleted_at=ago(days=900))
    old = ago(days=1000)
    an_attempt(a_delivery(a_webhook(name="B"), an_event(occurred_at=old), at=old))
    Tally.objects.create(webhook=gone, hour=old)
    elsewhere()
    assert operations.count_prunable(timezone.now()).events == 1
    done = operations.prune(timezone.now())
    assert (done.events, done.webhooks) == (1, 1)
    assert not here(Attempt).exists() and not here(Tally).exists()


def emptying(elsewhere: Elsewhere) -> None:
    an_attempt(a_delivery(a_webhook(), at=ago(days=1000)), request_body="x")
    Event.objects.update(occurred_at=ago(days=1000))
    elsewhere()
    done = operations.prune(timezone.now(), kinds=("payload", "response"))
    assert (done.payloads, done.responses) == (1, 1)


def maintaining(elsewhere: Elsewhere) -> None:
    old = ago(days=1000)
    an_attempt(a_delivery(a_webhook(), an_event(occurred_at=old), at=old))
    elsewhere()
    assert not operations.maintain()
    assert not here(Attempt).exclude(response_body="").exists()


def replaying(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    a_delivery(webhook)
    elsewhere()
    chosen = ReplayFilter(webhook=webhook, event_patterns=("cliente.*",))
    assert operations.count_gone(chosen) == 0
    assert operations.replay(operations.replayable(chosen)) == 1


def recovering(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    an_event()
    a_delivery(webhook)
    elsewhere()
    for dry_run in (True, False):
        found = operations.recover(webhook, ago(hours=1), dry_run=dry_run)
        assert (found.missing, found.failed) == (1, 1)


def trying_now(elsewhere: Elsewhere) -> None:
    a_delivery(
        a_webhook(hold_until=ago(hours=-1)),
        status=PENDING,
        attempt_count=1,
        fence=2,
        next_attempt_at=ago(hours=-1),
    )
    elsewhere()
    assert operations.try_now(Delivery.objects.all()) == 1
    assert here(Webhook).get().hold_until is None


def working_on_jobs(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    a_delivery(webhook)
    a_delivery(webhook, status=PENDING)
    elsewhere()
    chosen = ReplayFilter(webhook=webhook, event_patterns=("cliente.*",))
    job = operations.start_replay(chosen, until_id=operations.newest_delivery())
    assert operations.stop_replay(job) and operations.resume_replay(job)
    operations.pause(webhook, at_once=0)
    assert operations.jobs_waiting() and operations.job_of(webhook)
    assert operations.replay_rest(chosen) is not None
    operations.recover_rest(webhook, ago(hours=1))
    assert not operations.work_on_jobs(wait=lambda pause: None)
    assert set(here(BulkJob).values_list("state", flat=True)) == {"done"}
    assert here(Delivery).filter(status=PENDING, lane=Webhook.Lane.PARKED).count() == 2


def rotating(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    elsewhere()
    assert operations.rotate_secret(webhook)
    assert operations.active_keys(webhook).count() == 2
    assert operations.expire_old_keys(webhook) == 1
    assert operations.public_keys(webhook) == {}


def sending_a_test(elsewhere: Elsewhere) -> None:
    with receiver() as (url, got):
        webhook = a_webhook(url=url)
        elsewhere()
        attempt = operations.send_test(webhook)
    assert attempt.succeeded and len(got) == 1
    assert attempt.delivery.event.type == "webhook.teste"


def finding(elsewhere: Elsewhere) -> None:
    webhook = a_webhook()
    elsewhere()
    assert operations.find_webhook("ERP") == operations.find_webhook(str(webhook.pk)) == webhook


CHANGES: dict[str, Callable[[Elsewhere], None]] = {
    "active_keys": rotating,
    "add_webhook": adding,
    "cancel_expired": cancelling_what_expired,
    "cancel_owed": cancelling,
    "clean_webhook": updating,
    "count_forgettable": forgetting,
    "count_gone": replaying,
    "count_prunable": pruning,
    "create_webhook": creating,
    "delete_webhook": deleting,
    "disable": disabling,
    "ensure_roles": making_roles,
    "erase_late": erasing_late,
    "expire_old_keys": rotating,
    "find_webhook": finding,
    "forget": forgetting,
    "job_of": working_on_jobs,
    "jobs_of": working_on_jobs,
    "jobs_waiting": working_on_jobs,
    "maintain": maintaining,
    "mark_deleted": cancelling,
    "newest_delivery": working_on_jobs,
    "pause": pausing,
    "prune": pruning,
    "public_keys": rotating,
    "recipients": forgetting,
    "recover": recovering,
    "recover_rest": working_on_jobs,
    "replay": replaying,
    "replay_rest": working_on_jobs,
    "replayable": replaying,
    "resume": resuming,
    "resume_replay": working_on_jobs,
    "rotate_secret": rotating,
    "save_webhook": saving,
    "send_test": sending_a_test,
    "start_replay": working_on_jobs,
    "stop_replay": working_on_jobs,
    "try_now": trying_now,
    "update_webhook": updating,
    "work_on_jobs": working_on_jobs,
}
"""By operation, what tries it. Also what only reads, if something is done because of it."""

LOOKS = {
    "alarm",
    "backlog",
    "cancelled",
    "count_replay",
    "expired",  # a query set: whoever acts on it says where
    "export",
    "hastenable",
    "health",
    "matching",
    "not_sent",
    "panel",
    "preview",
    "previewed_object",
    "read_last_attempts",
    "sparklines",
    "waiting",
    "workers",
}
"""What is only shown, and may come from a replica."""

NO_ROWS = {
    "assign",
    "clean_secret",
    "clean_subject",
    "clean_url",
    "misconfigured",
    "public_key",
    "retention_limits",
}


def test_every_public_operation_is_known_here() -> None:
    functions = {
        name for name in operations.__all__ if inspect.isfunction(getattr(operations, name))
    }
    assert functions == CHANGES.keys() | LOOKS | NO_ROWS
    assert not (CHANGES.keys() & LOOKS) and not (NO_ROWS & (CHANGES.keys() | LOOKS))


@pytest.mark.parametrize(
    "scenario", dict.fromkeys(CHANGES.values()), ids=lambda each: each.__name__
)
def test_an_operation_reads_where_it_writes(
    scenario: Callable[[Elsewhere], None], elsewhere: Elsewhere
) -> None:
    scenario(elsewhere)


def test_emptying_reads_where_it_writes(elsewhere: Elsewhere) -> None:
    emptying(elsewhere)


def test_an_export_is_recorded_where_it_can_be() -> None:
    """It reads from a replica, if the router says so, and writes what was exported."""
    a_delivery(a_webhook())
    operations.export(deliveries=Delivery.objects.all(), format="csv")
    assert AuditEntry.objects.get().action == "exported"


# --- the requests that change something -----------------------------------------------------------
class WebhooksElsewhere(ReadsElsewhere):
    """Who asks, and whether they may, is not the question here."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica" if model._meta.app_label == "webhooks" else "default"


def test_requests_of_the_api_act_and_answer_by_what_is_so(settings: Any) -> None:
    root = Caller(User.objects.create_superuser("root"))
    with receiver() as (url, _got):
        webhook = a_webhook(url=url)
        failed = a_delivery(webhook)
        other = a_delivery(webhook)
        settings.DATABASE_ROUTERS = [WebhooksElsewhere()]
        path = f"webhooks/{webhook.pk}/"
        answers = [
            root.patch(path, {"name": "Loja"}),
            root.post(f"{path}pause/"),
            root.post(f"{path}enable/"),
            root.post(f"{path}test/", idempotency_key="k1"),
            root.post(f"{path}rotate-secret/", {}),
            root.post(f"{path}expire-secrets/"),
            root.post(f"{path}recover/", {"since": "2024-01-01T00:00:00Z", "dryRun": True}),
            root.post(f"deliveries/delivery_{failed.pk}/replay/"),
            root.post("deliveries/replay/", {"webhookId": str(webhook.pk)}),
            root.delete(path),
        ]
    assert [answer.status_code for answer in answers] == [
        *[200] * 7,
        202,
        202,
        204,
    ]
    assert here(Delivery).get(pk=other.pk).status == CANCELLED


def test_buttons_and_forms_of_the_admin_act_by_what_is_so(settings: Any) -> None:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("root", password="x"))
    webhook = a_webhook()
    waiting = a_delivery(webhook, status=PENDING)
    settings.DATABASE_ROUTERS = [WebhooksElsewhere()]
    page = f"/admin/webhooks/webhook/{webhook.pk}"
    assert client.post(f"{page}/pause/").status_code == 302
    assert here(Delivery).get(pk=waiting.pk).lane == Webhook.Lane.PARKED
    assert client.post(f"{page}/resume/").status_code == 302
    assert client.post(f"{page}/expire/").status_code == 302
    assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 302
    assert here(Delivery).get(pk=waiting.pk).status == CANCELLED
