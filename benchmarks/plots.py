"""Bar charts as SVG: small, the same to the byte for the same figures, for light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from benchmarks.harness import number

_WIDTH, _LABELS, _ROW, _BAR = 760, 290, 30, 18
_COLOURS = ("#2f6f9f", "#e0a030", "#6a9a4a", "#a05a8a")
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}"
    ".title{font-weight:600}.small{font-size:12px;fill:#57606a}"
    ".limit{stroke:#c0392b;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}}"
)


@dataclass(frozen=True)
class Row:
    """One bar: parts that add up, by the name of the series."""

    label: str
    parts: Mapping[str, float]
    limit: float | None = None
    """Where its bar is, if it has one."""


@dataclass(frozen=True)
class Chart:
    title: str
    unit: str
    rows: Sequence[Row] = field(default_factory=tuple)

    def svg(self) -> str:
        series = list(dict.fromkeys(name for row in self.rows for name in row.parts))
        ends = [max(sum(row.parts.values()), row.limit or 0) for row in self.rows]
        scale = (_WIDTH - _LABELS - 90) / (max(ends, default=0) or 1)
        legend = len(series) > 1
        top = 36 + (24 if legend else 0)
        height = top + _ROW * len(self.rows) + 8
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" role="img">',
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style>",
            f'<text class="title" x="8" y="20">{escape(self.title)}</text>',
        ]
        if legend:
            out.append(_legend(series))
        for place, row in enumerate(self.rows):
            out += self._row(row, top + _ROW * place, scale, series)
        return "\n".join([*out, "</svg>", ""])

    def _row(self, row: Row, y: int, scale: float, series: Sequence[str]) -> list[str]:
        middle, x = y + 14, float(_LABELS)
        out = [f'<text x="{_LABELS - 8}" y="{middle}" text-anchor="end">{escape(row.label)}</text>']
        for name, value in row.parts.items():
            width = value * scale
            colour = _COLOURS[series.index(name) % len(_COLOURS)]
            out.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>'
            )
            x += width
        told = number(sum(row.parts.values())) + self.unit
        if row.limit is not None:
            at = _LABELS + row.limit * scale
            out.append(
                f'<line class="limit" x1="{at:.1f}" y1="{y - 4}" x2="{at:.1f}" y2="{y + 22}"/>'
            )
            x = max(x, at)
        out.append(f'<text class="small" x="{x + 6:.1f}" y="{middle}">{escape(told)}</text>')
        return out


def _legend(series: Sequence[str]) -> str:
    out, x = [], _LABELS
    for index, name in enumerate(series):
        colour = _COLOURS[index % len(_COLOURS)]
        out.append(
            f'<rect x="{x}" y="34" width="12" height="12" fill="{colour}"/>'
            f'<text class="small" x="{x + 18}" y="45">{escape(name)}</text>'
        )
        x += 34 + 7 * len(name)
    return "".join(out)
