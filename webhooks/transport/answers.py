"""Reading what a receiver answered: as much as is kept, and no more of it than that takes."""

from __future__ import annotations

import http.client
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .channel import LimitReached, TransportError, printable

HEADERS_KEPT = 8_192  # characters
_MOST_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered.

    :ivar headers: names in lower case; repeated ones joined by a comma.
    :ivar body: decoded, at most `max_response_bytes`; empty for a redirect, which is not read.
    :ivar truncated: there was more of the body.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool


class Reply(http.client.HTTPResponse):
    """An answer that is coming in, and then the end of what its connection is needed for.

    http.client makes a mail message of its headers, and urllib3 a dictionary and a stream of its
    own of that; together they take longer than all else that a call does. So the head is read here;
    the body, in chunks or not, is http.client's to read.
    """

    # What urllib3's pool logs and sets.
    version_string = "HTTP/1.1"
    retries: Any = None
    _connection: Any = None
    _pool: Any = None

    fields: dict[str, str]
    """The headers: names in lower case; repeated ones joined by a comma."""

    def _read_status(self) -> tuple[str, int, str]:
        """The final status. Interim ones are passed over (RFC 9110 15.2), 103 included."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == http.client.SWITCHING_PROTOCOLS:
                raise TransportError("protocol", "upgrade: 101 without having been asked")
            if status >= 200:
                return version, status, reason
            while self.fp.readline().strip():  # its headers, as long as the channel lets them be
                pass

    def begin(self) -> None:
        """Read the head, and learn from it where the body ends (RFC 9112 6.3)."""
        version, self.status, self.reason = self._read_status()
        if not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.headers = self.fields = _read_fields(self.fp)  # type: ignore[assignment]
        coding = self.fields.get("transfer-encoding")
        empty = self.status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED)
        self.chunked = not empty and coding is not None and _is_chunked(coding)
        self.chunk_left = None
        if empty:
            self.length = 0
        elif coding is None:
            self.length = _length(self.fields.get("content-length", ""))
        else:
            self.length = None
        ends_by_closing = not self.chunked and self.length is None
        self.will_close = ends_by_closing or self._check_close()  # type: ignore[attr-defined]

    @property
    def length_remaining(self) -> int | None:
        """Bytes of the body that are still to come; None where its head does not say."""
        return self.length

    def release(self) -> None:
        """Let the connection serve another call, if the answer ended where it was to."""
        connection, self._connection = self._connection, None
        if connection is not None and self.isclosed() and not (self.length or self.will_close):
            self._pool._put_conn(connection)


def read(reply: Reply, limit: int) -> Answer:
    """The answer whose status and headers have arrived.

    :param limit: bytes of the body to keep.
    :raises Exception: whatever `complaint` knows, or a TransportError of the channel.
    """
    headers = _kept(reply.fields)
    if 300 <= reply.status < 400:
        return Answer(reply.status, headers, b"", truncated=reply.length != 0)
    body = b""
    truncated = False
    try:
        while len(body) <= limit:
            more = reply.read(limit + 1 - len(body))
            if not more:
                if reply.length:
                    raise http.client.IncompleteRead(body, reply.length)
                break
            body += more
    except LimitReached:  # a little body in a great many chunks
        truncated = True
    truncated = truncated or len(body) > limit
    # What was cut as it was compressed may be within the limit when it is not.
    body = _decoded(body, reply.fields.get("content-encoding", ""), limit)
    return Answer(reply.status, headers, body[:limit], truncated or len(body) > limit)


def _read_fields(lines: Any) -> dict[str, str]:
    """A head's fields, up to the empty line. What is no field says nothing.

    :raises HTTPException: they are too many.
    """
    fields: dict[str, str] = {}
    name = ""
    for _ in range(_MOST_FIELDS + 1):
        line = lines.readline().decode("latin-1").rstrip("\r\n")
        if not line:
            return fields
        if line[0] in " \t":  # folded: it belongs to the one before
            if name:
                fields[name] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        name = name.lower() if colon else ""
        if name:
            value = value.strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    raise http.client.HTTPException(f"got more than {_MOST_FIELDS} headers")


def _is_chunked(coding: str) -> bool:
    return coding.rpartition(",")[2].strip().lower() == "chunked"


def _length(text: str) -> int | None:
    """:raises HTTPException: two lengths contradict each other."""
    values = {value.strip() for value in text.split(",")}
    if len(values) > 1:
        raise http.client.HTTPException("two lengths that contradict each other")
    [value] = values
    return int(value) if value.isascii() and value.isdecimal() and len(value) <= 18 else None


def _kept(fields: Mapping[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    room = HEADERS_KEPT
    for name, value in fields.items():
        size = len(name) + len(value)
        if size <= room:
            room -= size
            headers[printable(name)] = printable(value)
    return headers


def _decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """What a receiver compressed though it was asked not to; at most `limit` + 1 bytes of it."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, limit + 1)
    except zlib.error:
        return body


def complaint(error: BaseException) -> str:
    """`code: words` for what http.client or urllib3 could not read."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, http.client.IncompleteRead):
            return "truncated: the connection ended before the answer did"
        if isinstance(cause, http.client.BadStatusLine):
            return f"status_line: {str(cause)!r}"
        if f"more than {_MOST_FIELDS} headers" in str(cause):
            return f"too_much: {cause}"
        cause = cause.__cause__ or cause.__context__
    return f"invalid: {type(error).__name__}: {error}"
