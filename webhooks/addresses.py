"""Which URLs and which IP addresses a webhook may be sent to. Pure: no lookups, no settings.

A URL is read here once, by a grammar narrower than any library's, and what is sent is written
from the parts read: so no two parsers can disagree on which host a URL names. Names are only
checked for their spelling; where they lead is known when they are resolved, and every address
found then goes through `check_ip`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any
from urllib.parse import quote

import idna
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from . import networks
from .networks import Address, Network

MAX_URL_LENGTH = 2000  # characters; what `Webhook.url` holds
DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[/?].*)?", re.DOTALL
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
# What comes before the @ of an address may be a secret, which no message repeats.
_CREDENTIALS = re.compile(r"(?<=//)[^/?#]*@")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TO_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
# What a request line may carry as it is (RFC 3986); all else is percent-encoded.
_SAFE = "!$%&'()*+,/:;=?@~-._"


HIDDEN = "••••"


_SHOWN = re.compile(
    r"(?P<origin>[a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?(?P<host>[^/?#@]*)"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>\#.*)?",
    re.IGNORECASE | re.DOTALL,
)
# What a person would call a path: `webhook`, `crm-events`, `in.php`, `v2`. A token is none.
_WORD = re.compile(r"[A-Za-z]{1,12}(?:[-_.][A-Za-z]{1,12}){0,2}|v[0-9]{1,2}")
_LEAST_TOKEN = 8  # characters of a part of an address that may be a token
_LEAST_WORD = 16  # the same of letters alone


def shown_address(url: str) -> str:
    """The URL as who may not change it sees it: where it leads, and no secret.

    Chat and automation services have theirs in the path (`/services/T000/B000/XXXX`), others in
    the query (`?token=…`): of a path its first part stays, where that is a word, and of a query
    its names.
    """
    match = _SHOWN.fullmatch(url)
    if match is None:
        return HIDDEN if url else ""
    shown = f"{match['origin']}{match['host']}{_shown_path(match['path'] or '')}"
    if match["query"] is not None:
        shown += f"?{_shown_query(match['query'][1:])}"
    return shown + (f"#{HIDDEN}" if match["fragment"] else "")


def _shown_path(path: str) -> str:
    first, slash, rest = path.removeprefix("/").partition("/")
    if first and not _WORD.fullmatch(first):
        return f"/{HIDDEN}"
    return path if not rest.strip("/") else f"/{first}{slash}{HIDDEN}"


def _shown_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(
        f"{name if _WORD.fullmatch(name) else HIDDEN}={HIDDEN}" if equals else HIDDEN
        for name, equals, _value in pairs
    )


def without_address(text: str, url: str) -> str:
    """A text for the same people, in which the URL may stand."""
    return text.replace(url, shown_address(url)) if url else text


def secrets_of(url: str) -> set[str]:
    """What may be a secret in a URL: what `shown_address` hides, as a whole and those of its parts
    that could be tokens. Words that any text may have are not among them."""
    match = _SHOWN.fullmatch(url)
    if match is None:
        return set()
    path, query = match["path"] or "", (match["query"] or "?")[1:]
    first, _slash, rest = path.removeprefix("/").partition("/")
    hidden = rest if _WORD.fullmatch(first) else path.removeprefix("/")
    pairs = [pair.rpartition("=") for pair in query.split("&")]
    parts = [part for part in hidden.split("/") if _may_be_token(part)]
    parts += [
        value
        for name, _equals, value in pairs
        if _may_be_token(value) or (_NAMES_A_SECRET.search(name) and "{{" not in value)
    ]
    return {*parts, *([hidden.strip("/")] if "/" in hidden.strip("/") else [])}


# Parameters whose value is a secret whatever it looks like.
_NAMES_A_SECRET = re.compile(
    "token|key|secret|senha|pass|pwd|auth|sig|hash|code|credential", re.IGNORECASE
)


def _may_be_token(text: str) -> bool:
    telling = any(map(str.isdigit, text)) or len(text) >= _LEAST_WORD
    return len(text) >= _LEAST_TOKEN and telling and "{{" not in text


class AddressRefused(ValueError):
    """A URL or address that no webhook may be sent to.

    :ivar code: which rule refused it, for programs: `scheme`, `https_required`, `credentials`,
        `characters`, `host`, `port`, `fragment`, `length`, `network`.
    :ivar value: what was refused, as given.
    """

    def __init__(self, code: str, message: Promise | str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self._message = message
        if isinstance(value := params.get("value"), str):
            params["value"] = _CREDENTIALS.sub("", value)
        self._params = params
        self.value = str(params.get("value", ""))

    @property
    def message(self) -> str:
        """What was wrong and what to do, in the language now active."""
        return str(self._message) % self._params

    @property
    def detail(self) -> str:
        """The same for a log, in English: `network: 10.0.0.5 in 10.0.0.0/8`."""
        network = self._params.get("network")
        value = shown_address(self.value) if "//" in self.value else self.value
        return f"{self.code}: {value}" + (f" in {network}" if network else "")

    def of_name(self, name: str) -> AddressRefused:
        """The same where `name` led there, for whoever typed the name: what an internal name server
        answers is none of their business."""
        if self.code != "network":
            return self
        return AddressRefused(
            "network",
            _(
                "The name %(value)s leads to an address that may not be called (%(reason)s). "
                "Webhooks go to public addresses only; ask whoever runs the system."
            ),
            value=name,
            reason=self._params["reason"],
        )

    def __str__(self) -> str:
        return self.message


def _as_networks(values: Iterable[str | Network]) -> tuple[Network, ...]:
    return tuple(ip_network(value) if isinstance(value, str) else value for value in values)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is allowed beyond, and refused besides, the public internet.

    Networks may be given as text (`"10.0.0.0/8"`).

    :raises ValueError: a network is no CIDR, or has host bits set.
    """

    #: Reachable on any port: whoever runs the system vouches for what answers there.
    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = frozenset({80, 443})
    require_https: bool = True
    #: Refused whatever else is allowed: parts of allowed networks, and public networks that are
    #: internal here all the same (own services, an own NAT64 prefix).
    refused_networks: tuple[Network, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed_networks", _as_networks(self.allowed_networks))
        object.__setattr__(self, "refused_networks", _as_networks(self.refused_networks))
        object.__setattr__(self, "allowed_ports", frozenset(self.allowed_ports))


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: what to resolve, what to connect to, what to ask for."""

    scheme: str  # "http" or "https"
    host: str  # lower-case ASCII name (IDNA), or an IP address without brackets
    port: int
    request_target: str  # path and query, percent-encoded, as in the request line
    ip: Address | None  # the host, where it is an address

    @property
    def netloc(self) -> str:
        """Host and, unless it is the scheme's own, port: the value of `Host`."""
        host = f"[{self.host}]" if isinstance(self.ip, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Who answers there: `https://example.com`, `http://example.com:8000`."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def url(self) -> str:
        return self.origin + self.request_target


def check_ip(ip: Address, port: int, policy: Policy) -> None:
    """Whether a connection to `ip` may be opened.

    :raises AddressRefused: `network` or `port`.
    """
    real = networks.plain(ip)
    own = next((net for net in policy.refused_networks if ip in net or real in net), None)
    if own is not None:
        raise AddressRefused(
            "network",
            _("%(value)s lies in %(network)s, which WEBHOOKS_REFUSED_NETWORKS refuses."),
            value=ip,
            network=own,
            reason=networks.PRIVATE,
        )
    if any(ip in net or real in net for net in policy.allowed_networks):
        return
    entry = networks.refused(ip)
    if entry is not None:
        raise AddressRefused(
            "network",
            _(
                "%(value)s lies in %(network)s (%(reason)s). Webhooks go to public addresses only; "
                "whoever runs the system may allow a network in WEBHOOKS_ALLOWED_NETWORKS."
            ),
            value=ip,
            network=entry.network,
            reason=entry.reason,
        )
    check_port(port, policy)


def check_url(url: str, policy: Policy) -> Target:
    """Read `url` and refuse what could lead elsewhere than a person reading it would think.

    A port outside `policy.allowed_ports` passes here where networks are allowed and the host is
    a name: whether it leads into one of them only `check_ip` can tell.

    :raises AddressRefused: its `code` says which rule, its text what to do.
    """
    if len(url) > MAX_URL_LENGTH:
        raise AddressRefused(
            "length",
            _("The address (URL) has %(length)d characters; at most %(max)d are allowed."),
            value=_CREDENTIALS.sub("", url)[:60] + "…",
            length=len(url),
            max=MAX_URL_LENGTH,
        )
    _check_characters(url)
    match = _URL.fullmatch(url.partition("#")[0])
    if match is None or match["scheme"].lower() not in DEFAULT_PORTS:
        raise AddressRefused(
            "scheme", _("“%(value)s” is no web address: it must begin with https://."), value=url
        )
    scheme = match["scheme"].lower()
    if "#" in url:
        raise AddressRefused(
            "fragment",
            _("“%(value)s” has a part after #, which is never sent: remove it or write %%23."),
            value=url,
        )
    if scheme == "http" and policy.require_https:
        raise AddressRefused(
            "https_required",
            _("“%(value)s” is not encrypted: it must begin with https://."),
            value=url,
        )
    host, ip, port = _read_authority(match["authority"], scheme)
    if ip is not None:
        check_ip(ip, port, policy)
    else:
        _check_local_name(host, port, policy)
        if not policy.allowed_networks:
            check_port(port, policy)
    rest = match["rest"] or "/"
    return Target(
        scheme=scheme,
        host=host,
        port=port,
        request_target=quote(rest if rest.startswith("/") else "/" + rest, safe=_SAFE),
        ip=ip,
    )


def _check_characters(url: str) -> None:
    for character in url:
        # C: control, format, surrogate, unassigned; Z: white space of any kind.
        if character == "\\" or (
            not "!" <= character <= "~" and unicodedata.category(character)[0] in "CZ"
        ):
            raise AddressRefused(
                "characters",
                _("The address (URL) %(value)s contains %(character)s, which is not allowed."),
                value=ascii(url),
                character=f"U+{ord(character):04X}",
            )


def _read_authority(authority: str, scheme: str) -> tuple[str, Address | None, int]:
    if "@" in authority:
        raise AddressRefused(
            "credentials",
            _("“%(value)s” has a name or password before @. Use a header (Authorization) instead."),
            value=authority.rpartition("@")[2],  # the secret stays out of messages
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise _bad_host(authority)
    port = DEFAULT_PORTS[scheme]
    if match["port"] is not None:
        if not _PORT.fullmatch(match["port"]) or int(match["port"]) > 0xFFFF:
            raise AddressRefused(
                "port",
                _("“%(value)s” is no port: it must be a number from 1 to 65535."),
                value=match["port"],
            )
        port = int(match["port"])
    host = match["host"]
    if host.startswith("["):
        try:
            if "%" in host:  # a zone (fe80::1%eth0) names a network card of this machine
                raise ValueError
            ip6 = IPv6Address(host[1:-1])
        except ValueError:
            raise _bad_host(host) from None
        ip = ip6.ipv4_mapped or ip6  # one spelling for one address
        return str(ip), ip, port
    host = _ascii_name(host)
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        # Resolvers read 127.1, 0x7f.1, 017700000001 and 2130706433 as 127.0.0.1: only the
        # spelling that nobody reads otherwise is taken.
        try:
            ip4 = IPv4Address(host)
        except ValueError:
            raise _bad_host(host) from None
        return host, ip4, port
    return host, None, port


def _ascii_name(host: str) -> str:
    """The name as it is asked of DNS; non-ASCII letters by IDNA 2008, without any mapping."""
    name = host.translate(_TO_LOWER)
    if not name.isascii():
        # IDNA also splits at other full stops, which would make 127。0。0。1 an address.
        if re.search("[\u3002\uff0e\uff61]", name):
            raise _bad_host(host)
        try:
            name = idna.encode(name, strict=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise _bad_host(host) from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _bad_host(host)
    return name


def _check_local_name(host: str, port: int, policy: Policy) -> None:
    """`localhost` and all below it are this machine by definition (RFC 6761 6.3)."""
    if host.rpartition(".")[2] != "localhost":
        return
    try:
        check_ip(IPv4Address("127.0.0.1"), port, policy)
    except AddressRefused:
        check_ip(IPv6Address("::1"), port, policy)


def check_port(port: int, policy: Policy) -> None:
    """:raises AddressRefused: `port`, where it may not be called outside allowed networks."""
    if port not in policy.allowed_ports:
        raise AddressRefused(
            "port",
            _("Port %(value)d is not allowed; allowed are %(ports)s."),
            value=port,
            ports=", ".join(str(allowed) for allowed in sorted(policy.allowed_ports)),
        )


def _bad_host(host: str) -> AddressRefused:
    return AddressRefused(
        "host",
        _(
            "“%(value)s” is no host: write a name such as exemplo.com.br, or an IP address in its "
            "usual form."
        ),
        value=host,
    )
