"""The Fréchet distance between two clouds of features: FID, where the features are Inception's.

d^2 = |m_1 - m_2|^2 + tr(S_1) + tr(S_2) - 2 tr((S_1 S_2)^(1/2)), m and S mean and covariance
(divisor n - 1). It is 0 for equal Gaussians and grows without bound.

The value itself is that of torchmetrics, on features that were computed beforehand. It sees images
only, no weights, so that a bootstrap would pass every draw through it again; the draws are computed
here instead. With F'F = S, tr((S_1 S_2)^(1/2)) is the sum of the singular values of F_1 F_2': no
square root of a rounding error, and no more than n rows where there are fewer images than features.

The estimate is biased upwards, the more so the fewer the images (Chong, Forsyth 2020), and singular
where a cloud has no more images than features. Compare only values of equally many images.

Source: Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule (arXiv 1706.08500).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from likeness.types import Floats

FEWEST_DRAWS: Final = 20
FEWEST_IMAGES: Final = 2
_WORK: Final = 2e12
"""Operations that the draws of one distance may take: a few minutes on one core."""


def frechet_distance(real: Floats, compared: Floats) -> float:
    """Return the Fréchet distance of torchmetrics between (n, d) and (m, d) features; n, m >= 2."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_passing(real.shape[1])).set_dtype(torch.float64)
    # Only the mean may depend on where the clouds lie; sums of squares far from 0 lose digits.
    centre = real.mean(axis=0)
    metric.update(torch.from_numpy(real - centre), real=True)
    metric.update(torch.from_numpy(compared - centre), real=False)
    return max(float(metric.compute()), 0.0)


def weighted_frechet_distance(
    real: Floats, compared: Floats, real_weights: Floats, weights: Floats
) -> float:
    """Return the distance of clouds in which each image occurs a whole number of times.

    Parameters
    ----------
    real, compared
        (n, d) and (m, d).
    real_weights, weights
        (n,) and (m,) counts; each sums to 2 at least.
    """
    first_mean, first = _factor(real, real_weights)
    second_mean, second = _factor(compared, weights)
    shared = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    gap = first_mean - second_mean
    squares = float(gap @ gap) + float((first**2).sum()) + float((second**2).sum())
    return max(squares - 2 * float(shared), 0.0)


def affordable_draws(num_real: int, num_compared: int, num_features: int, wanted: int) -> int:
    """Return how many draws are computed: all that are wanted, or as many as are bearable.

    It depends on the sizes alone, so that the same call always gives the same interval.
    """
    work = 0.0
    rows = []
    for count in (num_real, num_compared):
        drawn = 0.64 * count  # of n images, 1 - 1/e are in a draw
        if drawn > num_features:
            work += 2 * drawn * num_features**2
        rows.append(min(drawn, num_features))
    work += 2 * rows[0] * rows[1] * num_features + 4 * max(rows) * min(rows) ** 2
    return min(wanted, max(FEWEST_DRAWS, int(_WORK / work)))


def _factor(features: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the mean (d,) and F (rows, d) with F'F the covariance."""
    drawn = weights > 0
    features, weights = features[drawn], weights[drawn]
    total = weights.sum()
    mean = weights @ features / total
    rows = (features - mean) * np.sqrt(weights / (total - 1))[:, None]
    if rows.shape[0] > rows.shape[1]:
        rows = np.linalg.qr(rows, mode="r")
    return mean, rows


def _passing(num_features: int) -> Any:  # noqa: ANN401 - a torch module
    """Return a module that hands features on as they are."""
    from torch import nn

    module = nn.Identity()
    module.num_features = num_features
    return module
