"""The kernel distance between two clouds of features: KID, where the features are Inception's.

MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over pairs of different images, with
k(a, b) = (a'b / d + 1)^3. Unbiased: 0 on average for equal distributions, whatever the number of
images, and therefore sometimes below 0.

All pairs are used. torchmetrics, as the paper, averages the same estimate over random subsets of
1,000 images: the same on average, with noise of its own, which a bootstrap would have to be told
apart from. The tests hold this module against torchmetrics where a subset is the whole set.

Source: Binkowski et al. 2018, Demystifying MMD GANs (arXiv 1801.01401).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from likeness.types import Floats

FEWEST_IMAGES: Final = 2
_BLOCK: Final = 1024


def kernel_distance(
    real: Floats, compared: Floats, real_weights: Floats, weights: Floats
) -> Floats:
    """Return the kernel distance for several ways of counting the images.

    Parameters
    ----------
    real, compared
        (n, d) and (m, d) features.
    real_weights, weights
        (b, n) and (b, m): how often each image is counted; a row of ones for the value itself. At
        least two images of each side must count.

    Returns
    -------
    ndarray
        (b,). A pair of one image with itself never counts, also where it was drawn twice: otherwise
        a bootstrap would see every cloud denser than it is.
    """
    within_real = _mean_of_pairs(real, real, real_weights, real_weights, same=True)
    within = _mean_of_pairs(compared, compared, weights, weights, same=True)
    between = _mean_of_pairs(real, compared, real_weights, weights, same=False)
    return within_real + within - 2 * between


def _mean_of_pairs(
    first: Floats, second: Floats, weights: Floats, other_weights: Floats, *, same: bool
) -> Floats:
    total = np.zeros(len(weights))
    for start in range(0, len(first), _BLOCK):
        rows = slice(start, start + _BLOCK)
        kernel = (first[rows] @ second.T / first.shape[1] + 1) ** 3
        if same:
            here = np.arange(len(kernel))
            kernel[here, here + start] = 0
        total += ((kernel @ other_weights.T) * weights[:, rows].T).sum(axis=0)
    pairs = weights.sum(axis=1) * other_weights.sum(axis=1)
    if same:
        pairs = pairs - (weights**2).sum(axis=1)
    return np.asarray(total / pairs)
