"""How an answer's head is read, and where its body ends, beside how Python's own library has it."""

from __future__ import annotations

import http.client
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.receivers.hostile import HEAD
from webhooks.transport.answers import Reply, read

LIMIT = 1000  # bytes of a body


class _Recorded:
    """A socket on which all that will ever arrive has arrived."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def makefile(self, mode: str) -> io.BytesIO:
        return self.file


def reply_to(data: bytes) -> Reply:
    reply = Reply(_Recorded(data))  # type: ignore[arg-type]
    reply.begin()
    return reply


NAMES = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc"]))


@given(st.lists(st.tuples(NAMES.map("X-{}".format), VALUES), max_size=20))
def test_fields_are_read_as_the_library_reads_them(fields: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}: {value}\r\n" for name, value in fields)
    data = text.encode("latin-1") + b"\r\n"
    expected: dict[str, str] = {}
    for name, value in http.client.parse_headers(io.BytesIO(data)).items():
        before = f"{expected[name.lower()]}, " if name.lower() in expected else ""
        expected[name.lower()] = before + value.strip()
    assert reply_to(HEAD + data).fields == expected


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        (b"A: 1\r\n  and\r\n\tmore\r\n", {"a": "1 and more"}),
        (b" folded\r\nA: 1\r\n", {"a": "1"}),
        (b"no colon\r\n folded\r\n: nameless\r\nA: 1\r\n", {"a": "1"}),
        (b"A: 1\nB: 2\n", {"a": "1", "b": "2"}),
        (b"A:\r\na: :\r\n", {"a": ", :"}),
    ],
)
def test_what_is_no_field_says_nothing(head: bytes, fields: dict[str, str]) -> None:
    assert reply_to(HEAD + head + b"\r\n").fields == fields


CHUNKS = b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "rest", "body", "ends_by_closing"),
    [
        (b"Content-Length: 2\r\n", b"ok", b"ok", False),
        (b"Content-Length: 2, 2\r\n", b"ok", b"ok", False),
        (b"Content-Length: 2\r\nConnection: Close\r\n", b"ok", b"ok", True),
        (b"Transfer-Encoding: Chunked\r\n", CHUNKS, b"ok", False),
        # RFC 9112 6.3: a coding overrides a length; the last one says how the body is framed.
        (b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n", CHUNKS, b"ok", False),
        (b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS, b"ok", False),
        (b"Content-Length: 1\r\nTransfer-Encoding: identity\r\n", b"ok", b"ok", True),
        (b"", b"ok", b"ok", True),
        (b"Content-Length: -7\r\n", b"ok", b"ok", True),
        (b"Content-Length: +2\r\n", b"ok", b"ok", True),
        (b"Content-Length: \xb2\r\n", b"ok", b"ok", True),
    ],
)
def test_a_body_ends_where_its_head_says(
    head: bytes, rest: bytes, body: bytes, ends_by_closing: bool
) -> None:
    reply = reply_to(HEAD + head + b"\r\n" + rest)
    assert read(reply, LIMIT).body == body
    assert reply.will_close == ends_by_closing


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_answers_have_no_body_whatever_their_head_says(status: bytes) -> None:
    reply = reply_to(b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200")
    assert read(reply, LIMIT).body == b""
    assert not reply.will_close


@pytest.mark.parametrize(
    ("status", "head", "closes"),
    [
        (b"HTTP/1.1 200 OK", b"", False),
        (b"HTTP/1.0 200 OK", b"", True),
        (b"HTTP/1.0 200 OK", b"Connection: keep-alive\r\n", False),
    ],
)
def test_a_connection_lasts_as_its_version_has_it(status: bytes, head: bytes, closes: bool) -> None:
    assert reply_to(status + b"\r\nContent-Length: 0\r\n" + head + b"\r\n").will_close == closes
