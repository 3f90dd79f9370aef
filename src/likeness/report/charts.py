"""Charts as SVG, drawn from numbers alone.

`ridgeline` shows distributions one above the other on one axis, like figures 3 and 6 of Akbar et
al. 2025: rows carry their names, so nothing hangs on colour. `position_strip` shows where one pair
lies among real images. `range_chart` shows median, 99 % quantile and maximum from four numbers.

See `svg` for what all drawings share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.report import text
from likeness.report.svg import WIDE, drawing, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likeness.types import Floats

_BINS: Final = 48
# Below this many images a histogram is mostly gaps: each image gets a line of its own.
_FEW: Final = 30
_LABEL_WIDTH: Final = 216


@dataclass(frozen=True)
class Series:
    """One row of a ridgeline chart."""

    key: str
    """Class in the style sheet."""
    label: str
    values: Floats
    """Finite, (n,)."""
    note: str = ""
    """A few words below the label."""
    noun: str = "image"
    """What one value stands for."""


@dataclass(frozen=True)
class RangeRow:
    """One row of a range chart."""

    key: str
    label: str
    median: float
    quantile_99: float
    maximum: float


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    left: float
    right: float
    ticks: tuple[float, ...]
    decimals: int

    def x(self, value: float) -> float:
        return self.left + (value - self.low) / (self.high - self.low) * (self.right - self.left)


def ridgeline(series: Sequence[Series], *, title: str, width: int = WIDE) -> str:
    """Draw histograms one above the other, each scaled to its own highest bar.

    Bars are open on the left: (edge, edge + width].
    """
    wide = width >= WIDE
    top = 8
    label_height, plot_height = (0, 80) if wide else (38, 58)
    row_height = label_height + plot_height + 16
    bottom = top + row_height * len(series)
    everything = [row.values for row in series if row.values.size]
    axis = _axis(everything, width=width, left=_LABEL_WIDTH if wide else 12)
    parts = [_grid(axis, top, bottom)]
    for index, row in enumerate(series):
        baseline = top + row_height * (index + 1) - 8
        parts.append(_row_label(row, top + row_height * index, baseline, wide=wide))
        parts.append(_row_shape(row, axis, baseline, plot_height))
    return drawing(title, width, bottom + 26, parts)


def position_strip(baseline: Floats, value: float, low: float, *, title: str) -> str:
    """Draw the histogram of real images from `low` to 1, and a mark where the pair lies."""
    axis = _Axis(low, 1.0, 4, 316, (), 2)
    parts = [
        f'<path class="strip-shape" d="{_steps(baseline, axis, 30, 26)}"/>',
        '<line class="axis" x1="4" x2="316" y1="30.5" y2="30.5"/>',
        f'<path class="strip-mark" d="M{short(axis.x(value))} 31l-5 9h10z"/>',
        f'<path class="strip-line" d="M{short(axis.x(value))} 2v29"/>',
    ]
    return drawing(title, 320, 42, parts)


def range_chart(rows: Sequence[RangeRow], *, title: str, width: int = WIDE) -> str:
    """Draw a line from median over the 99 % quantile to the maximum of each comparison."""
    wide = width >= WIDE
    top = 8
    row_height = 46 if wide else 58
    bottom = top + row_height * len(rows)
    numbers = [np.array([row.median, row.quantile_99, row.maximum]) for row in rows]
    axis = _axis(numbers, width=width, left=_LABEL_WIDTH if wide else 12)
    parts = [_grid(axis, top, bottom)]
    for index, row in enumerate(rows):
        middle = top + row_height * index + (row_height / 2 if wide else 36)
        x, y = (0, middle + 5) if wide else (0, top + row_height * index + 16)
        parts.append(f'<text class="row-label" x="{x}" y="{short(y)}">{escape(row.label)}</text>')
        start, knee, end = (axis.x(v) for v in (row.median, row.quantile_99, row.maximum))
        parts.append(
            f'<g class="{row.key}">'
            f'<line class="range" x1="{short(start)}" x2="{short(end)}" y1="{short(middle)}" '
            f'y2="{short(middle)}"/>'
            f'<circle class="dot" cx="{short(start)}" cy="{short(middle)}" r="6"/>'
            f'<path class="tick" d="M{short(knee)} {short(middle - 9)}v18"/>'
            f'<path class="dot" d="M{short(end - 6)} {short(middle)}l6 -7l6 7l-6 7z"/></g>'
        )
    return drawing(title, width, bottom + 26, parts)


def _axis(values: Sequence[Floats], *, width: int, left: float) -> _Axis:
    edges = [float(v) for row in values for v in (row.min(), row.max())]
    low, high = (min(edges), max(edges)) if edges else (0.0, 1.0)
    # A correlation has a natural end; where the data come near it, show it.
    if high > 1 - 0.5 * max(high - low, 0.1):
        high = 1.0
    if high - low < 0.02:
        low = high - 0.02
    step, decimals = _tick_step((high - low) / (7 if width >= WIDE else 4))
    low = math.floor(low / step + 1e-9) * step
    high = math.ceil(high / step - 1e-9) * step
    num_ticks = round((high - low) / step)
    ticks = tuple(round(low + step * i, 6) for i in range(num_ticks + 1))
    return _Axis(low, high, left, width - 22, ticks, decimals)


def _tick_step(raw: float) -> tuple[float, int]:
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    return step, max(1, -math.floor(math.log10(step) + 1e-9))


def _grid(axis: _Axis, top: float, bottom: float) -> str:
    parts = []
    for tick in axis.ticks:
        x = short(axis.x(tick))
        label = f"{tick:.{axis.decimals}f}".replace("-", "\N{MINUS SIGN}")
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{short(bottom)}"/>')
        parts.append(f'<text class="tick-label" x="{x}" y="{short(bottom + 18)}">{label}</text>')
    return "".join(parts)


def _row_label(row: Series, top: float, baseline: float, *, wide: bool) -> str:
    number = row.values.size
    images = text.many(number, row.noun)
    if number == 0:
        details = [f"no {row.noun}s"]
    else:
        details = [images, f"median {text.correlation(float(np.median(row.values)))}"]
    if row.note:
        details.append(row.note)
    if not wide:
        line = " · ".join(details)
        return (
            f'<text class="row-label" x="0" y="{short(top + 16)}">{escape(row.label)}</text>'
            f'<text class="row-detail" x="0" y="{short(top + 33)}">{escape(line)}</text>'
        )
    lines = [f'<text class="row-label" x="0" y="{short(baseline - 52)}">{escape(row.label)}</text>']
    lines += [
        f'<text class="row-detail" x="0" y="{short(baseline - 34 + 16 * i)}">'
        f"{escape(detail)}</text>"
        for i, detail in enumerate(details)
    ]
    return "".join(lines)


def _row_shape(row: Series, axis: _Axis, baseline: float, height: float) -> str:
    y = short(baseline + 0.5)
    rule = (
        f'<line class="axis" x1="{short(axis.left)}" x2="{short(axis.right)}" y1="{y}" y2="{y}"/>'
    )
    if row.values.size == 0:
        return rule
    if row.values.size < _FEW:
        marks = "".join(
            f"M{short(axis.x(value))} {short(baseline)}v{short(-0.6 * height)}"
            for value in np.sort(row.values).tolist()
        )
        shape = f'<path class="rug" d="{marks}"/>'
    else:
        path = _steps(row.values, axis, baseline, height)
        shape = f'<path class="area" d="{path}"/><path class="outline" d="{path}"/>'
    median = short(axis.x(float(np.median(row.values))))
    mark = f'<path class="median" d="M{median} {short(baseline + 1)}l-4 7h8z"/>'
    return f'<g class="{row.key}">{shape}{rule}{mark}</g>'


def _histogram(values: Floats, axis: _Axis) -> tuple[Floats, NDArray[np.integer], float]:
    """Return left edges, counts and width of bars (edge, edge + width], the last ends the axis."""
    width = (axis.high - axis.low) / _BINS
    bars = np.ceil((values - axis.high) / width).astype(np.int64) - 1
    first, last = int(bars.min()), int(bars.max())
    counts = np.bincount(bars - first, minlength=last - first + 1)
    edges: Floats = axis.high + width * np.arange(first, last + 1, dtype=np.float64)
    return edges, counts, width


def _steps(values: Floats, axis: _Axis, baseline: float, height: float) -> str:
    edges, counts, width = _histogram(values, axis)
    tallest = counts.max()
    low, high = axis.x(axis.low), axis.x(axis.high)
    start = max(low, axis.x(float(edges[0])))
    path = [f"M{short(start)} {short(baseline)}"]
    for edge, number in zip(edges.tolist(), counts.tolist(), strict=True):
        right = min(high, axis.x(edge + width))
        path.append(f"V{short(baseline - height * number / tallest)}H{short(right)}")
    return "".join([*path, f"V{short(baseline)}"])
