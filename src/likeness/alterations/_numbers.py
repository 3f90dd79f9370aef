"""The range of an image's values, and the way back to its number type."""

from __future__ import annotations

from typing import Any

import numpy as np

from likeness.types import Floats, Image

_FULL = 256.0
"""The side for which sizes in pixels are given."""


def scale_of(image: Image) -> float:
    """Return by how much sizes in pixels grow: the shorter side divided by 256."""
    return int(min(image.shape[1:])) / _FULL


def value_range(*images: Image) -> tuple[Floats, Floats]:
    """Return the lowest and highest value that each channel may take, (C, 1, 1) each.

    8-bit images use all of 0..255; for other types the range is what the images themselves hold.
    """
    if images[0].dtype == np.uint8:
        shape = (len(images[0]), 1, 1)
        return np.zeros(shape), np.full(shape, 255.0)
    low = np.min([image.min(axis=(1, 2), keepdims=True) for image in images], axis=0)
    high = np.max([image.max(axis=(1, 2), keepdims=True) for image in images], axis=0)
    return low.astype(np.float64), high.astype(np.float64)


def in_range(values: Floats, low: Floats, high: Floats, dtype: np.dtype[Any]) -> Image:
    """Cut values off at the ends of their range and give them their number type back."""
    kept = np.clip(values, low, high)
    if dtype.kind in "iu":
        kept = np.rint(kept)
    result: Image = np.ascontiguousarray(kept.astype(dtype))
    return result
