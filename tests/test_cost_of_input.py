"""What comes from outside costs in proportion to its length, whoever reads it."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import io
import json
import socket
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.test import Client, RequestFactory
from rest_framework.request import Request

from api_common import etags, filters, moments, tokens
from api_common.pagination import Cursor
from api_common.parsers import JSONParser
from api_common.problems import Problem
from clientes import documents, phones
from clientes.forms import CustomFieldsField, TagsField
from clientes.validators import validate_custom_fields, validate_tags
from crm_common import public_ids
from tests.cost import assert_linear
from tests.crm import make_cliente
from webhooks import (
    addresses,
    exactjson,
    formats,
    headers,
    indented,
    patterns,
    placeholders,
    received,
    retry,
    signing,
)
from webhooks.admin import filters as admin_filters
from webhooks.admin import presentation
from webhooks.admin.form_fields import HeadersField, ListField, PairsField, ScheduleField
from webhooks.api import lookups, rd_station
from webhooks.formfields import SealedJSONFormField
from webhooks.management import arguments
from webhooks.operations import options
from webhooks.receiver import Receiver
from webhooks.transport import answers
from webhooks.transport.channel import TransportError

pytestmark = pytest.mark.django_db

SIZE = 20_000  # characters, or what comes near it

REFUSALS = (
    ArgumentTypeError,
    IncorrectLookupParameters,
    HTTPException,
    Problem,
    RecursionError,
    TransportError,
    ValidationError,
    ValueError,  # also AddressRefused, HeadersRefused, NotExact, InvalidSecret …
    signing.VerificationError,
)
NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


# --- what is sent -----------------------------------------------------------------------------
def digits(size: int) -> str:
    return "1" * size


def letters(size: int) -> str:
    return "a" * size


def spaces(size: int) -> str:
    return "a" + " " * size + "a"


def accents(size: int) -> str:
    return "é" * size


def quotes(size: int) -> str:
    return '"' * size


def commas(size: int) -> str:
    return "a," * (size // 2)


def dots(size: int) -> str:
    return "a." * (size // 2)


def slashes(size: int) -> str:
    return "/" * size


def semicolons(size: int) -> str:
    return 'a;"' * (size // 3)


def braces(size: int) -> str:
    return "{{ a" * (size // 4)


def brackets(size: int) -> str:
    return "[" * size


def signatures(size: int) -> str:
    return "v1,YQ== " * (size // 8)


def tags(size: int) -> str:
    return 'W/"a", ' * (size // 7)


TEXTS: list[Callable[[int], str]] = [
    digits,
    letters,
    spaces,
    accents,
    quotes,
    commas,
    dots,
    slashes,
    semicolons,
    braces,
    brackets,
    signatures,
    tags,
]


def _many_keys(size: int) -> str:
    return "{" + ",".join(f'"k{number}":1' for number in range(size // 10)) + "}"


def _key_twice(size: int) -> str:
    keys = [f'"k{number}":1' for number in range(size // 10)]
    return "{" + ",".join([*keys, keys[-1]]) + "}"


def _one_key(size: int) -> str:
    return "{" + ",".join(['"k":1'] * (size // 6)) + "}"


BODIES: dict[str, Callable[[int], str]] = {
    "many keys": _many_keys,
    "the last key twice": _key_twice,
    "one key": _one_key,
    "objects with a key twice": lambda size: "[" + ",".join(['{"a":1}'] * (size // 8)) + "]",
    "a long text": lambda size: json.dumps(letters(size)),
    "a long text of accents": lambda size: json.dumps(accents(size)),
    "halves of pairs": lambda size: '"' + "\\ud800" * (size // 6) + '"',
    "escapes": lambda size: '"' + "\\n" * (size // 2) + '"',
    "a long number": digits,
    "a long fraction": lambda size: "0." + digits(size),
    "long numbers": lambda size: "[" + ",".join([digits(4_000)] * (size // 4_000)) + "]",
    "an exponent": lambda size: "1e" + digits(size),
    "brackets": brackets,
    "levels": lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
    "lists": lambda size: "[" + ",".join(["[]"] * (size // 3)) + "]",
    "spaces": lambda size: "{" + " " * size + "}",
}


# --- who reads it -----------------------------------------------------------------------------
def _request(**given: str) -> Request:
    request = RequestFactory().get("/", headers=given)
    return Request(request)


def _parse_query(text: str) -> None:
    QueryDict(text)
    QueryDict(f"a={text}")


def _filter_choices(text: str) -> Any:
    field = filters.ChoicesField(choices=[("a", "a"), ("b", "b")])
    return field.clean(text)


def _read_head(text: str) -> Any:
    lines = io.BytesIO(f"{text}: a\r\na: {text}\r\n {text}\r\n\r\n".encode())
    return answers._read_fields(lines)


def _read_folded(text: str) -> Any:
    pieces = [text[at : at + 100] for at in range(0, len(text), 100)]
    return answers._read_fields(io.BytesIO(b"a: b\r\n" + "\r\n ".join(pieces).encode()))


def _verify(text: str) -> Any:
    given = {"webhook-id": "a", "webhook-timestamp": "1704103200", "webhook-signature": text}
    secrets = ["s" * 20, signing.generate_secret()]
    return received.verify(secrets, given | {"X-Webhook-Signature": text}, b"{}", now=1704103200)


def _options(text: str) -> None:
    for format in formats.all_formats():
        for name in format.options:
            for value in (text, [text], list(text), {text: text}, dict.fromkeys(text, text)):
                with contextlib.suppress(ValidationError):
                    options.clean_options(format, {name: value})
            with contextlib.suppress(ValidationError):
                options.clean_options(format, {name: [{"a": n} for n in range(len(text) // 10)]})


READERS: dict[str, Callable[[str], Any]] = {
    "moment": moments.parse,
    "cursor": Cursor.parse,
    "cursor in base64": lambda text: Cursor.parse(base64.b64encode(text.encode()).decode()),
    "choices": _filter_choices,
    "If-Match": lambda text: etags.check_if_match(_request(if_match=text), {}),
    "If-None-Match": lambda text: etags.not_modified(_request(if_none_match=text), "a"),
    "query": _parse_query,
    "public id": public_ids.parse,
    "phone": phones.normalize,
    "phone as stored": lambda text: phones.normalize(text, strict=False),
    "phone shown": phones.formatted,
    "document": documents.normalize,
    "tags": lambda text: TagsField().clean(text),
    "tag": lambda text: validate_tags([text]),
    "list of tags": lambda text: validate_tags(list(text)),
    "custom fields": lambda text: CustomFieldsField().clean(text),
    "custom field": lambda text: validate_custom_fields({text: text}),
    "sealed object": lambda text: SealedJSONFormField().clean(text),
    "lines of headers": lambda text: HeadersField().clean(_pairs(text)),
    "lines of pairs": lambda text: PairsField().clean(_pairs(text)),
    "lines": lambda text: ListField().clean(text.replace("a", "\n")),
    "schedule as written": lambda text: ScheduleField().clean(text),
    "header": lambda text: headers.check_headers({text: text}),
    "header's value": lambda text: headers.check_headers({"X-A": text}),
    "headers": lambda text: headers.check_headers({f"X-{n}": each for n, each in enumerate(text)}),
    "headers shown": lambda text: headers.mask_headers({text: text}),
    "harmless header": lambda text: [headers.is_harmless(n, text) for n in headers._HARMLESS],
    "pattern": patterns.check,
    "patterns": lambda text: patterns.wants(text.split("."), "cliente.criado"),
    "address": lambda text: addresses.check_url(f"https://{text}", addresses.Policy()),
    "path": lambda text: addresses.check_url(f"https://a.com/{text}", addresses.Policy()),
    "address shown": lambda text: addresses.shown_address(f"https://a?{text}&a={text}"),
    "placeholders": lambda text: placeholders.fill(text, lambda name: name),
    "placeholders of an address": lambda text: placeholders.fill_address(
        f"https://a.com/{text}?{text}", lambda name: name
    ),
    "placeholder's name": lambda text: placeholders.found_in({"a": {"a": "b"}}, text),
    "Retry-After": lambda text: retry.parse_retry_after(text, NOW),
    "schedule": lambda text: retry.validate_schedule(list(text)),
    "duration": arguments.duration,
    "since": arguments.since,
    "count": arguments.positive,
    "secret": lambda text: [signing.Key.parse(each, text) for each in signing.ALGORITHMS],
    "secret in base64": lambda text: signing.Key.parse("hmac-sha256", f"whsec_{text}"),
    "key in base64": lambda text: signing.Key.parse("ed25519", f"whsk_{text}"),
    "key in PEM": lambda text: signing.Key.parse("rsa-sha256", _pem(text)),
    "signature": _verify,
    "head of an answer": _read_head,
    "folded head": _read_folded,
    "length of an answer": answers._length,
    "JSON shown": presentation.pretty,
    "JSON masked": presentation.masked,
    "numbers in a list's address": admin_filters.numbers,
    "day in a list's address": admin_filters.day_begins,
    "event's id": lookups.event_id,
    "delivery's id": lookups.delivery_id,
    "webhook's id": lookups.webhook_id,
    "RD Station's body": lambda text: rd_station.read({text: text, "event_type": text}),
    "RD Station's identifiers": lambda text: rd_station.read({"event_identifiers": list(text)}),
    "RD Station's relations": lambda text: rd_station.read({"include_relations": list(text)}),
    "options": lambda text: _options(text[: len(text) // 10]),
    "exact text": exactjson.dumps,
    "exact keys": lambda text: exactjson.dumps({f"k{n}": each for n, each in enumerate(text)}),
    "indented": lambda text: indented.indented({"a": list(text)}, of=len(text)),
}


def _pairs(text: str) -> str:
    return "\n".join(f"k{number}: {each}" for number, each in enumerate(text[::10]))


def _pem(text: str) -> str:
    middle = base64.b64encode(text.encode()).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{middle}\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("reader", READERS)
def test_a_text_costs_in_proportion_to_its_length(reader: str) -> None:
    for text in TEXTS:
        assert_linear(_reading(text, READERS[reader]), SIZE, text.__name__)


def _reading(
    make: Callable[[int], str], read: Callable[[str], Any]
) -> Callable[[int], Callable[[], None]]:
    def work(size: int) -> Callable[[], None]:
        given = make(size)

        def run() -> None:
            with contextlib.suppress(*REFUSALS):
                read(given)

        return run

    return work


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "read",
    [
        lambda text: JSONParser().parse(io.BytesIO(text.encode())),
        lambda text: exactjson.dumps(json.loads(text)),
        lambda text: CustomFieldsField().clean(text),
        lambda text: SealedJSONFormField().clean(text),
        presentation.pretty,
        presentation.masked,
    ],
    ids=["API", "event", "form", "sealed form", "shown", "masked"],
)
def test_json_costs_in_proportion_to_its_length(body: str, read: Callable[[str], Any]) -> None:
    assert_linear(_reading(BODIES[body], read), SIZE)


# --- over HTTP --------------------------------------------------------------------------------
HEADERS = [
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "cookie",
    "idempotency-key",
    "if-match",
    "if-none-match",
]
HEADER_SIZE = 6_000  # ten times of it is more than servers take


@pytest.fixture
def token(db: None) -> str:
    _token, text = tokens.create(User.objects.create_superuser("root"), "test")
    return text


def _asking(token: str, method: str, path: str, body: str = "", **given: str) -> Callable[[], None]:
    client = Client()
    given = {"authorization": f"Bearer {token}", "accept-language": "en", **given}
    kind = given.pop("content-type", "application/json")
    path = path if path.startswith("/") else f"/api/v1/{path}"
    return lambda: client.generic(method, path, body, kind, headers=given)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_costs_in_proportion_to_its_length(header: str, token: str) -> None:
    path = f"clientes/{make_cliente().public_id}/"
    for text in (letters, commas, quotes, semicolons, tags):

        def work(size: int, text: Callable[[int], str] = text) -> Callable[[], None]:
            kind = "application/json;" if header in ("accept", "content-type") else ""
            return _asking(token, "PATCH", path, "{}", **{header: kind + text(size)})

        assert_linear(work, HEADER_SIZE, text.__name__)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("clientes", "q"),
        ("clientes", "telefone"),
        ("clientes", "unknown"),
        ("tarefas", "status"),
        ("tarefas", "clienteId"),
        ("deliveries", "eventType"),
        ("deliveries", "cursor"),
        ("events", "occurredSince"),
        ("events", "ordering"),
        ("webhooks", "q"),
    ],
)
def test_a_query_costs_in_proportion_to_its_length(path: str, name: str, token: str) -> None:
    for text in (letters, commas, dots, spaces):

        def work(size: int, text: Callable[[int], str] = text) -> Callable[[], None]:
            return _asking(token, "GET", f"{path}/?{urlencode({name: text(size)})}")

        assert_linear(work, SIZE, text.__name__)


def _body(**values: Any) -> Callable[[int], str]:
    return lambda size: json.dumps({name: value(size) for name, value in values.items()})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clientes/", _key_twice),
        ("clientes/", _many_keys),
        ("clientes/", _body(nome=letters, email=dots, telefone=digits, documento=digits)),
        ("clientes/", _body(nome=letters, etiquetas=commas, camposPersonalizados=accents)),
        ("clientes/", lambda size: json.dumps({"nome": "a", "etiquetas": list(letters(size))})),
        ("clientes/lote/", lambda size: json.dumps({"clientes": [{"x": 1}] * (size // 200)})),
        ("tarefas/", _body(titulo=letters, dataVencimento=digits, status=commas)),
        ("webhooks/", _body(name=letters, url=slashes, events=commas, headers=letters)),
        ("webhooks/", lambda size: json.dumps({"name": "a", "events": list(letters(size))})),
        ("deliveries/replay/", lambda size: json.dumps({"ids": list(letters(size))})),
        ("deliveries/replay/", lambda size: json.dumps({"events": list(letters(size))})),
        ("/integrations/webhooks", _body(url=slashes, event_type=letters, entity_type=dots)),
    ],
)
def test_a_body_costs_in_proportion_to_its_length(
    path: str, body: Callable[[int], str], token: str
) -> None:
    assert_linear(lambda size: _asking(token, "POST", path, body(size)), SIZE)


@pytest.mark.parametrize(
    "path",
    [
        "api_common/token",
        "chamados/chamado",
        "chamados/departamento",
        "clientes/cliente",
        "tarefas/tarefa",
        "webhooks/delivery",
        "webhooks/event",
        "webhooks/bulkjob",
        "webhooks/webhook",
    ],
)
@pytest.mark.parametrize("term", ["a ", "'a\" ", "é ", "1"])
def test_a_search_of_the_admin_takes_any_number_of_words(
    path: str, term: str, admin_client: Client
) -> None:
    response = admin_client.get(f"/admin/{path}/?{urlencode({'q': term * 2_000})}")
    assert response.status_code in (200, 302)


# --- elsewhere --------------------------------------------------------------------------------
def test_a_private_key_that_is_too_long_is_refused_before_its_numbers_are_checked() -> None:
    began = time.process_time()
    with pytest.raises(signing.InvalidSecret):
        signing.Key.parse("rsa-sha256", _long_key())
    assert time.process_time() - began < 10


def _long_key() -> str:
    """Of 14,112 bits; its numbers are right."""
    p, q, e = 2**9689 - 1, 2**4423 - 1, 65537  # primes of Mersenne: none need be looked for
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize("piece", [1, 100], ids=lambda size: f"{size} bytes")
def test_the_local_receiver_takes_chunks_in_proportion_to_their_number(piece: int) -> None:
    chunk = f"{piece:x}\r\n{'a' * piece}\r\n".encode()

    with Receiver() as receiver:

        def work(size: int) -> Callable[[], None]:
            head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            request = head + chunk * (size // piece) + b"0\r\n\r\n"

            def send() -> None:
                with socket.create_connection((receiver.host, receiver.port)) as connection:
                    connection.sendall(request)
                    assert b" 200 " in connection.recv(100)

            return send

        assert_linear(work, 2 * SIZE)
