"""Buckets of durations, and what they tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webhooks.latency import BOUNDS_MS, COLUMNS, Latency, bucket, nothing, told
from webhooks.models import Tally


def counted(durations: list[int]) -> list[int]:
    counts = nothing()
    for duration in durations:
        counts[bucket(duration)] += 1
    return counts


def test_a_tally_has_a_column_for_each_bucket() -> None:
    found = [field.name for field in Tally._meta.fields if field.name.startswith("within_")]
    assert tuple(found) == COLUMNS


def test_empty_buckets_tell_nothing() -> None:
    assert told(nothing()) is told([]) is None


def test_percentiles_are_told_to_within_a_bucket() -> None:
    assert told(counted(list(range(1, 101)))) == Latency(p50_ms=50, p95_ms=95)
    assert told(counted([3, 3, 3, 4000])) == Latency(p50_ms=4, p95_ms=5000)
    assert told(counted([10**30])) == Latency(p50_ms=30_000, p95_ms=30_000)


@given(st.lists(st.integers(0, 30_000), min_size=1))
def test_a_percentile_is_in_the_bucket_of_the_one_it_stands_for(durations: list[int]) -> None:
    latency = told(counted(durations))
    assert latency is not None
    ranked = sorted(durations)
    for percent, found in ((50, latency.p50_ms), (95, latency.p95_ms)):
        exact = ranked[-(-len(ranked) * percent // 100) - 1]
        place = bucket(exact)
        assert (BOUNDS_MS[place - 1] if place else 0) <= found <= BOUNDS_MS[place]
