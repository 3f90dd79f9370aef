"""What all drawings share: two widths, a frame, short coordinates.

Colours come from classes of the style sheet, so that they follow light and dark. A drawing is made
twice, wide and narrow, because text in a scaled drawing becomes too small to read on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from likeness.report.render import as_html

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

WIDE: Final = 1040
NARROW: Final = 340


@dataclass(frozen=True)
class Chart:
    """A drawing for wide and one for narrow pages."""

    wide: Markup
    narrow: Markup


def at_both_widths(draw: Callable[[int], str]) -> Chart:
    """Draw twice."""
    return Chart(as_html(draw(WIDE)), as_html(draw(NARROW)))


def drawing(title: str, width: int, height: float, parts: Sequence[str]) -> str:
    """Put parts into a frame with a name for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {width} {short(height)}" width="{width}" height="{short(height)}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def label(words: str, x: float, y: float, *, name: str = "row-detail", anchor: str = "") -> str:
    """Write words at a place; `anchor` is start, middle or end."""
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{name}"{where} x="{short(x)}" y="{short(y)}">{escape(words)}</text>'


def short(value: float) -> str:
    """Write a coordinate shortly."""
    return f"{value:.1f}".removesuffix(".0")
