"""From what real images of other people reach to a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from likeness.errors import InputError, OptionError
from likeness.types import Floats


@dataclass(frozen=True)
class Threshold:
    """The score above which a synthetic image is flagged."""

    value: float
    """In [-1, 1]. An image is flagged when its score is greater."""
    false_flag_rate: float
    """Accepted share of false flags among images that are no copies; in (0, 1)."""
    num_images: int
    """Baseline images behind it; 0 where the user gave the value."""


def fewest_images(false_flag_rate: float) -> int:
    """Return how many baseline images a false-flag rate needs.

    With fewer, even the highest baseline score does not stand for so small a rate.

    Parameters
    ----------
    false_flag_rate
        In (0, 1).

    Raises
    ------
    OptionError
        If the rate is outside (0, 1).
    """
    if not 0.0 < false_flag_rate < 1.0:
        msg = (
            f"--false-flag-rate is {false_flag_rate}; give a number between 0 and 1, such as 0.01."
        )
        raise OptionError(msg)
    return math.ceil(1.0 / false_flag_rate - 1e-9) - 1


def calibrate(scores: Floats, *, false_flag_rate: float = 0.01) -> Threshold:
    """Choose the score above which an image is flagged.

    The threshold is the k-th smallest of the n baseline scores, k = ceil((1 - rate)(n + 1)). A new
    image that is exchangeable with the baseline images exceeds it with a probability of at most
    `false_flag_rate`, whatever the distribution. Slices of one patient are not independent of each
    other, so the *number* of flags in a set varies more than a binomial.

    Parameters
    ----------
    scores
        (n,) highest score of each baseline image. In [-1, 1], no NaN.
    false_flag_rate
        Accepted share of false flags. In (0, 1).

    Returns
    -------
    Threshold
        Value, rate and number of images.

    Raises
    ------
    InputError
        If there are fewer images than `fewest_images`.
    OptionError
        If the rate is outside (0, 1).

    Source: split conformal prediction; Vovk, Gammerman, Shafer 2005, section 2.2.
    """
    needed = fewest_images(false_flag_rate)
    if len(scores) < needed:
        msg = (
            f"A false-flag rate of {false_flag_rate:g} needs at least {needed} baseline images; "
            f"there are {len(scores)}. Give more test images, or choose a higher rate."
        )
        raise InputError(msg)
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    rank = math.ceil((1.0 - false_flag_rate) * (len(ordered) + 1) - 1e-9)
    return Threshold(float(ordered[rank - 1]), false_flag_rate, len(ordered))
