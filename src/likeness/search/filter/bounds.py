"""Upper bounds of both correlations from the coarse level, rounding included.

For channel c of two images let u, u' be the centred channels of norm 1, a, a' their parts along
`low`, stored as ã with |a - ã| <= d, and let e >= |u - a| be what `low` leaves:

    |<u, u'> - <ã, ã'>| <= e e' + d |a'| + |ã| d' <= e e' + d + d'

(Cauchy and Schwarz; |ã| <= 1.01, a factor that is part of the stored d.) A band b, stored as b̃ with
|b - b̃| <= f, takes <b̃, b̃'> out of the part that only its norm is known of: with g the norm of
what is left after it,

    |<u, u'> - <ã, ã'> - <b̃, b̃'>| <= g g' + d + d' + f |b'| + (|b| + f) f'

where |b|**2 = e**2 - g**2, and so on for the next band, with g in the place of e. With w_c the
norm of the centred channel over that of the whole image centred by one mean, and
s_c = sqrt(P) (mean_c - mean) over the same,

    r_cat = sum_c w_c w'_c <u_c, u'_c> + sum_c s_c s'_c,   r_ch = mean of <u_c, u'_c>

where the mean is over the channels that vary in both images. <ã, ã'> is computed in float32: K
products and sums, in any order, err by at most 2 K 2**-24 |ã| |ã'| (twice what IEEE arithmetic
would allow: the processor's bfloat16 instructions round a little differently). What follows is a
few operations in float32 per channel on numbers of at most 2, each of relative error 2**-24. Both
are in `margin`. (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.search.filter.sizes import BANDS
from likeness.types import Flags, Floats, Integers

_ROUNDING = 2.0**-24


def margin(coefficients: int, channels: int) -> np.float32:
    """Return what rounding can take from a computed upper bound."""
    return np.float32(2 * coefficients * _ROUNDING + (16 * channels + 64) * _ROUNDING)


@dataclass(frozen=True)
class Terms:
    """What the bounds need of n images besides products."""

    first: NDArray[np.float32]
    """(n, 5 C): w, s, e, d, and 1 where a channel varies, channel after channel."""
    bands: tuple[Floats, ...]
    """For each band (n, 5 C): |b|, g, f, the step, and 128 times the sum of the steps."""
    defined: Flags
    """(n,) any channel varies."""
    varies: Flags
    """(n, C)."""

    @property
    def mixed(self) -> bool:
        """Whether any channel of any image is constant."""
        return not bool(self.varies.all())


def terms_of(
    numbers: NDArray[np.float32],
    moments: Integers,
    pixels: int,
    steps: tuple[Integers, ...] | None = None,
) -> Terms:
    """Collect the terms of n images.

    Parameters
    ----------
    numbers, moments
        As in `coarse.Coarse`.
    pixels
        Per channel.
    steps
        For each band (n, C) sums of the steps, for queries; None for references.
    """
    count, channels = moments.shape[:2]
    variances, whole = variances_of(moments, pixels)
    varies = variances > 0
    defined: Flags = np.asarray(varies.any(axis=1))
    norm = np.sqrt(whole / (pixels * channels))
    safe = np.where(defined, norm, 1.0)[:, None]
    weight = np.sqrt(variances / pixels) / safe
    means = moments[:, :, 0] / pixels
    shift = np.sqrt(pixels) * (means - means.mean(axis=1, keepdims=True)) / safe
    first = np.concatenate([weight, shift, numbers[..., 0], numbers[..., 1], varies], axis=1)
    bands, rest = [], numbers[..., 0]
    for k in range(len(BANDS)):
        left, error, step = (numbers[..., 2 + 3 * k + i] for i in range(3))
        offsets = np.zeros((count, channels)) if steps is None else 128.0 * steps[k]
        inside = _norms_between(rest, left)
        bands.append(np.concatenate([inside, left, error, step, offsets], axis=1, dtype=np.float64))
        rest = left
    return Terms(first.astype(np.float32), tuple(bands), defined, varies)


def _norms_between(before: NDArray[np.float32], after: NDArray[np.float32]) -> Floats:
    """Return upper bounds of the norms of bands, from those of what is left before and after.

    A stored norm is the true one or larger: by `_UP` and a rounding of float32, its square by
    `_SLACK` and the error that this stands for (`_rounding`). So much is taken off the second.
    """
    least = after.astype(np.float64) ** 2 * (1 - 3e-6) - 2e-9
    squares = before.astype(np.float64) ** 2 - np.maximum(least, 0.0)
    return np.sqrt(np.maximum(squares, 0.0)) * (1 + 1e-12)


def variances_of(moments: Integers, pixels: int) -> tuple[Integers, Integers]:
    """Return (n, C) and (n,) variances times the squared number of values, exact."""
    sums, squares = moments[:, :, 0], moments[:, :, 1]
    channels = moments.shape[1]
    each = pixels * squares - sums * sums
    total = sums.sum(axis=1)
    return each, channels * pixels * squares.sum(axis=1) - total * total


def exact_correlations(
    products: Integers,
    references: Integers,
    queries: Integers,
    pixels: int,
) -> tuple[Floats, Floats]:
    """Return r_cat and r_ch of chosen pairs, bit for bit as the search computes them.

    Parameters
    ----------
    products
        (p, C) exact inner products of pixels.
    references, queries
        (p, C, 2) moments.
    pixels
        Per channel.

    Returns
    -------
    tuple
        (p,) each; -inf where there is no correlation.
    """
    channels = products.shape[1]
    first, first_whole = variances_of(references, pixels)
    second, second_whole = variances_of(queries, pixels)
    mean = np.zeros(len(products))
    for c in range(channels):
        covariance = products[:, c] * pixels - references[:, c, 0] * queries[:, c, 0]
        mean += _ratio(covariance, first[:, c], second[:, c])
    shared = ((first > 0) & (second > 0)).sum(axis=1)
    mean /= np.maximum(shared, 1).astype(np.float64)
    sums = references[:, :, 0].sum(axis=1) * queries[:, :, 0].sum(axis=1)
    covariance = products.sum(axis=1) * (pixels * channels) - sums
    whole = _ratio(covariance, first_whole, second_whole)
    whole[~((first > 0).any(axis=1) & (second > 0).any(axis=1))] = -np.inf
    mean[shared == 0] = -np.inf
    return whole, mean


def _ratio(covariance: Integers, variance: Integers, other: Integers) -> Floats:
    root = np.sqrt(variance.astype(np.float64) * other.astype(np.float64))
    root[root == 0] = 1.0  # the covariance is 0 there
    return np.clip(covariance.astype(np.float64) / root, -1.0, 1.0)
