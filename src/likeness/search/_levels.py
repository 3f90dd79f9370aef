"""Which arithmetic serves which images at which scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likeness.search._float_level import FloatLevel
from likeness.search._integer_level import IntegerLevel
from likeness.search._level import Level, Reduce, full_size
from likeness.search._products import choose_products
from likeness.similarity._sums import relative_spread
from likeness.similarity.blocks import BlockGrid
from likeness.similarity.pearson import exact_block_maximum, exact_maximum
from likeness.types import Image

if TYPE_CHECKING:
    from likeness.search.engines import Engine


@dataclass(frozen=True)
class Levels:
    """The two scales."""

    full: Level
    grid: Level | None
    """None where images are compared at full size alone."""

    @property
    def all(self) -> tuple[Level, ...]:
        """The scales that are compared."""
        return (self.full,) if self.grid is None else (self.full, self.grid)

    @property
    def description(self) -> str:
        """The arithmetic, in words."""
        if self.grid is None or self.full.description == self.grid.description:
            return self.full.description
        return f"full size: {self.full.description}; block means: {self.grid.description}"


def build_levels(
    engine: Engine, dtype: np.dtype[Any], shape: tuple[int, int, int], grid: int | None
) -> Levels:
    """Choose for images of a number type and a shape (C, H, W) of compared channels."""
    channels, height, width = shape
    full = _level(
        engine,
        relative_spread(dtype),
        exact_maximum(dtype, channels * height * width),
        (channels, height * width),
        (lambda: full_size, full_size),
        symmetric=True,
    )
    if grid is None:
        return Levels(full, None)
    blocks = BlockGrid(height, width, grid)
    if (blocks.rows, blocks.columns) == (height, width) and isinstance(full, IntegerLevel):
        return Levels(full, full)  # every block is one pixel: the scales are the same

    def new_integers() -> Reduce:
        sums = blocks.block_integers(channels)
        return lambda image: full_size(sums(image))

    def means(image: Image) -> NDArray[Any]:
        return full_size(blocks.means(image))

    reduced = _level(
        engine,
        relative_spread(dtype, blocks.pixels_per_block),
        exact_block_maximum(dtype, channels, blocks),
        (channels, blocks.rows * blocks.columns),
        (new_integers, means),
        symmetric=blocks.even,
    )
    return Levels(full, reduced)


def _level(
    engine: Engine,
    limit: float,
    maximum: int | None,
    shape: tuple[int, int],
    reduces: tuple[Callable[[], Reduce], Reduce],
    *,
    symmetric: bool,
) -> Level:
    channels, pixels = shape
    if maximum is None:
        return FloatLevel(reduces[1], channels, pixels, limit)
    products = choose_products(engine, maximum)
    copies = reduces[1] is not full_size
    return IntegerLevel(products, reduces[0], channels, pixels, maximum, copies, symmetric)
