"""Looking at a query through a map: grids of positions and bilinear sampling.

Positions are pixels of the full-size image from its middle, (down, right), so that the same map
serves every grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.types import Flags, Floats

RIM: Final = 1.0 / 32.0
_MANY: Final = 16
"""Axes of fewer blocks have no rim to spare."""


@dataclass(frozen=True)
class Grid:
    """Blocks over a picture of `height` x `width` pixels."""

    height: int
    width: int
    rows: int
    columns: int

    @property
    def step(self) -> tuple[float, float]:
        """Height and width of a block in pixels."""
        return self.height / self.rows, self.width / self.columns

    @cached_property
    def down(self) -> Floats:
        """(rows * columns,) how far the middle of each block is below the middle of the picture."""
        middles = (np.arange(self.rows) + 0.5) * self.step[0] - self.height / 2.0
        return np.repeat(middles, self.columns)

    @cached_property
    def right(self) -> Floats:
        """(rows * columns,) the same to the right."""
        middles = (np.arange(self.columns) + 0.5) * self.step[1] - self.width / 2.0
        return np.tile(middles, self.rows)

    @cached_property
    def core(self) -> Flags:
        """(rows * columns,) False for the outermost part of the frame, `RIM` of its sides wide.

        What a movement brought into a copy from beyond its edge is often black or smeared. Laid
        back on the reference it falls just outside the frame, but blocks at the edge mix with it.
        """
        inner = np.zeros((self.rows, self.columns), dtype=np.bool_)
        down, right = (math.ceil(RIM * n) if n >= _MANY else 0 for n in (self.rows, self.columns))
        inner[down : self.rows - down, right : self.columns - right] = True
        return inner.reshape(-1)


def sample(
    pictures: NDArray[Any],
    source: Grid,
    which: NDArray[np.int32],
    maps: Floats,
    down: Floats,
    right: Floats,
) -> tuple[NDArray[Any], Flags]:
    """Look at pictures through maps.

    Parameters
    ----------
    pictures
        (T, C, source.rows * source.columns), float.
    source
        The grid on which they are given.
    which
        (K,) which picture each map looks at.
    maps
        (K, 4).
    down, right
        (G,) positions that are looked at.

    Returns
    -------
    seen, inside
        (K, C, G) bilinear values, the nearest ones beyond the edge; (K, G) whether the position is
        on the picture.
    """
    rows, columns = source.rows, source.columns
    a, b, t_down, t_right = (maps[:, number, None] for number in range(4))
    i = a * down + b * right
    i += t_down + source.height / 2.0
    i /= source.step[0]
    j = a * right - b * down
    j += t_right + source.width / 2.0
    j /= source.step[1]
    inside = (i >= 0.0) & (i <= rows) & (j >= 0.0) & (j <= columns)
    i, j = np.clip(i - 0.5, 0.0, rows - 1.0), np.clip(j - 0.5, 0.0, columns - 1.0)
    top, left = i.astype(np.intp), j.astype(np.intp)
    below, beside = (i - top).astype(pictures.dtype), (j - left).astype(pictures.dtype)
    corner = top * columns + left
    # The weight of a neighbour beyond the last row is 0, so any place will do for it.
    under = np.where(top < rows - 1, corner + columns, corner)
    aside = (left < columns - 1).astype(np.intp)
    flat = which[:, None].astype(np.intp) * (rows * columns)
    places = [corner + flat, corner + aside + flat, under + flat, under + aside + flat]
    seen = np.empty((len(maps), pictures.shape[1], len(down)), dtype=pictures.dtype)
    for channel in range(pictures.shape[1]):
        values = np.ascontiguousarray(pictures[:, channel]).reshape(-1)
        first, second, third, fourth = (values.take(place, mode="clip") for place in places)
        first += (second - first) * beside
        third += (fourth - third) * beside
        third -= first
        third *= below
        np.add(first, third, out=seen[:, channel])
    return seen, inside
