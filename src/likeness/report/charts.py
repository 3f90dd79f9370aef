"""Charts as SVG, drawn from numbers alone.

`ridgeline` shows distributions one above the other on one axis, like figures 3 and 6 of Akbar et
al. 2025: rows carry their names, so nothing hangs on colour. `position_strip` shows where one pair
lies among real images. `range_chart` shows median, 99 % quantile and maximum from four numbers.

Colours come from classes of the style sheet, so that they follow light and dark. A chart is drawn
twice, wide and narrow, because text in a scaled drawing becomes too small to read on a phone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.report import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likeness.types import Floats

WIDE: Final = 1040
NARROW: Final = 340

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


def ridgeline(
    series: Sequence[Series], *, title: str, threshold: float | None = None, width: int = WIDE
) -> str:
    """Draw histograms one above the other, each scaled to its own highest bar.

    The part of a histogram above `threshold` is filled. Bars are open on the left, so that an image
    exactly at the threshold, which is not flagged, lies below it.
    """
    wide = width >= WIDE
    top = 30 if threshold is not None else 8
    label_height, plot_height = (0, 80) if wide else (38, 58)
    row_height = label_height + plot_height + 16
    bottom = top + row_height * len(series)
    everything = [row.values for row in series if row.values.size]
    axis = _axis(everything, threshold, width=width, left=_LABEL_WIDTH if wide else 12)
    parts = [_grid(axis, top, bottom)]
    if threshold is not None:  # below the rows, so that their labels stay readable
        parts.append(_threshold_mark(axis, threshold, bottom))
    for index, row in enumerate(series):
        baseline = top + row_height * (index + 1) - 8
        parts.append(_row_label(row, top + row_height * index, baseline, wide=wide))
        parts.append(_row_shape(row, axis, baseline, plot_height, threshold))
    return _svg(title, width, bottom + 26, parts)


def position_strip(baseline: Floats, value: float, low: float, *, title: str) -> str:
    """Draw the histogram of real images from `low` to 1, and a mark where the pair lies."""
    axis = _Axis(low, 1.0, 4, 316, (), 2)
    parts = [
        f'<path class="strip-shape" d="{_steps(baseline, axis, None, 30, 26)}"/>',
        '<line class="axis" x1="4" x2="316" y1="30.5" y2="30.5"/>',
        f'<path class="strip-mark" d="M{_n(axis.x(value))} 31l-5 9h10z"/>',
        f'<path class="strip-line" d="M{_n(axis.x(value))} 2v29"/>',
    ]
    return _svg(title, 320, 42, parts)


def range_chart(
    rows: Sequence[RangeRow], *, title: str, threshold: float | None = None, width: int = WIDE
) -> str:
    """Draw a line from median over the 99 % quantile to the maximum of each comparison."""
    wide = width >= WIDE
    top = 30 if threshold is not None else 8
    row_height = 46 if wide else 58
    bottom = top + row_height * len(rows)
    numbers = [np.array([row.median, row.quantile_99, row.maximum]) for row in rows]
    axis = _axis(numbers, threshold, width=width, left=_LABEL_WIDTH if wide else 12)
    parts = [_grid(axis, top, bottom)]
    if threshold is not None:  # below the rows, so that their labels stay readable
        parts.append(_threshold_mark(axis, threshold, bottom))
    for index, row in enumerate(rows):
        middle = top + row_height * index + (row_height / 2 if wide else 36)
        x, y = (0, middle + 5) if wide else (0, top + row_height * index + 16)
        parts.append(f'<text class="row-label" x="{x}" y="{_n(y)}">{escape(row.label)}</text>')
        start, knee, end = (axis.x(v) for v in (row.median, row.quantile_99, row.maximum))
        parts.append(
            f'<g class="{row.key}">'
            f'<line class="range" x1="{_n(start)}" x2="{_n(end)}" y1="{_n(middle)}" '
            f'y2="{_n(middle)}"/>'
            f'<circle class="dot" cx="{_n(start)}" cy="{_n(middle)}" r="6"/>'
            f'<path class="tick" d="M{_n(knee)} {_n(middle - 9)}v18"/>'
            f'<path class="dot" d="M{_n(end - 6)} {_n(middle)}l6 -7l6 7l-6 7z"/></g>'
        )
    return _svg(title, width, bottom + 26, parts)


def _axis(values: Sequence[Floats], threshold: float | None, *, width: int, left: float) -> _Axis:
    edges = [float(v) for row in values for v in (row.min(), row.max())]
    if threshold is not None:
        edges.append(threshold)
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
        x = _n(axis.x(tick))
        label = f"{tick:.{axis.decimals}f}".replace("-", "\N{MINUS SIGN}")
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{_n(bottom)}"/>')
        parts.append(f'<text class="tick-label" x="{x}" y="{_n(bottom + 18)}">{label}</text>')
    return "".join(parts)


def _row_label(row: Series, top: float, baseline: float, *, wide: bool) -> str:
    number = row.values.size
    images = f"{text.count(number)} image{'' if number == 1 else 's'}"
    if number == 0:
        details = ["no images"]
    else:
        details = [images, f"median {text.correlation(float(np.median(row.values)))}"]
    if row.note:
        details.append(row.note)
    if not wide:
        line = " · ".join(details)
        return (
            f'<text class="row-label" x="0" y="{_n(top + 16)}">{escape(row.label)}</text>'
            f'<text class="row-detail" x="0" y="{_n(top + 33)}">{escape(line)}</text>'
        )
    lines = [f'<text class="row-label" x="0" y="{_n(baseline - 52)}">{escape(row.label)}</text>']
    lines += [
        f'<text class="row-detail" x="0" y="{_n(baseline - 34 + 16 * i)}">{escape(detail)}</text>'
        for i, detail in enumerate(details)
    ]
    return "".join(lines)


def _row_shape(
    row: Series, axis: _Axis, baseline: float, height: float, threshold: float | None
) -> str:
    y = _n(baseline + 0.5)
    rule = f'<line class="axis" x1="{_n(axis.left)}" x2="{_n(axis.right)}" y1="{y}" y2="{y}"/>'
    if row.values.size == 0:
        return rule
    if row.values.size < _FEW:
        marks = "".join(
            f"M{_n(axis.x(value))} {_n(baseline)}v{_n(-0.6 * height)}"
            for value in np.sort(row.values).tolist()
        )
        shape = f'<path class="rug" d="{marks}"/>'
    else:
        path = _steps(row.values, axis, threshold, baseline, height)
        shape = f'<path class="area" d="{path}"/>'
        if threshold is not None and bool((row.values > threshold).any()):
            above = _steps(row.values, axis, threshold, baseline, height, only_above=True)
            shape += f'<path class="area-above" d="{above}"/>'
        shape += f'<path class="outline" d="{path}"/>'
    median = _n(axis.x(float(np.median(row.values))))
    mark = f'<path class="median" d="M{median} {_n(baseline + 1)}l-4 7h8z"/>'
    return f'<g class="{row.key}">{shape}{rule}{mark}</g>'


def _histogram(
    values: Floats, axis: _Axis, anchor: float
) -> tuple[Floats, NDArray[np.integer], float]:
    """Return left edges, counts and width of bars (edge, edge + width], one edge at `anchor`."""
    width = (axis.high - axis.low) / _BINS
    bars = np.ceil((values - anchor) / width).astype(np.int64) - 1
    first, last = int(bars.min()), int(bars.max())
    counts = np.bincount(bars - first, minlength=last - first + 1)
    edges: Floats = anchor + width * np.arange(first, last + 1, dtype=np.float64)
    return edges, counts, width


def _steps(
    values: Floats,
    axis: _Axis,
    threshold: float | None,
    baseline: float,
    height: float,
    *,
    only_above: bool = False,
) -> str:
    edges, counts, width = _histogram(values, axis, axis.high if threshold is None else threshold)
    tallest = counts.max()
    if only_above and threshold is not None:
        keep = edges > threshold - width / 2
        edges, counts = edges[keep], counts[keep]
    low, high = axis.x(axis.low), axis.x(axis.high)
    start = max(low, axis.x(float(edges[0])))
    path = [f"M{_n(start)} {_n(baseline)}"]
    for edge, number in zip(edges.tolist(), counts.tolist(), strict=True):
        right = min(high, axis.x(edge + width))
        path.append(f"V{_n(baseline - height * number / tallest)}H{_n(right)}")
    return "".join([*path, f"V{_n(baseline)}"])


def _threshold_mark(axis: _Axis, threshold: float, bottom: float) -> str:
    x = axis.x(threshold)
    anchor = "end" if x > (axis.left + axis.right) / 2 else "start"
    shift = -6 if anchor == "end" else 6
    return (
        f'<line class="threshold" x1="{_n(x)}" x2="{_n(x)}" y1="8" y2="{_n(bottom)}"/>'
        f'<text class="threshold-label" text-anchor="{anchor}" x="{_n(x + shift)}" y="20">'
        f"threshold {text.correlation(threshold)}</text>"
    )


def _svg(title: str, width: int, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {_n(height)}" width="{width}" height="{_n(height)}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _n(value: float) -> str:
    """Write a coordinate shortly."""
    return f"{value:.1f}".removesuffix(".0")
