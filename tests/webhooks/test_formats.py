"""What goes over the wire in each format."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from standardwebhooks import Webhook as StandardWebhooksLibrary

from webhooks import exactjson, formats
from webhooks.formats.base import Message
from webhooks.signing import Key, generate_secret, verify_hex, verify_standard

NOON = dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)
SENT = dt.datetime(2024, 1, 1, 10, 5, 0, 600_000, tzinfo=dt.UTC)
DATA = {"id": "cliente_123", "nome": "João 🎉\u2028", "n": 1.5, "vazio": None, "lista": [1, "é"]}
BODY = exactjson.dumps({"event": "cliente.criado", "timestamp": NOON, "data": DATA})
OLD, NEW, OTHER = "the-old-shared-secret", generate_secret(), "another-secret-entirely"
HMAC_OLD, HMAC_NEW = (Key.parse("hmac-sha256", secret) for secret in (OLD, NEW))


def a_message(**values: Any) -> Message:
    return Message(
        **{
            "id": "evt_018cc251f4007000800000000000abcd",
            "type": "cliente.criado",
            "sequence": 3,
            "occurred_at": NOON,
            "default_body": BODY,
            "attempt": 1,
            "sent_at": SENT,
            "webhook_id": "018cc251-f400-7000-8000-000000000000",
            **values,
        }
    )


def sent(format_name: str, keys: list[Key], **values: Any) -> tuple[bytes, dict[str, str]]:
    format, message = formats.get(format_name), a_message(**values)
    body = format.body(message).encode()
    return body, format.headers(message, body, keys)


def test_the_default_format_sends_the_frozen_body_and_every_header_that_the_seed_names():
    body, headers = sent("sistema-crm", [HMAC_NEW])
    assert body.decode() == BODY
    assert list(headers) == [
        "X-Webhook-Event",
        "X-Webhook-Id",
        "X-Webhook-Attempt",
        "X-Webhook-Sequence",
        "X-Webhook-Signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ]
    assert headers["X-Webhook-Event"] == "cliente.criado"
    assert headers["X-Webhook-Id"] == headers["webhook-id"] == a_message().id
    assert headers["X-Webhook-Attempt"] == "1"
    assert headers["X-Webhook-Sequence"] == "3"
    assert headers["webhook-timestamp"] == str(int(SENT.timestamp()))
    assert verify_hex(NEW, body, headers["X-Webhook-Signature"])
    assert verify_standard(NEW, headers, body, now=SENT.timestamp())
    assert not verify_hex(OTHER, body, headers["X-Webhook-Signature"])


def test_an_event_about_no_object_has_no_place_in_a_sequence():
    _body, headers = sent("sistema-crm", [HMAC_NEW], sequence=0)
    assert "X-Webhook-Sequence" not in headers


def test_during_a_rotation_the_single_signature_takes_turns_beginning_with_the_newest():
    by_attempt = {}
    for attempt in range(1, 5):
        body, headers = sent("sistema-crm", [HMAC_NEW, HMAC_OLD], attempt=attempt)
        by_attempt[attempt] = [
            name
            for name, secret in (("new", NEW), ("old", OLD))
            if verify_hex(secret, body, headers["X-Webhook-Signature"])
        ]
        # Standard Webhooks has room for both at once.
        assert verify_standard(NEW, headers, body, now=SENT.timestamp())
        assert verify_standard(OLD, headers, body, now=SENT.timestamp())
    assert by_attempt == {1: ["new"], 2: ["old"], 3: ["new"], 4: ["old"]}


def test_with_only_a_key_pair_there_is_no_shared_secrets_signature():
    private = Key.parse("ed25519", generate_secret("ed25519"))
    body, headers = sent("sistema-crm", [private])
    assert "X-Webhook-Signature" not in headers
    assert headers["webhook-signature"].startswith("v1a,")
    assert verify_standard(private.public_text() or "", headers, body, now=SENT.timestamp())


def test_both_kinds_of_keys_sign_side_by_side():
    private = Key.parse("ed25519", generate_secret("ed25519"))
    body, headers = sent("sistema-crm", [private, HMAC_NEW])
    assert verify_hex(NEW, body, headers["X-Webhook-Signature"])
    assert [each.split(",")[0] for each in headers["webhook-signature"].split()] == ["v1a", "v1"]


@pytest.mark.parametrize("name", [each.name for each in formats.all_formats()])
def test_without_a_key_the_event_is_sent_unsigned(name):
    _body, headers = sent(name, [])
    assert not [header for header in headers if "signature" in header.lower()]
    assert headers["webhook-id"] == a_message().id


def test_standard_webhooks_tells_type_time_and_data_and_the_reference_library_verifies_it():
    body, headers = sent("standard-webhooks", [HMAC_NEW], sent_at=dt.datetime.now(dt.UTC))
    told = json.loads(body)
    assert list(told) == ["type", "timestamp", "data"]
    assert told == {"type": "cliente.criado", "timestamp": "2024-01-01T10:00:00Z", "data": DATA}
    assert list(headers) == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    assert StandardWebhooksLibrary(NEW).verify(body.decode(), headers) == told


def test_a_body_told_anew_is_as_exact_as_the_frozen_one():
    body, _headers = sent("standard-webhooks", [])
    assert exactjson.dumps(json.loads(body)).encode() == body


@pytest.mark.parametrize("name", [each.name for each in formats.all_formats()])
def test_every_format_is_complete_and_takes_any_2xx_or_fewer_and_nothing_else(name):
    format = formats.get(name)
    assert str(format.label)
    assert str(format.description)
    assert format.tells("cliente.criado")
    taken = [status for status in range(100, 600) if format.accepts(status)]
    assert taken == ([200] if name == "freshmarketer" else list(range(200, 300)))


@pytest.mark.parametrize("name", [each.name for each in formats.all_formats()])
def test_the_names_of_a_formats_headers_cannot_be_taken_by_users(name):
    from webhooks.headers import HeadersRefused, check_headers

    _body, headers = sent(name, [HMAC_NEW])
    for header in [*headers, "Content-Type"]:
        for spelling in (header, header.lower(), header.upper(), header.replace("-", "_")):
            with pytest.raises(HeadersRefused):
                check_headers({spelling: "x"})


def test_an_unknown_format_is_refused_with_the_known_ones_named():
    with pytest.raises(formats.UnknownFormatError, match=r"'xml'.*sistema-crm"):
        formats.get("xml")
