"""How long answers took: counted in a fixed number of buckets, so that hours and webhooks add up.

Pure. Percentiles are told from the counts, by the bucket that holds the rank and, within it, by
linear interpolation: right to within the bucket's width.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

BOUNDS_MS = (
    *(2, 5, 10, 20, 30, 50, 75, 100, 150, 200),
    *(300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000),
)
"""The longest that a bucket counts, in milliseconds; the last one counts what is longer too."""

COLUMNS = tuple(f"within_{bound}_ms" for bound in BOUNDS_MS)
"""The buckets' columns in a `Tally`, in the same order."""

_LAST = len(BOUNDS_MS) - 1


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds from the start of an attempt to the end of its answer, of what succeeded."""

    p50_ms: int
    p95_ms: int


def nothing() -> list[int]:
    """Empty buckets."""
    return [0] * len(BOUNDS_MS)


def bucket(duration_ms: int) -> int:
    """The place of the bucket that counts an answer."""
    return min(bisect_left(BOUNDS_MS, duration_ms), _LAST)


def told(counts: Sequence[int]) -> Latency | None:
    """What the buckets say; None where they are empty."""
    if not any(counts):
        return None
    return Latency(p50_ms=_percentile(counts, 50), p95_ms=_percentile(counts, 95))


def _percentile(counts: Sequence[int], percent: int) -> int:
    rank = -(-sum(counts) * percent // 100)  # the nearest, counted from 1
    below = 0
    for place, count in enumerate(counts):
        if below + count >= rank:
            least = BOUNDS_MS[place - 1] if place else 0
            return round(least + (BOUNDS_MS[place] - least) * (rank - below) / count)
        below += count
    return BOUNDS_MS[_LAST]
