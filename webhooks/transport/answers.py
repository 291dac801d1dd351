"""Reading what a receiver answered: as much as is kept, and no more of it than that takes."""

from __future__ import annotations

import http.client
import zlib
from dataclasses import dataclass
from typing import Any

from urllib3 import HTTPHeaderDict

from .channel import LimitReached, printable

HEADERS_KEPT = 8_192  # characters


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


def read(raw: Any, limit: int) -> Answer:
    """The answer whose status and headers have arrived.

    :param raw: urllib3's response, nothing of its body read.
    :param limit: bytes of the body to keep.
    :raises Exception: whatever `complaint` knows, or a TransportError of the channel.
    """
    headers = _kept(raw.headers)
    if 300 <= raw.status < 400:
        return Answer(raw.status, headers, b"", truncated=raw.length_remaining != 0)
    body = b""
    truncated = False
    try:
        while len(body) <= limit:
            more = raw.read(limit + 1 - len(body), decode_content=False)
            if not more:
                break
            body += more
    except LimitReached:  # a little body in a great many chunks
        truncated = True
    body = _decoded(body, raw.headers.get("content-encoding", ""), limit)
    return Answer(raw.status, headers, body[:limit], truncated or len(body) > limit)


def _kept(received: HTTPHeaderDict) -> dict[str, str]:
    headers: dict[str, str] = {}
    room = HEADERS_KEPT
    for name, value in received.itermerged():
        size = len(name) + len(value)
        if size <= room:
            room -= size
            headers[printable(name.lower())] = printable(value)
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
        if "more than 100 headers" in str(cause):
            return f"too_much: {cause}"
        cause = cause.__cause__ or cause.__context__
    return f"invalid: {type(error).__name__}: {error}"
