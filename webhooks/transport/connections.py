"""Connections that lead to vetted addresses only.

urllib3's connection and pool classes with things of their own: where a connection leads (resolved
once, every address vetted, the vetted one connected to, so that no second lookup can answer
otherwise), what it reads from (a `Channel`), what it writes and reads (a request that is vetted
already, a `Reply`), and who keeps it when idle (one `Shelf`).
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Url, make_headers

from .. import shortage
from ..addresses import AddressRefused, Policy, Target, check_ip
from ..networks import Address, as_address
from .answers import Reply
from .channel import Call, Channel, Shortage, TransportError
from .resolver import ResolutionFailed, Resolver
from .shelf import Key, Shelf

_LEAST_PATIENCE_SECONDS = 1.0  # for one address, while others could still be tried

_TLS_CODES = {  # X509_V_ERR_… of OpenSSL's x509_vfy.h
    9: "not_yet_valid",
    10: "expired",
    18: "self_signed",
    19: "self_signed",
    20: "untrusted",
    21: "untrusted",
    23: "revoked",
    62: "wrong_host",
    64: "wrong_host",
}

current = threading.local()  # .call: what this thread is at


@dataclass(frozen=True, slots=True)
class Guard:
    """What every connection of one transport has in common."""

    policy: Policy
    resolver: Resolver
    context: Callable[[], ssl.SSLContext]
    shelf: Shelf
    proxy: Url | None = None


def vet(host: str, port: int, policy: Policy, resolver: Resolver, timeout: float) -> list[Address]:
    """The addresses of `host` that may be connected to, in the resolver's order; at least one.

    :param timeout: seconds for the lookup.
    :raises ResolutionFailed: it has none.
    :raises AddressRefused: none of them may be connected to.
    """
    allowed: list[Address] = []
    refusal: AddressRefused | None = None
    for ip in resolver.resolve(host, timeout):
        try:
            check_ip(ip, port, policy)
        except AddressRefused as error:
            refusal = refusal or error
        else:
            allowed.append(ip)
    if refusal is not None and not allowed:
        raise refusal
    return allowed


def _connect(addresses: list[Address], port: int, call: Call) -> socket.socket:
    """A socket connected to the first of `addresses` that takes it.

    :raises TransportError: none of them does.
    """
    failure = TransportError("dns", "not_found")
    for tried, ip in enumerate(addresses):
        remaining = call.remaining()
        share = remaining / (len(addresses) - tried)
        where = f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"
        sock = None
        try:
            family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(remaining, max(share, _LEAST_PATIENCE_SECONDS)))
            sock.connect((str(ip), port))
            return sock
        except OSError as error:
            if sock is not None:
                sock.close()
            if isinstance(error, TimeoutError):
                failure = TransportError("timeout", f"connect: {where}")
            elif isinstance(error, ConnectionRefusedError):
                failure = TransportError("connect", f"refused: {where}")
            elif lacking := shortage.of(error) or _out_of_ports(error, ip, port):
                raise Shortage(lacking) from error
            else:
                failure = TransportError("connect", f"unreachable: {where}: {error.strerror}")
    raise failure


def _out_of_ports(error: OSError, ip: Address, port: int) -> str:
    """The shortage, if no port was left for a connection to that address.

    The same error says that this machine has no address of that family. A datagram's socket, for
    which ports are counted apart, tells which.
    """
    if error.errno not in (errno.EADDRNOTAVAIL, errno.EAGAIN):
        return ""
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(ip), port))  # sends nothing
    except OSError as other:
        return shortage.of(other)
    return shortage.note(f"ports: {error.strerror}")


def _open(connection: Any) -> Channel:
    """A channel for a connection that has none: resolve, vet, connect."""
    call: Call = current.call
    call.phase = "connect"
    guard: Guard = connection.guard
    host, port = connection.host, connection.port
    call.reused = False
    try:
        literal = as_address(host)
        if connection.proxy is not None:
            # Chosen by whoever runs the system, so not vetted; where it then connects to, only
            # it can tell.
            addresses = (
                [literal] if literal else list(guard.resolver.resolve(host, call.remaining()))
            )
        elif literal is not None:
            check_ip(literal, port, guard.policy)
            addresses = [literal]
        else:
            addresses = vet(host, port, guard.policy, guard.resolver, call.remaining())
    except ResolutionFailed as error:
        if error.shortage:
            raise Shortage(error.shortage) from error
        code = "timeout" if error.timed_out else "not_found"
        raise TransportError("dns", f"{code}: {error}") from error
    except AddressRefused as error:
        raise TransportError("blocked", error.detail) from error
    return Channel(_connect(addresses, port, call), call)


class _Guarded:
    """What both schemes' connections have in common; goes before urllib3's class."""

    response_class = Reply
    guard: Guard
    sock: Any

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard = guard

    def request(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], **options: Any
    ) -> None:
        """Send it as it is: `Transport` has vetted each name and value, and frames the body.

        Head and body leave in one write: one packet, one TLS record, one read for the receiver.
        """
        if self.sock is None:
            self.connect()
        lines = [f"{method} {url} HTTP/1.1", *map(": ".join, headers.items()), "", ""]
        self.sock.sendall("\r\n".join(lines).encode("ascii") + body)

    def connect(self) -> None:
        raise NotImplementedError

    def getresponse(self) -> Reply:
        reply = Reply(self.sock)
        try:
            reply.begin()
        except BaseException:
            reply.close()
            raise
        return reply


def _context(guard: Guard) -> ssl.SSLContext:
    """:raises Shortage: the certificates of those whom this machine trusts cannot be read."""
    try:
        return guard.context()
    except OSError as error:  # SSLError is one
        lacking = shortage.of(error) or shortage.note(f"certificates: {error.strerror or error}")
        raise Shortage(lacking) from error


class GuardedHTTPConnection(_Guarded, HTTPConnection):  # type: ignore[misc]
    def connect(self) -> None:
        self.sock = _open(self)


class GuardedHTTPSConnection(_Guarded, HTTPSConnection):  # type: ignore[misc]
    def connect(self) -> None:
        call: Call = current.call
        self.sock = channel = _open(self)
        if self._tunnel_host:
            try:
                self._tunnel()
            except (OSError, http.client.HTTPException) as error:
                raise TransportError("connect", f"proxy: {error}") from error
        call.phase = "tls"
        try:
            channel.start_tls(call, _context(self.guard), self._tunnel_host or self.host)
        except ssl.SSLCertVerificationError as error:
            code = _TLS_CODES.get(error.verify_code, "untrusted")
            # Those that it would be trusted by are read from files.
            if code == "untrusted" and (lacking := shortage.behind(error)):
                raise Shortage(lacking) from error
            raise TransportError("tls", f"{code}: {error.verify_message}") from error
        except OSError as error:
            if call.overdue or isinstance(error, TimeoutError):
                raise call.timed_out() from error
            if lacking := shortage.of(error):
                raise Shortage(lacking) from error
            reason = getattr(error, "reason", None) or error.strerror or error
            raise TransportError("tls", f"handshake: {reason}") from error
        call.received = 0  # what the proxy or the handshake brought is no answer
        self.is_verified = True


class _OnShelf:
    """Where a pool gets its connections from and puts them, in place of a queue of its own."""

    guard: Guard
    key: Key

    def _get_conn(self, timeout: float | None = None) -> Any:
        call: Call = current.call
        connection = None if call.fresh else self.guard.shelf.take(self.key)
        if connection is None:
            return self._new_conn()  # type: ignore[attr-defined]
        call.reused = True
        connection.sock.attach(call)
        return connection

    def _put_conn(self, conn: Any) -> None:
        channel = None if conn is None else conn.sock
        if channel is None:
            return
        channel.detach()
        if channel.unclean or not self.guard.shelf.put(self.key, conn):
            conn.close()


class GuardedHTTPPool(_OnShelf, HTTPConnectionPool):
    ConnectionCls = GuardedHTTPConnection  # type: ignore[assignment]


class GuardedHTTPSPool(_OnShelf, HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection  # type: ignore[assignment]


def pool_for(target: Target, guard: Guard) -> GuardedHTTPPool | GuardedHTTPSPool:
    """The pool of one receiver; light: it holds no connections."""
    host, port = target.host, target.port
    options: dict[str, Any] = {"maxsize": 0, "guard": guard}
    if guard.proxy is not None:
        options["_proxy"] = guard.proxy
        options["_proxy_headers"] = make_headers(
            proxy_basic_auth=unquote(guard.proxy.auth or "") or None
        )
        if target.scheme == "http":  # the request itself goes to the proxy; https is tunnelled
            host, port = str(guard.proxy.host), guard.proxy.port or 80
    cls = GuardedHTTPSPool if target.scheme == "https" else GuardedHTTPPool
    pool = cls(host, port, **options)
    pool.guard = guard
    pool.key = (target.scheme, target.host, target.port)
    return pool
