"""Structural similarity: are the same structures seen at the same place?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import ImageMismatchError, OptionError
from likeness.similarity._pairs import float_pair
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness.types import Image

_SIGMA: Final = 1.5
_RADIUS: Final = 5
_K1: Final = 0.01
_K2: Final = 0.03


def structural_similarity(first: Image, second: Image, *, data_range: float | None = None) -> float:
    """Return the mean structural similarity (SSIM) over all 11 x 11 windows and all channels.

    Windows are weighted by a Gaussian of standard deviation 1.5, K1 = 0.01 and K2 = 0.03; only
    windows that lie within the picture count. Variances are those of the weighted window (weights
    add up to 1, no correction for the number of pixels).

    Parameters
    ----------
    first, second
        (C, H, W), same shape, at least 11 x 11.
    data_range
        Largest minus smallest possible value, the same for all pairs of a comparison. None: that of
        the integer type (255 for uint8), of either image.

    Returns
    -------
    float
        In [-1, 1]; 1 only for equal images.

    Raises
    ------
    ImageMismatchError
        If shapes differ or a side is shorter than 11.
    InputError
        If a value is not finite.
    OptionError
        If both images are floats and `data_range` is None, or it is not positive.

    Notes
    -----
    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13(4), 2004, equation 13.
    """
    span = value_range(first, second, data_range)
    a, b = float_pair(first, second)
    if min(a.shape[1:]) < 2 * _RADIUS + 1:
        msg = f"Structural similarity needs pictures of 11 x 11 or more; got {a.shape[1:]}."
        raise ImageMismatchError(msg)
    # Channel by channel, so that all sums of one stay in the processor's cache.
    return float(np.mean([_of_channel(x / span, y / span) for x, y in zip(a, b, strict=True)]))


def _of_channel(a: Floats, b: Floats) -> float:
    """Return the mean over the windows of one channel (H, W), in units of the range."""
    mean_a, mean_b = _windows(a), _windows(b)
    variance_a = np.maximum(_windows(a * a) - mean_a * mean_a, 0.0)
    variance_b = np.maximum(_windows(b * b) - mean_b * mean_b, 0.0)
    covariance = _windows(a * b) - mean_a * mean_b
    c1, c2 = _K1**2, _K2**2  # the range is 1
    value = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    value /= (mean_a * mean_a + mean_b * mean_b + c1) * (variance_a + variance_b + c2)
    return float(np.mean(value))


def value_range(first: Image, second: Image, data_range: float | None) -> float:
    """Return `data_range`, or the range of the integer type of one of the images."""
    if data_range is not None:
        if not 0 < data_range < np.inf:
            msg = f"`data_range` must be positive and finite; got {data_range}."
            raise OptionError(msg)
        return float(data_range)
    for image in (second, first):
        if image.dtype.kind in "iu":
            limits = np.iinfo(image.dtype)
            return float(limits.max) - float(limits.min)
    msg = "Floats have no range of their own: give `data_range`, the same for all pairs."
    raise OptionError(msg)


def _windows(values: Floats) -> Floats:
    """Return the weighted mean of every window within the picture."""
    from scipy.ndimage import correlate1d

    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * np.square(offsets / _SIGMA))
    weights /= weights.sum()
    for axis in (0, 1):
        values = correlate1d(values, weights, axis=axis, mode="nearest")
    return values[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
