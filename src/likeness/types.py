"""Names for the array shapes that pass between modules.

N images, C channels, H rows, W columns, K patients.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[Any]
"""One image, (C, H, W)."""

Images: TypeAlias = NDArray[Any]
"""A batch of images, (N, C, H, W)."""

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

Transform: TypeAlias = Literal[
    "identity", "flip_h", "flip_v", "rot90", "rot180", "rot270", "transpose", "antitranspose"
]

TRANSFORMS: Final[tuple[Transform, ...]] = (
    "identity",
    "flip_h",
    "flip_v",
    "rot90",
    "rot180",
    "rot270",
    "transpose",
    "antitranspose",
)
"""The eight flips and quarter turns, in the order that decides ties."""
