"""Block means: the scale at which decisions are made.

A picture of H x W pixels is cut into min(H, grid) x min(W, grid) blocks whose edges are at
``floor(i * H / rows)`` up to the middle and mirrored beyond it, so that a mirrored picture has the
mirrored blocks (where H is odd and `rows` even, the two middle blocks differ by one line). A
picture smaller than the grid keeps its size. Where all blocks have the same size (256 on a grid of
64: 4 x 4 pixels) the means are sums over a constant. Otherwise the sums are brought to the common
denominator of all block sizes, so that integer pixels have integer block values in any case and
correlations of block means can be exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.types import Floats, Image

_BYTE: Final = 255


@dataclass(frozen=True)
class BlockGrid:
    """How pictures of one size are cut into blocks."""

    height: int
    width: int
    grid: int

    @property
    def rows(self) -> int:
        """Number of blocks from top to bottom."""
        return min(self.height, self.grid)

    @property
    def columns(self) -> int:
        """Number of blocks from left to right."""
        return min(self.width, self.grid)

    @property
    def even(self) -> bool:
        """Whether all blocks have the same size."""
        return self.height % self.rows == 0 and self.width % self.columns == 0

    @property
    def denominator(self) -> int:
        """What block integers must be divided by to give means."""
        if self.even:
            return (self.height // self.rows) * (self.width // self.columns)
        return math.lcm(*_sizes(self.height, self.rows)) * math.lcm(
            *_sizes(self.width, self.columns)
        )

    @property
    def pixels_per_block(self) -> float:
        """Mean number of pixels in a block."""
        return self.height * self.width / (self.rows * self.columns)

    def maximum(self, pixel: int) -> int:
        """Return the largest block integer where the largest pixel is `pixel`."""
        return pixel * self.denominator

    def integers(self, image: Image) -> NDArray[Any]:
        """Return block means times `denominator`, exactly.

        Parameters
        ----------
        image
            (C, H, W), uint8.

        Returns
        -------
        NDArray
            (C, rows, columns); uint16 where that holds all values, else int64.
        """
        return self.block_integers(image.shape[0])(image)

    def block_integers(self, channels: int) -> Callable[[Image], NDArray[Any]]:
        """Return `integers` as a function with its own memory, for many images in a row.

        What it returns may be overwritten by the next call.
        """
        if self.even:
            return EvenSums(self, channels)
        factors = self.denominator // self._areas()
        return lambda image: self._sums(np.ascontiguousarray(image, dtype=np.int64)) * factors

    def means(self, image: Image) -> Floats:
        """Return block means of one image, (C, H, W) to (C, rows, columns), float64."""
        if self.even and image.dtype == np.uint8:
            return self.integers(image) / float(self.denominator)
        # One image at a time and contiguous, so that the order of summation is always the same.
        return self._sums(np.ascontiguousarray(image, dtype=np.float64)) / self._areas()

    def _areas(self) -> NDArray[np.int64]:
        heights = np.array(_sizes(self.height, self.rows), dtype=np.int64)
        widths = np.array(_sizes(self.width, self.columns), dtype=np.int64)
        return heights[:, None] * widths[None, :]

    def _sums(self, image: NDArray[Any]) -> NDArray[Any]:
        rows = np.add.reduceat(image, _starts(self.height, self.rows), axis=-2)
        return np.add.reduceat(rows, _starts(self.width, self.columns), axis=-1)


class EvenSums:
    """Sums over blocks of equal size, with memory that is used again for every image.

    Fresh arrays of this size cost more than the additions: the system clears every page.
    """

    def __init__(self, grid: BlockGrid, channels: int) -> None:
        high, across = grid.height // grid.rows, grid.width // grid.columns
        narrow = grid.maximum(_BYTE) <= np.iinfo(np.uint16).max
        self._pairs = narrow and across % 2 == 0
        if self._pairs:  # two pixels at once
            across //= 2
        dtype = np.uint16 if narrow else np.int64
        shape = (channels, grid.rows, high, grid.columns * across)
        self._wide: NDArray[Any] = np.empty(shape, dtype)
        self._spare: NDArray[Any] = np.empty(shape if self._pairs else 0, dtype)
        self._lines: NDArray[Any] = np.empty((channels, grid.rows, grid.columns, across), dtype)
        self._sums: NDArray[Any] = np.empty((channels, grid.rows, grid.columns), dtype)

    def __call__(self, image: Image) -> NDArray[Any]:
        """Add up one image, (C, H, W) uint8 to (C, rows, columns)."""
        image = np.ascontiguousarray(image)
        wide, lines, sums = self._wide, self._lines, self._sums
        if self._pairs:
            pairs = image.reshape(*wide.shape[:3], -1).view(np.uint16)
            np.bitwise_and(pairs, 255, out=wide)
            np.right_shift(pairs, 8, out=self._spare)
            np.add(wide, self._spare, out=wide)
        else:
            np.copyto(wide, image.reshape(wide.shape))
        flat = lines.reshape(*wide.shape[:2], -1)
        np.copyto(flat, wide[:, :, 0])
        for i in range(1, wide.shape[2]):
            np.add(flat, wide[:, :, i], out=flat)
        np.copyto(sums, lines[..., 0])
        for i in range(1, lines.shape[3]):
            np.add(sums, lines[..., i], out=sums)
        return sums


def block_means(image: Image, grid: int = 64) -> Floats:
    """Reduce a picture to block means.

    Parameters
    ----------
    image
        (C, H, W), any real number type.
    grid
        Blocks along each axis; an axis shorter than this keeps its length.

    Returns
    -------
    Floats
        (C, min(H, grid), min(W, grid)).
    """
    return BlockGrid(image.shape[-2], image.shape[-1], grid).means(image)


def _starts(length: int, blocks: int) -> list[int]:
    first = [i * length // blocks for i in range(blocks // 2 + 1)]
    return [*first, *(length - first[blocks - i] for i in range(blocks // 2 + 1, blocks))]


def _sizes(length: int, blocks: int) -> list[int]:
    edges = [*_starts(length, blocks), length]
    return [stop - start for start, stop in pairwise(edges)]
