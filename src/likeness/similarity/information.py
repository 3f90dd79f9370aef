"""Mutual information: does the one picture tell the values of the other, by whatever mapping?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness.similarity._pairs import float_pair, mean_defined, varies
from likeness.similarity.masked import foreground
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness.types import Image

_BINS: Final = 64


def normalized_mutual_information(query: Image, reference: Image) -> float | None:
    """Return ``(H(X) + H(Y)) / H(X, Y)`` over the foreground of the query, averaged over channels.

    Values are sorted into 64 bins of equal width between the lowest and the highest value that the
    channel has there. Any one-to-one change of intensities, inversion among them, leaves the
    measure about as it is.

    Parameters
    ----------
    query, reference
        (C, H, W), same shape.

    Returns
    -------
    float or None
        In [1, 2]: 1 where the pictures tell nothing of each other, 2 where each determines the
        other. The mean over the channels that vary there in both images; None where none does.

    Raises
    ------
    ImageMismatchError
        If shapes differ.
    InputError
        If a value is not finite.

    Notes
    -----
    Source: Studholme, Hill, Hawkes, "An overlap invariant entropy measure of 3D medical image
    alignment", Pattern Recognition 32(1), 1999.
    """
    a, b = float_pair(query, reference)
    mask = foreground(query)
    return mean_defined([_of_channel(x[mask], y[mask]) for x, y in zip(a, b, strict=True)])


def _of_channel(first: Floats, second: Floats) -> float | None:
    x, y = _bins(first), _bins(second)
    if x is None or y is None:
        return None
    joint = np.bincount(x * _BINS + y, minlength=_BINS * _BINS).reshape(_BINS, _BINS)
    of_both = _entropy(joint.ravel())
    value = (_entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0))) / of_both
    return min(max(value, 1.0), 2.0)


def _bins(values: Floats) -> NDArray[np.int64] | None:
    """Return the bin of every value; None where they do not vary."""
    if not varies(values):
        return None
    low, high = float(values.min()), float(values.max())
    place = (values / 2 - low / 2) / (high / 2 - low / 2)  # halves: the range may not overflow
    return np.minimum((place * _BINS).astype(np.int64), _BINS - 1)


def _entropy(counts: NDArray[np.int64]) -> float:
    """Return the entropy of a histogram, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return -float(np.sum(shares * np.log(shares)))
