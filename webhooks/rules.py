"""Which value each setting may have. A rule says what is wrong with one, or None. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from . import retry
from .conf import DEFAULTS

Rule = Callable[[Any], str | None]


def _number(low: float, high: float, *, whole: bool = False) -> Rule:
    kind = "a whole number" if whole else "a number"

    def problem(value: Any) -> str | None:
        right_type = isinstance(value, int if whole else (int, float))
        if isinstance(value, bool) or not right_type or not low <= value <= high:
            return f"it must be {kind} from {low:g} to {high:g}"
        return None

    return problem


def _boolean(value: Any) -> str | None:
    # "false" from an environment that nobody parsed would read as true.
    return None if isinstance(value, bool) else "it must be True or False"


def _schedule(value: Any) -> str | None:
    try:
        retry.validate_schedule(value)
    except ValueError as error:
        return str(error)
    return None


def networks(value: Any) -> str | None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "it must be a list of networks such as 10.0.0.0/8"
    for each in value:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            return str(error)
    return None


def ports(value: Any) -> str | None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "it must be a list of port numbers"
    wrong = [port for port in value if not isinstance(port, int) or not 0 < port < 65_536]
    return f"{wrong[0]!r} is no port" if wrong else None


def _retention(value: Any) -> str | None:
    kinds = DEFAULTS["RETENTION_DAYS"]
    if not isinstance(value, dict) or not value.keys() <= kinds.keys():
        return f"it must be a dictionary with days for {', '.join(kinds)}"
    days = _number(1, 36_500)
    for kind, each in value.items():
        if each is not None and (problem := days(each)):
            return f"of {kind}, {problem}, or None for ever"
    return None


def _text_or_none(value: Any) -> str | None:
    return None if value is None or isinstance(value, str) else "it must be text or None"


RULES: dict[str, Rule] = {
    "SECRET_OVERLAP_SECONDS": _number(0, 30 * 86_400),
    "ALLOWED_NETWORKS": networks,
    "REFUSED_NETWORKS": networks,
    "ALLOWED_PORTS": ports,
    "REQUIRE_HTTPS": _boolean,
    "TIMEOUT_SECONDS": _number(0.1, 60),
    "RESPONSE_MAX_BYTES": _number(0, 10_000_000, whole=True),
    "BODY_MAX_BYTES": _number(1_000, 10_000_000, whole=True),
    "SNAPSHOT_MAX_BYTES": _number(1_000, 100_000_000, whole=True),
    "USER_AGENT": _text_or_none,
    "TEST_TIMEOUT_SECONDS": _number(0.1, 30),
    "TEST_CONCURRENCY": _number(1, 100, whole=True),
    "RETRY_SCHEDULE_SECONDS": _schedule,
    "RETRY_JITTER": _number(0, 1),
    "RETRY_AFTER_MAX_SECONDS": _number(0, 30 * 86_400),
    "SENDER_THREADS": _number(1, 1_000, whole=True),
    "RECEIVER_CONCURRENCY": _number(1, 100, whole=True),
    "SUSPECT_AFTER_SECONDS": _number(0.01, 60),
    "SUSPECT_SHARE": _number(0.01, 1),
    "LEASE_SECONDS": _number(1, 3_600),
    "POLL_SECONDS": _number(0.01, 60),
    "WAKEUP_INTERVAL_SECONDS": _number(0, 10),
    "WAKEUP_TIMEOUT_SECONDS": _number(0, 10),
    "WAKEUP_PAUSE_SECONDS": _number(0, 600),
    "QUEUE": _text_or_none,
    "DISABLE_AFTER_DAYS": _number(0, 365),
    "DISABLE_FAILURE_SHARE": _number(0.01, 1),
    "DISABLE_MIN_ATTEMPTS": _number(1, 1_000_000, whole=True),
    "RETENTION_DAYS": _retention,
    "METRICS_PER_WEBHOOK": _boolean,
}
