"""Going out through a proxy that whoever runs the system has chosen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.receivers import hostile
from tests.receivers.certificates import Authority
from tests.receivers.hostile import Receiver, answering
from tests.receivers.proxy import proxying
from tests.services.base import PATIENCE
from webhooks.addresses import Policy
from webhooks.transport import Answer, Transport, TransportError
from webhooks.transport.resolver import Resolver

TIMEOUT = PATIENCE
SHORT = 1.0
PLAIN = Policy(require_https=False)


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def transports(authority: Authority) -> Iterator[list[Transport]]:
    made: list[Transport] = []
    yield made
    for transport in made:
        transport.close()


def through(proxy: Receiver, transports: list[Transport], authority: Authority) -> Transport:
    def lookup(host: str) -> list[str]:
        assert host == "proxy.test", "only the proxy looks names up"
        return ["127.0.0.1"]

    transport = Transport(
        PLAIN,
        max_response_bytes=1000,
        user_agent="crm/1",
        egress_proxy=f"http://user:p%40ss@proxy.test:{proxy.port}",
        context=authority.trusting(),
        resolver=Resolver(lookup),
    )
    transports.append(transport)
    return transport


def post(transport: Transport, url: str, timeout: float = TIMEOUT) -> Answer:
    return transport.post(url, b"{}", {"X-Webhook-Event": "a"}, timeout=timeout)


def failure(transport: Transport, url: str, timeout: float = TIMEOUT) -> tuple[str, str]:
    with pytest.raises(TransportError) as caught:
        post(transport, url, timeout)
    return caught.value.kind, caught.value.detail.partition(":")[0]


def test_https_is_tunnelled_and_verified_end_to_end(
    transports: list[Transport], authority: Authority
) -> None:
    with (
        Receiver(answering(), tls=authority.serving("exemplo.test")) as receiver,
        Receiver(
            proxying({"exemplo.test:443": receiver.port, "other.test:443": receiver.port})
        ) as proxy,
    ):
        transport = through(proxy, transports, authority)
        for _ in range(3):
            assert post(transport, "https://exemplo.test/hook").body == b"ok"
        assert failure(transport, "https://other.test/hook") == ("tls", "wrong_host")
    assert proxy.connections == 2
    asked = proxy.requests[0]
    assert asked.line.startswith("CONNECT exemplo.test:443 ")
    assert asked.header("proxy-authorization") == "Basic dXNlcjpwQHNz"  # user:p@ss
    assert asked.header("x-webhook-event") is None
    assert receiver.requests[0].line == "POST /hook HTTP/1.1"
    assert receiver.requests[0].header("proxy-authorization") is None


def test_http_is_handed_over(transports: list[Transport], authority: Authority) -> None:
    with (
        Receiver(answering()) as receiver,
        Receiver(proxying({"exemplo.test": receiver.port})) as proxy,
    ):
        transport = through(proxy, transports, authority)
        assert post(transport, "http://exemplo.test/hook?x").body == b"ok"
    assert proxy.requests[0].line == "POST http://exemplo.test/hook?x HTTP/1.1"
    assert proxy.requests[0].header("host") == "exemplo.test"


def test_the_url_itself_is_guarded_all_the_same(
    transports: list[Transport], authority: Authority
) -> None:
    with Receiver(answering()) as proxy:
        transport = through(proxy, transports, authority)
        assert failure(transport, "https://10.0.0.1/") == ("blocked", "network")
        assert failure(transport, "https://2130706433/") == ("blocked", "host")
        assert failure(transport, "https://localhost/") == ("blocked", "network")
        assert failure(transport, "https://exemplo.test:22/") == ("blocked", "port")
    assert proxy.connections == 0


def test_ports_are_guarded_though_networks_are_allowed(authority: Authority) -> None:
    """Whether a name leads into one of them, only the proxy can tell."""
    policy = Policy(allowed_networks=["10.0.0.0/8"])
    proxied = Transport(
        policy, max_response_bytes=1000, user_agent="crm/1", egress_proxy="http://127.0.0.1:9"
    )
    assert failure(proxied, "https://exemplo.test:22/") == ("blocked", "port")
    proxied.close()


def test_a_proxy_that_refuses_is_a_failure(
    transports: list[Transport], authority: Authority
) -> None:
    with Receiver(proxying({})) as proxy:
        transport = through(proxy, transports, authority)
        assert failure(transport, "https://exemplo.test/") == ("connect", "proxy")


@pytest.mark.parametrize(
    ("behaviour", "kinds"),
    [
        (hostile.hang, {"timeout"}),
        (hostile.trickle_headers, {"timeout"}),
        (hostile.drop, {"connect"}),
        (hostile.reset, {"connect"}),
        (hostile.endless_headers, {"protocol", "connect"}),
        (hostile.endless_status, {"protocol", "connect"}),
        (hostile.saying(b"nonsense\r\n\r\n"), {"protocol", "connect"}),
    ],
)
def test_a_proxy_that_misbehaves_is_a_failure_in_time(
    transports: list[Transport],
    authority: Authority,
    behaviour: hostile.Behaviour,
    kinds: set[str],
) -> None:
    with Receiver(behaviour) as proxy:
        transport = through(proxy, transports, authority)
        assert failure(transport, "https://exemplo.test/", SHORT)[0] in kinds
        assert failure(transport, "http://exemplo.test/", SHORT)[0] in kinds


def test_a_proxy_that_is_down_is_a_failure(
    transports: list[Transport], authority: Authority
) -> None:
    with hostile.closed_port() as port:
        transport = Transport(
            PLAIN,
            max_response_bytes=1000,
            user_agent="crm/1",
            egress_proxy=f"http://127.0.0.1:{port}",
        )
        transports.append(transport)
        assert failure(transport, "https://exemplo.test/") == ("connect", "refused")


@pytest.mark.parametrize(
    "url", ["", "https://proxy.test", "socks5://proxy.test", "http://", "proxy:80", "http://["]
)
def test_what_is_no_proxy_is_refused_at_the_start(url: str) -> None:
    if url:
        with pytest.raises(ValueError, match="egress proxy"):
            Transport(PLAIN, max_response_bytes=1, user_agent="x", egress_proxy=url)
