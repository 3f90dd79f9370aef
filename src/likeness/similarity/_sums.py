"""From exact integer sums to a correlation, and the float64 way where integers would overflow.

For N pixels with sums S, S', sums of squares Q, Q' and sum of products P,

    cov = N P - S S',   var = N Q - S S,   r = cov / sqrt(var var')

Every term before the division is an integer. For pixels in [0, M] all of them fit in int64 while
N N M M < 2**63 (8-bit images up to 11.9 million values). One conversion each to float64, one
product, one square root and one division, all correctly rounded, follow: the result depends on
nothing but the two images. sqrt(fl(v v)) = v in radix 2, so a copy has r = 1 exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.types import Floats

_INT64_LIMIT: Final = 2**63
FLOAT64_EXACT: Final = 2**53
"""Integers below this are exact in float64, whatever the order in which they are added."""

_SHORT_BYTES: Final = 2

RELATIVE_SPREAD_64: Final = 1e-9
"""A float64 image whose standard deviation is below this part of its largest magnitude is constant.

Also an assumption of the rounding bound in `likeness.search._float_level`.
"""


def fits_integers(count: int, maximum: int) -> bool:
    """Whether all terms for `count` values in [0, `maximum`] fit in int64, and sums in float64."""
    squares = count * maximum * maximum
    return count * squares < _INT64_LIMIT and squares < FLOAT64_EXACT


def ratio(covariance: Any, variance: Any, other_variance: Any) -> Any:  # noqa: ANN401
    """Return cov / sqrt(var var'), clipped to [-1, 1]; one float64 operation after the other."""
    root = np.sqrt(np.float64(variance) * np.float64(other_variance))
    return np.clip(np.float64(covariance) / root, -1.0, 1.0)


def relative_spread(dtype: np.dtype[Any], averaged: float = 1.0) -> float:
    """Return the part of its largest magnitude up to which a deviation is rounding, not contrast.

    Pixels that should be equal may flicker by one or two units in their last place; means of
    `averaged` such pixels flicker less. Integers of up to 16 bits are constant only where all are
    equal.
    """
    if dtype.kind == "f":
        return max(float(np.finfo(dtype).eps) / math.sqrt(averaged), RELATIVE_SPREAD_64)
    return 0.0 if dtype.itemsize <= _SHORT_BYTES else RELATIVE_SPREAD_64


@dataclass(frozen=True)
class Centring:
    """How one vector is centred: ``ldexp(values, -exponent) - mean``."""

    exponent: int
    mean: float
    squares: float
    """Sum of squares after centring."""
    constant: bool

    def apply(self, values: NDArray[Any]) -> Floats:
        """Return the centred vector, float64."""
        scaled = np.ldexp(values.astype(np.float64), -self.exponent)
        scaled -= self.mean
        return scaled


def centring(values: NDArray[Any], limit: float) -> Centring:
    """Measure a contiguous vector (N,): two passes, NumPy's own order of summation.

    It counts as constant where its deviation is at most `limit` times its largest magnitude.

    A power of two, which rounds nothing, brings the largest magnitude into [0.5, 1) first, so that
    squares neither overflow nor vanish.
    """
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    exponent = math.frexp(largest)[1]
    scaled = np.ldexp(values.astype(np.float64), -exponent)
    mean = float(np.sum(scaled)) / scaled.size
    scaled -= mean
    squares = float(np.sum(scaled * scaled))
    spread = math.sqrt(squares / scaled.size)
    constant = low == high or spread <= limit * math.ldexp(largest, -exponent)
    return Centring(exponent, mean, squares, constant)
