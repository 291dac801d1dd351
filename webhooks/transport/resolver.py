"""Name resolution that keeps its deadline, whatever the name servers do.

`getaddrinfo` cannot be given a deadline nor be stopped: a name server that never answers holds
its caller for half a minute. So lookups run in threads of their own, few and bounded; callers
wait for them no longer than they have. One lookup per host is enough for all who ask. A host
whose lookup was slow shares a small lane with its like, so that names which hang cannot use up
the threads that the others need.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from .. import shortage
from ..networks import Address

Lookup = Callable[[str], Iterable[str]]

MAX_ADDRESSES = 16  # of one host; more than any honest one has
SLOW_SECONDS = 1.0
_REMEMBERED_SLOW = 4096  # hosts
_CACHED = 4096  # hosts


class ResolutionFailed(Exception):
    """The name has no address. `timed_out`: nobody said so, the time was up.

    `shortage`: nobody was even asked, for want of something of this machine's own; see shortage.py.
    """

    def __init__(self, reason: str, *, timed_out: bool = False, shortage: str = "") -> None:
        super().__init__(reason)
        self.timed_out = timed_out
        self.shortage = shortage


def system_lookup(host: str) -> list[str]:
    """The addresses that the operating system finds for `host`, in its order of preference.

    :raises OSError: it finds none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


class _Flight:
    """One lookup wanted or under way, and what came of it."""

    __slots__ = ("addresses", "done", "error", "host", "shortage", "slow", "started", "waiting")

    def __init__(self, host: str, *, slow: bool) -> None:
        self.host = host
        self.slow = slow
        self.shortage = ""
        self.done = threading.Event()
        self.waiting = 0  # callers
        self.started = False
        self.addresses: tuple[Address, ...] = ()
        self.error = ""


class _Lane:
    """A queue of lookups, and how many threads are at it of how many there may be."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.queue: deque[_Flight] = deque()
        self.threads = 0


class Resolver:
    """Resolves names for many threads at once.

    :param lookup: name → addresses as text; raises OSError where there is none.
    :param threads: lookups at one time, of hosts not known to be slow.
    :param slow_threads: the same, of hosts whose last lookup took longer than a second.
    :param cache_seconds: for how long an answer is used again. Short: it only spares a burst of
        new connections to one host a lookup each; every connection vets what it is given.
    """

    def __init__(
        self,
        lookup: Lookup = system_lookup,
        *,
        threads: int = 64,
        slow_threads: int = 8,
        cache_seconds: float = 3.0,
    ) -> None:
        self._lookup = lookup
        self._cache_seconds = cache_seconds
        self._lock = threading.Lock()  # over all that follows
        self._flights: dict[str, _Flight] = {}
        self._slow: OrderedDict[str, None] = OrderedDict()
        self._cache: OrderedDict[str, tuple[float, tuple[Address, ...]]] = OrderedDict()
        self._lane = _Lane("webhooks-dns", threads)
        self._slow_lane = _Lane("webhooks-dns-slow", slow_threads)

    def resolve(self, host: str, timeout: float) -> tuple[Address, ...]:
        """The addresses of `host`, in order of preference, each once; at least one.

        :param timeout: seconds to wait at most. A lookup that takes longer goes on, and serves
            whoever asks next.
        :raises ResolutionFailed: there is none, or none was heard of in time.
        """
        with self._lock:
            cached = self._cache.get(host)
            if cached is not None and time.monotonic() < cached[0]:
                return cached[1]
            flight = self._flights.get(host)
            if flight is None:
                flight = self._take_off(host)
            flight.waiting += 1
        in_time = flight.done.wait(max(timeout, 0))
        with self._lock:
            flight.waiting -= 1
            if flight.started and not in_time:
                _remember(self._slow, host, None, _REMEMBERED_SLOW)
        if not in_time:
            lacking = ""
            if not (flight.started or flight.slow):
                # Names that are slow wait for each other; for others, there must be room.
                lacking = shortage.note("lookups: all of its threads are at other names")
            raise ResolutionFailed(
                f"no answer for {host} in time", timed_out=True, shortage=lacking
            )
        if not flight.addresses:
            raise ResolutionFailed(flight.error, shortage=flight.shortage)
        return flight.addresses

    def _take_off(self, host: str) -> _Flight:
        """Queue a lookup, with a thread to do it if one more is allowed. Needs the lock."""
        slow = host in self._slow
        flight = self._flights[host] = _Flight(host, slow=slow)
        lane = self._slow_lane if slow else self._lane
        lane.queue.append(flight)
        if lane.threads < lane.limit:
            lane.threads += 1
            # A daemon: a lookup that hangs must not hold up the end of the process.
            worker = threading.Thread(target=self._work, args=(lane,), name=lane.name, daemon=True)
            try:
                worker.start()
            except RuntimeError as error:  # no more threads to be had: those at work get to it
                lane.threads -= 1
                if not lane.threads:
                    lane.queue.remove(flight)
                    del self._flights[host]
                    raise ResolutionFailed(str(error), shortage=shortage.of(error)) from error
        return flight

    def _work(self, lane: _Lane) -> None:
        while True:
            with self._lock:
                while lane.queue and not lane.queue[0].waiting:  # all who asked gave up
                    self._flights.pop(lane.queue.popleft().host)
                if not lane.queue:
                    lane.threads -= 1
                    return
                flight = lane.queue.popleft()
                flight.started = True
            self._fly(flight)

    def _fly(self, flight: _Flight) -> None:
        started = time.monotonic()
        try:
            found = dict.fromkeys(
                ipaddress.ip_address(text.partition("%")[0]) for text in self._lookup(flight.host)
            )
            addresses, error = tuple(found)[:MAX_ADDRESSES], f"{flight.host} has no address"
        except Exception as failure:
            # Whatever it is, the thread must go on. getaddrinfo also raises UnicodeError.
            addresses, error = (), getattr(failure, "strerror", None) or str(failure)
            flight.shortage = shortage.behind(failure)
        landed = time.monotonic()
        with self._lock:
            flight.addresses, flight.error = addresses, error
            del self._flights[flight.host]
            if landed - started > SLOW_SECONDS:
                _remember(self._slow, flight.host, None, _REMEMBERED_SLOW)
            else:
                self._slow.pop(flight.host, None)
            if addresses:
                kept = (landed + self._cache_seconds, addresses)
                _remember(self._cache, flight.host, kept, _CACHED)
        flight.done.set()


_Value = TypeVar("_Value")


def _remember(where: OrderedDict[str, _Value], key: str, value: _Value, at_most: int) -> None:
    where[key] = value
    where.move_to_end(key)
    if len(where) > at_most:
        where.popitem(last=False)
