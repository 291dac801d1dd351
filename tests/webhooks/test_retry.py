from __future__ import annotations

import datetime
import math
import re
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.retry import (
    DEFAULT_SCHEDULE,
    MAX_ATTEMPTS,
    next_delay,
    parse_retry_after,
    validate_schedule,
)

NOW = datetime.datetime(2024, 1, 1, 10, 0, tzinfo=datetime.UTC)
PLAIN = {"jitter": 0.0, "random": 0.5, "retry_after": None, "retry_after_max": 86_400}


def test_the_default_is_seed_004s_schedule() -> None:
    delays = [next_delay(DEFAULT_SCHEDULE, made, **PLAIN) for made in range(6)]
    assert delays == [0, 60, 300, 900, 3600, None]


@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [(None, 60), (0, 60), (59, 60), (61, 61), (10**9, 7200), (math.inf, 7200), (math.nan, 60)],
)
def test_retry_after_lengthens_the_wait_within_bounds(retry_after: Any, delay: float) -> None:
    changed = PLAIN | {"retry_after": retry_after, "retry_after_max": 7200}
    assert next_delay([0, 60], 1, **changed) == delay


def test_retry_after_gives_no_attempt_beyond_the_schedule() -> None:
    assert next_delay([0, 60], 2, **PLAIN | {"retry_after": 10}) is None


@given(
    schedule=st.lists(st.floats(0, 1e6), min_size=1, max_size=8),
    position=st.integers(0, 9),
    jitter=st.floats(0, 1),
    random=st.floats(0, 1),
    retry_after=st.none() | st.floats(0, 1e9),
)
def test_nothing_comes_early_nor_much_later_than_its_jitter(
    schedule: list[float], position: int, jitter: float, random: float, retry_after: float | None
) -> None:
    delay = next_delay(
        schedule,
        position,
        jitter=jitter,
        random=random,
        retry_after=retry_after,
        retry_after_max=1000,
    )
    if position >= len(schedule):
        assert delay is None
        return
    least = max(schedule[position], min(retry_after or 0, 1000))
    assert delay is not None
    assert least <= delay <= least * (1 + jitter) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("1.5", 1.5),
        ("9" * 40, float("9" * 40)),
        (format_datetime(NOW + datetime.timedelta(seconds=90), usegmt=True), 90),
        ("Mon, 01 Jan 2024 10:00:30 GMT", 30),
        ("Monday, 01-Jan-24 10:00:30 GMT", 30),
        ("Mon Jan  1 10:00:30 2024", 30),
        ("Mon, 01 Jan 2024 09:00:00 GMT", 0),  # past
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-5",
        "1e9",
        "inf",
        "nan",
        "٣",
        "0x10",
        "Mon, 99 Jan 2024 10:00:00 GMT",
        "Mon, 01 Jan 99999999999999999999 10:00:00 GMT",
        "Mon, 01 Jan 2024 10:00:00 +9999999999",
        "9" * 10_000,
        "Mon, " * 1000,
    ],
)
def test_a_hostile_retry_after_says_nothing(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None


@given(value=st.text(max_size=70))
def test_no_retry_after_raises(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@pytest.mark.parametrize("value", [[0], [0, 60, 300.5], (1,), [0] * MAX_ATTEMPTS])
def test_a_usable_schedule_becomes_floats(value: Any) -> None:
    schedule = validate_schedule(value)
    assert schedule == list(value)
    assert all(type(wait) is float for wait in schedule)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "0"),
        (None, "None"),
        ("0,60", "'0,60'"),
        ({"0": 1}, "{"),
        ([0, "60"], "'60'"),
        ([True], "True"),
        ([None], "None"),
        ([-1], "-1"),
        ([math.nan], "nan"),
        ([math.inf], "inf"),
        ([10**9], "1000000000"),
        ([0] * (MAX_ATTEMPTS + 1), "51"),
    ],
)
def test_an_unusable_schedule_is_refused_and_named(value: Any, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        validate_schedule(value)
