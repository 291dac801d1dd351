"""How connections are used again, and by whom: nobody gets another's answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.receivers import hostile
from tests.receivers.certificates import Authority
from tests.receivers.hostile import HEAD, OK, Peer, Receiver, answering, each
from tests.webhooks.posting import (
    SHORT,
    TIMEOUT,
    Names,
    failure,
    make,
    post,
    until,
    until_sent,
)
from webhooks.transport import Transport, TransportError, shelf
from webhooks.transport.channel import Call, Channel
from webhooks.transport.watchdog import Watchdog


@pytest.fixture
def names() -> Names:
    return Names(here=["127.0.0.1"])


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def transport(names: Names, authority: Authority) -> Iterator[Transport]:
    transport = make(names, context=authority.trusting())
    yield transport
    transport.close()


class TestUsedAgain:
    def test_a_connection_that_died_unseen_is_replaced_within_the_call(
        self, transport: Transport
    ) -> None:
        def half_dead(peer: Peer) -> None:
            peer.read()
            peer.send(OK)
            peer.read()  # the second request, and then the end

        with Receiver(each(half_dead, answering())) as receiver:
            assert post(transport, receiver.url, body=b"1").body == b"ok"
            assert post(transport, receiver.url, body=b"2").body == b"ok"
        assert [request.body for request in receiver.requests] == [b"1", b"2", b"2"]
        assert receiver.connections == 2

    def test_only_once(self, transport: Transport) -> None:
        def half_dead(peer: Peer) -> None:
            peer.read()
            peer.send(OK)
            peer.read()

        with Receiver(each(half_dead, hostile.drop)) as receiver:
            post(transport, receiver.url)
            assert failure(transport, receiver.url) == ("connect", "reset")
        assert receiver.connections == 2

    def test_on_a_new_connection_even_where_others_wait(self, transport: Transport) -> None:
        """After a restart of the receiver all its idle connections are dead."""
        together = threading.Barrier(3)

        def half_dead(peer: Peer) -> None:
            peer.read()
            together.wait(TIMEOUT)
            peer.send(OK)
            peer.read()

        with Receiver(each(half_dead, half_dead, half_dead, answering())) as receiver:
            with ThreadPoolExecutor(3) as threads:
                list(threads.map(lambda _: post(transport, receiver.url), range(3)))
            assert post(transport, receiver.url).body == b"ok"

    def test_not_where_the_answer_had_begun_or_time_was_up(self, transport: Transport) -> None:
        def breaks_off(peer: Peer) -> None:
            peer.read()
            peer.send(OK)
            peer.read()
            peer.send(HEAD)

        def goes_silent(peer: Peer) -> None:
            peer.read()
            peer.send(OK)
            peer.read()
            peer.hang()

        with Receiver(breaks_off) as receiver:
            post(transport, receiver.url)
            assert failure(transport, receiver.url) == ("protocol", "truncated")
            assert receiver.connections == 1
        with Receiver(goes_silent) as receiver:
            post(transport, receiver.url)
            assert failure(transport, receiver.url, timeout=SHORT) == ("timeout", "answer")
            assert receiver.connections == 1

    @pytest.mark.parametrize(
        "surplus", [(OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",), (OK, b"surplus")]
    )
    def test_not_after_more_than_an_answer(
        self, transport: Transport, surplus: tuple[bytes, ...]
    ) -> None:
        """What a receiver says unasked is not taken for the next answer."""

        def says_more(peer: Peer) -> None:
            peer.read()
            for part in surplus:
                peer.send(part)
            peer.hang()

        with Receiver(says_more) as receiver:
            for number in (1, 2, 3):
                assert post(transport, receiver.url).status == 200
                until_sent(receiver, number * len(b"".join(surplus)))
        assert receiver.connections == 3

    def test_not_where_the_answer_was_not_read_whole(self, transport: Transport) -> None:
        long = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(5000)
        with Receiver(answering(long)) as receiver:
            assert post(transport, receiver.url).truncated
            assert post(transport, receiver.url).truncated
        assert receiver.connections == 2

    def test_not_when_it_waited_too_long(
        self, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Receiver(answering()) as receiver:
            post(transport, receiver.url)
            monkeypatch.setattr(shelf, "IDLE_SECONDS", 0.0)
            post(transport, receiver.url)
            monkeypatch.undo()
            post(transport, receiver.url)
            monkeypatch.setattr(shelf, "AGE_SECONDS", 0.0)
            post(transport, receiver.url)
        assert receiver.connections == 3

    def test_as_many_as_may_wait_and_no_more(self, names: Names) -> None:
        transport = make(names, connections_per_receiver=2)
        together = threading.Barrier(5)

        def behave(peer: Peer) -> None:
            peer.read()
            together.wait(TIMEOUT)
            peer.send(OK)
            while peer.read():
                peer.send(OK)

        with Receiver(behave) as receiver, ThreadPoolExecutor(5) as threads:
            list(threads.map(lambda _: post(transport, receiver.url), range(5)))
            assert receiver.connections == 5
            assert len(transport._guard.shelf) == 2
            transport.close()
            assert len(transport._guard.shelf) == 0

    def test_by_address_and_port_and_scheme(self, names: Names, authority: Authority) -> None:
        """However many receivers there are, and though only some are remembered."""
        transport = make(names, max_pools=2, context=authority.trusting())
        with (
            Receiver(answering()) as first,
            Receiver(answering()) as second,
            Receiver(answering(), tls=authority.serving("127.0.0.1")) as third,
        ):
            for _ in range(3):
                for receiver in (first, second, third):
                    assert post(transport, receiver.url).body == b"ok"
            assert len(transport._adapter._pools) == 2
        assert [first.connections, second.connections, third.connections] == [1, 1, 1]
        transport.close()

    def test_until_they_are_too_many_or_too_old(
        self, names: Names, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        transport = make(names)
        kept = shelf.Shelf(per_receiver=4, total=2)
        transport._guard = transport._adapter._guard = replace(transport._guard, shelf=kept)
        transport._watchdog = Watchdog(kept.sweep)
        with ExitStack() as stack:
            receivers = [stack.enter_context(Receiver(answering())) for _ in range(3)]
            for receiver in receivers:
                post(transport, receiver.url)
            assert len(kept) == 2  # the first receiver's was the oldest
            for receiver in reversed(receivers):
                post(transport, receiver.url)
            assert [receiver.connections for receiver in receivers] == [2, 1, 1]
            monkeypatch.setattr(shelf, "IDLE_SECONDS", 0.0)
            until(lambda: len(kept) == 0)  # though nobody asks for any
        transport.close()


class TestManyThreads:
    def test_get_each_their_own_answer_while_others_time_out(self, names: Names) -> None:
        """Ending an overdue call never touches the connection of another."""
        transport = make(names)
        late = iter(range(10**9))

        def echo(peer: Peer) -> None:
            while request := peer.read():
                if request.body.startswith(b"late"):
                    # About as long as its call has: some make it, some do not.
                    peer.stopping.wait(0.19 + next(late) % 5 / 100)
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                peer.send(head % len(request.body) + request.body)

        def call(number: int) -> str:
            hurry = number % 2 == 1
            body = b"%s %d" % (b"late" if hurry else b"calm", number)
            try:
                answer = post(transport, receiver.url, body=body, timeout=0.2 if hurry else 60)
            except TransportError as error:
                return f"{body.decode()[:4]} {error.kind}"
            assert answer.body == body
            return body.decode()[:4]

        with Receiver(echo) as receiver, ThreadPoolExecutor(128) as threads:
            outcomes = list(threads.map(call, range(2000)))
        transport.close()
        assert outcomes.count("calm") == 1000
        assert set(outcomes) <= {"calm", "late", "late timeout"}

    def test_go_on_while_another_closes_the_transport(self, names: Names) -> None:
        transport = make(names)
        with Receiver(answering()) as receiver, ThreadPoolExecutor(32) as threads:
            calls = [threads.submit(post, transport, receiver.url) for _ in range(500)]
            for _ in range(20):
                transport.close()
            assert {call.result().body for call in calls} == {b"ok"}
        assert len(transport._guard.shelf) == 0

    def test_kill_no_channel_that_changed_hands(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            first, second = Call(0.0, 100), Call(time.monotonic() + 60, 100)
            channel = Channel(ours, first)
            channel.detach()
            channel.attach(second)
            channel.kill(first)
            theirs.sendall(b"still here")
            assert channel.receive_into(bytearray(100)) == 10
            channel.kill(second)
            assert channel.receive_into(bytearray(100)) == 0
