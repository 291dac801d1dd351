"""A receiver that misbehaves as told, over real sockets: one thread for each connection.

    with Receiver(hang) as receiver:
        transport.post(receiver.url, …)

A behaviour is a function that takes a `Peer`, the connection as the receiver sees it. It runs
once for each connection; when it returns, the connection is closed. Whatever it does, it ends
when the receiver stops.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

from tests.services.base import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Request:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]  # names in lower case
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Peer:
    """One connection to the receiver."""

    socket: socket.socket
    number: int  # 1 for the receiver's first
    receiver: Receiver
    _buffer: bytes = b""

    @property
    def stopping(self) -> threading.Event:
        return self.receiver.stopping

    def read(self) -> Request | None:
        """The next request whole, or None where the connection ends first."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = [
            (name.lower(), value.strip())
            for name, _, value in (text.partition(":") for text in lines)
        ]
        length = int(dict(headers).get("content-length", "0"))
        while len(self._buffer) < length:
            more = self.socket.recv(65536)
            if not more:
                return None
            self._buffer += more
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        request = Request(line, headers, body)
        self.receiver.requests.append(request)
        return request

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            more = self.socket.recv(65536)
            if not more:
                return None
            self._buffer += more
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)
        self.receiver.sent += len(data)

    def forever(self, data: bytes, *, every: float = 0.0) -> None:
        """Send `data` again and again until the other end has had enough."""
        while not self.stopping.wait(every) if every else not self.stopping.is_set():
            self.send(data)

    def hang(self) -> None:
        """Say nothing until the other end closes the connection."""
        while not self.stopping.is_set():
            self.socket.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                if not self.socket.recv(65536):
                    return

    def reset(self) -> None:
        """Close with a TCP reset in place of an orderly end."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


Behaviour = Callable[[Peer], None]


@dataclass
class Receiver:
    """Listens on a free port of `host` from `with` to its end.

    :param behaviour: what to do with each connection.
    :param tls: the server's context; the handshake is made before `behaviour` is called.
    :param host: "127.0.0.1" or "::1".
    """

    behaviour: Behaviour
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    sent: int = 0  # bytes
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family, backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)
        for each in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a behaviour did not end"

    @property
    def url(self) -> str:
        return self.url_for(f"[{self.host}]" if ":" in self.host else self.host)

    def url_for(self, host: str) -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/hook"

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(
                target=self._serve, args=(connection, self.connections), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self.tls:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
                self._open.append(connection)
            self.behaviour(Peer(connection, number, self))


# --- Behaviours -------------------------------------------------------------------------------


def answering(answer: bytes = OK, *, times: int | None = None) -> Behaviour:
    """Well-behaved: `answer` to each request, on a connection kept open for `times` of them."""

    def behave(peer: Peer) -> None:
        served = 0
        while served != times and peer.read():
            peer.send(answer)
            served += 1

    return behave


def saying(*parts: bytes, then: Callable[[Peer], None] | None = None) -> Behaviour:
    """After one request: the parts, each in a packet of its own, and then `then` or the end."""

    def behave(peer: Peer) -> None:
        if peer.read():
            for part in parts:
                peer.send(part)
            if then:
                then(peer)

    return behave


def repeating(start: bytes, data: bytes, *, every: float = 0.0) -> Behaviour:
    """After one request: `start`, and then `data` without end, `every` so many seconds."""
    return saying(start, then=lambda peer: peer.forever(data, every=every))


def hang(peer: Peer) -> None:
    """Take the request and never answer."""
    peer.read()
    peer.hang()


def hang_unread(peer: Peer) -> None:
    """Accept the connection and read nothing; the buffers fill."""
    peer.stopping.wait()


def reset(peer: Peer) -> None:
    """Take the request, then reset the connection."""
    peer.read()
    peer.reset()


def drop(peer: Peer) -> None:
    """Close at once, in order, having read nothing."""


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

trickle_headers = repeating(HEAD, b"x", every=0.05)
trickle_body = repeating(HEAD + b"Content-Length: 100000\r\n\r\n", b"x", every=0.05)
trickle_interim = repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n", every=0.05)
endless_interim = repeating(b"", b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" * 100)
endless_headers = repeating(HEAD, b"X-Name: value\r\n" * 100)
endless_header = repeating(HEAD + b"X-Name: ", b"v" * 1000)
endless_status = repeating(b"HTTP/1.1 200 ", b"v" * 1000)
endless_body = repeating(HEAD + b"\r\n", b"x" * 10_000)
endless_chunks = repeating(CHUNKED, b"1\r\nx\r\n" * 1000)
endless_chunk_size = repeating(CHUNKED, b"0" * 1000)
endless_chunk_extension = repeating(CHUNKED + b"1;", b"x=y;" * 1000)
endless_trailers = repeating(CHUNKED + b"2\r\nok\r\n0\r\n", b"X-Name: value\r\n" * 100)


def gzip_bomb(size: int = 50_000_000) -> Behaviour:
    """`size` zeroes, compressed a thousandfold, though nobody asked for compression."""
    squeezed = gzip.compress(bytes(size), 9)
    return saying(
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(squeezed), squeezed
    )


def endless_gzip() -> Behaviour:
    """A gzip stream of zeroes that never ends."""
    squeezer = zlib.compressobj(wbits=31)
    block = squeezer.compress(bytes(10_000_000)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return repeating(HEAD + b"Content-Encoding: gzip\r\n\r\n", block)


def redirect(location: str, *, status: int = 302) -> Behaviour:
    """A redirect whose body never ends."""
    head = f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\n\r\n".encode()
    return repeating(head, b"x" * 10_000)


def slowly(data: bytes, *, every: float = 0.05) -> Callable[[Peer], None]:
    """Byte by byte."""

    def behave(peer: Peer) -> None:
        for byte in data:
            if peer.stopping.wait(every):
                return
            peer.send(bytes([byte]))

    return behave


def each(*behaviours: Behaviour) -> Behaviour:
    """The first connection gets the first behaviour, and so on; the last goes for all further."""

    def behave(peer: Peer) -> None:
        behaviours[min(peer.number, len(behaviours)) - 1](peer)

    return behave


@contextlib.contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port where nothing listens, and where nothing else will begin to."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as holder:
        holder.bind((host, 0))
        yield holder.getsockname()[1]


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue of connections is full, so that further ones are not even refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
