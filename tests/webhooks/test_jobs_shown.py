"""How far a webhook's job has come can be seen: on its page, in the API, by `webhooks_status`."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.api.conftest import Caller
from tests.webhooks.conftest import Login
from tests.webhooks.makers import a_webhook
from tests.webhooks.test_moving import CANCELLED, NORMAL, PARKED, lanes, owed, work
from webhooks import operations
from webhooks.admin import webhook_buttons
from webhooks.models import BulkJob, Delivery, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_databases,
    pytest.mark.usefixtures("in_english"),
]

MANY = operations.AT_ONCE + 7
FAILED = Delivery.Status.FAILED
LIST = "/admin/webhooks/webhook/"


@pytest.fixture
def root(transactional_db: None) -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def page(webhook: Webhook, name: str = "change") -> str:
    return reverse(f"admin:webhooks_webhook_{name}", args=[webhook.pk])


def page_of(job: BulkJob) -> str:
    return reverse("admin:webhooks_bulkjob_change", args=[job.pk])


def html_of(response: Any) -> str:
    text: str = response.content.decode()
    return text


def test_a_click_moves_some_says_what_follows_and_the_page_shows_it(root: Client) -> None:
    webhook = a_webhook()
    owed(webhook, MANY)
    html = html_of(root.post(page(webhook, "pause"), follow=True))
    assert f"moved at once: {operations.AT_ONCE}" in html and "by workers: 7." in html
    assert '<div id="wh-job" data-wh-live="2">' in html
    assert f"{operations.AT_ONCE} of {MANY}" in html
    assert lanes(webhook) == {NORMAL: 7, PARKED: operations.AT_ONCE}
    job = operations.job_of(webhook)
    assert job is not None and job.user is not None and job.user.username == "root"
    assert page_of(job) in html

    work()
    html = html_of(root.get(page(webhook)))
    assert '<div id="wh-job">' in html and "data-wh-live" not in html
    html = html_of(root.post(page(webhook, "resume"), follow=True))
    assert "by workers: 7." in html
    work()
    assert lanes(webhook) == {NORMAL: MANY}


def test_what_was_done_at_once_is_no_job_to_be_shown(root: Client) -> None:
    webhook = a_webhook()
    owed(webhook, 3)
    html = html_of(root.post(page(webhook, "pause"), follow=True))
    assert "is paused" in html and "by workers" not in html
    assert '<div id="wh-job">' in html
    assert not BulkJob.objects.exists()


def test_a_webhook_deleted_in_the_admin_has_the_rest_cancelled_by_workers(root: Client) -> None:
    webhook = a_webhook()
    owed(webhook, MANY)
    html = html_of(root.post(page(webhook, "delete"), {"post": "yes"}, follow=True))
    assert "by workers: 7." in html
    assert webhook.deliveries.filter(status=CANCELLED).count() == operations.AT_ONCE
    work()
    assert webhook.deliveries.filter(status=CANCELLED).count() == MANY


def test_several_at_once_share_the_time_of_a_request(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_buttons, "MOVING_SECONDS", -1.0)
    webhooks = [a_webhook(name=name) for name in "abc"]
    for webhook in webhooks:
        owed(webhook, 2)
    selected = {"_selected_action": [webhook.pk for webhook in webhooks]}
    root.post(LIST, {"action": "pause_selected", **selected})
    assert not Webhook.objects.active().exists()
    assert [lanes(webhook) for webhook in webhooks] == [{NORMAL: 2}] * 3
    work()
    assert [lanes(webhook) for webhook in webhooks] == [{PARKED: 2}] * 3
    root.post(LIST, {"action": "delete_selected", "post": "yes", **selected})
    assert not Webhook.objects.exists()
    work()
    assert [lanes(webhook) for webhook in webhooks] == [{}] * 3


def test_a_job_has_a_page_without_the_buttons_of_a_replay(root: Client, login: Login) -> None:
    webhook = a_webhook(name="Loja Á")
    owed(webhook, 2)
    operations.pause(webhook, at_once=0)
    job = operations.job_of(webhook)
    assert job is not None
    html = html_of(root.get(page_of(job)))
    assert "park what waits" in html and "Loja Á" in html and "0 of 2" in html
    assert 'data-wh-live="2"' in html and "/stop/" not in html
    assert "Loja Á" in html_of(root.get(reverse("admin:webhooks_bulkjob_changelist")))
    root.post(reverse("admin:webhooks_bulkjob_stop", args=[job.pk]))
    job.refresh_from_db()
    assert job.state == "running"
    # Who may see the webhook sees how far it is, and no link to a page that they may not open.
    html = html_of(login("view_webhook").get(page(webhook)))
    assert "0 of 2" in html and page_of(job) not in html
    operations.resume(webhook)
    assert "superseded" in html_of(root.get(page_of(job)))


def test_the_api_answers_at_once_and_health_tells_the_job(transactional_db: None) -> None:
    root = Caller(User.objects.create_superuser("root"))
    webhook = a_webhook()
    owed(webhook, MANY)
    path = f"webhooks/{webhook.pk}/"
    assert root.get(f"{path}health/").json()["job"] is None
    assert root.post(f"{path}pause/").json()["status"] == "paused"
    told = root.get(f"{path}health/").json()["job"]
    assert told.pop("createdAt").endswith("Z")
    assert told == {"kind": "park", "changed": operations.AT_ONCE, "total": MANY}
    assert root.post(f"{path}enable/").json()["status"] == "active"
    assert root.delete(path).status_code == 204
    work()
    assert webhook.deliveries.filter(status=CANCELLED).count() == MANY


def test_the_status_command_tells_the_job() -> None:
    webhook = a_webhook()
    owed(webhook, 5)
    operations.pause(webhook, at_once=2)

    def run(*options: str) -> str:
        out = StringIO()
        call_command("webhooks_status", *options, stdout=out)
        return out.getvalue()

    assert "under way: park what waits, 2 of 5" in run()
    [row] = json.loads(run("--json"))["webhooks"]
    assert row["job"] == {"kind": "park", "changed": 2, "total": 5}
    work()
    assert json.loads(run("--json"))["webhooks"][0]["job"] is None


@pytest.mark.parametrize("way", ["recover", "replay"])
def test_a_request_to_send_many_again_does_some_and_workers_the_rest(
    transactional_db: None, way: str
) -> None:
    root = Caller(User.objects.create_superuser("root"))
    webhook = a_webhook()
    owed(webhook, MANY, status=FAILED, finished_at=timezone.now())
    if way == "recover":
        path, body = f"webhooks/{webhook.pk}/recover/", {"since": "2024-01-01T00:00:00Z"}
    else:
        path, body = "deliveries/replay/", {"webhookId": str(webhook.pk)}
    answer = root.post(path, body)
    assert answer.status_code == 202
    assert (answer.json()["total"], answer.json()["complete"]) == (operations.AT_ONCE, False)
    assert webhook.deliveries.filter(status=FAILED).count() == 7
    assert not operations.work_on_jobs(wait=lambda pause: None)
    assert lanes(webhook) == {NORMAL: MANY}
