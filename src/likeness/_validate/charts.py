"""Charts of a validation as SVG, from numbers alone.

Colours come from the classes of the page's style. Series differ by dash and mark as well, so
nothing hangs on colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.types import Floats

_WIDTH: Final = 1040
_LABELS: Final = 400
_ROW: Final = 26
_MARKS: Final = ("circle", "square", "diamond", "triangle", "cross", "bar")


@dataclass(frozen=True)
class Dot:
    """One row of a dot chart."""

    label: str
    estimate: float
    low: float
    high: float
    goal_low: float | None = None
    goal_high: float | None = None
    strong: bool = False
    """Whether the label stands out: a level, not one of its kinds."""


@dataclass(frozen=True)
class Line:
    """One curve."""

    label: str
    x: Floats
    y: Floats


def dot_chart(rows: Sequence[Dot], *, title: str, top: float = 1.0) -> str:
    """Draw shares from 0 to `top` with their intervals; a goal is a bracket on the row."""
    left, right = _LABELS, _WIDTH - 70
    bottom = 12 + _ROW * len(rows)

    def x(value: float) -> float:
        return left + min(max(value, 0.0), top) / top * (right - left)

    parts = []
    for tick in np.linspace(0.0, top, 6):
        place = _n(x(float(tick)))
        parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="6" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick-label" x="{place}" y="{bottom + 18}">{100 * tick:g} %</text>'
        )
    for number, row in enumerate(rows):
        y = 12 + _ROW * number + _ROW / 2
        style = "row-label" if row.strong else "row-detail"
        indent = 0 if row.strong else 14
        parts.append(
            f'<text class="{style}" x="{indent}" y="{_n(y + 4)}">{escape(row.label)}</text>'
        )
        for goal, toward in ((row.goal_low, 1), (row.goal_high, -1)):
            if goal is not None:
                edge = x(goal)
                parts.append(
                    f'<path class="goal" d="M{_n(edge + 5 * toward)} {_n(y - 9)}H{_n(edge)}'
                    f'V{_n(y + 9)}h{5 * toward}"/>'
                )
        if math.isfinite(row.estimate):
            parts.append(
                f'<line class="range" x1="{_n(x(row.low))}" x2="{_n(x(row.high))}" '
                f'y1="{_n(y)}" y2="{_n(y)}"/>'
                f'<circle class="dot" cx="{_n(x(row.estimate))}" cy="{_n(y)}" r="5"/>'
            )
        parts.append(
            f'<text class="row-detail" x="{right + 8}" y="{_n(y + 4)}">{_percent(row.estimate)}</text>'  # noqa: E501
        )
    return _svg(title, bottom + 28, parts)


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    logarithmic: bool = False,
    reference: float | None = None,
) -> str:
    """Draw curves of shares (0 to 1) over x; `reference` is a dashed level."""
    left, right, top, bottom = 60, _WIDTH - 250, 14, 330
    everything = np.concatenate([line.x for line in lines])
    positive = everything[everything > 0] if logarithmic else everything
    low, high = float(positive.min()), float(positive.max())
    if high <= low:
        high = low * 10 if logarithmic else low + 1.0

    def scaled(value: float) -> float:
        if logarithmic:
            share = math.log(max(value, low) / low) / math.log(high / low)
        else:
            share = (value - low) / (high - low)
        return left + share * (right - left)

    def height(value: float) -> float:
        return bottom - min(max(value, 0.0), 1.0) * (bottom - top)

    parts = []
    for tick in np.linspace(0.0, 1.0, 6):
        y = _n(height(float(tick)))
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="row-detail" x="8" y="{_n(height(float(tick)) + 4)}">{100 * tick:g} %</text>'  # noqa: E501
        )
    for tick in _ticks(low, high, logarithmic=logarithmic):
        place = _n(scaled(tick))
        parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="{top}" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick-label" x="{place}" y="{bottom + 18}">{100 * tick:.3g} %</text>'
        )
    if reference is not None:
        y = _n(height(reference))
        parts.append(f'<line class="threshold" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
    for number, line in enumerate(lines):
        points = " ".join(
            f"{_n(scaled(float(a)))},{_n(height(float(b)))}"
            for a, b in zip(line.x, line.y, strict=True)
        )
        parts.append(f'<g class="line-{number % len(_MARKS)}"><polyline points="{points}"/>')
        every = max(1, len(line.x) // 12)
        for a, b in list(zip(line.x, line.y, strict=True))[::every]:
            parts.append(_mark(number, scaled(float(a)), height(float(b))))
        level = top + 20 + 24 * number
        parts.append(_mark(number, right + 22, level - 4))
        parts.append(f'<text x="{right + 36}" y="{level}">{escape(line.label)}</text></g>')
    parts.append(
        f'<text class="row-detail" x="{left}" y="{bottom + 40}">{escape(x_label)}</text>'
    )  # fmt: skip
    return _svg(title, bottom + 50, parts)


def _ticks(low: float, high: float, *, logarithmic: bool) -> list[float]:
    if not logarithmic:
        return [float(value) for value in np.linspace(low, high, 6)]
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10.0**power for power in range(first, last + 1)] or [low, high]


def _mark(number: int, x: float, y: float) -> str:
    kind = _MARKS[number % len(_MARKS)]
    if kind == "circle":
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="4"/>'
    shape = {
        "square": "m-4 -4h8v8h-8z",
        "diamond": "m0 -5l5 5l-5 5l-5 -5z",
        "triangle": "m0 -5l5 9h-10z",
        "cross": "m-4 -4l8 8m0 -8l-8 8",
        "bar": "m0 -5v10",
    }[kind]
    return f'<path d="M{_n(x)} {_n(y)}{shape}"/>'


def _percent(value: float) -> str:
    return "not defined" if not math.isfinite(value) else f"{100 * value:.1f} %"


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_n(height)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
