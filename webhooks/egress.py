"""What the settings say of going out: which addresses may be called, and the transport to do it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from .addresses import Policy
from .conf import settings
from .transport import Transport


def policy() -> Policy:
    """Which addresses may be called, by the settings now in force.

    :raises ValueError: ALLOWED_NETWORKS or REFUSED_NETWORKS of WEBHOOKS hold what is no network.
    """
    return Policy(
        allowed_networks=tuple(settings.ALLOWED_NETWORKS),
        allowed_ports=frozenset(settings.ALLOWED_PORTS),
        require_https=settings.REQUIRE_HTTPS,
        refused_networks=tuple(settings.REFUSED_NETWORKS),
    )


def transport() -> Transport:
    """A transport of one's own; `close()` it.

    :raises ValueError: as `policy`, or WEBHOOKS["EGRESS_PROXY"] is no proxy.
    """
    return Transport(
        policy(),
        max_response_bytes=settings.RESPONSE_MAX_BYTES,
        user_agent=settings.USER_AGENT or f"django-crm-webhooks/{_version()}",
        connections_per_receiver=settings.RECEIVER_CONCURRENCY,
        egress_proxy=settings.EGRESS_PROXY,
    )


def _version() -> str:
    try:
        return version("django-crm-webhooks")
    except PackageNotFoundError:  # run from a checkout
        from . import __version__

        return __version__
