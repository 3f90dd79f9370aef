"""What all figures share: one style, pictures in grey, labels, and what is refused."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from likeness.experiments.figures.contents import ImageRow, PairRow

COLOURS: Final = ("#b34700", "#006aa6", "#00785a", "#7a3e9d", "#8a5a00", "#3a3f45", "#c2447e",
                  "#4a90a4")  # fmt: skip
"""Told apart by colour-blind readers as far as eight can be; lines differ by their dashes too."""
DASHES: Final = ("-", "--", ":", "-.")
_LABEL_LETTERS: Final = 22


@contextmanager
def default_style() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever the user's are."""
    try:
        from matplotlib import style
    except ImportError as error:
        msg = "Figures need matplotlib. Install it: pip install 'likeness[metrics]'."
        raise MissingExtraError(msg) from error
    with style.context("default", after_reset=True):
        yield


def blank_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def add_title(figure: Figure, title: str) -> None:
    """Write a title above everything; none where it is empty."""
    if title:
        figure.suptitle(title, fontsize=9, parse_math=False)


def name_line(axis: Axes, label: str, channel: str) -> None:
    """Write the label of a row and the name of a channel to the left of a line of pictures."""
    text = "\n".join(part for part in (wrapped(label, _LABEL_LETTERS), channel) if part)
    axis.set_ylabel(
        text, rotation=0, ha="right", va="center", fontsize=8, labelpad=6, parse_math=False
    )


def label_width(rows: Sequence[ImageRow] | Sequence[PairRow]) -> float:
    """Return how wide the labels are, in inches: about 0.075 a letter at 8 points."""
    lines = [line for row in rows for line in wrapped(row.label, _LABEL_LETTERS).split("\n")]
    names = [name for row in rows for name in row.channels]
    return 0.3 + 0.075 * max(len(text) for text in (*lines, *names))


def wrapped(text: str, width: int) -> str:
    """Break a text that is longer than `width` letters into lines."""
    return "\n".join(textwrap.wrap(text, width)) if len(text) > width else text


def show_picture(axis: Axes, picture: NDArray[Any], window: tuple[float, float]) -> None:
    """Show a picture (H, W) in grey, black and white at the ends of the window."""
    axis.imshow(picture, cmap="gray", vmin=window[0], vmax=window[1], interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def grey_window(*pictures: NDArray[Any]) -> tuple[float, float]:
    """Return what is black and what is white in all these pictures: 0 and 255 if they are uint8."""
    if all(picture.dtype == np.uint8 for picture in pictures):
        return 0.0, 255.0
    low = min(float(picture.min()) for picture in pictures)
    high = max(float(picture.max()) for picture in pictures)
    return low, high if high > low else low + 1.0


def check_names(label: str, channels: Sequence[str], count: int) -> None:
    """Refuse a row that has not one name per channel.

    Raises
    ------
    InputError
        If the numbers differ.
    """
    if len(channels) != count:
        msg = f"{label!r}: {len(channels)} names for {count} channels."
        raise InputError(msg)


def refuse_empty(given: Sequence[object], what: str) -> None:
    """Refuse to draw nothing.

    Raises
    ------
    InputError
        If nothing was given.
    """
    if not len(given):
        msg = f"There are no {what} to draw."
        raise InputError(msg)
