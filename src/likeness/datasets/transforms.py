"""What may be done to pixels before they are stored: pure functions of arrays.

Every one is asked for and recorded in ``dataset.json``. None of them wraps around: a value that
does not fit its number type is clipped where that is the rule, or refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from likeness.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.types import Image

Resampling: TypeAlias = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
"""Pillow's filters; all but nearest average over the area of a pixel where an image shrinks."""

GREY_TOLERANCE: Final = 2
"""Largest difference of the three channels of an RGB image that is really grey: JPEG rounds its
colour channels apart by up to this much."""


def pad_to(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Lay an image (..., H, W) in the middle of a larger one of zeros.

    An odd margin gets its extra row below and its extra column on the right.

    Raises
    ------
    OptionError
        If the image is larger than that.
    """
    rows, columns = image.shape[-2:]
    if rows > height or columns > width:
        msg = f"An image of {rows} x {columns} pixels cannot be padded to {height} x {width}."
        raise OptionError(msg)
    top, left = (height - rows) // 2, (width - columns) // 2
    padded = np.zeros((*image.shape[:-2], height, width), image.dtype)
    padded[..., top : top + rows, left : left + columns] = image
    return padded


def crop_zero_margin(image: NDArray[Any], height: int, width: int) -> NDArray[Any] | None:
    """Cut the middle (..., height, width) out of an image if all that is cut off is zero.

    Axes that are not larger stay as they are. Returns None if something would be lost.
    """
    rows, columns = image.shape[-2:]
    top, left = max(0, (rows - height) // 2), max(0, (columns - width) // 2)
    middle = image[..., top : top + min(rows, height), left : left + min(columns, width)]
    if np.count_nonzero(middle) != np.count_nonzero(image):
        return None
    return np.ascontiguousarray(middle)


def rescale_intensity(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map low..high to 0..255, rounded to the nearest integer (halves to even), ends clipped.

    Raises
    ------
    OptionError
        If not low < high, or a bound is not finite.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        msg = f"The intensity range {low} to {high} is empty."
        raise OptionError(msg)
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return to_uint8(scaled)


def to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the nearest integers (halves to even) clipped to 0..255; never wraps around.

    Raises
    ------
    OptionError
        If a value is not finite.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        msg = "NaN and infinities cannot become 8-bit intensities."
        raise OptionError(msg)
    rounded: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def resize(image: Image, height: int, width: int, resampling: Resampling) -> Image:
    """Resize each channel of an image (C, H, W) with one of Pillow's filters.

    8-bit channels go through Pillow's 8-bit path; all others through its 32-bit floating point
    path, and integers are then rounded and clipped to the range of their type.

    Returns
    -------
    Image
        (C, height, width) of the same number type.
    """
    from PIL import Image as PillowImage

    if resampling not in get_args(Resampling):
        allowed = ", ".join(get_args(Resampling))
        msg = f"--resampling is {resampling!r}; expected one of {allowed}."
        raise OptionError(msg)
    if image.shape[1:] == (height, width):
        return image
    method = PillowImage.Resampling[resampling.upper()]
    resized = np.empty((image.shape[0], height, width), image.dtype)
    for source, target in zip(image, resized, strict=True):
        if image.dtype == np.uint8:
            target[...] = PillowImage.fromarray(source).resize((width, height), method)
            continue
        picture = PillowImage.fromarray(source.astype(np.float32))
        values = np.asarray(picture.resize((width, height), method))
        if image.dtype.kind in "iu":
            bounds = np.iinfo(image.dtype)
            # Bounds of 32 bits and more are not exact in float32, hence the detour by float64.
            values = np.clip(np.rint(values.astype(np.float64)), bounds.min, bounds.max)
        target[...] = values
    return resized


def relabel(labels: NDArray[Any], mapping: dict[int, int]) -> NDArray[np.uint8]:
    """Replace the labels of an annotation; 0 stays 0.

    Raises
    ------
    OptionError
        If a label is not in the mapping, or is no whole number.
    """
    found = np.unique(labels)
    known = {0: 0, **mapping}
    strange = [value for value in found.tolist() if value not in known]
    if strange:
        msg = f"The annotation holds the labels {strange[:5]}; known are {sorted(known)}."
        raise OptionError(msg)
    relabelled = np.zeros(labels.shape, np.uint8)
    for value in found.tolist():
        relabelled[labels == value] = known[value]
    return relabelled


def is_really_grey(image: Image) -> bool:
    """Whether the three channels of an RGB image differ by no more than `GREY_TOLERANCE`."""
    if image.shape[0] != 3:
        return False
    highest, lowest = image.max(axis=0), image.min(axis=0)
    if image.dtype != np.uint8:  # the tolerance is one of 8 bits; deeper images must agree exactly
        return bool(np.array_equal(highest, lowest))
    return bool((highest - lowest <= GREY_TOLERANCE).all())


def luma(image: Image) -> Image:
    """Return the grey image (1, H, W) of an RGB image (3, H, W).

    0.299 R + 0.587 G + 0.114 B, rounded for integers (ITU-R BT.601, which JPEG uses, so that a grey
    JPEG stored as RGB gives back its grey values). Three equal channels give that channel exactly.
    """
    red, green, blue = image
    if image.dtype.kind == "f":
        grey = 0.299 * red.astype(np.float64) + 0.587 * green + 0.114 * blue
        grey = np.where((red == green) & (green == blue), red, grey)
    else:
        wide = image.astype(np.int64)
        grey = (299 * wide[0] + 587 * wide[1] + 114 * wide[2] + 500) // 1000
    typed: Image = grey.astype(image.dtype)[None]
    return typed
