"""Which addresses may be called: every table entry, every odd spelling, and properties."""
# ruff: noqa: RUF001, S104

from __future__ import annotations

import ipaddress
import socket
import string
from urllib.parse import urlsplit

import pytest
import requests
from django.utils import translation
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from webhooks import networks
from webhooks.addresses import (
    AddressRefused,
    Policy,
    Target,
    check_ip,
    check_url,
    secrets_of,
    shown_address,
)

PUBLIC = Policy()
PLAIN = Policy(require_https=False)
V4 = "93.184.215.14"
V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

INTERNAL_V4 = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]
JUST_OUTSIDE_V4 = [
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
]
INTERNAL_V6 = [
    "::",
    "::1",
    "::7f00:1",
    "::ffff:0:127.0.0.1",
    "64:ff9b:1::a00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


def refusal(url: str, policy: Policy = PLAIN) -> str:
    with pytest.raises(AddressRefused) as caught:
        check_url(url, policy)
    return caught.value.code


def ip_refusal(ip: str, port: int = 443, policy: Policy = PUBLIC) -> str:
    with pytest.raises(AddressRefused) as caught:
        check_ip(ipaddress.ip_address(ip), port, policy)
    return caught.value.code


def hidden(v4: str) -> list[str]:
    """`v4` in all forms in which IPv6 carries it."""
    number = int(ipaddress.IPv4Address(v4))
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    inverted = number ^ 0xFFFF_FFFF
    return [
        f"::ffff:{v4}",  # mapped
        f"::ffff:{high}:{low}",
        f"::{v4}",  # compatible
        f"::ffff:0:{v4}",  # translated
        f"64:ff9b::{v4}",  # NAT64
        f"64:ff9b:1::{v4}",
        f"2002:{high}:{low}::1",  # 6to4
        f"2001:0:{high}:{low}::1",  # Teredo, as server
        f"2001:0:5db8:d70e::{inverted >> 16:x}:{inverted & 0xFFFF:x}",  # Teredo, as client
        f"2606:2800:21f:cb07:0:5efe:{v4}",  # ISATAP
        f"2606:2800:21f:cb07:200:5efe:{v4}",
        f"fe80::5efe:{v4}",
    ]


class TestNetworks:
    @pytest.mark.parametrize("ip", [*INTERNAL_V4, *INTERNAL_V6])
    def test_internal_ones_are_refused(self, ip: str) -> None:
        assert ip_refusal(ip) == "network"
        host = f"[{ip}]" if ":" in ip else ip
        assert refusal(f"http://{host}/") == "network"

    @pytest.mark.parametrize("ip", [*JUST_OUTSIDE_V4, V4, V6, "2a00::1", "2000::1"])
    def test_public_ones_are_not(self, ip: str) -> None:
        check_ip(ipaddress.ip_address(ip), 443, PUBLIC)

    @pytest.mark.parametrize("v4", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1"])
    def test_internal_ones_are_refused_in_every_disguise(self, v4: str) -> None:
        for disguise in hidden(v4):
            assert ip_refusal(disguise) == "network", disguise
            assert refusal(f"https://[{disguise}]/") == "network", disguise

    def test_a_public_address_may_be_reached_through_nat64_or_mapped(self) -> None:
        for form in (f"::ffff:{V4}", f"64:ff9b::{V4}"):
            check_ip(ipaddress.ip_address(form), 443, PUBLIC)

    def test_every_entry_names_its_source_and_none_overlaps_what_is_global(self) -> None:
        for entry in (*networks.IPV4, *networks.IPV6):
            assert entry.source
            assert networks.refused(entry.network[0]) is not None
            assert networks.refused(entry.network[-1]) is not None

    @given(st.ip_addresses())
    @example(ipaddress.ip_address("192.88.99.1"))
    def test_nothing_that_the_standard_library_calls_private_is_let_through(
        self, ip: networks.Address
    ) -> None:
        real = networks.plain(ip)
        if real.is_private or real.is_loopback or real.is_link_local or real.is_multicast:
            assert ip_refusal(str(ip)) == "network"

    @given(st.ip_addresses(v=4))
    def test_a_disguise_is_never_let_through_where_the_address_is_not(
        self, ip: ipaddress.IPv4Address
    ) -> None:
        if networks.refused(ip) is not None:
            for disguise in hidden(str(ip)):
                assert networks.refused(ipaddress.ip_address(disguise)) is not None


class TestPolicy:
    def test_an_allowed_network_is_allowed_on_any_port(self) -> None:
        intranet = Policy(allowed_networks=["10.1.0.0/16"])
        check_ip(ipaddress.ip_address("10.1.2.3"), 8080, intranet)
        check_ip(ipaddress.ip_address("::ffff:10.1.2.3"), 8080, intranet)
        assert check_url("https://10.1.2.3:8080/", intranet).port == 8080
        assert ip_refusal("10.2.0.1", 443, intranet) == "network"
        assert ip_refusal("2002:a01:203::1", 443, intranet) == "network"
        assert ip_refusal(V4, 8080, intranet) == "port"

    def test_a_port_of_a_name_is_judged_where_it_leads_if_networks_are_allowed(self) -> None:
        assert refusal("https://exemplo.com.br:8080/") == "port"
        intranet = Policy(allowed_networks=["10.0.0.0/8"])
        assert check_url("https://exemplo.com.br:8080/", intranet).port == 8080

    def test_own_public_networks_can_be_refused(self) -> None:
        policy = Policy(refused_networks=["93.184.0.0/16"])
        assert ip_refusal(V4, 443, policy) == "network"
        assert ip_refusal(f"64:ff9b::{V4}", 443, policy) == "network"

    def test_what_is_refused_stays_so_within_what_is_allowed(self) -> None:
        policy = Policy(allowed_networks=["10.0.0.0/8"], refused_networks=["10.0.0.5/32"])
        check_ip(ipaddress.ip_address("10.0.0.4"), 8080, policy)
        assert ip_refusal("10.0.0.5", 443, policy) == "network"
        assert ip_refusal("::ffff:10.0.0.5", 443, policy) == "network"
        with pytest.raises(AddressRefused, match=r"10\.0\.0\.5/32.*REFUSED_NETWORKS"):
            check_url("https://10.0.0.5/", policy)

    def test_http_is_refused_where_https_is_required_even_inside(self) -> None:
        policy = Policy(allowed_networks=["127.0.0.0/8"])
        assert refusal("http://127.0.0.1/", policy) == "https_required"

    def test_localhost_is_this_machine(self) -> None:
        assert refusal("http://localhost/") == "network"
        assert refusal("http://anything.LOCALHOST/") == "network"
        for network in ("127.0.0.0/8", "::1/128"):
            policy = Policy(allowed_networks=[network], require_https=False)
            assert check_url("http://localhost:8000/", policy).host == "localhost"

    @pytest.mark.parametrize("network", ["10.0.0.1/8", "nonsense", "10.0.0.0/33"])
    def test_a_network_that_is_none_is_an_error(self, network: str) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            Policy(allowed_networks=[network])


class TestReadingUrls:
    @pytest.mark.parametrize(
        ("url", "sent"),
        [
            ("https://exemplo.com.br", "https://exemplo.com.br/"),
            ("HTTPS://Exemplo.COM.br:443/A?b=C", "https://exemplo.com.br/A?b=C"),
            ("https://exemplo.com.br?x=1", "https://exemplo.com.br/?x=1"),
            ("http://exemplo.com.br:443//x", "http://exemplo.com.br:443//x"),
            (
                "https://ação.com.br/ação?é=ü",
                "https://xn--ao-siap.com.br/a%C3%A7%C3%A3o?%C3%A9=%C3%BC",
            ),
            ("https://exemplo.com/%7Ea%2Fb/{{id}}", "https://exemplo.com/%7Ea%2Fb/%7B%7Bid%7D%7D"),
            ("https://exemplo.com/a@b:c;d,e", "https://exemplo.com/a@b:c;d,e"),
            (f"https://{V4}/", f"https://{V4}/"),
            (f"https://[{V6.upper()}]/", f"https://[{V6}]/"),
            (f"https://[::ffff:{V4}]/", f"https://{V4}/"),
            ("https://meu_servico.exemplo.com/", "https://meu_servico.exemplo.com/"),
            ("https://1.2.3.exemplo/", "https://1.2.3.exemplo/"),
        ],
    )
    def test_sound_ones_are_sent_as_they_were_read(self, url: str, sent: str) -> None:
        target = check_url(url, PLAIN)
        assert target.url == sent
        assert check_url(sent, PLAIN) == target

    def test_are_taken_apart(self) -> None:
        target = check_url("http://[2606:2800::1]:443/a?b", PLAIN)
        ip = ipaddress.ip_address("2606:2800::1")
        assert target == Target("http", "2606:2800::1", 443, "/a?b", ip)
        assert target.netloc == "[2606:2800::1]:443"

    @pytest.mark.parametrize(
        "host",
        [
            "127.1",
            "127.0.1",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "0x7f.1",
            "0x7f000001",
            "0X7F.0.0.1",
            "0x",
            "127.0.0.0x1",
            "127.00.0.1",
            "127.0.0.01",
            "1.2.3.4.5",
            "256.1.1.1",
            "4294967296",
            "127.0.0.1.",
            "exemplo.com.",
            ".",
            "..",
            ".exemplo.com",
            "exemplo..com",
            "１２７.0.0.1",
            "127。0。0。1",
            "127．0．0．1",
            "127｡0｡0｡1",
            "①②⑦.⓪.⓪.①",
            "٠.٠.٠.٠",
            "ｌocalhost",
            "ⓔxample.com",
            "exam\u212ale.com",  # Kelvin sign
            "ex\u00adample.com",
            "exa\u200dmple.com",
            "127.0.0.1%20",
            "%31%32%37.0.0.1",
            "127%2e0.0.1",
            "exemplo.com%00.evil.com",
            "-exemplo.com",
            "exemplo-.com",
            "exem plo.com",
            "exemplo.com,evil.com",
            "exemplo.com;evil.com",
            "*.exemplo.com",
            "$(x).com",
            "'a'.com",
            "a" * 64 + ".com",
            ".".join(["a" * 60] * 5),
            "[::1",
            "::1]",
            "[::1]x",
            "[::1%25lo]",
            "[fe80::1%eth0]",
            "[127.0.0.1]",
            "[]",
            "[::g]",
            "[v1.x]",
            "::1",
            "",
        ],
    )
    def test_odd_hosts_are_refused(self, host: str) -> None:
        assert refusal(f"http://{host}/") in {"host", "characters", "port"}

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("https://user@exemplo.com/", "credentials"),
            ("https://user:pass@exemplo.com/", "credentials"),
            ("https://@exemplo.com/", "credentials"),
            ("https://exemplo.com@127.0.0.1/", "credentials"),
            ("https://exemplo.com%40evil.com/", "host"),
            ("https://exemplo.com\\@127.0.0.1/", "characters"),
            ("https://exemplo.com\\.evil.com/", "characters"),
            ("https:\\\\exemplo.com/", "characters"),
            ("https://exemplo.com/a b", "characters"),
            (" https://exemplo.com/", "characters"),
            ("https://exemplo.com/\t", "characters"),
            ("https://exemplo.com/\r\nX-A: b", "characters"),
            ("https://exemplo.com/\0", "characters"),
            ("https://exemplo.com/\x7f", "characters"),
            ("https://exemplo.com/\u202etxt", "characters"),
            ("https://exemplo.com/\u2028", "characters"),
            ("https://exemplo.com/\ud800", "characters"),
            ("https://exemplo.com/\ufeff", "characters"),
            ("https://exemplo.com/#x", "fragment"),
            ("https://exemplo.com#@127.0.0.1/", "fragment"),
            ("https://127.0.0.1#.exemplo.com/", "fragment"),
            ("https://exemplo.com:/", "port"),
            ("https://exemplo.com:0/", "port"),
            ("https://exemplo.com:65536/", "port"),
            ("https://exemplo.com:0443/", "port"),
            ("https://exemplo.com:+443/", "port"),
            ("https://exemplo.com:４４３/", "port"),
            ("https://exemplo.com:22/", "port"),
            ("https://exemplo.com:443:443/", "port"),
            ("ftp://exemplo.com/", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("gopher://127.0.0.1/", "scheme"),
            ("unix:///var/run/docker.sock", "scheme"),
            ("javascript:alert(1)", "scheme"),
            ("//exemplo.com/", "scheme"),
            ("exemplo.com", "scheme"),
            ("https:exemplo.com", "scheme"),
            ("https:/exemplo.com", "scheme"),
            ("https:///exemplo.com", "host"),
            ("https://", "host"),
            ("", "scheme"),
            ("https://exemplo.com/" + "a" * 2000, "length"),
        ],
    )
    def test_ambiguous_ones_are_refused(self, url: str, code: str) -> None:
        assert refusal(url) == code

    def test_a_password_is_not_repeated(self) -> None:
        with pytest.raises(AddressRefused) as caught:
            check_url("https://user:hunter2@exemplo.com/", PUBLIC)
        assert "hunter2" not in f"{caught.value} {caught.value.detail} {caught.value!r}"

    def test_a_refusal_says_what_and_what_to_do_in_the_readers_language(self) -> None:
        with pytest.raises(AddressRefused) as caught:
            check_url("https://10.0.0.5/", PUBLIC)
        with translation.override("en"):
            assert "10.0.0.5 lies in 10.0.0.0/8 (a private network)" in caught.value.message
        assert caught.value.detail == "network: 10.0.0.5 in 10.0.0.0/8"

    def test_every_refusal_can_be_told(self) -> None:
        urls = [
            "x" * 3000,
            "\\",
            "x",
            "https://a#b",
            "http://a",
            "https://u@a",
            "https://[",
            "https://a:b",
            "https://a:22",
            "https://10.0.0.1",
            "https://1",
        ]
        for url in urls:
            with pytest.raises(AddressRefused) as caught:
                check_url(url, PUBLIC)
            assert "%(" not in str(caught.value)
            assert caught.value.value


WORDS = """http https :// : / // \\ @ # ? [ ] % %00 %2f 127.0.0.1 127.1 0x7f.1 ::1 localhost
    exemplo.com evil . 。 １ :80 :443"""
URL_PIECES = st.sampled_from([*WORDS.split(), "\t", "\n", "\0", " "])
ANY_URL = st.one_of(
    st.text(),
    st.lists(URL_PIECES, max_size=12).map("".join),
    st.lists(st.one_of(URL_PIECES, st.text(max_size=3)), max_size=10).map("".join),
    st.builds("http://{}/{}".format, st.text(alphabet=string.printable, max_size=12), st.text()),
    st.builds("http://{}".format, st.lists(URL_PIECES, max_size=6).map("".join)),
)


class TestAnyUrl:
    @given(ANY_URL)
    def test_is_refused_or_read_as_every_other_parser_reads_it(self, url: str) -> None:
        try:
            target = check_url(url, PLAIN)
        except AddressRefused as refused:
            assert str(refused)
            assert refused.detail.isprintable()
            return
        if url.isascii():
            assert urlsplit(url).hostname == target.host
        split = urlsplit(target.url)
        assert (split.hostname, split.username, split.password) == (target.host, None, None)
        parsed = parse_url(target.url)
        assert (parsed.scheme, parsed.auth) == (target.scheme, None)
        assert (parsed.host or "").strip("[]") == target.host
        prepared = requests.Request("POST", target.url).prepare()
        assert urlsplit(prepared.url).hostname == target.host
        assert target.url.isascii()
        assert not set(target.url) & set(string.whitespace + "\\#")
        assert target.port in PLAIN.allowed_ports

    @given(ANY_URL)
    def test_that_is_sent_names_no_address_but_the_one_that_was_vetted(self, url: str) -> None:
        """The resolver's own reading of numbers (127.1, 0x7f.1, …) finds none that we did not."""
        try:
            target = check_url(url, PLAIN)
        except AddressRefused:
            return
        try:
            packed = socket.inet_aton(target.host)
        except OSError:
            return
        assert target.ip == ipaddress.IPv4Address(packed)

    @given(st.ip_addresses(), st.sampled_from([80, 443]))
    def test_of_an_address_is_taken_exactly_where_the_address_is(
        self, ip: networks.Address, port: int
    ) -> None:
        host = f"[{ip}]" if ip.version == 6 else str(ip)
        try:
            target = check_url(f"http://{host}:{port}/", PLAIN)
        except AddressRefused:
            assert networks.refused(ip) is not None
        else:
            assert target.ip == (getattr(ip, "ipv4_mapped", None) or ip)
            assert networks.refused(ip) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://ana:s3nha@example.com/",  # refused for another reason first
        "ftp://ana:s3nha@example.com/",
        "https://ana:s3nha@example.com/#part",
        "https://ana:s3nha@exam ple.com/",
        "https://ana:s3nha@@example.com/",
        "https://ana:s3nha@example.com/" + "x" * 3000,
    ],
)
def test_no_message_repeats_a_password_in_an_address(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        check_url(url, Policy())
    shown = f"{refused.value} {refused.value.detail} {refused.value.value}"
    assert "s3nha" not in shown and "ana" not in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("https://a.example/x?", "https://a.example/x?"),
        ("https://a.example/x?token=S3&y=", "https://a.example/x?token=••••&y=••••"),
        ("https://a.example/?S3&&a=b=c", "https://a.example/?••••&a=••••"),
        ("https://a.example/", "https://a.example/"),
        ("https://a.example", "https://a.example"),
        ("https://a.example/webhook/", "https://a.example/webhook/"),
        ("https://a.example/v2/crm", "https://a.example/v2/••••"),
        ("https://hooks.slack.com/services/T0/B1/xyz", "https://hooks.slack.com/services/••••"),
        (
            "https://discord.com/api/webhooks/1/abc?wait=true",
            "https://discord.com/api/••••?wait=••••",
        ),
        ("https://hooks.zapier.com/hooks/catch/12/abc/", "https://hooks.zapier.com/hooks/••••"),
        ("https://hook.eu1.make.com/k3jd9x2", "https://hook.eu1.make.com/••••"),
        ("https://webhook.site/0b1c-22", "https://webhook.site/••••"),
        ("https://n8n.a.example:8443/webhook/{{id}}/x", "https://n8n.a.example:8443/webhook/••••"),
        ("https://a.example/x?S3cr3t=1", "https://a.example/x?••••=••••"),
        ("https://ana:pw@a.example/x#S3", "https://a.example/x#••••"),
        ("no address with S3", "••••"),
        ("", ""),
    ],
)
def test_the_secrets_of_an_address_are_not_for_everyone(url: str, shown: str) -> None:
    assert shown_address(url) == shown


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://a.example/x?token=QUERYSECRET", {"QUERYSECRET"}),
        ("https://a.example/x?page=clientes&API_KEY=abcdefgh", {"abcdefgh"}),
        ("https://a.example/x?page=clientes", set()),
        ("https://a.example/x?token={{id}}", set()),
    ],
)
def test_a_value_is_a_secret_where_its_name_says_so(url: str, secrets: set[str]) -> None:
    """A receiver that sends the address back does not make it seen."""
    assert secrets_of(url) == secrets
