"""Whatever a receiver writes is an answer or a failure with a name, never a surprise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receivers.hostile import Peer, Receiver
from tests.services.base import PATIENCE
from webhooks.addresses import Policy
from webhooks.transport import Transport, TransportError

PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 ",
        b"HTTP/1.0 204 ",
        b"HTTP/1.1 302 Found",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 999 \r\n",
        b"HTTP/1.1 200\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b":",
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: -1\r\n",
        b"content-length: 1, 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Encoding: deflate\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n",
        b"Content-Type: text/html; charset=\xff\r\n",
        b"Connection: close\r\n",
        b"Location: http://[\r\n",
        b"Set-Cookie: \xff=\0; Domain=..\r\n",
        b"Retry-After: -1e999\r\n",
        b" folded: line\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"-5\r\n",
        b"fffffffffffffffff\r\n",
        b"hello",
        b"\x1f\x8b\x08\x00",
        b"\xff\xfe",
    ]
)
ANSWERS = st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=14).map(b"".join)
KINDS = {"connect", "protocol", "timeout"}


class _Scripted:
    """Answers every request with `answer` and ends the connection, or keeps it."""

    answer = b""
    keep = False

    def __call__(self, peer: Peer) -> None:
        while peer.read():
            peer.send(self.answer)
            if not self.keep:
                return


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver(_Scripted()) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def transport() -> Iterator[Transport]:
    policy = Policy(allowed_networks=["127.0.0.0/8"], require_https=False)
    transport = Transport(policy, max_response_bytes=50, user_agent="crm/1")
    yield transport
    transport.close()


@given(answer=ANSWERS, body=st.binary(max_size=20))
@settings(max_examples=400, deadline=None)
def test_any_bytes(transport: Transport, receiver: Receiver, answer: bytes, body: bytes) -> None:
    receiver.behaviour.answer = answer  # type: ignore[attr-defined]
    try:
        got = transport.post(receiver.url, body, {}, timeout=PATIENCE)
    except TransportError as error:
        assert error.kind in KINDS
        assert error.detail.isprintable()
        return
    assert 200 <= got.status <= 999
    assert len(got.body) <= 50
    assert all(text.isprintable() for pair in got.headers.items() for text in pair)


@given(answers=st.lists(ANSWERS, max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_bytes_leave_the_next_answer_as_it_is(
    transport: Transport, receiver: Receiver, answers: list[bytes]
) -> None:
    script = receiver.behaviour
    script.keep = True  # type: ignore[attr-defined]
    try:
        for answer in answers:
            script.answer = answer  # type: ignore[attr-defined]
            try:
                transport.post(receiver.url, b"{}", {}, timeout=0.05)
            except TransportError as error:
                assert error.kind in KINDS
    finally:
        script.keep = False  # type: ignore[attr-defined]
    script.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"  # type: ignore[attr-defined]
    assert transport.post(receiver.url, b"{}", {}, timeout=PATIENCE).body == b"mine"
