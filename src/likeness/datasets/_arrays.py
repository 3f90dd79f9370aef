"""Checks on what `ImageSet.from_arrays` is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.errors import ImageMismatchError, NoImagesError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.types import Images


def checked_images(images: Images) -> Images:
    """Return a read-only view (N, C, H, W) in native byte order, or refuse the array.

    Raises
    ------
    ImageMismatchError
        If it is not four-dimensional, has its channels last, or holds neither integers nor real
        numbers.
    NoImagesError
        If there is no pixel in it.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        msg = (
            f"The array has shape {images.shape}; expected four axes (images, channels, rows, "
            "columns). For one channel use images[:, None]."
        )
        raise ImageMismatchError(msg)
    if images.dtype.kind not in "iuf":
        msg = f"The array holds {images.dtype}; expected integers or floating point numbers."
        raise ImageMismatchError(msg)
    if 0 in images.shape:
        msg = f"The array has shape {images.shape}: there is no pixel in it."
        raise NoImagesError(msg)
    height, width = images.shape[1:3]
    if images.shape[3] <= 4 and min(height, width) >= 8:
        msg = (
            f"The array has shape {images.shape}, which looks like (images, rows, columns, "
            "channels); expected (images, channels, rows, columns). Use "
            "images.transpose(0, 3, 1, 2)."
        )
        raise ImageMismatchError(msg)
    images = images.astype(images.dtype.newbyteorder("="), copy=False).view()
    images.flags.writeable = False
    return images


def numbered(count: int) -> tuple[str, ...]:
    """Return the ids of images that came without any."""
    return tuple(f"image-{number:05d}" for number in range(count))


def column(name: str, values: Sequence[Any] | None, count: int) -> tuple[Any, ...]:
    """Return the values as a tuple; None stands for `count` times None.

    Raises
    ------
    OptionError
        If there are not `count` of them.
    """
    if values is None:
        return (None,) * count
    if len(values) != count:
        msg = f"{name} has {len(values)} entries for {count} images."
        raise OptionError(msg)
    return tuple(values)
