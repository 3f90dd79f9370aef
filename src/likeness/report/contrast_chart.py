"""How far images stand out: real ones above, synthetic ones below, on one axis.

The axis is asinh(contrast / 0.1): even near 0, where almost all images lie, and logarithmic beyond,
where the copies are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.report import text
from likeness.report.svg import WIDE, drawing, label, short

if TYPE_CHECKING:
    from likeness.types import Flags, Floats

_SCALE: Final = 0.1
_TICKS: Final = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_NARROW_TICKS: Final = (0.0, 0.2, 1.0, 5.0)
_BINS: Final = 56
# Below this many images a histogram is mostly gaps: each image gets a line of its own.
_FEW: Final = 30
_LABEL_WIDTH: Final = 216


@dataclass(frozen=True)
class ContrastRows:
    """What one chart shows, for one way of comparing."""

    real: Floats
    """Contrasts of real images with the images of other people, (b,)."""
    synthetic: Floats
    """Contrasts of synthetic images, (m,)."""
    flagged: Flags
    """(m,) listed as copies."""
    unusual: Flags
    """(m,) listed at the wider rate; contains `flagged`."""
    quantile_99: float | None
    """Contrast that one real image in a hundred exceeds."""
    num_not_used: int = 0
    """Real images that left the baseline."""


@dataclass(frozen=True)
class _Axis:
    left: float
    right: float
    high: float
    """End of the axis, as asinh(contrast / scale)."""

    def x(self, contrast: float) -> float:
        return self.left + (self.right - self.left) * _stretched(contrast) / self.high


def contrast_chart(rows: ContrastRows, *, title: str, width: int = WIDE) -> str:
    """Draw both rows; flagged images carry a filled mark, unusual ones a hollow one."""
    wide = width >= WIDE
    left = _LABEL_WIDTH if wide else 12
    label_height, plot_height = (0, 62) if wide else (38, 50)
    row_height = label_height + plot_height + 22
    top, bottom = 28, 28 + 2 * row_height
    highest = max((float(v.max()) for v in (rows.real, rows.synthetic) if v.size), default=1.0)
    axis = _Axis(left, width - 24, max(_stretched(highest) * 1.02, _stretched(0.5)))
    parts = [_grid(axis, top, bottom, _TICKS if wide else _NARROW_TICKS)]
    if rows.quantile_99 is not None and 0 <= _stretched(rows.quantile_99) <= axis.high:
        parts.append(_line_at(axis, rows.quantile_99, bottom))
    copies = int(rows.flagged.sum())
    more = int(rows.unusual.sum()) - copies
    note = f"{text.many(copies, 'copy', 'copies')} marked" if copies else "no copy marked"
    if more:
        note += f", {text.count(more)} unusual"
    real_note = "among other people"
    if rows.num_not_used:
        real_note += f", {text.count(rows.num_not_used)} not used"
    for index, (key, name, values, words) in enumerate(
        (
            ("s-train-train", "real images", rows.real, real_note),
            ("s-synthetic-train", "synthetic images", rows.synthetic, note),
        )
    ):
        baseline = top + row_height * (index + 1) - 18
        details = [text.many(values.size, "image"), words]
        if wide:
            parts.append(label(name, 0, baseline - 32, name="row-label"))
            parts += [label(line, 0, baseline - 14 + 16 * i) for i, line in enumerate(details)]
        else:
            parts.append(label(name, 0, top + row_height * index + 14, name="row-label"))
            parts.append(label(" · ".join(details), 0, top + row_height * index + 31))
        parts.append(f'<g class="{key}">{_shape(values, axis, baseline, plot_height)}</g>')
        if index == 1:
            parts.append(_marks(rows, axis, baseline, plot_height))
    return drawing(title, width, bottom + 26, parts)


def _stretched(contrast: float) -> float:
    return math.asinh(contrast / _SCALE)


def _grid(axis: _Axis, top: float, bottom: float, ticks: tuple[float, ...]) -> str:
    parts = []
    for tick in ticks:
        if _stretched(tick) > axis.high:
            break
        x = short(axis.x(tick))
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{short(bottom)}"/>')
        parts.append(label(f"{tick:g}", axis.x(tick), bottom + 18, name="tick-label"))
    return "".join(parts)


def _line_at(axis: _Axis, value: float, bottom: float) -> str:
    x = axis.x(value)
    anchor = "end" if x > (axis.left + axis.right) / 2 else "start"
    return (
        f'<line class="threshold" x1="{short(x)}" x2="{short(x)}" y1="8" y2="{short(bottom)}"/>'
        + label(
            "99 in 100 real images lie left",
            x + (6 if anchor == "start" else -6),
            18,
            name="threshold-label",
            anchor=anchor,
        )
    )


def _shape(values: Floats, axis: _Axis, baseline: float, height: float) -> str:
    y = short(baseline + 0.5)
    rule = (
        f'<line class="axis" x1="{short(axis.left)}" x2="{short(axis.right)}" y1="{y}" y2="{y}"/>'
    )
    if values.size == 0:
        return rule
    if values.size < _FEW:
        marks = "".join(
            f"M{short(axis.x(value))} {short(baseline)}v{short(-0.6 * height)}"
            for value in np.sort(values).tolist()
        )
        return f'<path class="rug" d="{marks}"/>{rule}'
    counts, edges = np.histogram(np.arcsinh(values / _SCALE), bins=_BINS, range=(0.0, axis.high))
    scale = (axis.right - axis.left) / axis.high
    path = [f"M{short(axis.left)} {short(baseline)}"]
    for right, number in zip(edges[1:].tolist(), counts.tolist(), strict=True):
        top = baseline - height * number / max(1, int(counts.max()))
        path.append(f"V{short(top)}H{short(axis.left + scale * right)}")
    d = "".join([*path, f"V{short(baseline)}"])
    return f'<path class="area" d="{d}"/><path class="outline" d="{d}"/>{rule}'


def _marks(rows: ContrastRows, axis: _Axis, baseline: float, height: float) -> str:
    """Mark listed images: a histogram of thousands does not show a single one."""
    hollow = "".join(
        f"M{short(axis.x(value))} {short(baseline + 2)}l-5 9h10z"
        for value in np.sort(rows.synthetic[rows.unusual & ~rows.flagged]).tolist()
    )
    flagged = np.sort(rows.synthetic[rows.flagged]).tolist()
    lines = "".join(
        f"M{short(axis.x(value))} {short(baseline)}v{short(-0.45 * height)}" for value in flagged
    )
    filled = "".join(f"M{short(axis.x(value))} {short(baseline + 2)}l-5 9h10z" for value in flagged)
    parts = []
    if hollow:
        parts.append(f'<path class="unusual-mark" d="{hollow}"/>')
    if flagged:
        parts.append(
            f'<path class="strip-line" d="{lines}"/><path class="strip-mark" d="{filled}"/>'
        )
    return "".join(parts)
