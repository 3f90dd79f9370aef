"""Precision, recall, density, coverage: do two clouds of features lie in each other?

Each image gets a ball that reaches to its k-th nearest other image of the same set.

precision  share of compared images in the ball of a real image (Kynkäänniemi et al. 2019)
recall     share of real images in the ball of a compared image
density    how many real balls a compared image lies in, divided by k (Naeem et al. 2020); not
           bounded by 1
coverage   share of real images whose ball holds a compared image

All four depend on k and on the numbers of images: compare only values of equal numbers. For real
against real images of the same distribution, coverage tends to 1 - (1/2)^k for equal numbers (0.97
for k = 5); recall and precision stay below 1.

Sources: arXiv 1904.06991, arXiv 2002.09797. A ball contains its surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from likeness.types import Flags, Floats

NEIGHBOURS: Final = 5
"""k. Naeem et al. 2020, section 4; Kynkäänniemi et al. 2019 use 3."""
_BLOCK: Final = 512


@dataclass(frozen=True)
class Membership:
    """Per image, what the four numbers are means of."""

    precision: Flags
    """(m,) of the compared images."""
    density: Floats
    """(m,) real balls that it lies in, divided by k."""
    recall: Flags
    """(n,) of the real images."""
    coverage: Flags
    """(n,)"""


def memberships(real: Floats, compared: Floats, *, k: int = NEIGHBOURS) -> Membership:
    """Return who lies in whose neighbourhood.

    Parameters
    ----------
    real, compared
        (n, d) and (m, d), both of more than k images.
    k
        At least 1.
    """
    centre = real.mean(axis=0)  # distances are differences of squares: the smaller the better
    real, compared = real - centre, compared - centre
    real_radii, radii = _radii(real, k), _radii(compared, k)
    balls = np.zeros(len(compared))
    recall = np.zeros(len(real), dtype=bool)
    coverage = np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _BLOCK):
        rows = slice(start, start + _BLOCK)
        distances = _squared_distances(real[rows], compared)
        inside = distances <= real_radii[rows, None]
        balls += inside.sum(axis=0)
        coverage[rows] = inside.any(axis=1)
        recall[rows] = (distances <= radii).any(axis=1)
    return Membership(balls > 0, balls / k, recall, coverage)


def _radii(features: Floats, k: int) -> Floats:
    """Return the squared distance of each image to its k-th nearest other image."""
    radii = np.empty(len(features))
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        distances = _squared_distances(features[rows], features)
        here = np.arange(len(distances))
        distances[here, here + start] = np.inf
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


def _squared_distances(first: Floats, second: Floats) -> Floats:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    return np.asarray(np.maximum(squares - 2 * (first @ second.T), 0.0))
