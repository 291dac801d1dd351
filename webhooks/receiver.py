"""A local HTTP receiver of webhooks: behind `webhooks_listen`, and for tests (`webhooks.testing`).

One thread per connection, kept alive, without Nagle's delay: senders keep few connections, and
each is answered within a fraction of a millisecond. For development only: plain HTTP, and it
remembers what it was sent.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from typing import Any, cast

from .received import Answer, Request, verify
from .signing import check_secret

MAX_BODY_BYTES = 1_048_576
IDLE_SECONDS = 75
_OK = Answer()
_REFUSED = '{"error":"Assinatura inválida"}'.encode()


class Receiver:
    """A receiver on a port of its own, as a context manager.

        with Receiver(secrets=["whsec_…"]) as receiver:
            create_webhook(url=receiver.url, …)
            receiver.script(Answer(status=500), Answer(status=503, headers={"Retry-After": "2"}))
            [first, *_] = receiver.wait_for(3)

    With secrets, a request without a right signature is answered 401, as seed 004's receivers do.

    :param answer: what to answer, or a function that decides it by the request; can be set later.
    :param port: 0 takes a free one.
    :param keep: how many requests to remember, the latest.
    :param on_request: called in the connection's thread as soon as a request is there.
    :param on_answer: called in the connection's thread once the answer was sent, or could not be
        because the client had gone.
    :param secrets: `whsec_…`, secrets of one's own, `whpk_…`, public keys in PEM; a request may be
        signed by any.
    :raises InvalidSecret: one of `secrets` is none.
    :raises OSError: the address cannot be listened on.
    """

    def __init__(
        self,
        answer: Answer | Callable[[Request], Answer] = _OK,
        *,
        secrets: Sequence[str] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "/webhook",
        max_body_bytes: int = MAX_BODY_BYTES,
        keep: int = 100_000,
        on_request: Callable[[Request, Answer], None] | None = None,
        on_answer: Callable[[Request, Answer], None] | None = None,
    ) -> None:
        for secret in secrets:
            check_secret(secret)
        self.answer = answer
        self.secrets = tuple(secrets)
        self.max_body_bytes = max_body_bytes
        self.on_request = on_request
        self.on_answer = on_answer
        self._script: deque[Answer] = deque()
        self._requests: deque[Request] = deque(maxlen=keep)
        self._count = 0
        self._news = threading.Condition()
        self._closing = threading.Event()
        self._connections: dict[socket.socket, threading.Thread] = {}
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=1024)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}{path}"
        self._acceptor = threading.Thread(
            target=self._accept, name=f"receiver {self.port}", daemon=True
        )
        self._acceptor.start()

    # --- What came ----------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        """The requests so far, in the order of their arrival."""
        with self._news:
            return list(self._requests)

    @property
    def count(self) -> int:
        """How many requests came, including those no longer remembered."""
        return self._count

    def wait_for(self, count: int = 1, timeout: float = 30.0) -> list[Request]:
        """All requests, once there are at least `count` since the start or `clear()`.

        :raises TimeoutError: there were fewer after `timeout` seconds; the message lists them.
        """
        with self._news:
            if self._news.wait_for(lambda: self._count >= count, timeout):
                return list(self._requests)
            came = ", ".join(each.event or each.path for each in self._requests) or "none"
            raise TimeoutError(
                f"{self._count} of {count} requests came within {timeout:g} s: {came[:1000]}"
            )

    def clear(self) -> None:
        """Forget the requests and what was scripted."""
        with self._news:
            self._requests.clear()
            self._script.clear()
            self._count = 0

    def script(self, *answers: Answer) -> None:
        """Answer the next requests with these, in order; then with `answer` again."""
        with self._news:
            self._script.extend(answers)

    # --- Serving ------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError:
                return  # closed
            thread = threading.Thread(
                target=self._serve, args=(connection, address), name="receiver", daemon=True
            )
            with self._news:
                if self._closing.is_set():
                    connection.close()
                    return
                self._connections[connection] = thread
                thread.start()  # under the lock, so that close() finds only what has started

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            # A client that goes away in the middle is its own affair.
            with contextlib.suppress(OSError):
                _Handler(connection, address, self)
        finally:
            with self._news:
                self._connections.pop(connection, None)
            connection.close()

    def _take(self, method: str, path: str, headers: HTTPMessage, body: bytes) -> Request:
        """Record a request."""
        now = time.time()
        verdicts = verify(self.secrets, headers, body, now=now) if self.secrets else ()
        with self._news:
            self._count += 1
            request = Request(
                number=self._count,
                method=method,
                path=path,
                headers=headers,
                body=body,
                received_at=now,
                verdicts=verdicts,
            )
            self._requests.append(request)
            self._news.notify_all()
        return request

    def _decide(self, request: Request) -> Answer:
        with self._news:
            scripted = self._script.popleft() if self._script else None
        if self.secrets and not request.verified:
            return Answer(status=401, body=_REFUSED)
        if scripted is not None:
            return scripted
        return self.answer(request) if callable(self.answer) else self.answer

    def _closed_during(self, delay: float) -> bool:
        return delay > 0 and self._closing.wait(None if math.isinf(delay) else delay)

    def close(self) -> None:
        """Stop listening and end every connection, also those that are being answered."""
        with self._news:
            self._closing.set()
            connections = dict(self._connections)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in (self._acceptor, *connections.values()):
            if thread is not threading.current_thread():
                thread.join(5)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 over one connection; everything else is the receiver's."""

    protocol_version = "HTTP/1.1"
    server_version = "webhooks-receiver"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer leaves in one piece

    def __init__(self, connection: socket.socket, address: Any, receiver: Receiver) -> None:
        self._receiver = receiver
        super().__init__(connection, address, receiver)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        try:
            body = self._read_body()
        except ValueError as error:
            status, reason = error.args
            self._send(Answer(status=status, body=json.dumps({"error": reason}).encode()), end=True)
            return
        receiver = self._receiver
        request = receiver._take(self.command, self.path, cast(HTTPMessage, self.headers), body)
        answer = receiver._decide(request)
        if receiver.on_request is not None:
            receiver.on_request(request, answer)
        if receiver._closed_during(answer.delay):
            self.close_connection = True
            return
        try:
            self._send(answer)
        finally:
            if receiver.on_answer is not None:
                receiver.on_answer(request, answer)

    def _other_method(self) -> None:
        self._send(
            Answer(status=405, body=b'{"error":"POST only"}', headers={"Allow": "POST"}), end=True
        )

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _other_method  # noqa: N815

    def _read_body(self) -> bytes:
        """:raises ValueError: (status, reason) where it is too large or malformed."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdecimal() and len(length) <= 18):
            raise ValueError(400, "Content-Length is not a number")
        return self._read_exactly(self._bounded(int(length)))

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = self.rfile.readline(100).split(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                raise ValueError(400, "malformed chunk") from None
            self._bounded(len(body) + length)
            body += self._read_exactly(length)
            self.rfile.readline(1000)
            if length == 0:
                return bytes(body)

    def _bounded(self, length: int) -> int:
        if not 0 <= length <= self._receiver.max_body_bytes:
            raise ValueError(413, f"the body is above {self._receiver.max_body_bytes} bytes")
        return length

    def _read_exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away")
        return body

    def _send(self, answer: Answer, *, end: bool = False) -> None:
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(answer.body)))
        if end:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status not in {204, 304}:
            self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """What came is the receiver's to tell."""
