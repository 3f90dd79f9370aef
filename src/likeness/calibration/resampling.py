"""How sure are the differences between synthetic and real images?

Three effects between what synthetic images reach with the training images and what held-out images
reach: the share above a fixed score beyond that of real images (`excess`), the probability that a
synthetic image comes closer than a real one (`auc`), and the mean difference of Fisher's z.

Intervals by the bootstrap. Synthetic images are independent draws of a generator and are resampled
one by one; real images of one patient are not, so *patients* are resampled. Training patients are
not: a maximum over them is not a smooth function of who is in, and the bootstrap fails there.

Source: Efron, Tibshirani 1993; cluster bootstrap, Davison, Hinkley 1997, section 3.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.calibration._checks import checked_groups
from likeness.errors import InputError, OptionError
from likeness.scores.ranking import fisher
from likeness.types import Floats, Integers

DRAWS: Final = 2_000
_LEVELS: Final = (0.025, 0.975)


@dataclass(frozen=True)
class Estimate:
    """A number with its central 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Synthetic images against held-out real images, both compared with the training images."""

    excess: Estimate
    """(r_s - r_0) / (1 - r_0), r the share of images above the threshold: 0 if synthetic images
    are above as often as real ones, 1 if all are; below 0 if less often."""
    auc: Estimate
    """P(synthetic > real), ties counted half; 0.5 where neither is closer."""
    difference: Estimate
    """Mean of artanh(score), synthetic minus real."""
    num_synthetic: int
    num_real: int
    num_patients: int
    """Patients behind the real images."""


def compare_scores(
    synthetic: Floats,
    real: Floats,
    *,
    groups: NDArray[np.integer] | None = None,
    threshold: float,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Estimate three effects with their intervals.

    Parameters
    ----------
    synthetic
        (n,) highest correlation of each synthetic image with a training image, in [-1, 1]; NaN is
        left out.
    real
        (b,) the same for held-out images.
    groups
        (b,) patient of each held-out image; None if each is a patient of its own.
    threshold
        Score above which an image is counted for the excess.
    draws
        Bootstrap samples, at least 1.
    seed
        Equal seeds give equal results.

    Raises
    ------
    InputError
        If one side has no score.
    OptionError
        If `draws` is below 1.
    """
    if draws < 1:
        msg = f"draws is {draws}; at least 1 is needed."
        raise OptionError(msg)
    synthetic = np.asarray(synthetic, dtype=np.float64)
    real = np.asarray(real, dtype=np.float64)
    present = ~np.isnan(real)
    codes = np.unique(checked_groups(groups, len(real), "real")[present], return_inverse=True)[1]
    real, synthetic = real[present], synthetic[~np.isnan(synthetic)]
    if not len(real) or not len(synthetic):
        msg = f"{len(synthetic)} synthetic and {len(real)} real images have a score; both need one."
        raise InputError(msg)
    order = np.argsort(real, kind="stable")
    sides = _Sides(np.sort(synthetic), real[order], codes[order], threshold)
    patients = int(codes.max()) + 1

    value = sides.effects(np.ones(len(synthetic), np.int64), np.ones(patients, np.int64))
    rng = np.random.default_rng(seed)
    sample = np.empty((draws, 3))
    for draw in range(draws):
        images = rng.integers(len(synthetic), size=len(synthetic))
        people = rng.integers(patients, size=patients)
        sample[draw] = sides.effects(
            np.bincount(images, minlength=len(synthetic)),
            np.bincount(people, minlength=patients),
        )
    low, high = np.quantile(sample, _LEVELS, axis=0)
    excess, auc, difference = (
        Estimate(float(v), float(a), float(b)) for v, a, b in zip(value, low, high, strict=True)
    )
    return Comparison(excess, auc, difference, len(synthetic), len(real), patients)


class _Sides:
    """Both sides sorted, so that a resampling costs two sums."""

    def __init__(
        self, synthetic: Floats, real: Floats, codes: NDArray[np.integer], threshold: float
    ) -> None:
        self._codes = codes
        self._below = np.searchsorted(real, synthetic, side="left")
        self._up_to = np.searchsorted(real, synthetic, side="right")
        self._high_synthetic = synthetic > threshold
        self._high_real = real > threshold
        self._z_synthetic = fisher(synthetic)
        self._z_real = fisher(real)

    def effects(self, images: Integers, people: Integers) -> tuple[float, float, float]:
        """Return excess, AUC and difference if each image and patient counted so many times."""
        weight = people[self._codes]
        num_images, num_real = int(images.sum()), int(weight.sum())
        rate = int(images[self._high_synthetic].sum()) / num_images
        usual = int(weight[self._high_real].sum()) / num_real
        # Where all real images are above, nothing can be in excess of them.
        excess = (rate - usual) / (1.0 - usual) if usual < 1.0 else 0.0
        running = np.concatenate(([0], np.cumsum(weight)))
        wins = int((images * (running[self._below] + running[self._up_to])).sum())
        auc = 0.5 * wins / (num_images * num_real)
        mean_synthetic = float((images * self._z_synthetic).sum()) / num_images
        mean_real = float((weight * self._z_real).sum()) / num_real
        return excess, auc, mean_synthetic - mean_real
