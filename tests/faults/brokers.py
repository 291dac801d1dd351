"""The brokers that a fault may be tried with."""

from __future__ import annotations

from dataclasses import dataclass

from tests.services import Service


@dataclass(frozen=True)
class Broker:
    name: str
    """As in the document."""
    url: str
    server: Service | None
    """None: it is made of files."""
