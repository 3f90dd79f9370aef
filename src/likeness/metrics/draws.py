"""How often each image counts in each draw of the bootstrap.

Synthetic images are independent draws of a generator and are drawn one by one. Real images of one
patient are alike, so *patients* are drawn, each with all its images; an image whose patient is not
known is a patient of its own.

What an interval describes: how much the number would vary with other synthetic images and other
patients, for sets of this size. It does not describe what the size itself does to the number: the
draws repeat images, which moves some of the numbers (the Fréchet distance upwards, most of all).
Each interval is therefore centred: the draws' quantiles less their mean, laid around the value.

Source: Efron, Tibshirani 1993; cluster bootstrap, Davison, Hinkley 1997, section 3.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.metrics.frechet import FEWEST_DRAWS
from likeness.types import Floats

_FEW: Final = 100
"""Of fewer draws, no 2.5 % quantile: the interval is the value +- 1.96 standard deviations."""
_LEVELS: Final = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """A central 95 % interval."""

    low: float
    high: float
    draws: int
    how: str
    """``centred quantiles`` or ``normal``."""


def counts_of_images(count: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return (draws, count): how often each of `count` images was drawn, images drawn singly."""
    return counts_of_patients(np.arange(count), draws, rng)


def counts_of_patients(codes: NDArray[np.integer], draws: int, rng: np.random.Generator) -> Floats:
    """Return (draws, n): how often each image was drawn, with all images of a patient together.

    Parameters
    ----------
    codes
        (n,) patient of each image, 0 to K - 1.
    """
    num_patients = int(codes.max()) + 1
    patients = rng.multinomial(num_patients, np.full(num_patients, 1 / num_patients), size=draws)
    return patients[:, codes].astype(np.float64)


def interval(
    value: float, replicates: Floats, *, lowest: float = -np.inf, highest: float = np.inf
) -> Interval | None:
    """Return the interval around a value, or None of too few draws.

    Parameters
    ----------
    replicates
        (b,) the number in each draw.
    lowest, highest
        The range that the number can have; the interval stays inside.
    """
    replicates = replicates[np.isfinite(replicates)]
    if len(replicates) < FEWEST_DRAWS:
        return None
    if len(replicates) < _FEW:
        half = 1.96 * float(replicates.std(ddof=1))
        low, high, how = value - half, value + half, "normal"
    else:
        around = np.quantile(replicates, _LEVELS) - replicates.mean()
        low, high, how = value + float(around[0]), value + float(around[1]), "centred quantiles"
    return Interval(max(low, lowest), min(high, highest), len(replicates), how)
