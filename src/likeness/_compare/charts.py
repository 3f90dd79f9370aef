"""Numbers with their intervals on one axis, audit below audit, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from likeness.report.svg import WIDE, drawing, label, short

if TYPE_CHECKING:
    from likeness.calibration.memorization import Estimate

_LABEL_WIDTH: Final = 216
_VALUE_WIDTH: Final = 190


@dataclass(frozen=True)
class Mark:
    """One number of an audit."""

    key: str
    """Class in the style sheet."""
    words: str
    estimate: Estimate
    is_square: bool = False
    """Told apart without colour."""


@dataclass(frozen=True)
class Line:
    """An audit, and its numbers one below the other."""

    name: str
    marks: Sequence[Mark]


def interval_chart(
    lines: Sequence[Line],
    *,
    title: str,
    ends: tuple[float, float] | None = None,
    reference: float | None = None,
    width: int = WIDE,
) -> str:
    """Draw a mark at each number and a line over its interval.

    Parameters
    ----------
    lines
        Those without marks are left empty.
    ends
        Of the axis; by default what the intervals take.
    reference
        A value with a dotted line of its own.
    """
    wide = width >= WIDE
    left, right = (_LABEL_WIDTH, width - _VALUE_WIDTH) if wide else (14, width - 22)
    low, high, step = _axis(lines, ends, wide=wide)

    def x(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return left + share * (right - left)

    step_height = 22 if wide else 34
    heads = 0 if wide else 22
    heights = [heads + step_height * max(1, len(line.marks)) + 14 for line in lines]
    bottom = 8 + sum(heights)
    parts = []
    decimals = max(1, -math.floor(math.log10(step) + 1e-9))
    for number in range(round((high - low) / step) + 1):
        place = short(x(low + number * step))
        words = f"{low + number * step + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="8" y2="{short(bottom)}"/>')
        parts.append(label(words, float(place), bottom + 18, name="tick-label", anchor="middle"))
    if reference is not None and low <= reference <= high:
        place = short(x(reference))
        parts.append(f'<line class="threshold" x1="{place}" x2="{place}" y1="8" y2="{bottom}"/>')
    top = 8.0
    for line, height in zip(lines, heights, strict=True):
        middle = top + step_height * max(1, len(line.marks)) / 2 + 8
        parts.append(label(_shortened(line.name, 28), 0, middle if wide else top + 16,
                           name="row-label"))  # fmt: skip
        for number, mark in enumerate(line.marks):
            y = top + heads + step_height * (number + (0.5 if wide else 0.3)) + 4
            parts.append(_mark(mark, x(mark.estimate.low), x(mark.estimate.value),
                               x(mark.estimate.high), y))  # fmt: skip
            words = f"{mark.words} {mark.estimate.value:.3f}".replace("-", "\N{MINUS SIGN}")
            if wide:
                parts.append(label(words, right + 14, y + 4))
            else:
                words += f" ({mark.estimate.low:.3f} to {mark.estimate.high:.3f})"
                parts.append(label(words.replace("-", "\N{MINUS SIGN}"), 12, y + 18))
        if not line.marks:
            parts.append(label("not known", left + 4, middle))
        top += height
    return drawing(title, width, bottom + 26, parts)


def _mark(mark: Mark, low: float, value: float, high: float, y: float) -> str:
    shape = (
        f'<rect class="dot" x="{short(value - 4.5)}" y="{short(y - 4.5)}" width="9" height="9"/>'
        if mark.is_square
        else f'<circle class="dot" cx="{short(value)}" cy="{short(y)}" r="5"/>'
    )
    ends = "".join(f"M{short(end)} {short(y - 5)}v10" for end in (low, high))
    return (
        f'<g class="{escape(mark.key)}"><title>{escape(mark.words)}</title>'
        f'<line class="range" x1="{short(low)}" x2="{short(high)}" y1="{short(y)}" '
        f'y2="{short(y)}"/><path class="tick" d="{ends}"/>{shape}</g>'
    )


def _axis(
    lines: Sequence[Line], ends: tuple[float, float] | None, *, wide: bool
) -> tuple[float, float, float]:
    values = [v for line in lines for m in line.marks for v in (m.estimate.low, m.estimate.high)]
    low, high = ends or (min(values, default=0.0), max(values, default=1.0))
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    raw = (high - low) / (6 if wide else 3)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    if ends is None:
        low = math.floor(low / step + 1e-9) * step
        high = math.ceil(high / step - 1e-9) * step
    return low, high, step


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
