"""Charts drawn by the server: what their templates need to know of each mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from ..latency import Latency
from ..operations import Span

HEIGHT = 160
WIDTH = 720
MARGIN = 12  # the first and the last label are wider than their bars
_TICKS = 8  # at most; more labels would overlap


@dataclass(frozen=True)
class Bar:
    """In the chart's own units; y grows downwards."""

    x: int
    width: int
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float
    label: str


@dataclass(frozen=True)
class Point:
    """A value on a line."""

    x: float
    y: float
    label: str


def bars(
    spans: Sequence[Span], *, height: int, step: int, gap: int, named: Callable[[Span], str]
) -> list[Bar]:
    """Failures stand at the bottom, where they are compared most easily."""
    most = max([span.attempts for span in spans] or [0]) or 1
    found = []
    for place, span in enumerate(spans):
        # Whatever there was is seen, however little it is beside the rest.
        bad = max(1.0, height * span.failures / most) if span.failures else 0.0
        good = max(1.0, height * span.successes / most) if span.successes else 0.0
        good = min(good, height - bad)
        found.append(
            Bar(
                x=place * step,
                width=step - gap,
                good_y=round(height - bad - good, 1),
                good_height=round(good, 1),
                bad_y=round(height - bad, 1),
                bad_height=round(bad, 1),
                label=ngettext(
                    "%(hour)s: %(attempts)d attempt, %(failures)d failed",
                    "%(hour)s: %(attempts)d attempts, %(failures)d failed",
                    span.attempts,
                )
                % {
                    "hour": named(span),
                    "attempts": span.attempts,
                    "failures": span.failures,
                },
            )
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values become places."""

    most: int
    height: int
    step: int
    named: Callable[[Span], str]


def line(spans: Sequence[Span], of: Callable[[Latency], int], scale: Scale) -> list[list[Point]]:
    """A line's pieces: where nothing was answered, there is nothing to draw."""
    pieces: list[list[Point]] = [[]]
    for place, span in enumerate(spans):
        if span.latency is None:
            pieces.append([])
            continue
        value = of(span.latency)
        pieces[-1].append(
            Point(
                x=(place + 0.5) * scale.step,
                y=round(scale.height * (1 - value / scale.most), 1),
                label=f"{scale.named(span)}: {value} ms",
            )
        )
    return [piece for piece in pieces if piece]


def sparkline(hours: Sequence[Span]) -> SafeString:
    """A webhook's last hours, as small as a word."""
    attempts, failures = (sum(getattr(h, name) for h in hours) for name in ("attempts", "failures"))
    return render_to_string(
        "admin/webhooks/sparkline.html",
        {
            "bars": bars(hours, height=20, step=4, gap=1, named=clock),
            "width": 4 * len(hours),
            "label": ngettext(
                "Last 24 hours: %(attempts)d attempt, %(failures)d failed",
                "Last 24 hours: %(attempts)d attempts, %(failures)d failed",
                attempts,
            )
            % {"attempts": attempts, "failures": failures},
        },
    )


def charts(spans: Sequence[Span], named: Callable[[Span], str]) -> dict[str, Any]:
    """What panel.html draws its charts from."""
    step = WIDTH // len(spans)
    slowest = max([span.latency.p95_ms for span in spans if span.latency] or [0])
    scale = Scale(most=slowest or 1, height=HEIGHT, step=step, named=named)
    return {
        "width": step * len(spans),
        "full_width": step * len(spans) + 2 * MARGIN,
        "bars": bars(spans, height=HEIGHT, step=step, gap=step // 5, named=named),
        "most": max([span.attempts for span in spans] or [0]),
        "lines": {
            "p50": line(spans, lambda latency: latency.p50_ms, scale),
            "p95": line(spans, lambda latency: latency.p95_ms, scale),
        },
        "slowest_ms": slowest,
        "ticks": [
            {"x": round((place + 0.5) * step), "label": named(span)}
            for place, span in enumerate(spans)
            if place % -(-len(spans) // _TICKS) == 0
        ],
    }


def clock(span: Span) -> str:
    return date_format(timezone.localtime(span.begins), "H:i")


def day(span: Span) -> str:
    return date_format(timezone.localtime(span.begins), "D d")
