"""One attempt: what is sent, and what is remembered of everything that can come of it."""

from __future__ import annotations

import datetime as dt
import math
import socket
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from django.utils import timezone

from webhooks import delivery, formats
from webhooks.directory import Receiver as Target
from webhooks.directory import receiver_of
from webhooks.egress import transport as make_transport
from webhooks.formats.base import Format, Message
from webhooks.headers import MASK
from webhooks.models import Attempt, Delivery, SigningKey, Webhook
from webhooks.queue import Job, Result
from webhooks.sealed import Sealed
from webhooks.signing import generate_secret
from webhooks.testing import Answer, Receiver
from webhooks.transport import Answer as Came
from webhooks.transport import Transport, TransportError

ID = UUID("018cc251-f400-7000-8000-00000000abcd")
BODY = '{"event":"cliente.criado","timestamp":"2024-01-01T10:00:00Z","data":{"nome":"João"}}'
SECRET = "a-secret-for-tests-only"
LOST = "b3V0cmEtY2hhdmUtZGUtdGVzdGUtMzItYnl0ZXMtLS0="


def a_job(**values: Any) -> Job:
    return Job(
        **{
            "delivery_id": 1,
            "webhook_id": ID,
            "event_id": ID,
            "fence": 1,
            "attempt_count": 0,
            "schedule_position": 0,
            "lane": 0,
            "event_type": "cliente.criado",
            "sequence": 1,
            "occurred_at": dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC),
            "body": BODY,
            **values,
        }
    )


def a_target(url: str = "http://127.0.0.1:9/", *, secret: str = SECRET, **values: Any) -> Target:
    """A webhook that is in no database."""
    webhook = Webhook(id=ID, name="ERP", url=url, events=["*"], **values)
    return receiver_of(webhook, [SigningKey(secret=secret)] if secret else [])


class Canned(Transport):
    """Stands for answers that no socket of ours can give."""

    def __init__(self, outcome: Came | Exception) -> None:
        self.outcome = outcome
        self.sent: list[tuple[str, bytes, dict[str, str], float]] = []

    def post(self, url: str, body: bytes, headers: Any, *, timeout: float) -> Came:
        self.sent.append((url, body, dict(headers), timeout))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def close(self) -> None:
        pass


def came(status: int = 200, headers: dict[str, str] | None = None, body: bytes = b"ok") -> Canned:
    return Canned(Came(status=status, headers=headers or {}, body=body, truncated=False))


def attempt(target: Target, transport: Transport | None = None, **job: Any) -> Result:
    own = transport is None
    transport = transport or make_transport()
    try:
        return delivery.attempt(a_job(**job), target, transport)
    finally:
        if own:
            transport.close()


# --- what is sent -----------------------------------------------------------------------------


def test_a_request_is_signed_sent_and_remembered():
    with Receiver(secrets=[SECRET]) as receiver:
        result = attempt(a_target(receiver.url, headers={"X-Mine": "1"}), attempt_count=2)
        [request] = receiver.requests
    assert request.verified
    assert request.body.decode() == BODY
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Mine"] == "1"
    assert (request.event, request.attempt) == ("cliente.criado", "3")
    assert request.id == f"evt_{ID.hex}"
    assert result.status == Delivery.Status.DELIVERED
    kept = result.attempt
    assert kept["number"] == 3
    assert kept["url"] == receiver.url
    assert kept["status_code"] == 200
    assert kept["error"] == kept["error_detail"] == ""
    assert kept["request_body"] is None  # it is the event's own
    assert "Webhook recebido" in kept["response_body"]
    assert kept["request_headers"]["X-Webhook-Signature"].startswith("sha256=")
    assert abs(kept["started_at"] - timezone.now()) < dt.timedelta(minutes=1)
    assert set(kept) == {
        field.attname
        for field in Attempt._meta.concrete_fields
        if field.attname not in {"id", "delivery_id", "superseded"}
    }


def test_what_differs_from_the_events_own_body_is_remembered():
    transport = came()
    result = attempt(a_target(format="standard-webhooks"), transport)
    assert result.attempt["request_body"] == transport.sent[0][1].decode()
    assert '"type":"cliente.criado"' in result.attempt["request_body"]


@pytest.mark.parametrize(
    "secret",
    [
        {"auth_type": "basic", "auth_username": "ana", "auth_secret": "s3nha-muito-secreta"},
        {"auth_type": "bearer", "auth_secret": "s3nha-muito-secreta"},
        {
            "auth_type": "header",
            "auth_header_name": "X-Entry",
            "auth_secret": "s3nha-muito-secreta",
        },
        {"headers": {"X-Api-Key": "s3nha-muito-secreta"}},
        {"headers": {"Cookie": "s3nha-muito-secreta"}},
    ],
)
def test_secrets_are_sent_and_never_remembered(secret):
    transport = came(headers={"set-cookie": "sessao-muito-secreta", "server": "x"})
    result = attempt(a_target(**secret), transport)
    assert len(transport.sent[0][2]) > 6
    remembered = str(result.attempt)
    assert "muito-secreta" not in remembered
    assert SECRET not in remembered
    assert "s3nha" not in repr(result)
    assert MASK in remembered
    assert result.attempt["response_headers"] == {"set-cookie": MASK, "server": "x"}


def test_the_webhooks_own_timeout_is_the_attempts():
    transport = came()
    attempt(a_target(timeout_seconds=1.5), transport)
    attempt(a_target(), transport)
    assert [timeout for *_others, timeout in transport.sent] == [1.5, 5.0]


# --- what comes of it -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success(status):
    result = attempt(a_target(), came(status))
    assert (result.status, result.delay) == (Delivery.Status.DELIVERED, None)
    assert not delivery.is_slow(result)


@pytest.mark.parametrize(
    ("status", "error"),
    [(301, "redirect"), (304, "redirect"), (400, "status"), (404, "status"), (500, "status")],
)
def test_anything_else_is_a_failure_and_is_tried_again(status, error):
    result = attempt(a_target(), came(status, {"location": "http://elsewhere/"}, b"no"))
    assert (result.status, result.delay) == (Delivery.Status.PENDING, 60.0)
    assert (result.attempt["error"], result.attempt["status_code"]) == (error, status)
    assert result.attempt["response_body"] == "no"


def test_the_seeds_schedule_is_kept_and_then_it_has_failed():
    delays = [
        attempt(a_target(), came(500), schedule_position=position).delay for position in range(5)
    ]
    assert delays == [60.0, 300.0, 900.0, 3600.0, None]
    last = attempt(a_target(), came(500), schedule_position=4, attempt_count=90)
    assert last.status == Delivery.Status.FAILED
    assert last.attempt["number"] == 91


def test_a_webhooks_own_schedule_counts_for_it():
    target = a_target(retry_schedule=[0, 7])
    assert attempt(target, came(500)).delay == 7.0
    assert attempt(target, came(500), schedule_position=1).status == Delivery.Status.FAILED


@override_settings(WEBHOOKS={"RETRY_JITTER": 0.5, "RETRY_SCHEDULE_SECONDS": [0, 100]})
def test_jitter_spreads_the_tries_and_never_makes_one_early():
    delays = {attempt(a_target(secret=""), came(500)).delay for _ in range(30)}
    assert len(delays) > 20
    assert all(100 <= delay <= 150 for delay in delays)


@pytest.mark.parametrize(
    ("header", "delay"),
    [
        ("120", 120.0),
        ("5", 60.0),  # never sooner than the schedule
        ("999999999", 86_400.0),
        ("-5", 60.0),
        ("soon", 60.0),
        ("\x00", 60.0),
        ("9" * 5_000, 60.0),
    ],
)
def test_a_receiver_may_ask_for_more_time_within_bounds(header, delay):
    for name in ("Retry-After", "retry-after"):
        result = attempt(a_target(), came(503, {name: header}))
        assert result.delay == delay


def test_a_receiver_that_is_gone_is_not_tried_again():
    result = attempt(a_target(format="standard-webhooks"), came(410))
    assert (result.status, result.gone) == (Delivery.Status.FAILED, True)
    result = attempt(a_target(), came(410))  # seed 004 knows no such thing
    assert (result.status, result.gone) == (Delivery.Status.PENDING, False)


@pytest.mark.parametrize("kind", ["dns", "connect", "tls", "timeout", "protocol", "blocked"])
def test_every_failure_of_the_transport_is_remembered_by_its_kind(kind):
    result = attempt(a_target(), Canned(TransportError(kind, "it was \x00 so" + "x" * 900)))
    assert (result.status, result.delay) == (Delivery.Status.PENDING, 60.0)
    kept = result.attempt
    assert kept["error"] == kind
    assert "\x00" not in kept["error_detail"]
    assert len(kept["error_detail"]) <= 500
    assert (kept["status_code"], kept["response_headers"], kept["response_body"]) == (None, {}, "")
    # Those that keep a slot busy, or that do not answer at all, are served apart from the rest.
    assert delivery.is_slow(result) == (kind != "blocked")


def test_the_same_over_real_sockets():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        assert attempt(a_target(closed)).attempt["error"] == "connect"
    assert attempt(a_target("http://no-such-name.invalid/")).attempt["error"] in {"dns", "blocked"}
    assert attempt(a_target("http://10.0.0.1/")).attempt["error"] == "blocked"
    assert attempt(a_target("not a url")).attempt["error"] == "blocked"
    with Receiver(Answer(delay=math.inf)) as receiver:
        result = attempt(a_target(receiver.url, timeout_seconds=0.2))
        assert result.attempt["error"] == "timeout"
        assert 150 <= result.attempt["duration_ms"] < 30_000
        tls = attempt(a_target(receiver.url.replace("http:", "https:"), timeout_seconds=50))
        assert tls.attempt["error"] == "tls"


@override_settings(WEBHOOKS={"SUSPECT_AFTER_SECONDS": 0.05})
def test_a_success_that_took_long_makes_a_suspect():
    with (
        Receiver(Answer(delay=0.2)) as receiver,
        override_settings(
            WEBHOOKS={
                "SUSPECT_AFTER_SECONDS": 0.05,
                "ALLOWED_NETWORKS": ["127.0.0.0/8"],
                "REQUIRE_HTTPS": False,
            }
        ),
    ):
        result = attempt(a_target(receiver.url, secret=""))
    assert result.status == Delivery.Status.DELIVERED
    assert delivery.is_slow(result)


# --- what cannot be stored, or must not be ----------------------------------------------------


def test_answers_are_kept_so_that_every_database_takes_them():
    body = b"a\x00b" + b"\xff\xfe" + "ção".encode()
    headers = {"x\x00": "v\x00", "y": "\udcff"}
    kept = attempt(a_target(), came(200, headers, body)).attempt
    text = str(kept["response_headers"]) + kept["response_body"]
    assert "\x00" not in text
    text.encode()  # no lone surrogates
    assert "ção" in kept["response_body"]


def test_of_an_answers_headers_only_so_much_is_kept():
    headers = {f"x-{number}": "v" * 1_000 for number in range(100)}
    kept = attempt(a_target(), came(200, headers)).attempt["response_headers"]
    assert 5 <= len(kept) <= 9


def test_a_webhook_may_ask_that_bodies_are_not_kept():
    kept = attempt(a_target(keep_responses=False), came(500, {"server": "x"}, b"private")).attempt
    assert (kept["response_body"], kept["response_truncated"]) == ("", True)
    assert kept["response_headers"] == {"server": "x"}
    assert kept["status_code"] == 500


# --- what is wrong on our side ----------------------------------------------------------------


@pytest.mark.parametrize("keys", [[LOST], []], ids=["lost", "none"])
def test_a_lost_key_becomes_an_attempt_that_says_so(keys):
    target, transport = a_target(headers={"X-Mine": "1"}), came()
    with override_settings(WEBHOOKS={"ENCRYPTION_KEYS": keys}):
        result = attempt(target, transport)
    assert transport.sent == []
    assert result.attempt["error"] == "format"
    assert "ENCRYPTION_KEYS" in result.attempt["error_detail"]
    assert (result.status, result.delay) == (Delivery.Status.PENDING, 60.0)


def test_a_secret_that_is_none_is_told_and_not_shown():
    target = receiver_of(
        Webhook(id=ID, url="http://127.0.0.1:9/"),
        [SigningKey(algorithm="ed25519", secret=Sealed.seal("whsk_but-not-really"))],
    )
    result = attempt(target, came())
    assert result.attempt["error"] == "format"
    assert "not-really" not in str(result.attempt)


def test_a_format_that_is_no_more_is_told_by_name():
    result = attempt(a_target(format="of-another-release"), came())
    assert result.attempt["error"] == "format"
    assert "of-another-release" in result.attempt["error_detail"]


class Broken(Format):
    name = "broken"
    label = description = ""
    where = ""

    def body(self, message: Message) -> str:
        if self.where == "body":
            raise KeyError("a secret value")
        return "{}"

    def headers(self, message: Message, body: bytes, keys: Any) -> dict[str, str]:
        if self.where == "headers":
            raise ZeroDivisionError
        return {}

    def accepts(self, status: int) -> bool:
        if self.where == "accepts":
            raise RuntimeError("a secret value")
        return status == 200

    def is_gone(self, status: int) -> bool:
        if self.where == "is_gone":
            raise RuntimeError
        return False


@pytest.mark.parametrize("where", ["body", "headers", "accepts", "is_gone"])
def test_a_bug_in_a_format_becomes_an_attempt_and_never_an_error(monkeypatch, caplog, where):
    broken = Broken()
    broken.where = where
    monkeypatch.setitem(formats._FORMATS, "broken", broken)
    result = attempt(a_target(format="broken"), came(500))
    assert result.attempt["error"] == "internal"
    assert "secret value" not in str(result.attempt)
    assert (result.status, result.delay) == (Delivery.Status.PENDING, 60.0)
    assert "Traceback" in caplog.text
    last = attempt(a_target(format="broken"), came(500), schedule_position=4)
    assert last.status == Delivery.Status.FAILED


def test_a_bug_in_the_transport_becomes_one_too(caplog):
    result = attempt(a_target(), Canned(RuntimeError("a secret value")))
    assert (result.attempt["error"], result.attempt["error_detail"]) == ("internal", "RuntimeError")
    assert "could not be attempted" in caplog.text


# --- what a batch says of receivers -----------------------------------------------------------


def test_a_batch_is_summed_up_for_each_receiver():
    other = UUID(int=7)
    results = [
        attempt(a_target(), came(500)),
        attempt(a_target(), came(429, {"retry-after": "9"})),
        attempt(a_target(), came(503, {"retry-after": "3"})),
        attempt(a_target(), came(200), webhook_id=other),
        Result(a_job(webhook_id=UUID(int=8)), Delivery.Status.CANCELLED),
    ]
    pulses = delivery.pulses(results)
    assert set(pulses) == {ID, other}
    assert (pulses[ID].attempts, pulses[ID].failures, pulses[ID].overloaded) == (3, 3, 2)
    assert pulses[ID].retry_after == 9.0
    assert not pulses[ID].well
    assert pulses[other].well


def test_new_secrets_are_made_for_every_algorithm_that_a_format_has():
    for each in formats.all_formats():
        for algorithm in each.algorithms:
            target = receiver_of(
                Webhook(id=ID, url="http://127.0.0.1:9/", format=each.name),
                [SigningKey(algorithm=algorithm, secret=generate_secret(algorithm))],
            )
            assert attempt(target, came()).status == Delivery.Status.DELIVERED
