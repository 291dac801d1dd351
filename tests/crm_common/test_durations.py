from datetime import UTC, datetime, timedelta

import pytest

from crm_common import durations

START = datetime(2024, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("took", "text"),
    [
        ({"hours": 2, "minutes": 30}, "2h 30m"),  # seed 004
        ({"hours": 4, "minutes": 15}, "4h 15m"),  # seed 004
        ({}, "0m"),
        ({"seconds": 59}, "0m"),
        ({"minutes": 30}, "30m"),
        ({"minutes": 59, "seconds": 59, "microseconds": 999999}, "59m"),
        ({"hours": 1}, "1h 0m"),
        ({"hours": 26, "minutes": 5}, "26h 5m"),
        ({"days": 400}, "9600h 0m"),
        ({"hours": -3}, "0m"),
    ],
)
def test_hours_and_minutes(took, text):
    assert durations.between(START, START + timedelta(**took)) == text
