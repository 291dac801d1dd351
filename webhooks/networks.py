"""The networks that no webhook may be sent to, each with the document that says why.

Written out rather than asked of `ipaddress`: what `is_global` answers differs between patch
releases of Python 3.11 to 3.13, and a guard must not change with one.

Sources: the IANA special-purpose address registries for IPv4 and IPv6
(iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry), the RFCs named
beside each entry, and the cloud vendors' own pages for what no registry lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = _("this very machine")
PRIVATE = _("a private network")
LINK_LOCAL = _("link-local, where cloud metadata services answer")
PROVIDER = _("a cloud provider's internal service")
SHARED = _("a carrier's or cloud's shared network")
MULTICAST = _("multicast")
RESERVED = _("reserved")
DOCUMENTATION = _("for documentation only")
TUNNEL = _("an IPv4 address hidden in IPv6")


@dataclass(frozen=True, slots=True)
class Refused:
    """One network that is refused: why, and who says what it is for."""

    network: Network
    reason: Promise | str
    source: str


def _v4(cidr: str, reason: Promise | str, source: str) -> Refused:
    return Refused(IPv4Network(cidr), reason, source)


def _v6(cidr: str, reason: Promise | str, source: str) -> Refused:
    return Refused(IPv6Network(cidr), reason, source)


IPV4 = (
    _v4("0.0.0.0/8", LOOPBACK, "RFC 1122 3.2.1.3; Linux connects 0.0.0.0 to itself"),
    _v4("10.0.0.0/8", PRIVATE, "RFC 1918"),
    _v4("100.64.0.0/10", SHARED, "RFC 6598; Alibaba's metadata service is 100.100.100.200"),
    _v4("127.0.0.0/8", LOOPBACK, "RFC 1122 3.2.1.3"),
    _v4("168.63.129.16/32", PROVIDER, "Microsoft Learn, 'What is IP address 168.63.129.16?'"),
    _v4("169.254.0.0/16", LINK_LOCAL, "RFC 3927; metadata of most clouds is 169.254.169.254"),
    _v4("172.16.0.0/12", PRIVATE, "RFC 1918"),
    _v4("192.0.0.0/24", RESERVED, "RFC 6890; Oracle's metadata service is 192.0.0.192"),
    _v4("192.0.2.0/24", DOCUMENTATION, "RFC 5737"),
    _v4("192.88.99.0/24", RESERVED, "RFC 7526, once the anycast relay of 6to4"),
    _v4("192.168.0.0/16", PRIVATE, "RFC 1918"),
    _v4("198.18.0.0/15", RESERVED, "RFC 2544, benchmarking"),
    _v4("198.51.100.0/24", DOCUMENTATION, "RFC 5737"),
    _v4("203.0.113.0/24", DOCUMENTATION, "RFC 5737"),
    _v4("224.0.0.0/4", MULTICAST, "RFC 5771"),
    _v4("240.0.0.0/4", RESERVED, "RFC 1112 4; 255.255.255.255 is RFC 919"),
)

# Networks inside 2000::/3 first come first matched; what lies outside it is refused by GLOBAL.
IPV6 = (
    _v6("::1/128", LOOPBACK, "RFC 4291 2.5.3"),
    _v6("::/128", LOOPBACK, "RFC 4291 2.5.2; Linux connects :: to itself"),
    _v6("::/96", TUNNEL, "RFC 4291 2.5.5.1, IPv4-compatible"),
    _v6("::ffff:0:0:0/96", TUNNEL, "RFC 2765, IPv4-translated"),
    _v6("64:ff9b:1::/48", TUNNEL, "RFC 8215, NAT64 of local use"),
    _v6("100::/64", RESERVED, "RFC 6666, discard"),
    _v6("100:0:0:1::/64", RESERVED, "RFC 9780, dummy prefix"),
    _v6("2001::/32", TUNNEL, "RFC 4380, Teredo"),
    _v6("2001::/23", RESERVED, "RFC 2928, IETF protocol assignments"),
    _v6("2001:db8::/32", DOCUMENTATION, "RFC 3849"),
    _v6("2002::/16", TUNNEL, "RFC 3056, 6to4, retired by RFC 7526"),
    _v6("3ffe::/16", RESERVED, "RFC 3701, the retired 6bone"),
    _v6("3fff::/20", DOCUMENTATION, "RFC 9637"),
    _v6("5f00::/16", RESERVED, "RFC 9602, segment routing"),
    _v6("fc00::/7", PRIVATE, "RFC 4193; AWS's metadata service is fd00:ec2::254"),
    _v6("fe80::/10", LINK_LOCAL, "RFC 4291 2.5.6"),
    _v6("fec0::/10", PRIVATE, "RFC 3879, site-local, retired"),
    _v6("ff00::/8", MULTICAST, "RFC 4291 2.7"),
)

GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 2.4: all that IANA gives out
NOT_GLOBAL = _v6("::/0", RESERVED, "IANA IPv6 address space: only 2000::/3 is allocated")
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 2.1
# RFC 5214 6.1: an interface identifier of [02]00:5efe and an IPv4 address, below any prefix.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def as_address(host: str) -> Address | None:
    """`host` as an address, or None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def plain(ip: Address) -> Address:
    """The IPv4 address that an IPv4-mapped or NAT64 address leads to; any other as it is.

    Both forms are not networks of their own but another spelling: sockets treat `::ffff:a.b.c.d`
    as `a.b.c.d`, and DNS64 writes every IPv4-only receiver as `64:ff9b::a.b.c.d`.
    """
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in NAT64:
            return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip


def refused(ip: Address) -> Refused | None:
    """The first entry of the tables that `ip` falls under, or None where it is public."""
    ip = plain(ip)
    if isinstance(ip, IPv4Address):
        return next((entry for entry in IPV4 if ip in entry.network), None)
    for entry in IPV6:
        if ip in entry.network:
            return entry
    if ip not in GLOBAL_UNICAST:
        return NOT_GLOBAL
    low = int(ip) & 0xFFFF_FFFF_FFFF_FFFF
    if low >> 32 in _ISATAP:
        return refused(IPv4Address(low & 0xFFFF_FFFF))
    return None
