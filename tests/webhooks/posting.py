"""A transport with a name server of the test's own, and what comes of posting with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.receivers.hostile import Receiver
from tests.services.base import PATIENCE, wait_until
from webhooks.addresses import Policy
from webhooks.transport import Answer, Transport, TransportError
from webhooks.transport.resolver import Resolver

LOCAL = Policy(allowed_networks=("127.0.0.1/32", "::1/128"), require_https=False)
TIMEOUT = PATIENCE
SHORT = 1.0


class Names(dict[str, list[str]]):
    """A name server of the test's own; counts what it is asked."""

    def __init__(self, **table: list[str]) -> None:
        super().__init__({f"{name}.test": addresses for name, addresses in table.items()})
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host not in self:
            raise OSError("Name or service not known")
        return self[host]


def make(names: Names, policy: Policy = LOCAL, **options: object) -> Transport:
    resolver = Resolver(names, cache_seconds=0)
    return Transport(
        policy,
        max_response_bytes=1000,
        user_agent="crm/1",
        resolver=resolver,
        **options,  # type: ignore[arg-type]
    )


def post(
    transport: Transport, url: str, *, body: bytes = b"{}", timeout: float = TIMEOUT
) -> Answer:
    return transport.post(url, body, {"Content-Type": "application/json"}, timeout=timeout)


def failure(transport: Transport, url: str, *, timeout: float = TIMEOUT) -> tuple[str, str]:
    with pytest.raises(TransportError) as caught:
        post(transport, url, timeout=timeout)
    return caught.value.kind, caught.value.detail.partition(":")[0]


def until(condition: Callable[[], bool]) -> None:
    wait_until(condition, what="what was to come of it")


def until_sent(receiver: Receiver, size: int) -> None:
    until(lambda: receiver.sent >= size)
