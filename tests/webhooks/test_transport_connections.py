"""Whom the transport connects to, and whom it believes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from django.utils import translation

from tests.receivers import hostile
from tests.receivers.certificates import DAY, Authority
from tests.receivers.hostile import HEAD, OK, Peer, Receiver, answering, saying
from tests.receivers.tickets import endless_tickets
from tests.services.base import PATIENCE
from tests.webhooks.posting import (
    SHORT,
    Names,
    failure,
    make,
    post,
)
from webhooks.addresses import AddressRefused, Policy
from webhooks.transport import Transport, TransportError, resolve_and_check
from webhooks.transport.resolver import Resolver

_HANDSHAKE = """
import socket, ssl, sys
from webhooks.transport import default_context

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
    try:
        default_context().wrap_socket(plain, server_hostname="here.test")
    except ssl.SSLError as error:
        print(error.reason)
"""


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


class TestTheAddress:
    def test_is_the_one_that_was_vetted_however_the_name_changes(
        self, names: Names, transport: Transport
    ) -> None:
        class Rebinding(Names):
            def __call__(self, host: str) -> list[str]:
                super().__call__(host)
                return ["127.0.0.1"] if len(self.asked) == 1 else ["10.0.0.1"]

        rebinding = Rebinding(here=[])
        transport = make(rebinding)
        with Receiver(answering()) as receiver:
            for _ in range(3):  # one lookup for the one connection that all of them use
                assert post(transport, receiver.url_for("here.test")).body == b"ok"
        assert rebinding.asked == ["here.test"]
        assert receiver.connections == 1
        transport.close()

    @pytest.mark.parametrize(
        "inside",
        [
            "127.0.0.2",
            "169.254.169.254",
            "::ffff:10.0.0.1",
            "fd00:ec2::254",
            "fe80::1%lo",
            "0.0.0.0",  # noqa: S104
        ],
    )
    def test_that_is_internal_is_never_connected_to(
        self, names: Names, transport: Transport, inside: str
    ) -> None:
        names["here.test"] = [inside]
        with Receiver(answering()) as receiver:
            assert failure(transport, receiver.url_for("here.test")) == ("blocked", "network")
        assert receiver.connections == 0

    def test_that_was_allowed_when_saved_is_vetted_again(self, names: Names) -> None:
        policy = Policy(require_https=False)
        names["here.test"] = ["93.184.215.14"]
        resolver = Resolver(names, cache_seconds=0)
        url = "http://here.test/hook"
        assert resolve_and_check(url, policy, resolver=resolver).host == "here.test"
        names["here.test"] = ["127.0.0.1"]
        with pytest.raises(AddressRefused) as refused:
            resolve_and_check(url, policy, resolver=resolver)
        # Whoever typed the name learns of what kind the address is, and not which.
        with translation.override("en"):
            message = refused.value.message
        assert "here.test leads to" in message and "this very machine" in message
        assert "127." not in f"{message} {refused.value.detail}"
        transport = make(names, policy)
        assert failure(transport, url) == ("blocked", "network")
        transport.close()

    def test_that_is_internal_is_left_out_where_there_are_others(
        self, names: Names, transport: Transport
    ) -> None:
        names["here.test"] = ["127.0.0.2", "10.0.0.1", "127.0.0.1"]
        with Receiver(answering()) as receiver:
            assert post(transport, receiver.url_for("here.test")).body == b"ok"

    def test_that_does_not_answer_gives_way_to_the_next(
        self, names: Names, transport: Transport
    ) -> None:
        names["here.test"] = ["::1", "127.0.0.1"]
        with Receiver(answering()) as receiver:
            assert post(transport, receiver.url_for("here.test")).body == b"ok"
        with Receiver(answering(), host="::1") as receiver:
            assert post(transport, receiver.url_for("here.test")).body == b"ok"

    def test_on_another_port_is_allowed_in_allowed_networks_only(self, names: Names) -> None:
        names["public.test"] = ["93.184.215.14"]
        transport = make(names)
        assert failure(transport, "http://public.test:8080/") == ("blocked", "port")
        transport.close()

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.1/",
            "http://2130706433/",
            "http://user:pass@127.0.0.1/",
            "http://127.0.0.1\\@example.com/",
            "ftp://127.0.0.1/",
            "http://127.0.0.1/\r\nX: y",
            "",
        ],
    )
    def test_with_an_odd_spelling_is_blocked_unsent(self, transport: Transport, url: str) -> None:
        assert failure(transport, url)[0] == "blocked"

    def test_of_an_unknown_name_is_no_address(self, transport: Transport) -> None:
        assert failure(transport, "http://nowhere.test/") == ("dns", "not_found")

    def test_where_nothing_listens_refuses(self, transport: Transport) -> None:
        with hostile.closed_port() as port:
            assert failure(transport, f"http://127.0.0.1:{port}/") == ("connect", "refused")

    def test_is_not_tried_where_there_are_no_sockets_left(self, transport: Transport) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # what is open stays open
        try:
            kind = failure(transport, "http://127.0.0.1/")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert kind == ("internal", "sockets")
        with Receiver(answering()) as receiver:
            assert post(transport, receiver.url).body == b"ok"


class TestBrokenAnswers:
    @pytest.mark.parametrize(
        ("behaviour", "expected"),
        [
            (hostile.drop, ("connect", "reset")),
            (hostile.reset, ("connect", "reset")),
            (saying(), ("connect", "reset")),
            (saying(HEAD, then=Peer.reset), ("protocol", "reset")),
            (saying(b"HT"), ("protocol", "truncated")),
            (saying(HEAD), ("protocol", "truncated")),
            (saying(HEAD + b"Content-Ty"), ("protocol", "truncated")),
            (saying(b"HTTP/1.1 100 Continue\r\n\r\n"), ("protocol", "truncated")),
            (saying(HEAD + b"Content-Length: 5\r\n\r\nabc"), ("protocol", "truncated")),
            (saying(hostile.CHUNKED + b"5\r\nabc"), ("protocol", "truncated")),
            (saying(hostile.CHUNKED + b"zz\r\nabc\r\n"), ("protocol", "truncated")),
            (saying(HEAD + b"Content-Length: 1, 2\r\n\r\nabc"), ("protocol", "invalid")),
            (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), ("protocol", "status_line")),
            (saying(b"\0\xff\xfe" * 1000 + b"\n"), ("protocol", "status_line")),
            (saying(b"HTTP/1.1 abc OK\r\n\r\n"), ("protocol", "status_line")),
            (saying(b"HTTP/1.1 99 No\r\n\r\n"), ("protocol", "status_line")),
            (saying(b"HTTP/2 200\r\n\r\n"), ("protocol", "invalid")),
            (saying(b"\r\n\r\n"), ("protocol", "status_line")),
            (saying(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n"), ("protocol", "upgrade")),
        ],
    )
    def test_are_failures_with_a_name(
        self, transport: Transport, behaviour: hostile.Behaviour, expected: tuple[str, str]
    ) -> None:
        with Receiver(behaviour) as receiver:
            assert failure(transport, receiver.url) == expected
            assert receiver.connections == 1  # and nothing is sent again to a receiver that got it

    @pytest.mark.parametrize(
        "head",
        [
            b"no colon\r\nContent-Length: 2\r\n",
            b": nameless\r\nContent-Length: 2\r\n",
            b" folded\r\nContent-Length: 2\r\n",
            b"Content-Length: 2\r\nContent-Length: 2\r\n",
            b"Content-Length: -7\r\n",
            b"Content-Length: \xff\r\n",
            b"Content-Type: \xff; charset=\0\r\n",
            b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 2\r\n",
            b"Content-Length: 2\r\nTransfer-Encoding: identity\r\n",
        ],
    )
    def test_that_can_be_read_are_read_and_fill_no_log(
        self, transport: Transport, head: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Receiver(saying(HEAD + head + b"\r\nok")) as receiver:
            try:
                assert post(transport, receiver.url).status == 200
            except TransportError as error:
                assert error.kind == "protocol"
        assert not [record for record in caplog.records if record.levelname == "WARNING"]


class TestEncryption:
    def test_connects_to_the_vetted_address_and_believes_the_name(
        self, transport: Transport, authority: Authority
    ) -> None:
        asked = []
        context = authority.serving("here.test")
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        with Receiver(answering(), tls=context) as receiver:
            for _ in range(3):
                assert post(transport, receiver.url_for("here.test")).body == b"ok"
        assert asked == ["here.test"]
        assert receiver.connections == 1

    def test_believes_a_certificate_for_an_address(
        self, transport: Transport, authority: Authority
    ) -> None:
        with Receiver(answering(), tls=authority.serving("127.0.0.1")) as receiver:
            assert post(transport, receiver.url).body == b"ok"

    @pytest.mark.parametrize(
        ("host", "options", "code"),
        [
            ("here.test", {"valid_from": -9 * DAY, "valid_until": -DAY}, "expired"),
            ("here.test", {"valid_from": DAY, "valid_until": 9 * DAY}, "not_yet_valid"),
            ("here.test", {"self_signed": True}, "self_signed"),
            ("there.test", {}, "wrong_host"),
            ("127.0.0.1", {}, "wrong_host"),
        ],
    )
    def test_refuses_what_nobody_vouches_for(
        self,
        transport: Transport,
        authority: Authority,
        host: str,
        options: dict[str, timedelta],
        code: str,
    ) -> None:
        with Receiver(answering(), tls=authority.serving(host, **options)) as receiver:  # type: ignore[arg-type]
            assert failure(transport, receiver.url_for("here.test")) == ("tls", code)
        assert receiver.requests == []

    def test_refuses_an_authority_that_is_not_known(
        self, names: Names, authority: Authority
    ) -> None:
        transport = make(names)  # knows the public ones
        with Receiver(answering(), tls=authority.serving("here.test")) as receiver:
            assert failure(transport, receiver.url_for("here.test")) == ("tls", "untrusted")
        transport.close()

    def test_refuses_whatever_the_environment_says(
        self, names: Names, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.folder / "nothing.pem"))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(authority.folder / "nothing.pem"))
        transport = make(names)
        with Receiver(answering(), tls=authority.serving("here.test")) as receiver:
            assert failure(transport, receiver.url_for("here.test"))[0] == "tls"
        transport.close()

    def test_believes_nobody_whom_the_environment_names_and_logs_no_keys(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        believed, keys = tmp_path / "authority.pem", tmp_path / "keys.log"
        believed.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        environment = {
            **os.environ,
            "SSL_CERT_FILE": str(believed),
            "SSL_CERT_DIR": str(tmp_path),
            "SSLKEYLOGFILE": str(keys),
        }
        with Receiver(answering(), tls=authority.serving("here.test")) as receiver:
            outcome = subprocess.run(
                [sys.executable, "-c", _HANDSHAKE, str(receiver.port)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=True,
            )
        assert "CERTIFICATE_VERIFY_FAILED" in outcome.stdout, outcome.stderr
        assert not keys.exists()

    def test_is_not_made_with_a_receiver_that_speaks_plainly(self, transport: Transport) -> None:
        with Receiver(lambda peer: peer.socket.recv(9) and peer.send(OK)) as receiver:
            url = receiver.url_for("here.test").replace("http:", "https:")
            assert failure(transport, url) == ("tls", "handshake")

    def test_is_over_where_the_connection_ends(self, transport: Transport) -> None:
        with Receiver(hostile.drop) as receiver:
            url = receiver.url_for("here.test").replace("http:", "https:")
            assert failure(transport, url) == ("tls", "handshake")

    def test_ends_in_time_though_openssl_is_kept_busy(
        self, transport: Transport, authority: Authority, tmp_path: Path
    ) -> None:
        """One `recv` reads on while tickets come, and keeps to no timeout meanwhile."""
        behaviour = endless_tickets(authority.serving("127.0.0.1"), tmp_path / "secrets")
        with Receiver(behaviour) as receiver:
            url = receiver.url.replace("http:", "https:")
            assert failure(transport, url, timeout=SHORT) == ("timeout", "answer")
