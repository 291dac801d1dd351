"""The transport against receivers that behave, and against all the ways in which they do not."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.receivers import hostile
from tests.receivers.hostile import HEAD, Peer, Receiver, answering, saying
from tests.services.base import PATIENCE
from webhooks.addresses import Policy
from webhooks.transport import Answer, Transport, TransportError
from webhooks.transport.resolver import Resolver

LOCAL = Policy(allowed_networks=("127.0.0.0/8", "::1/128"), require_https=False)
LIMIT = 1000  # bytes of an answer's body
TIMEOUT = PATIENCE
SHORT = 1.0


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(LOCAL, max_response_bytes=LIMIT, user_agent="crm/1")
    yield transport
    transport.close()


def names(table: dict[str, list[str]]) -> Resolver:
    def lookup(host: str) -> list[str]:
        if host not in table:
            raise OSError("Name or service not known")
        return table[host]

    return Resolver(lookup, cache_seconds=0)


def post(transport: Transport, receiver: Receiver | str, *, timeout: float = TIMEOUT) -> Answer:
    url = receiver if isinstance(receiver, str) else receiver.url
    return transport.post(url, b'{"event":"x"}', {"Content-Type": "text/x"}, timeout=timeout)


def failure(
    transport: Transport, receiver: Receiver | str, *, timeout: float = TIMEOUT
) -> TransportError:
    with pytest.raises(TransportError) as caught:
        post(transport, receiver, timeout=timeout)
    return caught.value


def what(error: TransportError) -> tuple[str, str]:
    return error.kind, error.detail.partition(":")[0]


class TestASoundReceiver:
    def test_gets_the_very_bytes_and_headers(self, transport: Transport) -> None:
        with Receiver(answering()) as receiver:
            headers = {"Content-Type": "application/json", "X-Webhook-Event": "cliente.criado"}
            transport.post(
                receiver.url + "?a=1", b'{"nome":"Jo\xc3\xa3o"}', headers, timeout=TIMEOUT
            )
        (request,) = receiver.requests
        assert request.line == "POST /hook?a=1 HTTP/1.1"
        assert request.body == '{"nome":"João"}'.encode()
        assert dict(request.headers) == {
            "host": f"127.0.0.1:{receiver.port}",
            "user-agent": "crm/1",
            "accept-encoding": "identity",
            "content-length": "16",
            "content-type": "application/json",
            "x-webhook-event": "cliente.criado",
        }

    def test_is_answered_for_whatever_its_status(self, transport: Transport) -> None:
        answer = (
            b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nno"
        )
        with Receiver(answering(answer)) as receiver:
            got = post(transport, receiver)
        headers = {"retry-after": "7", "x-a": "1, 2", "content-length": "2"}
        assert got == Answer(503, headers, b"no", truncated=False)

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ],
    )
    def test_may_answer_without_a_body(self, transport: Transport, answer: bytes) -> None:
        with Receiver(answering(answer)) as receiver:
            for _ in range(3):
                got = post(transport, receiver)
                assert (got.status in (200, 204), got.body, got.truncated) == (True, b"", False)
        assert receiver.connections == 1

    def test_keeps_its_connection(self, transport: Transport) -> None:
        with Receiver(answering()) as receiver:
            for _ in range(5):
                assert post(transport, receiver).body == b"ok"
        assert receiver.connections == 1

    def test_that_ends_each_connection_gets_new_ones(self, transport: Transport) -> None:
        with Receiver(answering(times=1)) as receiver:
            for _ in range(5):
                assert post(transport, receiver).body == b"ok"
        assert len(receiver.requests) == 5

    def test_of_http_1_0_is_read_to_the_end(self, transport: Transport) -> None:
        with Receiver(saying(b"HTTP/1.0 200 OK\r\n\r\n", b"a", b"b")) as receiver:
            assert post(transport, receiver).body == b"ab"

    def test_that_answers_before_it_has_read_all_is_heard(self, transport: Transport) -> None:
        def refuse(peer: Peer) -> None:
            peer.socket.recv(100)
            peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            peer.hang()

        with Receiver(refuse) as receiver:
            answer = transport.post(receiver.url, bytes(100_000), {}, timeout=TIMEOUT)
        assert answer.status == 413

    def test_is_found_over_ipv6(self, transport: Transport) -> None:
        with Receiver(answering(), host="::1") as receiver:
            assert post(transport, receiver).body == b"ok"
        assert receiver.requests[0].header("host") == f"[::1]:{receiver.port}"

    def test_gets_nothing_from_the_environment(
        self, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: object
    ) -> None:
        netrc = f"{tmp_path}/netrc"
        with open(netrc, "w") as file:
            file.write("machine 127.0.0.1 login user password pass\n")
        monkeypatch.setenv("NETRC", netrc)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        with Receiver(answering(cookie)) as receiver:
            post(transport, receiver)
            post(transport, receiver)
        for request in receiver.requests:
            assert request.header("authorization") is None
            assert request.header("cookie") is None


class TestOurOwnMistakes:
    def test_are_failures_too(self, transport: Transport) -> None:
        with pytest.raises(TransportError) as caught:
            transport.post("http://127.0.0.1/", None, {}, timeout=1)  # type: ignore[arg-type]
        assert (caught.value.kind, caught.value.detail) == ("internal", "TypeError")
        assert isinstance(caught.value.__cause__, TypeError)


class TestTime:
    """The deadline holds whatever the receiver does; without it these would not end."""

    @pytest.mark.parametrize(
        ("behaviour", "phase"),
        [
            (hostile.hang, "answer"),
            (hostile.trickle_interim, "answer"),
            (hostile.trickle_headers, "answer"),
            (hostile.trickle_body, "body"),
            (saying(HEAD + b"Content-Length: 9\r\n\r\nx", then=Peer.hang), "body"),
        ],
    )
    def test_is_up(self, transport: Transport, behaviour: hostile.Behaviour, phase: str) -> None:
        with Receiver(behaviour) as receiver:
            error = failure(transport, receiver, timeout=SHORT)
        assert what(error) == ("timeout", phase)
        assert error.status == (200 if phase == "body" else None)
        assert receiver.connections == 1

    def test_is_up_for_a_receiver_that_does_not_read(self, transport: Transport) -> None:
        with Receiver(hostile.hang_unread) as receiver, pytest.raises(TransportError) as caught:
            transport.post(receiver.url, bytes(30_000_000), {}, timeout=SHORT)
        assert what(caught.value) == ("timeout", "send")

    @pytest.mark.parametrize(
        "behaviour",
        [hostile.hang, hostile.slowly(b"\x16\x03\x03\x40\x00" + bytes(1000))],
    )
    def test_is_up_within_the_tls_handshake(
        self, transport: Transport, behaviour: hostile.Behaviour
    ) -> None:
        with Receiver(behaviour) as receiver:
            url = receiver.url.replace("http:", "https:")
            assert what(failure(transport, url, timeout=SHORT)) == ("timeout", "tls")

    def test_is_up_while_nobody_accepts(self, transport: Transport) -> None:
        # A full backlog drops what asks for a connection, as a firewall does.
        with hostile.full_backlog() as port:
            error = failure(transport, f"http://127.0.0.1:{port}/", timeout=SHORT)
        assert what(error) == ("timeout", "connect")

    def test_that_was_up_before_the_call_began(self, transport: Transport) -> None:
        with Receiver(answering()) as receiver:
            assert failure(transport, receiver, timeout=0).kind == "timeout"
        assert receiver.connections == 0

    def test_is_up_for_a_name_server_that_hangs(self) -> None:
        ends = threading.Event()

        def lookup(host: str) -> list[str]:
            if host == "hangs.test":
                ends.wait(PATIENCE)
            return ["127.0.0.1"]

        transport = Transport(
            LOCAL,
            max_response_bytes=LIMIT,
            user_agent="crm/1",
            resolver=Resolver(lookup, threads=2, slow_threads=1),
        )
        with Receiver(answering()) as receiver:
            slow = receiver.url_for("hangs.test")
            with ThreadPoolExecutor(20) as threads:
                errors = list(
                    threads.map(lambda _: failure(transport, slow, timeout=SHORT), range(20))
                )
            assert {what(error) for error in errors} == {("dns", "timeout")}
            assert post(transport, receiver.url_for("other.test")).body == b"ok"
        ends.set()
        transport.close()


class TestBytes:
    @pytest.mark.parametrize(
        "behaviour",
        [
            hostile.endless_body,
            hostile.endless_chunks,
            hostile.endless_trailers,
            hostile.gzip_bomb(),
            hostile.endless_gzip(),
        ],
    )
    def test_of_a_body_are_kept_up_to_the_limit(
        self, transport: Transport, behaviour: hostile.Behaviour
    ) -> None:
        with Receiver(behaviour) as receiver:
            answer, peak = _with_peak(lambda: post(transport, receiver))
        assert (answer.status, answer.truncated) == (200, True)
        assert len(answer.body) <= LIMIT
        assert peak < 1_000_000

    @pytest.mark.parametrize(
        "behaviour",
        [
            hostile.endless_interim,
            hostile.endless_headers,
            hostile.endless_header,
            hostile.endless_status,
            hostile.endless_chunk_size,
            hostile.endless_chunk_extension,
        ],
    )
    def test_beside_a_body_are_refused_beyond_measure(
        self, transport: Transport, behaviour: hostile.Behaviour
    ) -> None:
        with Receiver(behaviour) as receiver:
            error, peak = _with_peak(lambda: failure(transport, receiver))
        assert what(error) == ("protocol", "too_much")
        assert peak < 1_500_000

    @pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
    def test_at_the_limit(self, transport: Transport, size: int) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        with Receiver(answering(head + b"x" * size)) as receiver:
            answer = post(transport, receiver)
        assert (len(answer.body), answer.truncated) == (min(size, LIMIT), size > LIMIT)

    def test_that_were_compressed_unasked_can_be_read(self, transport: Transport) -> None:
        import gzip

        squeezed = gzip.compress(b"ola")
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        with Receiver(answering(head % len(squeezed) + squeezed)) as receiver:
            assert post(transport, receiver).body == b"ola"

    def test_that_are_not_what_their_encoding_says_are_kept_as_they_are(
        self, transport: Transport
    ) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nola"
        with Receiver(answering(head)) as receiver:
            assert post(transport, receiver).body == b"ola"

    def test_of_headers_are_kept_without_control_characters_and_up_to_a_limit(
        self, transport: Transport
    ) -> None:
        head = b"HTTP/1.1 200 OK\r\nX-Long: %b\r\nX-Odd: a\0b\x1bc\xe7\r\nContent-Length: 0\r\n\r\n"
        with Receiver(answering(head % (b"v" * 9000))) as receiver:
            headers = post(transport, receiver).headers
        assert headers == {"x-odd": "a\ufffdb\ufffdcç", "content-length": "0"}


def _with_peak(call: Callable[[], Any]) -> tuple[Any, int]:
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        return result, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class TestRedirects:
    @pytest.mark.parametrize(
        "location",
        [
            "http://127.0.0.1:1/elsewhere",
            "http://169.254.169.254/latest/meta-data",
            "http://[",
            "http://\\evil\x01",
            "//",
            "/" + "x" * 5000,
            "http://127.0.0.1:99999/",
            "xn--\u00ff.example",
        ],
    )
    @pytest.mark.parametrize("status", [301, 307])
    def test_are_answers_never_followed_nor_read(
        self, transport: Transport, location: str, status: int
    ) -> None:
        with Receiver(hostile.redirect(location, status=status)) as receiver:
            answer, peak = _with_peak(lambda: post(transport, receiver))
        assert (answer.status, answer.body, answer.truncated) == (status, b"", True)
        assert receiver.connections == len(receiver.requests) == 1
        assert peak < 1_000_000
