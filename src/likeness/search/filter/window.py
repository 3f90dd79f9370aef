"""The window: the middle of the images, where the pictures are.

A skull-stripped brain fills less than half of its image; the black around it tells nothing. So the
coefficients are those of a window in the middle, and as many of them reach finer details. It is
chosen once per set. Any window is right: what an image has outside belongs to the rest, whose
length is part of the bound.

Flips and turns must carry it onto itself: it lies in the middle, and in a square image it is
square.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.search.filter.coarse import coarse_of

if TYPE_CHECKING:
    from likeness.datasets.derived import Rows
    from likeness.types import Images

_SAMPLED: Final = 64
"""Images that are looked at, evenly spread over the set."""
_SAME: Final = 1 + 1e-6
_SIZES: Final = 16
"""Windows to choose from, in equal steps."""


def window_of(rows: Rows) -> tuple[int, int]:
    """Choose the window of a set: the one with which the coefficients leave least, on average.

    Parameters
    ----------
    rows
        Its images (C, H, W), 8 bit, sides multiples of 4.

    Returns
    -------
    tuple
        Rows and columns, multiples of 4.
    """
    count = len(rows)
    chosen = np.linspace(0, count - 1, min(count, _SAMPLED)).astype(np.int64)
    images = rows.take(np.unique(chosen))
    sizes = windows(*images.shape[2:])
    left = [_left_by(images, size) for size in sizes]
    # Of windows that leave the same the smallest: fewer pixels are multiplied.
    enough = min(left) * _SAME
    if not enough:  # they vary nowhere
        return sizes[-1]
    return next(size for size, rest in zip(sizes, left, strict=True) if rest <= enough)


def _left_by(images: Images, window: tuple[int, int]) -> float:
    """Return the mean square of what is left of a channel, of 1."""
    return float(np.square(coarse_of(images, window).left, dtype=np.float64).mean())


def windows(height: int, width: int) -> list[tuple[int, int]]:
    """Return the windows to choose from, the smallest first; the last is the whole image."""
    steps = range(1, _SIZES + 1)
    cut = {tuple(-(-side * k // (4 * _SIZES)) * 4 for side in (height, width)) for k in steps}
    return sorted((rows, columns) for rows, columns in cut)
