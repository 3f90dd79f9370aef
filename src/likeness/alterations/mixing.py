"""Parts of one image in another.

All functions take and return float64 images (C, H, W) and change no argument. A part stays at its
own place: it is laid over the same place of the other image.
"""

from __future__ import annotations

import numpy as np

from likeness.types import Floats


def blend(image: Floats, other: Floats, share: float) -> Floats:
    """Add `share` of the image and the rest of another."""
    return share * image + (1.0 - share) * other


def half_of(image: Floats, other: Floats, side: int) -> Floats:
    """Lay the upper (0), lower (1), left (2) or right (3) half over another image."""
    height, width = image.shape[1:]
    rows = (slice(0, height // 2), slice(height // 2, None), slice(None), slice(None))[side]
    columns = (slice(None), slice(None), slice(0, width // 2), slice(width // 2, None))[side]
    mixed = other.copy()
    mixed[:, rows, columns] = image[:, rows, columns]
    return mixed


def region_of(image: Floats, other: Floats, down: float, right: float) -> Floats:
    """Lay a quarter of the area, half of each side, over another image.

    Parameters
    ----------
    down, right
        Place of the region as shares, 0 to 1, of the way from the first to the last possible one.
    """
    height, width = image.shape[1:]
    rows, columns = height // 2, width // 2
    top, left = round(down * (height - rows)), round(right * (width - columns))
    mixed = other.copy()
    part = (slice(None), slice(top, top + rows), slice(left, left + columns))
    mixed[part] = image[part]
    return mixed


def spot_of(
    image: Floats, other: Floats, radius: float, down: float, right: float
) -> Floats:  # fmt: skip
    """Lay a disc of the image over another, anywhere within the middle half of each side."""
    height, width = image.shape[1:]
    row, column = height * (0.25 + 0.5 * down), width * (0.25 + 0.5 * right)
    rows, columns = np.ogrid[:height, :width]
    inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return np.where(inside, image, other)
