"""Attacks: whatever is done, shown, logged, printed or broken, no secret is in it.

Every test makes or uses the webhook with all kinds of secrets, gathers what comes out somewhere,
and looks for each of them, as it is and as it is sent.
"""

from __future__ import annotations

import base64
import copy
import html
import itertools
import json
import logging
import pickle
import pprint
import sys
import uuid
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any
from urllib.parse import urljoin

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.forms import model_to_dict
from django.test import Client
from django.urls import reverse
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter
from django.views.decorators.debug import sensitive_variables

from api_common import tokens
from tests.environment import FERNET_KEY
from tests.webhooks.makers import NOBODY, a_delivery, an_event, receiver
from webhooks import (
    checks,
    delivery,
    direct,
    directory,
    engine,
    operations,
    sealed,
    signing,
    transport,
)
from webhooks.admin.webhook_form import RotateForm, WebhookForm
from webhooks.api import bodies
from webhooks.directory import receiver_of
from webhooks.formats.base import Message
from webhooks.models import Attempt, AuditEntry, Delivery, Event, SigningKey, Webhook
from webhooks.queue import queue_on

pytestmark = pytest.mark.django_db

SIGNING = "segredo-que-assina-1"
PASSWORD = "senha-do-basic-22"
TOKEN = "token-do-bearer-333"
HEADER = "valor-do-cabecalho-4444"
OWN = "token-em-cabecalho-55555"
PLAIN = {
    "signing": SIGNING,
    "password": PASSWORD,
    "token": TOKEN,
    "header": HEADER,
    "own": OWN,
    "fernet": FERNET_KEY,
    "as sent": base64.b64encode(f"ana:{PASSWORD}".encode()).decode(),
}
KINDS: dict[str, dict[str, str]] = {
    "basic": {"auth_type": "basic", "auth_username": "ana", "auth_secret": PASSWORD},
    "bearer": {"auth_type": "bearer", "auth_secret": TOKEN},
    "header": {"auth_type": "header", "auth_header_name": "X-Acesso", "auth_secret": OWN},
}


def assert_clean(*texts: Any, allow: str = "") -> None:
    for text in texts:
        shown = html.unescape(text if isinstance(text, str) else str(text))
        for name, secret in PLAIN.items():
            if name != allow:
                position = shown.find(secret)
                assert position < 0, f"{name}: …{shown[max(0, position - 300) : position + 50]}…"


def a_secretive_webhook(kind: str = "basic", url: str = NOBODY) -> Webhook:
    webhook, _secret = operations.create_webhook(
        name=f"ERP {kind}",
        url=url,
        events=["*"],
        secret=SIGNING,
        headers={"X-Empresa": HEADER},
        **KINDS[kind],  # type: ignore[arg-type]
    )
    return webhook


@pytest.fixture
def root() -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE="en", raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reports(settings: Any) -> Iterator[Callable[[], list[str]]]:
    """What Django's own handler mails to the administrators, with every frame's variables."""
    settings.ADMINS = [("Ops", "ops@example.com")]
    handler = AdminEmailHandler(include_html=True)
    handler.setLevel(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("django.request", "webhooks", "api")]
    for logger in loggers:
        logger.addHandler(handler)

    def sent() -> list[str]:
        return [
            "\n".join([str(message.body), *(str(part[0]) for part in message.alternatives)])  # type: ignore[attr-defined]
            for message in mail.outbox
        ]

    yield sent
    for logger in loggers:
        logger.removeHandler(handler)


class Boom(Exception):
    pass


def boom(*args: Any, **kwargs: Any) -> Any:
    raise Boom("something broke")


# --- what holds a secret says nothing of it ------------------------------------------------------
def test_no_text_of_an_object_shows_it(kind: str) -> None:
    webhook = Webhook.objects.get(pk=a_secretive_webhook(kind).pk)
    key = webhook.signing_keys.get()
    found = receiver_of(webhook)
    assert found.headers["X-Empresa"] == HEADER  # opened: from here on it is in its memory
    [parsed] = found.keys(webhook.created_at)
    message = Message("evt_1", "a.b", 1, webhook.created_at, "{}", 1, webhook.created_at, "1")
    for each in (webhook, key, found, parsed, key.secret, webhook.headers, message):
        assert_clean(repr(each), str(each), f"{each}", pprint.pformat(each))
    for row in (webhook, key):
        assert_clean(vars(row), model_to_dict(row), copy.deepcopy(vars(row)))
        assert_clean(pickle.dumps(row).decode("latin-1"))
    with pytest.raises(TypeError):
        pickle.dumps(parsed)


def test_no_form_shows_it() -> None:
    data = {"name": "ERP", "auth_type": "bearer", "auth_secret": TOKEN, "secret": SIGNING}
    form = WebhookForm(data, instance=a_secretive_webhook())
    form.is_valid()
    rotate = RotateForm({"secret": SIGNING, "overlap_hours": "-1"})
    rotate.is_valid()
    for each in (form, rotate):
        assert_clean(repr(each), each.errors.as_json())


# --- the admin -----------------------------------------------------------------------------------
def test_no_page_of_the_admin_shows_it(root: Client, kind: str) -> None:
    with receiver() as (url, _got):
        webhook = a_secretive_webhook(kind, url)
        pages = ["change", "delete", "history", "rotate"]
        urls = [reverse(f"admin:webhooks_webhook_{page}", args=[webhook.pk]) for page in pages]
        root.post(reverse("admin:webhooks_webhook_test", args=[webhook.pk]))
        for model in ("webhook", "event", "delivery", "auditentry"):
            urls.append(reverse(f"admin:webhooks_{model}_changelist"))
        for row in (*Event.objects.all(), *Delivery.objects.all(), *AuditEntry.objects.all()):
            name = f"admin:webhooks_{row._meta.model_name}_change"
            urls.append(reverse(name, args=[row.pk]))
        urls.append(reverse("admin:index"))
        for page in urls:
            answer = root.get(page)
            assert answer.status_code == 200, page
            assert_clean(answer.content.decode(), answer.headers)
        chosen = {"action": "delete_selected", "_selected_action": [str(webhook.pk)]}
        assert_clean(root.post("/admin/webhooks/webhook/", chosen).content.decode())
    assert_clean([vars(entry) for entry in LogEntry.objects.all()])


def a_form(**changes: Any) -> dict[str, Any]:
    return {
        "token": str(uuid.uuid4()),
        "name": "ERP",
        "url": "http://127.0.0.1:8001/webhook",
        "event_types": ["cliente.criado"],
        "patterns": "",
        "format": "sistema-crm",
        "secret": SIGNING,
        "headers": f"X-Empresa: {HEADER}",
        "auth_type": "bearer",
        "auth_secret": TOKEN,
        "auth_username": "",
        "auth_header_name": "",
        "retry_schedule": "",
        "timeout_seconds": "",
        "rate_limit": "",
        "keep_responses": "on",
        **changes,
    }


ADD = "/admin/webhooks/webhook/add/"
DEEP = [
    (sealed, "fernet"),
    (Webhook, "save"),
    (SigningKey, "save"),
    (operations.webhooks.audit, "record"),
    (signing, "generate_secret"),
    (operations.secrets, "clean_secret"),
    (operations.validation.headers, "check_headers"),
]


@pytest.mark.parametrize(("holder", "name"), DEEP, ids=[name for _holder, name in DEEP])
def test_no_error_report_of_a_failed_creation_shows_it(
    root: Client, reports: Any, monkeypatch: pytest.MonkeyPatch, holder: Any, name: str
) -> None:
    monkeypatch.setattr(holder, name, boom)
    given = a_form(secret="") if name == "generate_secret" else a_form()
    assert root.post(ADD, given).status_code == 500
    assert all("something broke" in report for report in reports())
    assert_clean(*reports())


@pytest.mark.parametrize(("holder", "name"), DEEP[:4], ids=[name for _holder, name in DEEP[:4]])
def test_no_error_report_of_a_failed_change_shows_it(
    root: Client, reports: Any, monkeypatch: pytest.MonkeyPatch, holder: Any, name: str
) -> None:
    webhook = a_secretive_webhook()
    urls = {
        "change": reverse("admin:webhooks_webhook_change", args=[webhook.pk]),
        "rotate": reverse("admin:webhooks_webhook_rotate", args=[webhook.pk]),
    }
    newest = webhook.signing_keys.get().pk
    monkeypatch.setattr(holder, name, boom)
    root.post(urls["change"], a_form(secret=""))
    root.post(urls["rotate"], {"newest": newest, "overlap_hours": 1, "secret": f"{SIGNING}0"})
    assert reports()
    assert_clean(*reports())


@pytest.mark.parametrize("where", ["add", "rotate"])
def test_no_error_report_of_the_page_that_shows_the_secret_shows_it(
    root: Client, reports: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    webhook = a_secretive_webhook()
    newest = webhook.signing_keys.get().pk
    secret = f"{SIGNING}0"
    monkeypatch.setattr("django.contrib.admin.sites.AdminSite.each_context", exploding_context)
    if where == "add":
        root.post(ADD, a_form(secret=secret))
    else:
        url = reverse("admin:webhooks_webhook_rotate", args=[webhook.pk])
        root.post(url, {"newest": newest, "overlap_hours": 1, "secret": secret})
    assert reports()
    assert_clean(*reports())


def test_no_error_report_of_the_page_that_shows_an_api_token_shows_it(
    root: Client, reports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The page's context can be shown, and only what is rendered fails.
    monkeypatch.setattr(_Exploding, "__repr__", object.__repr__)
    monkeypatch.setattr(tokens.secrets, "token_urlsafe", lambda size: TOKEN)
    monkeypatch.setattr("django.contrib.admin.sites.AdminSite.each_context", exploding_context)
    root.post(reverse("admin:api_common_token_add"), {"user": User.objects.get().pk, "name": "ERP"})
    assert reports()
    assert_clean(*reports())


class _Exploding:
    def __str__(self) -> str:
        raise Boom("something broke")

    __repr__ = __html__ = __str__


def exploding_context(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"site_title": _Exploding(), "site_header": _Exploding()}


def test_the_settings_in_an_error_report_show_none(
    root: Client, reports: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.WEBHOOKS = {
        **settings.WEBHOOKS,
        "EGRESS_PROXY": f"http://ana:{PASSWORD}@127.0.0.1:9",
    }
    settings.CELERY_BROKER_URL = f"amqp://ana:{PASSWORD}@127.0.0.1:9//"
    monkeypatch.setattr(Webhook, "save", boom)
    environment = {
        "WEBHOOKS_ENCRYPTION_KEYS": FERNET_KEY,
        "DATABASE_URL": f"postgres://a:{PASSWORD}@b/c",
    }
    root.post(ADD, a_form(), **environment)
    assert all("ENCRYPTION_KEYS" in report for report in reports())
    assert_clean(*reports())


# --- the API -------------------------------------------------------------------------------------
API = "/api/v1/webhooks/"
BODY = {
    "name": "ERP",
    "url": "http://127.0.0.1:8001/webhook",
    "events": ["cliente.*"],
    "secret": SIGNING,
    "headers": {"X-Empresa": HEADER},
    "authentication": {"type": "bearer", "secret": TOKEN},
}


@pytest.fixture
def api() -> Callable[..., Any]:
    _row, bearer = tokens.create(User.objects.create_superuser("root"), "test")
    client = Client(raise_request_exception=False, headers={"authorization": f"Bearer {bearer}"})

    def call(method: str, path: str = "", body: Any = None, **headers: str) -> Any:
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(client, method)(urljoin(API, path), headers=headers, **given)

    call.bearer = bearer  # type: ignore[attr-defined]
    return call


def test_the_api_answers_a_secret_once_and_keeps_no_answer_in_the_open(api: Any) -> None:
    made = api("post", body=BODY, **{"idempotency-key": "abc"})
    assert made.status_code == 201, made.content
    assert made.json()["secret"] == SIGNING
    id = made.json()["id"]
    assert_clean(made.content.decode(), allow="signing")
    assert_clean(
        api("get").content.decode(),
        api("get", f"{id}/").content.decode(),
        api("patch", f"{id}/", {"name": "Loja"}).content.decode(),
        api("patch", f"{id}/", {"headers": {"X-Outro": HEADER}}).content.decode(),
        [list(models.QuerySet(model).values_list()) for model in apps.get_models()],
    )


API_DEEP = [*DEEP, (bodies.Names, "to_internal_value"), (bodies.WebhookBody, "values")]


@pytest.mark.parametrize(("holder", "name"), API_DEEP, ids=[name for _holder, name in API_DEEP])
def test_no_error_report_of_the_api_shows_it(
    api: Any, reports: Any, monkeypatch: pytest.MonkeyPatch, holder: Any, name: str
) -> None:
    webhook = a_secretive_webhook()
    monkeypatch.setattr(holder, name, boom)
    body = {key: value for key, value in BODY.items() if key != "secret"}
    api("post", body=body if name == "generate_secret" else BODY, **{"idempotency-key": "abc"})
    api("patch", f"{webhook.pk}/", body)
    assert any("something broke" in report for report in reports())
    assert_clean(*reports())
    assert all(api.bearer not in report for report in reports())


SIGNED_BY_THE_API = [
    (signing.Key, "sign"),
    (signing.Key, "parse"),
    (signing.Key, "public_text"),
    (directory, "mask_headers"),
    (base64, "b64encode"),
]


@pytest.mark.parametrize(
    ("holder", "name"), SIGNED_BY_THE_API, ids=[name for _holder, name in SIGNED_BY_THE_API]
)
def test_no_error_report_of_a_preview_or_of_keys_shows_it(
    api: Any, reports: Any, monkeypatch: pytest.MonkeyPatch, holder: Any, name: str, kind: str
) -> None:
    webhook = a_secretive_webhook(kind)
    monkeypatch.setattr(holder, name, boom)
    for path in (
        f"../event-types/cliente.criado/preview/?webhook={webhook.pk}",
        f"{webhook.pk}/keys/",
    ):
        assert_clean(api("get", path).content.decode())
    body = {"secret": f"{SIGNING}0", "overlapSeconds": 60}
    assert_clean(
        api("post", f"{webhook.pk}/rotate-secret/", body).content.decode(), allow="signing"
    )
    assert_clean(*reports())


def test_no_answer_of_the_api_shows_it(api: Any, kind: str) -> None:
    with receiver() as (url, _got):
        webhook = a_secretive_webhook(kind, url)
        answers = [api("post", f"{webhook.pk}/test/")]
    owed = Delivery.objects.get()
    for path in (
        f"../event-types/cliente.criado/preview/?webhook={webhook.pk}",
        f"{webhook.pk}/keys/",
        f"{webhook.pk}/health/",
        "../events/",
        f"../events/{owed.event.public_id}/payload/",
        "../deliveries/",
        f"../deliveries/delivery_{owed.pk}/attempts/?payloads=true",
    ):
        answers.append(api("get", path))
    for answer in answers:
        assert answer.status_code == 200, answer.content
        assert_clean(answer.content.decode(), answer.headers)


# --- the worker ----------------------------------------------------------------------------------
BROKEN_SENDING = [
    (transport.Transport, "post"),
    (delivery, "_kept_answer"),
    (signing.Key, "sign"),
    (signing.Key, "parse"),
    (base64, "b64encode"),
    (sealed.json, "loads"),
]


@pytest.mark.parametrize(
    ("holder", "name"), BROKEN_SENDING, ids=[name for _holder, name in BROKEN_SENDING]
)
@pytest.mark.django_db(transaction=True)
def test_no_report_of_a_broken_delivery_shows_it(
    reports: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    holder: Any,
    name: str,
) -> None:
    with receiver() as (url, _got), caplog.at_level(logging.DEBUG):
        for kind in KINDS:
            owed = a_delivery(a_secretive_webhook(kind, url), status=Delivery.Status.PENDING)
            job = queue_on().claim_one(owed.pk, lease=60)
            monkeypatch.setattr(holder, name, boom)
            try:
                direct.deliver_now(owed)
            except Boom:
                report()
            monkeypatch.undo()
    assert_clean(*reports(), caplog.text)
    assert job is not None
    assert_clean(repr(job))


def report() -> None:
    """As a handler of uncaught exceptions would, with every frame's variables but the test's."""
    kind, error, traceback = sys.exc_info()
    assert error is not None and traceback is not None
    error.__traceback__ = traceback.tb_next
    reporter = ExceptionReporter(None, kind, error, traceback.tb_next, is_email=True)
    assert_clean(reporter.get_traceback_html(), reporter.get_traceback_text())


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_sends_logs_and_keeps_none_of_it(
    caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    connection.force_debug_cursor = True
    try:
        with (
            receiver() as (url, got),
            caplog.at_level(logging.DEBUG),
            caplog.at_level(logging.DEBUG, "django"),
        ):
            a_secretive_webhook(kind, url)
            an_event(fanned_out=False)
            engine.Engine().drain()
    finally:
        connection.force_debug_cursor = False
    assert HEADER in str(got)  # it was sent
    assert "django.db.backends" in {record.name for record in caplog.records}
    assert_clean(caplog.text, [record.__dict__ for record in caplog.records])
    assert_clean(everything_kept())


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_echoes_what_it_is_sent_does_not_make_it_seen(kind: str) -> None:
    """Whoever may see answers is not thereby one who may know the secrets."""
    with receiver() as (url, got):
        probe = a_secretive_webhook(kind, url)
        operations.send_test(probe)
        sent = dict(got[0][0])
    echo = json.dumps(sent).encode()
    assert HEADER.encode() in echo
    for body in (echo, f"you are {PASSWORD} {TOKEN} {OWN} ana:{PASSWORD}".encode()):
        with receiver(status=500, body=body) as (url, _got):
            operations.send_test(a_secretive_webhook(kind, url))
    attempt = Attempt.objects.latest("id")
    assert "you are" in attempt.response_body
    # Only what this webhook was sent can be told from any other text.
    mine = {
        "basic": {"password", "as sent"},
        "bearer": {"token"},
        "header": {"own"},
    }[kind] | {"header"}
    kept = everything_kept()
    for name in mine:
        assert PLAIN[name] not in kept


def test_no_attempt_keeps_the_value_of_a_custom_header(kind: str) -> None:
    with receiver() as (url, _got):
        operations.send_test(a_secretive_webhook(kind, url))
    attempt = Attempt.objects.get()
    assert attempt.request_headers["X-Empresa"] == sealed.MASK
    assert attempt.request_headers["X-Webhook-Signature"] != sealed.MASK  # to be compared
    assert_clean(attempt.request_headers)


def everything_kept() -> str:
    return "\n".join(
        str([str(value) for value in row])
        for model in apps.get_app_config("webhooks").get_models()
        for row in models.QuerySet(model).values_list()
    )


def test_a_proxys_password_shows_nowhere(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    for proxy in (f"http://ana:{PASSWORD}@127.0.0.1:9", f"ftp://ana:{PASSWORD}@h", PASSWORD):
        settings.WEBHOOKS = {**settings.WEBHOOKS, "EGRESS_PROXY": proxy}
        assert_clean(*(str(found) + str(found.hint) for found in checks.check_egress_proxy()))
        assert_clean(*(str(found) + str(found.hint) for found in checks.check_settings()))
    settings.WEBHOOKS = {**settings.WEBHOOKS, "EGRESS_PROXY": f"http://ana:{PASSWORD}@127.0.0.1:9"}
    with caplog.at_level(logging.DEBUG):
        attempt = operations.send_test(a_secretive_webhook("bearer"))
    assert attempt.error
    assert_clean(vars(attempt), caplog.text)


@pytest.mark.parametrize(
    "broken", [(sealed, "_fernets"), (sealed, "fernet"), (sealed.json, "loads")]
)
def test_no_report_of_a_secret_that_cannot_be_opened_or_closed_shows_it(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[Any, str]
) -> None:
    """Whoever's code it is: only its own variables are shown."""
    webhook = a_secretive_webhook()
    monkeypatch.setattr(*broken, boom)
    uses: list[Callable[[], Any]] = [
        webhook.auth_secret.reveal,
        webhook.headers.reveal,
        webhook.headers.masked,
        webhook.auth_secret.resealed,
        lambda: setattr(webhook, "auth_secret", TOKEN),
        lambda: operations.update_webhook(webhook, headers={"X-Empresa": HEADER}),
        lambda: operations.rotate_secret(webhook, secret=SIGNING),
    ]
    failed = 0
    for use in uses:
        try:
            use()
        except Boom:
            failed += 1
            report()
    assert failed


# --- commands, dumps, exceptions -----------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_no_command_prints_it(kind: str) -> None:
    def output(name: str, *options: str) -> str:
        out = StringIO()
        try:
            call_command(name, *options, stdout=out, stderr=out)
        except (CommandError, SystemExit) as error:
            out.write(str(error))
        return out.getvalue()

    with receiver(status=500) as (url, _got):
        webhook = a_secretive_webhook(kind, url)
        shown = [
            output("webhooks_test", str(webhook.pk)),
            output("webhooks_test", str(webhook.pk), "--dry-run"),
            output("webhooks_status"),
            output("webhooks_status", "--json"),
            output("webhooks_replay", "--dry-run", "--status", "all"),
            output("webhooks_rotate_keys", "--check"),
            output("webhooks_rotate_keys"),
            output("webhooks_prune", "--dry-run"),
            output("webhooks_forget", "--subject", "cliente_1", "--dry-run"),
            output("check"),
            output("dumpdata", "webhooks", "--format", "json"),
            output("dumpdata", "webhooks", "--format", "xml"),
        ]
    assert "ERP" in shown[2]
    assert "sealed:" in shown[-1]
    assert_clean(*shown)


def test_what_was_dumped_is_loaded_only_with_the_same_keys(settings: Any, tmp_path: Any) -> None:
    webhook = a_secretive_webhook()
    fixture = tmp_path / "webhooks.json"
    with fixture.open("w") as out:
        call_command("dumpdata", "webhooks", stdout=out)
    Webhook.all_objects.filter(pk=webhook.pk).delete()
    call_command("loaddata", str(fixture), verbosity=0)
    assert Webhook.objects.get().auth_secret.reveal() == PASSWORD
    from cryptography.fernet import Fernet

    other = Fernet.generate_key().decode()
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ENCRYPTION_KEYS": [other]}
    with pytest.raises(sealed.SecretUnreadable) as caught:
        Webhook.objects.get().auth_secret.reveal()
    assert_clean(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"secret": f"{SIGNING}\n"},
        {"secret": SIGNING * 20},
        {"secret": f"whsec_{SIGNING}"},
        {"secret": f"whsk_{SIGNING}", "algorithm": "ed25519"},
        {"headers": {"X-Empresa": f"{HEADER}\r\nX-Outro: 1"}},
        {"headers": {"X-Empresa": HEADER * 200}},
        {"headers": {"Host": HEADER}},
        {"headers": [HEADER]},
        {"auth_type": "bearer", "auth_secret": f"{TOKEN}\n"},
        {"auth_type": "bearer", "auth_secret": TOKEN * 200},
        {"auth_type": "basic", "auth_secret": PASSWORD},
        {"auth_type": "senha", "auth_secret": PASSWORD},
    ],
    ids=str,
)
def test_no_refusal_repeats_it(given: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, TypeError)) as caught:
        operations.create_webhook(name="ERP", url=NOBODY, events=["*"], **given)
    error: BaseException | None = caught.value
    while error is not None:  # and what a traceback prints of its causes
        assert_clean(str(error), repr(error), error.args)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("algorithm", signing.ALGORITHMS)
def test_no_refused_key_repeats_it(algorithm: str) -> None:
    for secret in (SIGNING, f"whsec_{SIGNING}!", f"whsk_{SIGNING}", f"-----BEGIN {SIGNING}-----"):
        try:
            signing.Key.parse(algorithm, secret)
        except signing.InvalidSecret as caught:
            error: BaseException | None = caught
            while error is not None:
                assert_clean(str(error), repr(error))
                error = error.__cause__ or (
                    None if error.__suppress_context__ else error.__context__
                )


@pytest.mark.parametrize("name", ["add_key", "make_secret"])
def test_no_error_report_shows_a_private_key(
    api: Any, reports: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of a webhook of two pairs: making the second fails, the first is in a variable somewhere."""
    real, called = getattr(operations.webhooks, name), itertools.count(1)

    @sensitive_variables()
    def fails(*args: Any) -> Any:
        if next(called) == 2:
            raise Boom
        return real(*args)

    monkeypatch.setattr(operations.webhooks, name, fails)
    body = {"name": "x", "url": NOBODY, "events": ["*"], "format": "lead-connector"}
    assert api("post", body=body).status_code == 500
    shown = "".join(reports())
    assert "Boom" in shown
    assert "BEGIN PRIVATE" not in shown
    assert "whsk_" not in shown


def test_a_webhook_that_was_deleted_keeps_nothing_to_be_opened(kind: str) -> None:
    webhook = a_secretive_webhook(kind)
    operations.delete_webhook(webhook)
    gone = Webhook.all_objects.get(pk=webhook.pk)
    assert (gone.auth_secret.token, gone.headers.token) == ("", "")
    assert not SigningKey.objects.filter(webhook=webhook).exists()


def test_the_project_hides_more_of_its_settings_than_django_does() -> None:
    assert django_settings.DEFAULT_EXCEPTION_REPORTER_FILTER == "webhooks.reports.ReporterFilter"
