"""Samples as they come from a training loop: are they like the images of the sets?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.errors import ImageMismatchError, OptionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from likeness.datasets import ImageSet

_HIGHEST = 255


def to_8_bit(images: ArrayLike, *, low: float = -1.0, high: float = 1.0) -> NDArray[np.uint8]:
    """Turn floating point images into 8 bits, rounded, values outside cut off.

    Parameters
    ----------
    images
        Of any shape; a tensor on the processor, detached, will do.
    low, high
        What becomes 0 and 255.

    Raises
    ------
    OptionError
        If `low` is not below `high`.
    ImageMismatchError
        If a value is not a number.
    """
    if not low < high:
        msg = f"low is {low} and high is {high}; low must be below high."
        raise OptionError(msg)
    values = np.asarray(images, dtype=np.float64)
    if not np.isfinite(values).all():
        msg = "The images hold values that are not finite: the model has diverged."
        raise ImageMismatchError(msg)
    scaled = (values - low) * (_HIGHEST / (high - low))
    rounded: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, _HIGHEST).astype(np.uint8)
    return rounded


def refuse_unlike(images: object, train: ImageSet) -> NDArray[Any]:
    """Return the images as an array if they can be compared with those of the set.

    Raises
    ------
    ImageMismatchError
        If shape or number type differ, or there is none.
    """
    array = np.asarray(images)
    channels, height, width = train.image_shape
    wanted = f"(n, {channels}, {height}, {width}) of {train.dtype}"
    if np.issubdtype(array.dtype, np.floating) and not np.issubdtype(train.dtype, np.floating):
        msg = (
            f"The samples are {array.dtype}, the training images {train.dtype}. Convert them first:"
            " `likeness.monitoring.to_8_bit(images, low=-1, high=1)`, with the range of your model."
        )
        raise ImageMismatchError(msg)
    if array.ndim != 4 or array.shape[1:] != train.image_shape or array.dtype != train.dtype:
        order = ""
        if array.ndim == 4 and array.shape[1:] == (height, width, channels):
            order = " The channels come last; use `images.transpose(0, 3, 1, 2)`."
        msg = (
            f"The samples are {tuple(array.shape)} of {array.dtype}; expected {wanted}, as the "
            f"training images.{order}"
        )
        raise ImageMismatchError(msg)
    if not len(array):
        msg = f"There is no sample; expected {wanted} with n of at least 1."
        raise ImageMismatchError(msg)
    return np.ascontiguousarray(array)
