"""A row that is wrong in one column, as no form would have it: no page fails, all others are shown,
and the trouble is said where it is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test import Client
from django.utils import translation

from api_common import tokens
from tests.webhooks.makers import a_delivery, a_tally, a_webhook, ago, an_attempt, an_event
from webhooks import formats, operations
from webhooks.directory import Directory
from webhooks.fields import Sealed
from webhooks.models import Attempt, AuditEntry, BulkJob, Delivery, Event, SigningKey, Webhook
from webhooks.operations import jobs

pytestmark = pytest.mark.django_db

JSON = [5, None, [1, None, "cliente.*"], {"a": [1]}, "x" * 100_000]
FAR = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)]
NUMBERS = [-5.0, 1e300, float("inf")]
SEALED = ["garbage", "gAAAAABl" + "x" * 100]
WORDS = ["unknown", ""]


def sealed_wrong() -> list[str]:
    """What was encrypted, but is no JSON object."""
    return [Sealed.seal(text).token for text in ("no json", "5")]


WRONG: dict[type[models.Model], dict[str, list[Any]]] = {
    Webhook: {
        "events": JSON,
        "format_options": JSON,
        "retry_schedule": [*JSON, [], [-1], [1e300], ["60"], [0] * 1000],
        "format": [*WORDS, "x" * 50],
        "status": WORDS,
        "status_reason": ['{"reason": 5}', "{", '{"reason": "failing"}', "[1]"],
        "auth_type": WORDS,
        "auth_header_name": ["no name\n", "Host"],
        "headers": [*SEALED, "json"],
        "auth_secret": SEALED,
        "timeout_seconds": NUMBERS,
        "rate_limit": NUMBERS,
        "lane": [99],
        "url": ["", "no address", "http://[", "http://a b/", "https://ü/\x7f"],
        "name": ["", "<script>", "a\nb"],
        "failure_count": [2_000_000_000],
        "hold_until": FAR,
        "next_turn_at": FAR,
        "failing_since": FAR,
        "created_at": FAR,
        "updated_at": FAR,
        "status_changed_at": FAR,
    },
    SigningKey: {"algorithm": WORDS, "secret": SEALED, "created_at": FAR, "expires_at": FAR},
    Event: {
        "type": ["unknown", "", "cliente.criado.x"],
        "body": ["no json", "5", "[]", '{"data": 5}', "", "{" * 5000],
        "snapshot": ["no json", "5", "[]", '{"record": 5, "changes": 5}', ""],
        "origin": WORDS,
        "subject": ["", "x", "<b>"],
        "occurred_at": FAR,
        "erased_at": FAR,
    },
    Delivery: {
        "status": WORDS,
        "lane": [99],
        "last_error": WORDS,
        "last_status_code": [0, 32_000],
        "schedule_position": [32_000],
        "created_at": FAR,
        "finished_at": FAR,
        "next_attempt_at": FAR,
    },
    Attempt: {
        "request_headers": JSON,
        "response_headers": [*JSON, {"retry-after": 5, "server": None}],
        "request_body": ["no json", "5"],
        "error": WORDS,
        "status_code": [0, 32_000],
        "url": ["", "no address", "http://["],
        "started_at": FAR,
    },
    BulkJob: {
        "chosen": [
            *JSON,
            {"webhook": "none"},
            {"webhook": 5},
            {"created_since": "never"},
            {"created_since": 5},
            {"ids": 5},
            {"ids": ["x"]},
            {"statuses": [1]},
            {"subject": []},
            {"event_ids": ["x"]},
        ],
        "kind": WORDS,
        "state": WORDS,
        "rate": [0],
        "created_at": FAR,
    },
    AuditEntry: {"action": WORDS, "origin": WORDS, "at": FAR},
}
CASES = [
    pytest.param(model, column, id=f"{model.__name__}-{column}")
    for model, columns in WRONG.items()
    for column in columns
]


class Scene:
    """Two webhooks with all that there is of them; one row of one is wrong."""

    def __init__(self) -> None:
        self.root = User.objects.create_superuser("root")
        self.wrong = a_webhook(name="Wrong One", rate_limit=5.0)
        self.right = a_webhook(name="Right One")
        self.event = an_event()
        self.deliveries = [
            a_delivery(self.wrong, self.event),
            a_delivery(  # which follows later, by the schedule
                self.wrong,
                an_event(),
                status=Delivery.Status.PENDING,
                next_attempt_at=ago(hours=-1),
                schedule_position=1,
                attempt_count=1,
                fence=2,
                last_error="status",
            ),
            a_delivery(self.right, self.event),
        ]
        self.attempts = [an_attempt(each) for each in self.deliveries]
        for webhook in (self.wrong, self.right):
            a_tally(webhook, failures=2, took=[3])
        self.job = BulkJob.objects.create(
            chosen={"statuses": ["failed"]}, total=1, rate=5, until_id=0
        )
        self.entry = operations.pause(a_webhook(name="Third One")) and AuditEntry.objects.latest(
            "id"
        )

    def spoil(self, model: type[models.Model], column: str, value: Any) -> None:
        row = {
            Webhook: self.wrong,
            SigningKey: self.wrong.signing_keys.get(),
            Event: self.event,
            Delivery: self.deliveries[1],
            Attempt: self.attempts[1],
            BulkJob: self.job,
            AuditEntry: self.entry,
        }[model]
        field = model._meta.get_field(column)
        if isinstance(field, models.JSONField):
            value = json.dumps(value)
        elif isinstance(field, models.DateTimeField):
            value = connection.ops.adapt_datetimefield_value(value)
        table, pk = model._meta.db_table, model._meta.pk
        key = pk.get_db_prep_value(row.pk, connection)
        with connection.cursor() as cursor:
            cursor.execute(
                f'UPDATE "{table}" SET "{field.column}" = %s '  # noqa: S608 - our own names
                f'WHERE "{pk.column}" = %s',
                [value, key],
            )
            cursor.execute("UPDATE webhooks_webhook SET version = version + 1")

    def pages(self, model: type[models.Model]) -> list[str]:
        """Of the admin, all that read such a row."""
        webhook = f"webhook/{self.wrong.pk}"
        deliveries = [f"delivery/{each.pk}/change/" for each in self.deliveries[:2]]
        of_webhooks = ["webhook/", "webhook/panel/", f"{webhook}/change/"]
        return {
            Webhook: [
                *of_webhooks,
                f"{webhook}/rotate/",
                f"event/{self.event.pk}/change/",
                "delivery/",
                *deliveries,
            ],
            SigningKey: [f"{webhook}/change/", f"{webhook}/rotate/"],
            Event: ["event/", f"event/{self.event.pk}/change/", "delivery/", *deliveries],
            Delivery: [*of_webhooks, f"event/{self.event.pk}/change/", "delivery/", *deliveries],
            Attempt: [*of_webhooks, *deliveries],
            BulkJob: ["bulkjob/", f"bulkjob/{self.job.pk}/change/"],
            AuditEntry: [
                "auditentry/",
                f"auditentry/{self.entry.pk}/change/",
                f"event/{self.event.pk}/change/",
            ],
        }[model]

    def endpoints(self, model: type[models.Model]) -> list[str]:
        """Of the API, all that read such a row."""
        deliveries = [f"deliveries/delivery_{each.pk}/" for each in self.deliveries[:2]]
        return {
            Webhook: [
                "webhooks/",
                f"webhooks/{self.wrong.pk}/",
                f"webhooks/{self.wrong.pk}/health/",
                f"webhooks/{self.wrong.pk}/keys/",
                "deliveries/",
                *deliveries,
            ],
            SigningKey: [f"webhooks/{self.wrong.pk}/keys/"],
            Event: ["events/", f"events/{self.event.public_id}/", "deliveries/"],
            Delivery: [
                "deliveries/",
                *deliveries,
                f"webhooks/{self.wrong.pk}/health/",
            ],
            Attempt: [*deliveries, *(f"{each}attempts/?payloads=true" for each in deliveries)],
        }.get(model, [])


@pytest.fixture
def scene(settings: Any) -> Scene:
    settings.WEBHOOKS = {
        **settings.WEBHOOKS,
        "METRICS_TOKEN": "of-a-test-0123456789",
        "METRICS_PER_WEBHOOK": True,
    }
    cache.clear()  # where requests to the API are counted
    return Scene()


def values_of(model: type[models.Model], column: str) -> Iterator[Any]:
    for value in WRONG[model][column]:
        yield from sealed_wrong() if (column, value) == ("headers", "json") else [value]


def output(name: str, *options: str) -> str:
    out = StringIO()
    try:
        call_command(name, *options, stdout=out, stderr=out)
    except (CommandError, SystemExit) as error:
        out.write(str(error))
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "column"), CASES)
def test_no_page_fails(scene: Scene, model: Any, column: str) -> None:
    admin = Client(HTTP_ACCEPT_LANGUAGE="en")
    admin.force_login(scene.root)
    for value in values_of(model, column):
        scene.spoil(model, column, value)
        for page in scene.pages(model):
            answer = admin.get(f"/admin/webhooks/{page}")
            assert answer.status_code == 200, (page, value)
            if page == "webhook/":
                assert "Right One" in answer.content.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "column"), CASES)
def test_no_endpoint_fails(scene: Scene, model: Any, column: str) -> None:
    _row, bearer = tokens.create(scene.root, "test")
    api = Client(headers={"authorization": f"Bearer {bearer}"})
    preview = f"event-types/cliente.criado/preview/?webhook={scene.wrong.pk}"
    payload = f"events/{scene.event.public_id}/payload/"
    for value in values_of(model, column):
        scene.spoil(model, column, value)
        for path in scene.endpoints(model):
            answer = api.get(f"/api/v1/{path}")
            assert answer.status_code == 200, (path, value, answer.content)
            if path == "webhooks/":
                assert "Right One" in str(answer.json())
        assert api.get(f"/api/v1/{payload}").status_code in {200, 404, 409, 410}
        assert api.get(f"/api/v1/{preview}").status_code in {200, 400, 409}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "column"), [case for case in CASES if case.values[0] not in (BulkJob, AuditEntry)]
)
def test_no_command_and_no_worker_fails(scene: Scene, model: Any, column: str) -> None:
    names = {"Wrong One", "Right One"}
    for value in list(values_of(model, column))[:2]:
        scene.spoil(model, column, value)
        assert "Right One" in output("webhooks_status")
        assert "Right One" in output("webhooks_status", "--json")
        assert "Right One" in output("webhooks_export", "--payloads")
        output("webhooks_replay", "--dry-run", "--status", "all")
        output("webhooks_test", str(scene.wrong.pk), "--dry-run")
        output("webhooks_rotate_keys", "--check")
        figures = Client().get("/metrics", headers={"authorization": "Bearer of-a-test-0123456789"})
        assert figures.status_code == 200
        reasons = operations.not_sent(an_event())
        assert "Right One" in {each.webhook.name for each in reasons}
        if column != "name":
            assert names <= {each.webhook.name for each in reasons}
        directory = Directory("default")
        directory.refresh()
        assert directory.get(scene.right.pk) is not None


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("events", 5),
        ("events", [1]),
        ("format_options", [1]),
        ("retry_schedule", 5),
        ("timeout_seconds", float("inf")),
        ("format", "of-another-release"),
        ("status", "resting"),
        ("auth_type", "digest"),
        ("lane", 99),
        ("headers", "garbage"),
        ("auth_secret", "garbage"),
    ],
)
def test_the_trouble_is_said_at_the_webhook_and_at_no_other(
    scene: Scene, column: str, value: Any
) -> None:
    scene.spoil(Webhook, column, value)
    with translation.override("en"):
        assert operations.misconfigured(Webhook.objects.get(pk=scene.right.pk)) == []
        [sentence] = operations.misconfigured(Webhook.objects.get(pk=scene.wrong.pk))
    _row, bearer = tokens.create(scene.root, "test")
    api = Client(headers={"authorization": f"Bearer {bearer}"}, HTTP_ACCEPT_LANGUAGE="en")
    found = {
        each["name"]: each["problems"] for each in api.get("/api/v1/webhooks/").json()["results"]
    }
    assert found["Right One"] == []
    assert len(found["Wrong One"]) == 1
    admin = Client(HTTP_ACCEPT_LANGUAGE="en")
    admin.force_login(scene.root)
    for page in ("", f"{scene.wrong.pk}/change/"):
        shown = admin.get(f"/admin/webhooks/webhook/{page}").content.decode()
        assert sentence.split(":")[0] in shown


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("format", "option"),
    [(each.name, name) for each in formats.all_formats() for name in each.options],
)
def test_options_of_a_format_that_are_wrong_fail_no_page(
    login: Any, format: str, option: str
) -> None:
    webhook = a_webhook()
    browsers = [login("view_webhook"), login("view_webhook", "change_webhook")]
    for value in (5, None, "x", [1], {"a": 1}, True):
        Webhook.objects.filter(pk=webhook.pk).update(format=format, format_options={option: value})
        webhook.refresh_from_db()
        for event_type in ("cliente.criado", "tarefa.criada"):
            with contextlib.suppress(formats.base.CannotTell):
                operations.preview(event_type, webhook)
        for browser in browsers:
            page = f"/admin/webhooks/webhook/{webhook.pk}/change/"
            assert browser.get(page).status_code == 200, value


@pytest.mark.both_databases
def test_saving_what_is_shown_in_its_place_mends_it(scene: Scene) -> None:
    scene.spoil(Webhook, "retry_schedule", 5)
    webhook = Webhook.objects.get(pk=scene.wrong.pk)
    assert webhook.retry_schedule is None
    operations.update_webhook(webhook, name="Mended")
    with connection.cursor() as cursor:
        cursor.execute("SELECT retry_schedule FROM webhooks_webhook WHERE name = 'Mended'")
        [stored] = cursor.fetchone()
    assert stored in (None, "null")
    assert Webhook.objects.get(pk=scene.wrong.pk).wrong == {}


@pytest.mark.both_databases
@pytest.mark.parametrize("chosen", [5, {}, {"ids": "x"}, {"unknown": 1}])
def test_a_replay_that_does_not_say_what_sends_nothing_and_stops_no_other(
    scene: Scene, chosen: Any
) -> None:
    scene.spoil(BulkJob, "chosen", chosen)
    BulkJob.objects.create(chosen={"statuses": ["failed"]}, total=2, rate=500, until_id=10**9)
    work: Callable[..., bool] = jobs.work_on_jobs
    work(seconds=30, wait=lambda seconds: None)
    wrong, right = BulkJob.objects.order_by("id")
    assert right.state == BulkJob.State.DONE
    if chosen:
        assert wrong.state == BulkJob.State.STOPPED
    assert wrong.changed == 0
