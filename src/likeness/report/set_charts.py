"""Two small drawings: planted copies caught, and the share that points to training patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from likeness.report import text
from likeness.report.svg import WIDE, drawing, label, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness._findings import Membership, PlantedLevel

ENOUGH: Final = 0.9
"""Lower bound of the sensitivity that a verdict without copies needs."""

_LABEL_WIDTH: Final = 90


def sensitivity_bars(levels: Sequence[PlantedLevel], *, title: str, width: int = WIDE) -> str:
    """Draw the share of planted copies caught per level, its lower bound, and the 90 % mark."""
    left, right = _LABEL_WIDTH, width - 30
    row_height, top = 30, 30
    bottom = top + row_height * len(levels)

    def x(share: float) -> float:
        return left + (right - left) * min(1.0, max(0.0, share))

    parts = []
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0) if width >= WIDE else (0.0, 0.5, 1.0)
    for tick in ticks:
        place = short(x(tick))
        parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="{top}" y2="{bottom}"/>')
        words = "none" if tick == 0 else "all" if tick == 1 else f"{tick:.0%}".replace("%", " %")
        parts.append(label(words, x(tick), bottom + 18, name="tick-label"))
    for index, level in enumerate(levels):
        middle = top + row_height * index + row_height / 2
        share = level.caught / level.planted if level.planted else 0.0
        key = "s-test-train" if level.sensitivity_low >= ENOUGH else "s-synthetic-train"
        parts.append(label(level.level, 0, middle + 5, name="row-label"))
        parts.append(
            f'<g class="{key}"><rect class="bar" x="{short(left)}" y="{short(middle - 8)}" '
            f'width="{short(x(share) - left)}" height="16"/>'
            f'<path class="tick" d="M{short(x(level.sensitivity_low))} {short(middle - 11)}v22"/>'
            "</g>"
        )
    place = short(x(ENOUGH))
    parts.append(
        f'<line class="threshold" x1="{place}" x2="{place}" y1="8" y2="{short(bottom)}"/>'
        + label("90 % needed", x(ENOUGH) - 6, 18, name="threshold-label", anchor="end")
    )
    return drawing(title, width, bottom + 26, parts)


def membership_line(found: Membership, *, title: str, width: int = WIDE) -> str:
    """Draw the matched share on a line, over what exchanged patients give; "" if there is none."""
    if found.matched_share is None or found.expected_share is None:
        return ""
    band = (found.band_low, found.band_high)
    low, high = (found.expected_share if end is None else end for end in band)
    shown = [found.matched_share, found.expected_share, low, high]
    # A little air at both ends, within the possible.
    air = max(0.04, 0.15 * (max(shown) - min(shown)))
    start, end = max(0.0, min(shown) - air), min(1.0, max(shown) + air)
    left, right, middle = 14.0, width - 14.0, 58.0

    def x(share: float) -> float:
        return left + (right - left) * (share - start) / (end - start)

    step = next(
        s
        for s in (0.01, 0.02, 0.05, 0.1, 0.2)
        if (end - start) / s <= (10 if width >= WIDE else 4) or s == 0.2
    )
    ticks = [i * step for i in range(round(1 / step) + 1) if start <= i * step <= end]
    parts = [
        f'<rect class="band" x="{short(x(low))}" y="{short(middle - 11)}" '
        f'width="{short(max(1.0, x(high) - x(low)))}" height="22"/>',
        f'<line class="axis" x1="{short(left)}" x2="{short(right)}" y1="{middle}" y2="{middle}"/>',
    ]
    for tick in ticks:
        parts.append(f'<path class="axis" d="M{short(x(tick))} {middle}v5"/>')
        words = "none" if tick == 0 else f"{100 * tick:.0f} %"
        parts.append(
            label(words, min(max(x(tick), 16), width - 18), middle + 32, name="tick-label")
        )
    place = x(found.expected_share)
    parts.append(f'<path class="expected" d="M{short(place)} {middle - 11}v22"/>')
    here = x(found.matched_share)
    anchor = "end" if here > width * 0.6 else "start" if here < width * 0.4 else "middle"
    parts.append(
        '<g class="s-synthetic-train">'
        f'<path class="dot" d="M{short(here)} {middle - 2}l-7 -14h14z"/>'
        f'<path class="tick" d="M{short(here)} {middle - 4}v14"/></g>'
        + label(
            f"this set: {text.percent(found.matched_share)}",
            here,
            middle - 24,
            name="threshold-label",
            anchor=anchor,
        )
    )
    return drawing(title, width, middle + 44, parts)
