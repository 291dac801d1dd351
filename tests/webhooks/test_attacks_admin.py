"""Attacks on whoever operates: by what receivers answer, by names, by addresses of pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from tests.webhooks.makers import a_delivery, a_webhook, an_attempt, an_event
from tests.webhooks.makers import receiver as answering
from webhooks import operations
from webhooks.admin import presentation
from webhooks.models import BulkJob, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db

XSS = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7|add:7 }}"
LOOK = ("view_event", "view_delivery", "view_webhook")


def login(*permissions: str) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(user)
    return client


@pytest.fixture
def root() -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(User.objects.create_superuser("root"))
    return client


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:webhooks_{row._meta.model_name}_{name}", args=[row.pk])


# --- what strangers wrote is shown as text --------------------------------------------------------
def test_nothing_that_others_wrote_is_read_as_html(root: Client) -> None:
    """Names, addresses, payloads, answers and their headers, on every page that has them."""
    webhook = a_webhook(name=XSS, url=f"http://127.0.0.1:9/{XSS}", status_reason=XSS, events=[XSS])
    event = an_event(
        XSS[:100],
        subject=XSS[:100],
        actor=XSS,
        data_subject=XSS[:100],
        body=json.dumps({"event": XSS, "data": {XSS: XSS}}),
    )
    delivery = a_delivery(webhook, event)
    an_attempt(
        delivery,
        url=f"http://127.0.0.1:9/{XSS}",
        request_headers={XSS: XSS},
        response_headers={XSS: XSS},
        response_body=json.dumps({XSS: XSS}) + XSS,
        error="status",
        error_detail=XSS,
    )
    job = operations.start_replay(operations.ReplayFilter(webhook=webhook, subject=XSS[:100]))
    lists = [
        reverse(f"admin:webhooks_{name}_changelist")
        for name in ("webhook", "event", "delivery", "auditentry", "bulkjob")
    ]
    replaying = reverse("admin:webhooks_delivery_replay_many")
    pages = [
        *lists,
        f"{lists[2]}?q={XSS}",
        f"{replaying}?{'webhook=' + str(webhook.pk)}",
        *(page(row) for row in (webhook, event, delivery, job)),
        *(page(row, "history") for row in (webhook, event, delivery)),
        page(webhook, "delete"),
        page(webhook, "rotate"),
    ]
    for row in (event, delivery):  # with the payload in the open
        answers = [root.post(page(row, "reveal"), follow=True)]
        for answer in answers:
            assert_no_html(answer)
    for url in pages:
        assert_no_html(root.get(url))
    assert_no_html(root.post(page(webhook, "pause"), follow=True))
    assert_no_html(root.post(page(webhook, "test"), follow=True))
    key = webhook.signing_keys.get()
    rotation = {"newest": key.pk, "overlap_hours": "1", "secret": XSS}
    assert_no_html(root.post(page(webhook, "rotate"), rotation))


def assert_no_html(answer: Any) -> None:
    assert answer.status_code == 200
    html = answer.content.decode()
    for dangerous in ("<script>alert", "<img src=x", "1414"):
        assert dangerous not in html, html[max(0, html.find(dangerous) - 200) :][:300]


# --- a question about a payload is a look at it ---------------------------------------------------
@pytest.mark.parametrize(
    "question",
    [
        "body__contains=Jo",
        "body__startswith=%7B",
        "snapshot__regex=.",
        "body=x",
        "deliveries__attempts__response_body__contains=o",
    ],
)
def test_payloads_cannot_be_guessed_at_through_the_filters_of_a_list(question: str) -> None:
    a_delivery(a_webhook())
    client = login(*LOOK)
    url = reverse("admin:webhooks_event_changelist")
    answer = client.get(f"{url}?{question}")
    # Refused alike whether it was right or wrong (Django answers 400).
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("model", "question"),
    [
        ("delivery", "event__body__contains=Jo"),
        ("delivery", "attempts__response_body__contains=o"),
        ("webhook", "auth_username__startswith=a"),
        ("webhook", "auth_secret__startswith=a"),
        ("webhook", "signing_keys__secret__startswith=a"),
        ("webhook", "owner__password__startswith=m"),
        ("bulkjob", "user__password__startswith=m"),
        ("auditentry", "user__password__startswith=m"),
    ],
)
def test_nor_what_is_behind_other_lists(model: str, question: str) -> None:
    a_delivery(a_webhook(auth_username="ana"))
    client = login(*LOOK, "view_auditentry", "view_bulkjob")
    url = reverse(f"admin:webhooks_{model}_changelist")
    assert client.get(f"{url}?{question}").status_code == 400


def test_the_lists_own_filters_still_work(root: Client) -> None:
    a_delivery(a_webhook())
    for model, query in {
        "event": "origin__exact=system",
        "delivery": "status__exact=failed",
        "webhook": "status__exact=active&format=x",
        "auditentry": "origin__exact=user",
        "bulkjob": "state__exact=done",
    }.items():
        url = reverse(f"admin:webhooks_{model}_changelist")
        assert root.get(f"{url}?{query}").status_code == 200


@pytest.mark.parametrize(
    "query", ["until=9999-12-31", "since=0001-01-01", "webhook=x", "http=9e9", "http=99999999999"]
)
def test_no_filter_is_a_server_error(root: Client, query: str) -> None:
    for name in ("changelist", "replay_many"):
        url = reverse(f"admin:webhooks_delivery_{name}")
        assert root.get(f"{url}?{query}").status_code in {200, 302}


# --- what is small to send is small to show -------------------------------------------------------
def test_an_answer_that_grows_when_indented_is_shown_as_it_is() -> None:
    deep = "[" * 500 + ",".join("1" * 7000) + "]" * 500  # 15 kB, and 7 MB with indents
    assert presentation.pretty(deep) == deep
    assert len(presentation.masked(deep)) < 100_000
    for text in ("[" * 100_000, "1" * 100_000, '{"a":' * 5000):
        assert len(presentation.pretty(text)) <= len(text)
        assert len(presentation.masked(text)) <= len(text)
    assert presentation.pretty('{"a":[1,"é"]}') == '{\n  "a": [\n    1,\n    "é"\n  ]\n}'


def test_an_answer_does_not_drive_the_terminal_that_shows_it(capsys: Any) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202eok".encode()
    with answering(body=hostile) as (url, _requests):
        webhook = a_webhook(url=url)
        call_command("webhooks_test", str(webhook.pk))
    shown = capsys.readouterr().out
    assert "owned" in shown
    assert all(each.isprintable() for each in shown.replace("\n", ""))


# --- what is gone keeps nothing else from being done ----------------------------------------------
def test_a_replay_whose_webhook_was_pruned_ends_and_holds_no_other_up(root: Client) -> None:
    gone, other = a_webhook(), a_webhook()
    for webhook in (gone, other):
        a_delivery(webhook)
    first, second = (
        operations.start_replay(operations.ReplayFilter(webhook=webhook))
        for webhook in (gone, other)
    )
    Delivery.objects.filter(webhook=gone).delete()
    Webhook.all_objects.filter(pk=gone.pk).delete()
    assert root.get(page(first)).status_code == 200
    operations.work_on_jobs(seconds=10, wait=lambda seconds: None)
    states = BulkJob.objects.order_by("id").values_list("state", "changed")
    assert list(states) == [("done", 0), ("done", 1)]
    assert second.total == 1
    assert Event.objects.count() == 2
