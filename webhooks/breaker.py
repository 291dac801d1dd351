"""How long to leave a receiver alone: a circuit breaker. Pure.

A receiver that has failed for some minutes is tried less and less often, one request at a time
(half-open), until one succeeds. What waits for it meanwhile waits untried: no retry is spent.
One that asks for time (429, 502, 503, 504, `Retry-After`) gets it.
"""

from __future__ import annotations

AFTER_FAILURES = 10
"""Failed attempts without a success between them, before anything is held back."""
AFTER_SECONDS = 120.0
"""For how long they must have lasted."""
SHORTEST, LONGEST = 30.0, 600.0  # seconds between tries of a receiver that goes on failing

# Requests per second. With less, the next one would be due beyond what a timestamp can say.
LEAST_RATE, MOST_RATE = 0.0001, 1000.0

# Statuses by which a receiver says that it is too much (Standard Webhooks 1.0.0; RFC 9110).
OVERLOADED = frozenset({429, 502, 503, 504})
_OVERLOAD_SECONDS = 1.0  # after the first; twice as long after each further one
_OVERLOAD_LONGEST = 60.0


def pause_after(
    *, failures: int, failing_for: float, overloaded: int = 0, retry_after: float | None = None
) -> float:
    """Seconds for which a receiver is to be sent nothing; 0 where it may go on.

    :param failures: attempts that failed since its last success.
    :param failing_for: seconds since the first of them.
    :param overloaded: how many of the answers just recorded said that it was too much.
    :param retry_after: the longest time it asked for, in seconds, already bounded.
    """
    pause = 0.0
    if overloaded:
        pause = min(_OVERLOAD_LONGEST, _OVERLOAD_SECONDS * 2.0 ** min(failures - 1, 10))
    if failures >= AFTER_FAILURES and failing_for >= AFTER_SECONDS:
        pause = max(pause, min(LONGEST, max(SHORTEST, failing_for / 10)))
    return max(pause, retry_after or 0.0)


def bounded_rate(rate: float | None) -> float | None:
    """A rate limit as it can be kept; None where there is none.

    :param rate: requests per second; 0 and None are no limit.
    """
    return min(max(LEAST_RATE, rate), MOST_RATE) if rate else None
