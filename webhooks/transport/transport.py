"""The guarded POST: one call, one answer or one `TransportError`, in bounded time and memory.

A `requests.PreparedRequest` is built by hand and given straight to one adapter. `Session` would
add what must not be here: the environment's proxies, `.netrc` credentials, cookies that one
receiver sets and another gets, redirects; and costs twice the time.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import ssl
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import certifi
from django.utils.translation import gettext_lazy as _
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Url, parse_url

from .. import shortage
from ..addresses import AddressRefused, Policy, Target, check_port, check_url
from ..headers import FRAMING, TOKEN, VALUE
from .answers import Answer, complaint, read
from .channel import Call, Shortage, Stale, TransportError
from .connections import Guard, current, pool_for, vet
from .resolver import ResolutionFailed, Resolver
from .shelf import Shelf
from .watchdog import Watchdog

__all__ = ["Answer", "Transport", "TransportError", "resolve_and_check"]


HEAD_MAX_BYTES = 65_536  # status line and headers, interim answers included
_IDLE_CONNECTIONS = 256  # of all receivers; each is a file descriptor
_TARGETS = 4096


class _Request(PreparedRequest):
    target: Target


class _Adapter(HTTPAdapter):
    """Takes the guarded pools in place of a pool manager, and nothing from the environment."""

    def __init__(self, guard: Guard, max_pools: int) -> None:
        self._guard = guard
        self._max_pools = max_pools
        self._lock = threading.Lock()
        self._pools: OrderedDict[tuple[str, str, int], Any] = OrderedDict()
        super().__init__(max_retries=Retry(total=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """None: see `get_connection_with_tls_context`."""

    def get_connection_with_tls_context(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        target: Target = request.target
        key = (target.scheme, target.host, target.port)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = pool_for(target, self._guard)
                if len(self._pools) > self._max_pools:
                    self._pools.popitem(last=False)
            else:
                self._pools.move_to_end(key)
        return pool

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to set: the one context of `Guard` verifies, and cannot be told not to."""

    def request_url(self, request: Any, proxies: Any) -> str:
        target: Target = request.target
        if self._guard.proxy is not None and target.scheme == "http":
            return target.url  # RFC 9112 3.2.2, absolute-form
        return target.request_target

    def build_response(self, req: Any, resp: Any) -> Any:
        """urllib3's, as it is: what requests would make of it is not looked at."""
        return resp

    def close(self) -> None:
        self._guard.shelf.clear(for_good=True)


_reading = threading.Lock()


def default_context() -> ssl.SSLContext:
    """As `_default_context`, made once however many threads ask at the same time."""
    with _reading:
        return _default_context()


@functools.lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    """Verifies against the system's certificate authorities and certifi's; TLS 1.2 or newer.

    One for the process: to read all those certificates takes tens of milliseconds.
    """
    # Put together here, since `ssl.create_default_context()` obeys the environment: whoever sets
    # SSL_CERT_FILE would choose whom to believe, and with SSLKEYLOGFILE read all that is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificates and their names
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if sys.version_info >= (3, 13):  # as `create_default_context` since then
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.load_verify_locations(certifi.where())
    system = ssl.get_default_verify_paths()
    with contextlib.suppress(OSError, ssl.SSLError):  # not every system has both
        context.load_verify_locations(cafile=system.openssl_cafile)
    context.load_verify_locations(capath=system.openssl_capath)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Transport:
    """Posts, for many threads at once. Make it in the process that uses it.

    :param policy: which addresses may be called.
    :param max_response_bytes: of a decoded body; the rest is not kept, nor waited for.
    :param user_agent: the value of `User-Agent`.
    :param connections_per_receiver: idle connections kept for one receiver.
    :param max_pools: receivers remembered at one time.
    :param egress_proxy: `http://[user:password@]host:port` that all calls go through. The guard
        then ends at the URL: its spelling, its port, and the address where it is one. Names are
        resolved by the proxy, which therefore must itself refuse what is internal.
    :param context: for tests; otherwise `default_context()`.
    :param resolver: for tests; otherwise the system's.
    :raises ValueError: `egress_proxy` is none.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        max_response_bytes: int,
        user_agent: str,
        connections_per_receiver: int = 4,
        max_pools: int = 1000,
        egress_proxy: str | None = None,
        context: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self.policy = policy
        self.max_response_bytes = max_response_bytes
        self.user_agent = user_agent
        self._guard = Guard(
            policy=policy,
            resolver=resolver or Resolver(),
            # Read when it is needed: a machine that cannot read it now may be able to then.
            context=default_context if context is None else lambda: context,
            shelf=Shelf(connections_per_receiver, _IDLE_CONNECTIONS),
            proxy=proxy_of(egress_proxy) if egress_proxy else None,
        )
        self._adapter = _Adapter(self._guard, max_pools)
        self._watchdog = Watchdog(self._guard.shelf.sweep)
        self._targets: dict[str, Target] = {}

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
        """Post `body` and read the answer, whatever its status.

        A connection kept from an earlier call may have died unseen. Where it did before any byte
        of an answer, the same bytes are sent once more on a new one, within the same deadline:
        the receiver may then get them twice, as it may anyway (at least once).

        :param headers: beside the ones that frame the request, which are set here.
        :param timeout: seconds from now to the last byte of the answer.
        :raises TransportError: and nothing else.
        """
        deadline = time.monotonic() + timeout
        try:
            request = self._prepare(url, body, headers)
            try:
                return self._exchange(request, deadline, fresh=False)
            except Stale:
                return self._exchange(request, deadline, fresh=True)
            except Shortage:
                # Idle connections hold what others lack. What is left of the time must be enough:
                # that it is over would look like the receiver's fault.
                hurried = deadline - time.monotonic() < timeout / 2
                if hurried or not self._guard.shelf.clear():
                    raise
                return self._exchange(request, deadline, fresh=True)
        except TransportError:
            raise
        except AddressRefused as error:
            raise TransportError("blocked", error.detail) from error
        except Exception as error:
            if lacking := shortage.behind(error):
                raise Shortage(lacking) from error
            # A bug here must be one attempt's failure, not the end of a worker.
            raise TransportError("internal", type(error).__name__) from error

    def close(self) -> None:
        """Close idle connections; calls under way end as they would, theirs are not kept."""
        self._adapter.close()

    def _prepare(self, url: str, body: bytes, headers: Mapping[str, str]) -> _Request:
        target = self._targets.get(url)
        if target is None:
            target = check_url(url, self.policy)
            if self._guard.proxy is not None and target.ip is None:
                check_port(target.port, self.policy)
            if len(self._targets) >= _TARGETS:
                self._targets.clear()
            self._targets[url] = target
        sent = {
            "Host": target.netloc,
            "User-Agent": self.user_agent,
            "Accept-Encoding": "identity",
            "Content-Length": str(len(body)),
        }
        for name, value in headers.items():
            if not TOKEN.fullmatch(name) or name.lower() in FRAMING:
                raise TransportError("format", f"header: {name!r} may not be set")
            if not VALUE.fullmatch(value):
                raise TransportError("format", f"header: the value of {name} cannot be sent")
            if name.lower() == "user-agent":
                name = "User-Agent"  # noqa: PLW2901
            sent[name] = value
        request = _Request()
        request.method = "POST"
        request.url = url
        request.headers = sent  # type: ignore[assignment]
        request.body = body
        request.target = target
        return request

    def _exchange(self, request: _Request, deadline: float, *, fresh: bool) -> Answer:
        call = Call(deadline, HEAD_MAX_BYTES)
        call.fresh = fresh
        call.remaining()
        current.call = call
        raw: Any = None
        try:
            self._watchdog.watch(call)
            raw = self._adapter.send(request, stream=True)
            call.phase = "body"
            call.limit = call.received + 8 * self.max_response_bytes + HEAD_MAX_BYTES
            answer = read(raw, self.max_response_bytes)
            raw.release()
            return answer
        except TransportError as error:
            if raw is not None:
                error.status = raw.status
            raise
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            # All that is left for http.client, urllib3 and requests to complain of is what the
            # receiver wrote: the sockets' own errors are TransportErrors already.
            status = None if raw is None else raw.status
            raise TransportError("protocol", complaint(error), status=status) from error
        finally:
            self._watchdog.forget(call)
            current.call = None
            if raw is not None:
                raw.close()
            if call.channel is not None:
                call.channel.discard()


def proxy_of(url: str) -> Url:
    """:raises ValueError: `url` is no `http://[user:password@]host:port`; it is not repeated."""
    try:
        proxy = parse_url(str(url))
    except HTTPError:
        proxy = Url()
    if proxy.scheme != "http" or not proxy.host:
        # TLS to the proxy itself would be TLS within TLS, which http.client cannot speak.
        raise ValueError("an egress proxy is written http://[user:password@]host:port")
    return proxy


@functools.lru_cache(maxsize=1)
def _shared_resolver(process: int) -> Resolver:
    return Resolver()  # its threads and locks do not survive a fork


def resolve_and_check(
    url: str, policy: Policy, timeout: float = 3.0, *, resolver: Resolver | None = None
) -> Target:
    """What a form asks before an address is saved: spelling, and where the name leads now.

    :param timeout: seconds for the lookup.
    :raises AddressRefused: what it says of a name that was looked up names no address. Also with
        code `name`, where the name leads nowhere or was not resolved in time; a form may choose to
        let that pass, sending checks again.
    """
    target = check_url(url, policy)
    if target.ip is None:
        try:
            vet(
                target.host, target.port, policy, resolver or _shared_resolver(os.getpid()), timeout
            )
        except ResolutionFailed as error:
            raise AddressRefused(
                "name",
                _("The name %(value)s could not be found: check its spelling."),
                value=target.host,
            ) from error
        except AddressRefused as error:
            raise error.of_name(target.host) from error
    return target
