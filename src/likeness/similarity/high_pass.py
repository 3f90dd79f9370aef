"""Correlation of fine structure: without the large shapes that all pictures of a kind share."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.similarity._pairs import float_pair, mean_defined, varies
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness.types import Image

_COARSE: Final = 1 / 16
_FINE: Final = 1 / 64
"""Standard deviations as parts of the side: structures between them are kept."""
_ROUNDING: Final = 1e-24
"""Sum of squares, where the largest value is 1, up to which nothing but rounding is left."""


def high_pass_correlation(query: Image, reference: Image) -> float | None:
    """Average over channels the correlation of differences of two Gaussians.

    Each picture blurred by 1/64 of its side, less itself blurred by 1/16 (4 and 16 pixels of 256):
    what is coarser is alike in strangers, what is finer is noise. It still sees a copy that was
    blended with another picture.

    Parameters
    ----------
    query, reference
        (C, H, W), same shape.

    Returns
    -------
    float or None
        In [-1, 1], the mean over the channels that vary in both images; None where none does.
        A channel of which nothing is left between the blurs does not vary.

    Raises
    ------
    ImageMismatchError
        If shapes differ.
    InputError
        If a value is not finite.
    """
    from scipy.fft import dctn

    pair = float_pair(query, reference)
    gain = _gain(*pair[0].shape[1:])
    values: list[float | None] = []
    for x, y in zip(*pair, strict=True):
        if not (varies(x) and varies(y)):
            values.append(None)
            continue
        # Of unit size, so that squares of huge values stay finite.
        spectra = [dctn(z / np.abs(z).max(), norm="ortho") for z in (x, y)]
        values.append(_correlation(*[spectrum * gain for spectrum in spectra]))
    return mean_defined(values)


def _correlation(x: Floats, y: Floats) -> float | None:
    """Correlate two pictures given by their cosine transforms, whose mean is 0."""
    squares = [float(np.sum(z * z)) for z in (x, y)]
    if min(squares) <= _ROUNDING:
        return None
    r = float(np.sum(x * y)) / float(np.sqrt(squares[0] * squares[1]))
    return min(max(r, -1.0), 1.0)


@lru_cache(maxsize=8)
def _gain(height: int, width: int) -> Floats:
    """Return by what the difference of the two blurs multiplies each cosine, (H, W).

    A blur whose picture goes on mirrored beyond its edges leaves cosines what they are (they are
    its eigenvectors), so filtering is a product, and a correlation needs no way back.
    """
    fine, coarse = (
        np.outer(_blur(height, part * height), _blur(width, part * width))
        for part in (_FINE, _COARSE)
    )
    gain: Floats = fine - coarse
    return gain


def _blur(length: int, sigma: float) -> Floats:
    """Return by what a Gaussian, cut off at four standard deviations, multiplies each cosine."""
    offsets = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * np.square(offsets / sigma))
    weights /= weights.sum()
    gain: Floats = np.cos(np.pi / length * np.outer(np.arange(length), offsets)) @ weights
    return gain
