"""What work costs, compared between one size and ten times that size."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

TIMES = 10
# Linear work takes 10 times as long, quadratic work 100 times.
MOST_TIMES = 35
SPARE_SECONDS = 0.2  # what a busy machine adds to either
TRIES = 4


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of this process, all threads together."""
    gc.collect(0)
    gc.disable()
    try:
        began = time.process_time()
        work()
        return time.process_time() - began
    finally:
        gc.enable()


def assert_linear(work: Callable[[int], Callable[[], Any]], size: int, name: str = "") -> None:
    """Ten times the size takes some ten times the time, and never a hundred times.

    :param work: prepares what is done at a size, which is not measured.
    """
    small_work, large_work = work(size), work(size * TIMES)
    small_work()  # what is done once
    for _try in range(TRIES):
        small, large = seconds(small_work), seconds(large_work)
        if large <= MOST_TIMES * small + SPARE_SECONDS:
            return
    raise AssertionError(
        f"{name} {small:.4f} s of CPU at {size:,}, {large:.4f} s at {size * TIMES:,}".lstrip()
    )
