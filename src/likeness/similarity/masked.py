"""Correlation over what is not background.

Two pictures of different people agree in their empty background, which lifts every correlation;
over the foreground of the query alone, strangers are further apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.similarity._pairs import float_pair, mean_defined, pearson
from likeness.types import Flags

if TYPE_CHECKING:
    from likeness.types import Image

_LEVEL: Final = 0.08
_MARGIN: Final = 3
_LEAST_SHARE: Final = 0.05


def foreground(image: Image) -> Flags:
    """Return where an image shows something, and 3 pixels around that.

    A pixel does where any channel lies above the channel's lowest value by more than 8 % of its
    range. Where that, with the margin, is less than 5 % of the picture, all of it counts.

    Parameters
    ----------
    image
        (C, H, W).

    Returns
    -------
    Flags
        (H, W).

    Raises
    ------
    ImageMismatchError, InputError
        If it is not an image of finite numbers.
    """
    from scipy.ndimage import maximum_filter

    values = float_pair(image, image)[0]
    low = values.min(axis=(1, 2), keepdims=True)
    high = values.max(axis=(1, 2), keepdims=True)
    # Halves, so that the range of huge values stays finite.
    bright = (values / 2 - low / 2 > _LEVEL * (high / 2 - low / 2)).any(axis=0)
    mask: Flags = maximum_filter(bright, size=2 * _MARGIN + 1, mode="constant", cval=False)
    return mask if mask.mean() >= _LEAST_SHARE else np.ones_like(mask)


def masked_correlation(query: Image, reference: Image) -> float | None:
    """Average over channels the correlation within the foreground of the query.

    Parameters
    ----------
    query, reference
        (C, H, W), same shape. The mask comes from the query alone, so that all references are
        compared over the same pixels.

    Returns
    -------
    float or None
        In [-1, 1], the mean over the channels that vary there in both images; None where none does.

    Raises
    ------
    ImageMismatchError
        If shapes differ.
    InputError
        If a value is not finite.
    """
    a, b = float_pair(query, reference)
    mask = foreground(query)
    return mean_defined([pearson(x[mask], y[mask]) for x, y in zip(a, b, strict=True)])
