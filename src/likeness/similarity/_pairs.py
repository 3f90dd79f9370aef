"""What the measures of one pair have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import ImageMismatchError, InputError
from likeness.types import Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.types import Image

_ROUNDING: Final = 1e-6
"""Range of an array, relative to its largest magnitude, up to which it counts as constant: some
units in the last place of float32."""


def float_pair(first: Image, second: Image) -> tuple[Floats, Floats]:
    """Return two images (C, H, W) as float64.

    Number types may differ: a registered query is interpolated.

    Raises
    ------
    ImageMismatchError
        If the shapes differ, or an array is not an image.
    InputError
        If a value is not finite.
    """
    if first.shape != second.shape:
        msg = (
            f"Images of shape {first.shape} and {second.shape} cannot be compared: prepare both in "
            "the same way."
        )
        raise ImageMismatchError(msg)
    for image in (first, second):
        if image.ndim != 3 or image.size == 0 or image.dtype.kind not in "iuf":
            msg = f"An image must be (C, H, W) real numbers; got {image.shape} of {image.dtype}."
            raise ImageMismatchError(msg)
    pair = tuple(np.ascontiguousarray(image, dtype=np.float64) for image in (first, second))
    if not all(np.isfinite(image).all() for image in pair):
        msg = "An image holds values that are not finite: leave it out or mend it."
        raise InputError(msg)
    return pair[0], pair[1]


def mean_defined(values: Sequence[float | None]) -> float | None:
    """Return the mean over the channels that have a value, None where none has."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def varies(values: Floats) -> bool:
    """Whether an array has contrast beyond what rounding in float32 leaves of a constant one."""
    low, high = float(values.min()), float(values.max())
    return high / 2 - low / 2 > _ROUNDING / 2 * max(abs(low), abs(high))


def pearson(first: Floats, second: Floats) -> float | None:
    """Correlate two arrays of equal shape, in [-1, 1]; None where one is constant."""
    if not varies(first) or not varies(second):
        return None
    a, b = _centred(first), _centred(second)
    r = float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return min(max(r, -1.0), 1.0)


def _centred(values: Floats) -> Floats:
    """Return values less their mean, scaled so that squares neither overflow nor vanish."""
    scaled = values / np.abs(values).max()
    scaled -= np.mean(scaled)
    result: Floats = scaled / np.abs(scaled).max()
    return result
