"""Walking many rows: how many at once, and how whoever watches is told, and stops it."""

from __future__ import annotations

from collections.abc import Callable

BATCH_SIZE = 500

STOP = object()
Progress = Callable[[int], object]
"""Told, after each batch, how many rows it went through; it may answer STOP."""


def no_progress(count: int) -> None:
    """For callers that watch nothing."""
