"""Intervals for shares whose draws go together.

Images of one patient are not independent, nor are splits of one set. So a sensitivity has the
patients as its observations (a patient counts with the share of its copies that were found), and
what is measured once per split has the splits, with the reminder that they share their images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.types import Floats

_DRAWS: Final = 2000
CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Measured:
    """A share or mean with its 95 % interval."""

    estimate: float
    low: float
    high: float
    number: int
    """Independent observations that the interval counts."""
    unit: str
    """What these are: patients, splits, ..."""


def share_of_patients(found: Floats, tried: Floats, patients: NDArray[np.integer]) -> Measured:
    """Return the share found, with Clopper-Pearson limits over patients.

    Parameters
    ----------
    found, tried
        (n,) how often each copy was flagged rightly, and how often it was among the images.
    patients
        (n,) whose copy it is.

    Returns
    -------
    Measured
        The estimate is the mean over copies; the interval counts a patient as one observation,
        whose result is the mean of its copies (a broken number, for which the Beta quantiles of
        Clopper and Pearson are defined as well).
    """
    used = tried > 0
    if not used.any():
        return Measured(float("nan"), 0.0, 1.0, 0, "patients")
    rates = found[used] / tried[used]
    codes = np.unique(patients[used], return_inverse=True)[1]
    sizes = np.bincount(codes)
    number = len(sizes)
    # Weighted by the copies, so that the interval lies around the estimate.
    estimate = float(rates.mean())
    low, high = beta_limits(estimate * number, number)
    return Measured(estimate, low, high, number, "patients")


def beta_limits(found: float, number: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the Clopper-Pearson limits of ``found / number``; `found` need not be whole."""
    from scipy.special import betaincinv

    tail = (1.0 - confidence) / 2.0
    missed = number - found
    low = 0.0 if found <= 0 else float(betaincinv(found, missed + 1.0, tail))
    high = 1.0 if missed <= 0 else float(betaincinv(found + 1.0, missed, 1.0 - tail))
    return low, high


def share_of_runs(happened: NDArray[np.bool_]) -> Measured:
    """Return how many runs something happened in, with Clopper-Pearson limits over the runs."""
    number = len(happened)
    low, high = beta_limits(float(happened.sum()), number)
    return Measured(float(happened.mean()), low, high, number, "splits")


def mean_of_splits(values: Floats, *, seed: int) -> Measured:
    """Return a mean over splits, with a percentile bootstrap of the splits.

    Parameters
    ----------
    values
        (s,) one number per split.
    """
    rng = np.random.default_rng([seed, len(values)])
    draws = rng.integers(len(values), size=(_DRAWS, len(values)))
    means = values[draws].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Measured(float(values.mean()), float(low), float(high), len(values), "splits")
