"""Tiles of block means as vectors of whole numbers, so that a product of two is an exact number.

A tile of one channel, less its mean and divided by its length, has the correlation as its inner
product with another. The divisor here is a little longer than the length: a tile that hardly
varies is mostly noise, and its vector is made shorter. The vectors are then multiplied by a power
of two and rounded. With ``scale**2`` times the number of channels at most 2**52, every partial sum
of a product is a whole number below 2**53, exact in float64 in whatever order it is added up; the
rounding changes a correlation by less than 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores import kernels
from likeness.scores.decision_scale import TOP
from likeness.types import Flags, Floats

_MANY: Final = 4
"""Images from which the compiled loop is used: alone they come in small work."""


@dataclass(frozen=True)
class TileLayout:
    """Where tiles lie on the grid of block means: a quarter of each axis, half of that apart.

    On grids below 16 a tile has 4 blocks along the axis, or what there is.
    """

    channels: int
    rows: int
    columns: int

    @property
    def height(self) -> int:
        """Rows of blocks in a tile."""
        return min(max(4, self.rows // 4), self.rows)

    @property
    def width(self) -> int:
        """Columns of blocks in a tile."""
        return min(max(4, self.columns // 4), self.columns)

    @property
    def tops(self) -> range:
        """First rows of the tiles."""
        return range(0, self.rows - self.height + 1, max(1, self.height // 2))

    @property
    def lefts(self) -> range:
        """First columns of the tiles."""
        return range(0, self.columns - self.width + 1, max(1, self.width // 2))

    @property
    def corners(self) -> tuple[tuple[int, int], ...]:
        """First row and column of each tile, row by row: 49 of them on 64 x 64."""
        return tuple((top, left) for top in self.tops for left in self.lefts)

    @property
    def size(self) -> int:
        """Blocks in a tile."""
        return self.height * self.width

    @property
    def length(self) -> int:
        """Length of a tile's vector, all channels together."""
        return self.channels * self.size

    @property
    def scale(self) -> float:
        """What unit vectors are multiplied by before they are rounded; a power of two."""
        return float(2 ** ((52 - (self.channels - 1).bit_length()) // 2))


class TileVectors:
    """The tiles of some images.

    Parameters
    ----------
    values
        (n, C, rows, columns), block means stretched to 0..65535.
    shrinkage
        Standard deviation, as a part of the range 0..65535, that is added (in quadrature) to that
        of every tile.
    least_spread
        Standard deviation, as a part of the range, below which a channel of a tile is left out.
    """

    used: Flags
    """(n, C, T) which channels of which tiles are not left out."""

    def __init__(
        self,
        values: NDArray[np.uint16],
        layout: TileLayout,
        *,
        shrinkage: float,
        least_spread: float = 0.0,
    ) -> None:
        self._values, self._layout = values, layout
        size = layout.size
        whole = values.astype(np.float64)
        sums = _box_sums(whole, layout)
        # (size sd)**2, exact: below 2**63 for tiles of up to 2**15 blocks.
        spread = size * _box_sums(whole * whole, layout) - sums * sums
        self.used = (spread > 0) & (spread >= (least_spread * TOP * size) ** 2)
        length = np.sqrt((spread + (shrinkage * TOP * size) ** 2) / size)
        self._factor: Floats = np.divide(
            layout.scale, length, out=np.zeros(length.shape), where=self.used
        )
        self._offset = self._factor * (sums / size)

    def tile(self, index: int) -> Floats:
        """Return one tile of every image, (n, C height width) whole numbers; 0 where left out."""
        layout = self._layout
        row, column = layout.corners[index]
        cut = self._values[:, :, row : row + layout.height, column : column + layout.width]
        tiles = cut * self._factor[:, :, index, None, None]
        tiles -= self._offset[:, :, index, None, None]
        np.rint(tiles, out=tiles)
        return tiles.reshape(len(tiles), layout.length)

    def cut_into(self, found: NDArray[np.int32], cut: Callable[..., Any]) -> None:
        """Write all tiles of every image, (n, T, length), with the compiled `cut`."""
        layout = self._layout
        tops, lefts = np.array(layout.corners, dtype=np.int64).T
        cut(
            self._values, self._factor, self._offset, np.ascontiguousarray(tops),
            np.ascontiguousarray(lefts), layout.height, layout.width, found,
        )  # fmt: skip


def whole_vectors(vectors: TileVectors, layout: TileLayout, count: int) -> NDArray[np.int32]:
    """Return all tiles of `count` images, (n, T, length); a number is at most 2**26."""
    found = np.empty((count, len(layout.corners), layout.length), dtype=np.int32)
    fast = kernels.compiled() if count >= _MANY else None
    if fast is not None:
        vectors.cut_into(found, fast.cut_tiles)
        return found
    for tile in range(len(layout.corners)):
        found[:, tile] = vectors.tile(tile)
    return found


def _box_sums(values: Floats, layout: TileLayout) -> NDArray[np.int64]:
    """Return (n, C, T) sums of whole numbers over the tiles; exact while they stay below 2**53."""
    down = _indicators(layout.tops, layout.height, layout.rows)
    across = _indicators(layout.lefts, layout.width, layout.columns)
    boxes = down @ values @ across.T
    count = len(down) * len(across)
    return boxes.reshape(*values.shape[:2], count).astype(np.int64)


def _indicators(starts: range, length: int, total: int) -> Floats:
    """Return (tiles, total) 1 where a line belongs to a tile."""
    lines = np.arange(total) - np.array(starts)[:, None]
    inside: Floats = ((lines >= 0) & (lines < length)).astype(np.float64)
    return inside
