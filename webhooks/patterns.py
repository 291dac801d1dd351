"""Subscription patterns: which types of event a webhook wants. Pure.

    cliente.criado    that type
    cliente.*         every type that begins with "cliente."
    *.criado          every type that ends with ".criado"
    *                 every type

A `*` stands for one or more whole segments.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

_SEGMENT = r"[a-z0-9_]+"
_PATTERN = re.compile(rf"(?:\*|{_SEGMENT})(?:\.(?:\*|{_SEGMENT}))*")
MAX_LENGTH = 100
_MOST_QUOTED = 200


class PatternRefused(ValueError):
    """What was given is no subscription pattern; the message says why."""


def check(pattern: object) -> str:
    """:returns: the pattern as it was given.
    :raises PatternRefused: it is not one.
    """
    if not isinstance(pattern, str) or len(pattern) > MAX_LENGTH or not _PATTERN.fullmatch(pattern):
        raise PatternRefused(
            _(
                "%(pattern)r is no event pattern: write an event type such as “cliente.criado”, "
                "or “cliente.*”, “*.criado” or “*”."
            )
            % {"pattern": pattern[:_MOST_QUOTED] if isinstance(pattern, str) else pattern}
        )
    return pattern


class Subscription:
    """A webhook's patterns, made ready."""

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = list(patterns)
        self._exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
        self._all = "*" in patterns
        self._wild = [pattern.split(".") for pattern in patterns if "*" in pattern]

    def wants(self, event_type: str) -> bool:
        if self._all or event_type in self._exact:
            return True
        segments = event_type.split(".")
        return any(_covers(pattern, segments) for pattern in self._wild)


def _covers(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    """Not a regular expression: users write patterns, and many stars would make it backtrack."""
    # Where to go on from if what follows the last star does not fit: one segment further along.
    star = retry_at = -1
    at = here = 0
    while here < len(segments):
        if at < len(pattern) and pattern[at] == "*":
            star, retry_at = at, here + 1
            at, here = at + 1, here + 1
        elif at < len(pattern) and pattern[at] == segments[here]:
            at, here = at + 1, here + 1
        elif star >= 0:
            retry_at += 1
            at, here = star + 1, retry_at
        else:
            return False
    return at == len(pattern)


@functools.lru_cache(maxsize=1024)
def _subscription(patterns: tuple[str, ...]) -> Subscription:
    return Subscription(patterns)


def wants(patterns: Iterable[str], event_type: str) -> bool:
    """Whether any of the patterns covers the type."""
    return _subscription(tuple(patterns)).wants(event_type)
