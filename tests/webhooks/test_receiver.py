from __future__ import annotations

import datetime as dt
import http.client
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.services.base import PATIENCE
from webhooks.signing import (
    BODY_HEADERS,
    InvalidSecret,
    Key,
    body_signature,
    generate_secret,
    hex_signature,
    standard_signature,
    twenty_headers,
)
from webhooks.testing import Answer, Receiver, Request

SECRET = generate_secret()
BODY = b'{"event":"cliente.criado"}'


def signed(secret: str, body: bytes = BODY, *, timestamp: float | None = None) -> dict[str, str]:
    key = Key.parse("hmac-sha256", secret)
    stamp = int(time.time() if timestamp is None else timestamp)
    return {
        "Content-Type": "application/json",
        "X-Webhook-Event": "cliente.criado",
        "X-Webhook-Attempt": "1",
        "X-Webhook-Signature": hex_signature(key, body),
        "webhook-id": "evt_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": standard_signature([key], "evt_1", stamp, body),
    }


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def client(receiver: Receiver) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=PATIENCE)
    yield connection
    connection.close()


def post(client: http.client.HTTPConnection, body: Any = BODY, **headers: str) -> Any:
    client.request("POST", "/webhook", body, headers)
    response = client.getresponse()
    response.read()
    return response


def test_it_records_what_arrives(receiver: Receiver) -> None:
    answer = requests.post(
        receiver.url + "?a=1", data=BODY, headers=signed(SECRET), timeout=PATIENCE
    )
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "message": "Webhook recebido com sucesso"}
    [request] = receiver.wait_for(1)
    assert (request.number, request.method, request.path) == (1, "POST", "/webhook?a=1")
    assert request.body == BODY
    assert request.json() == {"event": "cliente.criado"}
    assert (request.event, request.id, request.attempt) == ("cliente.criado", "evt_1", "1")
    assert request.headers["content-type"] == request.headers["Content-Type"]
    assert abs(request.received_at - time.time()) < PATIENCE
    assert request.verdicts == ()


def test_it_answers_as_told_and_as_scripted(receiver: Receiver) -> None:
    receiver.answer = Answer(status=201, body=b"[]", headers={"X-A": "b"})
    receiver.script(Answer(status=503, headers={"Retry-After": "2"}), Answer(status=204))
    answers = [requests.post(receiver.url, data=BODY, timeout=PATIENCE) for _ in range(3)]
    assert [each.status_code for each in answers] == [503, 204, 201]
    assert answers[0].headers["Retry-After"] == "2"
    assert (answers[1].content, answers[2].content) == (b"", b"[]")
    assert answers[2].headers["X-A"] == "b"

    receiver.answer = lambda request: Answer(status=200 + len(request.body))
    assert requests.post(receiver.url, data=b"123", timeout=PATIENCE).status_code == 203


def test_it_answers_after_a_delay(receiver: Receiver) -> None:
    receiver.answer = Answer(delay=0.2)
    start = time.monotonic()
    requests.post(receiver.url, data=BODY, timeout=PATIENCE)
    assert time.monotonic() - start >= 0.2


def test_closing_ends_requests_that_would_never_be_answered() -> None:
    with ThreadPoolExecutor(1) as pool:
        with Receiver(Answer(delay=math.inf)) as receiver:
            answer = pool.submit(requests.post, receiver.url, data=BODY, timeout=PATIENCE)
            receiver.wait_for(1)
            assert not answer.done()
        with pytest.raises(requests.ConnectionError):
            answer.result(PATIENCE)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", receiver.port), timeout=5)


def test_closing_leaves_no_thread(receiver: Receiver, client: http.client.HTTPConnection) -> None:
    post(client)  # a connection that is kept alive
    receiver.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("receiver")]


def test_connections_are_kept_alive_and_each_answer_leaves_in_one_piece(receiver: Receiver) -> None:
    """A head that leaves before its body makes the body wait for the client's delayed
    acknowledgement, some 40 ms."""
    receiver.answer = Answer(body=b"[]")
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE) as client:
        for _ in range(50):
            client.sendall(request)
            assert client.recv(65536).endswith(b"\r\n\r\n[]")
    assert receiver.count == 50


def test_many_connections_at_once(receiver: Receiver) -> None:
    def send(number: int) -> None:
        with requests.Session() as session:
            for _ in range(20):
                session.post(receiver.url, data=str(number), timeout=PATIENCE)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send, range(16)))
    assert len(receiver.wait_for(320)) == 320
    assert sorted(each.number for each in receiver.requests) == list(range(1, 321))


def test_waiting_in_vain_says_what_came(receiver: Receiver) -> None:
    requests.post(receiver.url, data=BODY, headers=signed(SECRET), timeout=PATIENCE)
    with pytest.raises(TimeoutError, match=r"1 of 2 requests came within 0\.05 s: cliente\.criado"):
        receiver.wait_for(2, timeout=0.05)


def test_clearing_starts_over(receiver: Receiver) -> None:
    requests.post(receiver.url, data=BODY, timeout=PATIENCE)
    receiver.script(Answer(status=500))
    receiver.clear()
    assert (receiver.requests, receiver.count) == ([], 0)
    assert requests.post(receiver.url, data=BODY, timeout=PATIENCE).status_code == 200


def test_it_remembers_the_latest_only() -> None:
    with Receiver(keep=2) as receiver:
        for number in range(3):
            requests.post(receiver.url, data=str(number), timeout=PATIENCE)
        assert receiver.count == 3
        assert [each.body for each in receiver.requests] == [b"1", b"2"]


def test_its_two_hooks_see_the_request_before_and_after_the_answer() -> None:
    seen: list[tuple[str, int, int]] = []

    def hook(name: str) -> Any:
        def record(request: Request, answer: Answer) -> None:
            seen.append((name, request.number, answer.status))

        return record

    with Receiver(
        Answer(status=202), on_request=hook("before"), on_answer=hook("after")
    ) as receiver:
        requests.post(receiver.url, data=BODY, timeout=PATIENCE)
    assert seen == [("before", 1, 202), ("after", 1, 202)]


def test_it_listens_on_ipv6() -> None:
    with Receiver(host="::1") as receiver:
        assert receiver.url == f"http://[::1]:{receiver.port}/webhook"
        assert requests.post(receiver.url, data=BODY, timeout=PATIENCE).ok


# --- Signatures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "status", "verdicts"),
    [
        ({}, 200, [("X-Webhook-Signature", True), ("webhook-signature", True)]),
        (
            {"X-Webhook-Signature": "sha256=00"},
            401,
            [("X-Webhook-Signature", False), ("webhook-signature", True)],
        ),
        (
            {"webhook-signature": "v1,AAAA"},
            401,
            [("X-Webhook-Signature", True), ("webhook-signature", False)],
        ),
        (
            {"webhook-signature": None},
            200,  # one of the two is enough
            [("X-Webhook-Signature", True), ("webhook-signature", False)],
        ),
        (
            {"X-Webhook-Signature": None, "webhook-signature": None},
            401,
            [("X-Webhook-Signature", False), ("webhook-signature", False)],
        ),
    ],
)
def test_with_a_secret_it_refuses_what_is_not_signed(
    changed: dict[str, str | None], status: int, verdicts: list[tuple[str, bool]]
) -> None:
    headers = {**signed(SECRET), **changed}
    with Receiver(secrets=[generate_secret(), SECRET]) as receiver:
        answer = requests.post(receiver.url, data=BODY, headers=headers, timeout=PATIENCE)
        [request] = receiver.requests
    assert answer.status_code == status
    assert request.verified is (status == 200)
    assert [(each.header, each.valid) for each in request.verdicts] == verdicts
    assert all(each.valid or each.detail for each in request.verdicts)


def test_a_scripted_answer_is_used_up_by_a_request_that_is_refused() -> None:
    with Receiver(secrets=[SECRET]) as receiver:
        receiver.script(Answer(status=500), Answer(status=204))
        assert requests.post(receiver.url, data=BODY, timeout=PATIENCE).status_code == 401
        assert (
            requests.post(
                receiver.url, data=BODY, headers=signed(SECRET), timeout=PATIENCE
            ).status_code
            == 204
        )


def test_an_old_timestamp_is_told() -> None:
    headers = signed(SECRET, timestamp=time.time() - 1000)
    with Receiver(secrets=[SECRET]) as receiver:
        requests.post(receiver.url, data=BODY, headers=headers, timeout=PATIENCE)
        [request] = receiver.requests
    assert "old" in request.verdicts[1].detail


def test_a_public_key_verifies_the_standard_signature_alone() -> None:
    key = Key.parse("ed25519", generate_secret("ed25519"))
    stamp = int(time.time())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": standard_signature([key], "evt_1", stamp, BODY),
    }
    with Receiver(secrets=[key.public_text() or ""]) as receiver:
        assert requests.post(receiver.url, data=BODY, headers=headers, timeout=PATIENCE).ok
        [verdict] = receiver.requests[0].verdicts
    assert verdict.valid


def a_signed_body(*keys: Key, seconds_ago: float = 0) -> tuple[bytes, dict[str, str]]:
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)
    body = json.dumps({"type": "ContactCreate", "timestamp": moment.isoformat()}).encode()
    return body, {BODY_HEADERS[key.algorithm]: body_signature(key, body) for key in keys}


def test_public_keys_in_pem_verify_leadconnectors_signatures() -> None:
    keys = [Key.parse(each, generate_secret(each)) for each in BODY_HEADERS]
    rsa, _ed25519 = keys
    other = Key.parse("ed25519", generate_secret("ed25519"))
    with Receiver(secrets=[key.public_pem() or "" for key in keys]) as receiver:

        def answers(body: bytes, headers: dict[str, str]) -> int:
            return requests.post(
                receiver.url, data=body, headers=headers, timeout=PATIENCE
            ).status_code

        body, headers = a_signed_body(*keys)
        assert answers(body, headers) == 200
        assert answers(body + b" ", headers) == 401
        assert answers(body, {}) == 401
        assert answers(*a_signed_body(rsa)) == 200
        assert answers(*a_signed_body(rsa, other)) == 401
        assert answers(*a_signed_body(*keys, seconds_ago=301)) == 401
        details = [[each.detail for each in request.verdicts] for request in receiver.requests]
    assert details[0] == ["", ""]
    assert details[1] == ["does not fit this key and body"] * 2
    assert details[2] == ["missing"] * 2
    assert "old" in details[5][0]


def test_a_secret_verifies_twentys_signature() -> None:
    key = Key.parse("hmac-sha256", SECRET)

    def headers(seconds_ago: float = 0, **changed: str) -> dict[str, str]:
        milliseconds = int((time.time() - seconds_ago) * 1000)
        return {**twenty_headers(key, milliseconds, "00" * 16, BODY), **changed}

    with Receiver(secrets=[SECRET, generate_secret()]) as receiver:

        def answers(body: bytes, sent: dict[str, str]) -> int:
            return requests.post(receiver.url, data=body, headers=sent, timeout=10).status_code

        assert answers(BODY, headers()) == 200
        assert answers(BODY + b" ", headers()) == 401
        assert answers(BODY, headers(301)) == 401
        assert answers(BODY, headers(**{"X-Twenty-Webhook-Timestamp": "x"})) == 401
        assert answers(BODY, headers(**{"X-Webhook-Signature": "sha256=00"})) == 401
        verdicts = [request.verdicts for request in receiver.requests]
    assert [each.header for each in verdicts[0]] == ["X-Twenty-Webhook-Signature"]
    assert verdicts[1][0].detail == "does not fit this secret and body"
    assert "old" in verdicts[2][0].detail
    assert "milliseconds" in verdicts[3][0].detail


@pytest.mark.parametrize("secret", ["short", "-----BEGIN PUBLIC KEY-----\nAAAA"])
def test_a_secret_that_is_none_is_refused_at_once(secret: str) -> None:
    with pytest.raises(InvalidSecret):
        Receiver(secrets=[secret])


# --- What is not a webhook --------------------------------------------------------------------


def raw(receiver: Receiver, data: bytes) -> bytes:
    """What comes back for these bytes, until the receiver ends the connection."""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"405"),
        (b"HEAD / HTTP/1.1\r\n\r\n", b"405"),
        (b"BREW / HTTP/1.1\r\nConnection: close\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", b"413"),
    ],
)
def test_it_refuses_and_ends_the_connection(head: bytes, status: bytes) -> None:
    with Receiver(max_body_bytes=100) as receiver:
        assert raw(receiver, head).split(b" ")[1] == status
        assert receiver.count == 0


def test_a_client_that_goes_away_does_no_harm(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n123")
    assert requests.post(receiver.url, data=BODY, timeout=PATIENCE).ok
    assert receiver.count == 1


def test_it_reads_chunked_bodies(receiver: Receiver, client: http.client.HTTPConnection) -> None:
    for _ in range(2):  # and keeps the connection
        assert post(client, iter([b'{"a":', b"1}"])).status == 200
    assert [json.loads(each.body) for each in receiver.requests] == [{"a": 1}, {"a": 1}]


def test_a_port_in_use_is_an_error(receiver: Receiver) -> None:
    with pytest.raises(OSError, match="in use"):
        Receiver(port=receiver.port)
