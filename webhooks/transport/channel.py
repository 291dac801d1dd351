"""One call's time and bytes, and the socket that keeps to them.

A receiver decides what arrives and when. So nothing here waits without the call's own deadline,
nothing is read beyond the call's own limit, and every error of a socket becomes a
`TransportError` where it happens, with the phase in which it happened.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
import time
from typing import Any

from .. import shortage

LINE_MAX_BYTES = 32_768
_DETAIL_LENGTH = 300  # characters


class TransportError(Exception):
    """A call that brought no whole answer.

    :ivar kind: a value of `models.Attempt.Error`: `dns`, `blocked`, `connect`, `tls`, `timeout`,
        `protocol`, `format` or `internal`.
    :ivar detail: `code` or `code: words`, in English, without secrets, at most 300 characters;
        `failures.sentence` makes a sentence of it.
    :ivar cut: there was more of the detail.
    :ivar status: the HTTP status, where that much had arrived.
    """

    def __init__(self, kind: str, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = printable(detail[:_DETAIL_LENGTH])
        self.cut = len(detail) > _DETAIL_LENGTH
        self.status = status

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


class Stale(TransportError):
    """A connection kept from an earlier call turned out dead before any byte of an answer."""


class Shortage(TransportError):
    """This machine lacked something; the receiver is not to blame. `detail`: see shortage.py."""

    def __init__(self, detail: str) -> None:
        super().__init__("internal", detail)


class LimitReached(TransportError):
    """The receiver sent more than the call may read."""


def printable(text: str) -> str:
    """`text` without control characters, which neither a log nor PostgreSQL takes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


class Call:
    """One attempt to post: until when, how much may be read, and how far it has come."""

    __slots__ = ("channel", "deadline", "fresh", "limit", "overdue", "phase", "received", "reused")

    def __init__(self, deadline: float, limit: int) -> None:
        self.deadline = deadline  # on time.monotonic()
        self.limit = limit  # bytes
        self.phase = "connect"  # connect, tls, send, answer, body
        self.received = 0  # bytes of the answer
        self.reused = False  # the connection served a call before
        self.fresh = False  # such a connection is not wanted
        self.overdue = False
        self.channel: Channel | None = None

    def remaining(self) -> float:
        """Seconds left; more than 0.

        :raises TransportError: there are none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0 or self.overdue:
            raise self.timed_out()
        return left

    def timed_out(self) -> TransportError:
        return TransportError("timeout", self.phase)

    def failed(self, error: OSError) -> TransportError:
        """What an error of this call's socket means."""
        if self.overdue or isinstance(error, TimeoutError):
            return self.timed_out()
        if lacking := shortage.of(error):
            return Shortage(lacking)
        reason = error.strerror or str(error)
        if self.reused and not self.received:
            return Stale("connect", f"reset: {reason}")
        if isinstance(error, ssl.SSLError):
            return TransportError("tls", f"broken: {error.reason or reason}")
        return TransportError("protocol" if self.received else "connect", f"reset: {reason}")


class Channel:
    """A connected socket as `http.client` uses one, for one call after another.

    Its owner is the call it serves. Closing and killing exclude each other: a file descriptor
    that was closed may already be another connection's.
    """

    def __init__(self, sock: socket.socket, call: Call) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._readers = 0
        self._closed = False
        self._open = True
        self.opened_at = time.monotonic()
        self.unclean = False  # more arrived than the answer that was asked for
        self.call: Call | None = None
        self.attach(call)

    def attach(self, call: Call) -> None:
        with self._lock:
            self.call = call
            call.channel = self

    def detach(self) -> None:
        """After this nothing that happens to the call touches this channel any more."""
        with self._lock:
            if self.call is not None:
                self.call.channel = None
                self.call = None

    def kill(self, call: Call) -> None:
        """Wake whoever waits on this socket for `call`, if it still serves it. Any thread."""
        with self._lock:
            if self.call is call and self._open:
                with contextlib.suppress(OSError):  # gone already
                    # Not SSLSocket.shutdown, which also takes the encryption off.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def start_tls(self, call: Call, context: ssl.SSLContext, host: str) -> None:
        """Encrypt, and verify that the peer is `host`.

        :raises OSError: also `ssl.SSLError` and TimeoutError, from the handshake.
        """
        with self._lock:
            self._sock = encrypted = context.wrap_socket(
                self._sock, server_hostname=host, do_handshake_on_connect=False
            )
        # The handshake as a whole keeps to this, not each of its reads.
        encrypted.settimeout(call.remaining())
        encrypted.do_handshake()

    # --- what http.client and urllib3 call

    def sendall(self, data: bytes) -> None:
        call = self.call
        if call is None:
            raise RuntimeError("a connection on the shelf was written to")
        call.phase = "send"
        view = memoryview(data)
        try:
            while view:
                self._sock.settimeout(call.remaining())
                view = view[self._sock.send(view) :]
        except (BrokenPipeError, ConnectionResetError) as error:
            if call.overdue or call.reused:
                raise call.failed(error) from error
            # It may have answered before it had read all: go on and look.
        except OSError as error:
            raise call.failed(error) from error
        call.phase = "answer"

    def receive_into(self, buffer: Any) -> int:
        call = self.call
        if call is None:  # the answer is over: nothing is read for nobody
            return 0
        try:
            self._sock.settimeout(call.remaining())
            count = self._sock.recv_into(buffer)
        except OSError as error:
            raise call.failed(error) from error
        if count == 0 and (call.overdue or not call.received):
            raise call.failed(ConnectionResetError(0, "closed without an answer"))
        call.received += count
        if call.received > call.limit:
            raise LimitReached("protocol", f"too_much: more than {call.limit} bytes")
        return count

    def makefile(self, mode: str, *args: Any, **kwargs: Any) -> io.BufferedReader:
        self._readers += 1
        return _BufferedAnswer(_Answer(self))

    def settimeout(self, seconds: float | None) -> None:
        """Nothing: the call's deadline rules."""

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._closed = True
        self._close_if_unused()

    def reader_closed(self) -> None:
        self._readers -= 1
        if self._closed:
            self._close_if_unused()

    def discard(self) -> None:
        """The end, whoever still holds a reader: its call is over and it is on no shelf."""
        self.detach()
        self._readers = 0
        self.close()

    def _close_if_unused(self) -> None:
        if self._readers <= 0:
            with self._lock:
                self._open = False
                self._sock.close()


class _Answer(io.RawIOBase):
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return None if self.over else self.channel.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self.channel.reader_closed()


class _BufferedAnswer(io.BufferedReader):
    """Tells the channel, when closed, if bytes beyond the answer had come with it."""

    raw: _Answer

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line of the head, or of a chunked body's frame; both are shorter than `size`."""
        line = super().readline(LINE_MAX_BYTES + 1)
        if len(line) > LINE_MAX_BYTES:
            raise TransportError("protocol", f"too_much: a line beyond {LINE_MAX_BYTES} bytes")
        call = self.raw.channel.call
        # http.client takes an end within the headers for the end of the headers.
        if not line.endswith(b"\n") and call is not None and call.phase == "answer":
            raise TransportError("protocol", "truncated: the connection ended within the headers")
        return line

    def close(self) -> None:
        if not self.closed:
            self.raw.over = True
            if self.peek(1):
                self.raw.channel.unclean = True
        super().close()
