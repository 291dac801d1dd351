"""How long a failing receiver is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.breaker import (
    AFTER_FAILURES,
    AFTER_SECONDS,
    LONGEST,
    SHORTEST,
    pause_after,
)


@pytest.mark.parametrize(
    ("failures", "failing_for"),
    [(1, 0.0), (AFTER_FAILURES - 1, 10_000.0), (10_000, AFTER_SECONDS - 1)],
)
def test_a_few_failures_or_a_short_while_hold_nothing_back(
    failures: int, failing_for: float
) -> None:
    assert pause_after(failures=failures, failing_for=failing_for) == 0


def test_the_longer_it_fails_the_less_often_it_is_tried() -> None:
    pauses = [
        pause_after(failures=AFTER_FAILURES, failing_for=seconds)
        for seconds in (AFTER_SECONDS, 600, 3_000, 86_400)
    ]
    assert pauses == [SHORTEST, 60, 300, LONGEST]


def test_a_receiver_that_is_overloaded_gets_twice_as_long_each_time() -> None:
    pauses = [pause_after(failures=n, failing_for=0, overloaded=1) for n in (1, 2, 3, 20)]
    assert pauses == [1, 2, 4, 60]


@given(
    failures=st.integers(1, 10**9),
    failing_for=st.floats(0, 1e9),
    overloaded=st.integers(0, 100),
    retry_after=st.none() | st.floats(0, 86_400),
)
def test_what_it_asks_for_it_gets_and_no_pause_is_without_end(
    failures: int, failing_for: float, overloaded: int, retry_after: float | None
) -> None:
    pause = pause_after(
        failures=failures,
        failing_for=failing_for,
        overloaded=overloaded,
        retry_after=retry_after,
    )
    assert (retry_after or 0) <= pause <= max(LONGEST, retry_after or 0)
