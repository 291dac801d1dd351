"""The guarded POST, by layers: an address is vetted and connected to (connections, resolver), a
call keeps its bounds of time and bytes (channel, watchdog), connections are kept for the next call
(shelf), and an answer is read (answers)."""

from .answers import Answer
from .channel import Shortage, TransportError
from .transport import Transport, default_context, proxy_of, resolve_and_check

__all__ = [
    "Answer",
    "Shortage",
    "Transport",
    "TransportError",
    "default_context",
    "proxy_of",
    "resolve_and_check",
]
