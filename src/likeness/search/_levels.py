"""Which arithmetic serves which images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.search._float_level import FloatLevel
from likeness.search._integer_level import IntegerLevel
from likeness.similarity._sums import relative_spread
from likeness.similarity.pearson import exact_maximum

if TYPE_CHECKING:
    from likeness.search._level import Level
    from likeness.search.engines import Engine


def build_level(engine: Engine, dtype: np.dtype[Any], shape: tuple[int, int, int]) -> Level:
    """Choose for images of a number type and a shape (C, H, W) of compared channels."""
    channels, height, width = shape
    if exact_maximum(dtype, channels * height * width) is None:
        return FloatLevel(channels, height * width, relative_spread(dtype))
    return IntegerLevel(engine, channels, height * width)
