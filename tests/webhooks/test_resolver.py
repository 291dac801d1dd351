"""Lookups that hang, and what the others notice of it: nothing."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.services.base import PATIENCE
from tests.webhooks.posting import until
from webhooks.transport import resolver as module
from webhooks.transport.resolver import ResolutionFailed, Resolver

ADDRESS = (ipaddress.ip_address("93.184.215.14"),)


class NameServer:
    """Answers at once, or where the name begins with "hang" when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()
        self.answers = ["93.184.215.14"]

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("hang"):
            self.let_go.wait(2 * PATIENCE)
        return self.answers


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.let_go.set()


def times_out(resolver: Resolver, host: str) -> bool:
    try:
        resolver.resolve(host, 0.05)
    except ResolutionFailed as error:
        return error.timed_out
    return False


def test_addresses_come_in_order_each_once_and_not_without_end(server: NameServer) -> None:
    server.answers = ["::1", "10.0.0.1", "::1", "fe80::1%eth0", "10.0.0.1"]
    found = Resolver(server).resolve("name.test", PATIENCE)
    assert [str(ip) for ip in found] == ["::1", "10.0.0.1", "fe80::1"]
    server.answers = [f"10.0.{high}.{low}" for high in range(9) for low in range(9)]
    assert len(Resolver(server).resolve("name.test", PATIENCE)) == module.MAX_ADDRESSES


@pytest.mark.parametrize(
    "error",
    [OSError(-2, "Name or service not known"), UnicodeError("label too long"), ZeroDivisionError()],
)
def test_whatever_a_lookup_raises_is_a_name_without_address(error: Exception) -> None:
    def fails(host: str) -> list[str]:
        raise error

    resolver = Resolver(fails, threads=1)
    for _ in range(3):
        with pytest.raises(ResolutionFailed) as caught:
            resolver.resolve("name.test", PATIENCE)
        assert not caught.value.timed_out


@pytest.mark.parametrize("answers", [[], ["no address"]])
def test_no_address_is_a_failure(server: NameServer, answers: list[str]) -> None:
    server.answers = answers
    with pytest.raises(ResolutionFailed):
        Resolver(server).resolve("name.test", PATIENCE)


def test_many_who_ask_for_one_name_share_a_lookup(server: NameServer) -> None:
    resolver = Resolver(server)
    with ThreadPoolExecutor(50) as threads:
        waiting = [threads.submit(resolver.resolve, "hang.test", PATIENCE) for _ in range(50)]
        until(lambda: resolver._flights["hang.test"].waiting == 50)
        server.let_go.set()
        assert {future.result() for future in waiting} == {ADDRESS}
    assert server.asked == ["hang.test"]


def test_an_answer_is_used_again_for_moments_only(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    resolver = Resolver(server, cache_seconds=3)
    resolver.resolve("name.test", PATIENCE)
    now += 2.9
    resolver.resolve("name.test", PATIENCE)
    assert len(server.asked) == 1
    now += 0.2
    resolver.resolve("name.test", PATIENCE)
    assert len(server.asked) == 2


def test_names_that_hang_again_and_again_leave_room_for_others(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.01)
    resolver = Resolver(server, threads=4, slow_threads=2, cache_seconds=0)
    hanging = [f"hang{number}.test" for number in range(4)]
    for host in hanging:  # every thread is held up, once
        assert times_out(resolver, host)
    assert times_out(resolver, "name.test")  # for want of a thread, which is not its fault
    server.let_go.set()
    until(lambda: not resolver._flights)
    server.let_go.clear()
    for host in hanging * 3:  # known by now: they share two threads
        assert times_out(resolver, host)
    assert resolver.resolve("name.test", PATIENCE) == ADDRESS


def test_a_name_that_was_slow_is_forgiven(server: NameServer) -> None:
    resolver = Resolver(server, cache_seconds=0)
    assert times_out(resolver, "hang.test")
    server.let_go.set()
    until(lambda: not resolver._flights)
    resolver.resolve("hang.test", PATIENCE)
    assert "hang.test" not in resolver._slow


def test_lookups_that_nobody_waits_for_any_more_are_not_made(server: NameServer) -> None:
    resolver = Resolver(server, threads=1)
    assert times_out(resolver, "hang.test")
    for number in range(100):
        assert times_out(resolver, f"late{number}.test")
    server.let_go.set()
    assert resolver.resolve("name.test", PATIENCE) == ADDRESS
    assert server.asked == ["hang.test", "name.test"]


def shortage_of(resolver: Resolver, host: str) -> str:
    with pytest.raises(ResolutionFailed) as caught:
        resolver.resolve(host, 0.05)
    return caught.value.shortage.partition(":")[0]


def test_names_that_wait_in_vain_for_a_thread_are_not_to_blame(server: NameServer) -> None:
    resolver = Resolver(server, threads=1)
    assert shortage_of(resolver, "hang.test") == ""  # it was asked about
    assert shortage_of(resolver, "name.test") == "lookups"
    server.let_go.set()
    assert resolver.resolve("name.test", PATIENCE) == ADDRESS


def test_where_no_thread_can_be_started_the_name_is_not_to_blame(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(server)
    with monkeypatch.context() as refused:
        refused.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            assert shortage_of(resolver, "name.test") == "threads"
    assert resolver.resolve("name.test", PATIENCE) == ADDRESS


def test_a_lookup_without_a_file_to_open_says_nothing_of_the_name() -> None:
    """glibc then says that the name is not known."""
    code = (
        "import os, resource\n"
        "from webhooks.transport.resolver import Resolver, ResolutionFailed\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "try: Resolver().resolve('name.invalid', 30)\n"
        "except ResolutionFailed as error: print(error.shortage)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("sockets: "), done.stderr


def test_memory_of_names_is_bounded(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHED", 10)
    resolver = Resolver(server, threads=1)
    for number in range(30):
        resolver.resolve(f"name{number}.test", PATIENCE)
    assert len(resolver._cache) == 10
    assert not resolver._flights


def test_threads_end_when_there_is_nothing_to_look_up(server: NameServer) -> None:
    resolver = Resolver(server)
    resolver.resolve("name.test", PATIENCE)
    until(lambda: resolver._lane.threads == 0)


def test_the_system_knows_this_machine() -> None:
    assert any(ip.is_loopback for ip in Resolver().resolve("localhost", PATIENCE))
