"""How far synthetic images exceed what images of new patients reach: gap, AUC, share above.

All three compare two lists of highest correlations with the same training images, so both are
maxima over the same number. Intervals are percentiles over bootstrap draws: synthetic images one by
one, held-out images by patient, since images of a patient resemble each other (Efron and Tibshirani
1993, chapters 8 and 13).
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.calibration.bounds import clopper_pearson
from likeness.errors import InputError
from likeness.types import Floats

DRAWS: Final = 2000
CONFIDENCE: Final = 0.95
HIGH: Final = 0.99
"""Quantile of the held-out images that a high correlation exceeds."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it as in a table."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Memorization:
    """What the two lists say."""

    synthetic: int
    """Images."""
    held_out: int
    held_out_patients: int
    mean: Estimate
    """Mean highest correlation of the synthetic images."""
    baseline: Estimate
    """The same of the held-out images."""
    gap: Estimate
    """`mean` minus `baseline`."""
    auc: Estimate
    """Share of pairs in which the synthetic image is higher than the held-out one, ties half."""
    above: Estimate
    """Share of synthetic images above the 99th percentile of the held-out ones. Its interval is the
    wider of the bootstrap's and that of Clopper and Pearson."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Draws:
    """The bootstrap draws of a run: to be subtracted from those of another one."""

    mean: Floats
    baseline: Floats
    auc: Floats
    above: Floats


def memorization(
    synthetic: Floats, held_out: Floats, patients: NDArray[np.integer], *, name: str = ""
) -> tuple[Memorization, Draws]:
    """Compare two lists of highest correlations.

    Parameters
    ----------
    synthetic
        (n,) of the synthetic images, finite.
    held_out
        (m,) of images of people whom the generator has not seen, finite.
    patients
        (m,) whose they are; any whole numbers.
    name
        Of the synthetic images; decides their draws. Those of the patients are the same for every
        name: for two generators beside the same patients the bootstrap is paired.

    Raises
    ------
    InputError
        If a list is empty, or holds what is no number.
    """
    for side, values in (("synthetic", synthetic), ("held-out", held_out)):
        if not len(values) or not np.isfinite(values).all():
            msg = f"The {side} images have no correlations, or some that are no numbers."
            raise InputError(msg)
    codes = np.unique(patients, return_inverse=True)[1]
    order = np.argsort(held_out, kind="stable")
    ordered = held_out[order]
    below = np.searchsorted(ordered, synthetic, side="left")
    up_to = np.searchsorted(ordered, synthetic, side="right")
    of_patients = np.random.default_rng(0)
    of_images = np.random.default_rng([1, zlib.crc32(name.encode())])
    count = int(codes.max()) + 1
    drawn = np.empty((4, DRAWS))
    for draw in range(DRAWS):
        times = np.bincount(of_patients.integers(count, size=count), minlength=count)
        rows = of_images.integers(len(synthetic), size=len(synthetic))
        drawn[:, draw] = _numbers(
            synthetic[rows], ordered, times[codes][order], below[rows], up_to[rows]
        )
    whole = _numbers(synthetic, ordered, np.ones(len(ordered), dtype=np.int64), below, up_to)
    mean, baseline, auc, above = drawn
    found = Memorization(
        synthetic=len(synthetic),
        held_out=len(held_out),
        held_out_patients=count,
        mean=_estimate(whole[0], mean),
        baseline=_estimate(whole[1], baseline),
        gap=_estimate(whole[0] - whole[1], mean - baseline),
        auc=_estimate(whole[2], auc),
        above=_share(whole[3], above, len(synthetic)),
    )
    return found, Draws(mean, baseline, auc, above)


def difference(
    first: Memorization, first_draws: Draws, second: Memorization, second_draws: Draws
) -> Estimate:
    """Return the AUC of the first minus that of the second."""
    return _estimate(first.auc.value - second.auc.value, first_draws.auc - second_draws.auc)


def _numbers(
    synthetic: Floats,
    ordered: Floats,
    weights: NDArray[np.int64],
    below: NDArray[np.int64],
    up_to: NDArray[np.int64],
) -> tuple[float, float, float, float]:
    sums = np.concatenate([[0], np.cumsum(weights)])
    total = sums[-1]
    auc = float((sums[below] + sums[up_to]).mean() / (2 * total))
    # The smallest value that at least 99 % of the held-out images do not exceed.
    place = int(np.searchsorted(sums[1:], np.ceil(HIGH * total)))
    return (
        float(synthetic.mean()),
        float(ordered @ weights / total),
        auc,
        float((synthetic > ordered[place]).mean()),
    )


def _share(value: float, draws: Floats, count: int) -> Estimate:
    """Return a share with the wider of the bootstrap's interval and the exact one of its count.

    Of a share near 0 or 1 the draws alone have no spread.
    """
    drawn = _estimate(value, draws)
    exact = clopper_pearson(round(value * count), count, CONFIDENCE)
    return Estimate(value, min(drawn.low, exact.low), max(drawn.high, exact.high))


def _estimate(value: float, draws: Floats) -> Estimate:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
