"""From scores and a threshold to flags and a verdict: plain and visible.

An image is flagged when its score is above the threshold. Chance alone flags about
`false_flag_rate` of any images, so flags are not yet copies: the verdict compares the number
flagged with the number expected.

How far chance can go depends on how many *people* stand behind the threshold, not on how many
images: the slices of one patient rise and fall together. A threshold from K patients is treated as
if each had given one value. The share of new images above it then follows a Beta distribution (that
of an order statistic), and the number of flags a beta-binomial one. With the binomial distribution,
which forgets this, 25 patients with five slices each gave "copies found" where there were none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from likeness._findings import VerdictCode
from likeness.calibration.threshold import Threshold
from likeness.types import Flags, Floats

NEAR_DUPLICATE = 0.995
"""Two images of different people do not reach this r_ch at 64 x 64; the value that the checks
before an audit use for near-duplicates."""

CHANCE_LEVEL = 0.01
"""More flags than expected count as a finding when chance gives as many in fewer than one audit
out of a hundred."""

SMALLEST_CHANCE = 1e-99
"""A smaller probability is not written out: nothing has the probability 0."""

FEWEST_SYNTHETIC = 300
"""With fewer images and no flag, a generator that copies one patient in a hundred would often
pass: (1 - 0.01)^300 = 5 %."""


@dataclass(frozen=True)
class Decision:
    """Which images are flagged, and what that means for the set."""

    flagged: Flags
    """(n,) True where the score is above the threshold."""
    expected: float
    """Flags that chance alone would give."""
    chance: float
    """Probability of at least as many flags if no image were a copy, with one observation per
    baseline patient; 1 where there is no threshold."""
    exceeds_chance: bool
    """Whether there are more flags than chance explains."""
    certain: Flags
    """(n,) flagged, above every baseline image, and as close as near-duplicates are."""
    code: VerdictCode
    reasons: tuple[str, ...]
    """What led to the verdict, in sentences."""


def decide(
    scores: Floats,
    threshold: Threshold | None,
    baseline: Floats,
    *,
    num_patients: int | None,
    why_no_baseline: str = "",
) -> Decision:
    """Flag images and choose the verdict.

    Parameters
    ----------
    scores
        (n,) decision score of each synthetic image; NaN where it has none.
    threshold
        None where there is no usable baseline.
    baseline
        (b,) decision scores of the baseline images; empty where there is none.
    num_patients
        People behind the baseline images; None where they are not known, so that nobody can say
        how many flags are chance, and only near-duplicates make a finding.
    why_no_baseline
        The reason that is given when `threshold` is None.

    Returns
    -------
    Decision
        `COPIES_FOUND` if some flagged image is beyond doubt (above every baseline image and a
        near-duplicate of a training image) or if there are more flags than chance explains.
        `NO_COPY_DETECTED` if no image is flagged and there are at least `FEWEST_SYNTHETIC`.
        `INCONCLUSIVE` otherwise.
    """
    defined = ~np.isnan(scores)
    num_images = int(defined.sum())
    nothing = np.zeros(len(scores), dtype=bool)
    if threshold is None:
        reason = why_no_baseline or "There is no usable baseline."
        return Decision(
            flagged=nothing,
            expected=0.0,
            chance=1.0,
            exceeds_chance=False,
            certain=nothing,
            code="INCONCLUSIVE",
            reasons=(reason,),
        )

    comparable = np.where(defined, scores, -np.inf)
    flagged = comparable > threshold.value
    highest = float(baseline.max()) if len(baseline) else -1.0
    certain = flagged & (comparable > highest) & (comparable >= NEAR_DUPLICATE)
    num_flagged, num_certain = int(flagged.sum()), int(certain.sum())
    expected = threshold.false_flag_rate * num_images
    chance = 1.0
    people = "people who are not known"
    if num_patients is not None:
        people = f"{num_patients} {'patient' if num_patients == 1 else 'patients'}"
        chance = chance_of_at_least(
            num_flagged, num_images, rate=threshold.false_flag_rate, num_patients=num_patients
        )

    reasons: list[str] = []
    code: VerdictCode
    if num_certain:
        reasons.append(
            f"{num_certain} flagged {_images(num_certain)} closer to a training image than any "
            f"baseline image, with a correlation of at least {NEAR_DUPLICATE}."
        )
    exceeds_chance = num_flagged > expected and chance < CHANCE_LEVEL
    if exceeds_chance:
        reasons.append(
            f"{num_flagged} {_images(num_flagged)} above the threshold where {expected:.1f} were "
            f"expected by chance; as many or more have a probability of {_small(chance)}, given "
            f"the {people} behind the threshold."
        )
    if reasons:
        code = "COPIES_FOUND"
    elif num_flagged:
        code = "INCONCLUSIVE"
        reasons.append(
            f"{num_flagged} {_images(num_flagged)} above the threshold, about as many as chance "
            f"alone can give ({expected:.1f} expected, from {people}). Look at the pairs; "
            f"{'more held-out patients' if num_patients is not None else '--patient-id'} would "
            "tell."
        )
    elif num_images < FEWEST_SYNTHETIC:
        code = "INCONCLUSIVE"
        reasons.append(
            f"No image is above the threshold, but {num_images} synthetic images are too few to "
            f"say so of the generator; at least {FEWEST_SYNTHETIC} are needed."
        )
    else:
        code = "NO_COPY_DETECTED"
        reasons.append(f"None of the {num_images} images is above the threshold.")
    return Decision(flagged, expected, chance, exceeds_chance, certain, code, tuple(reasons))


def chance_of_at_least(flags: int, images: int, *, rate: float, num_patients: int) -> float:
    """Return the probability of at least `flags` flags among `images` that are no copies.

    The threshold counts as the r-th smallest of K = `num_patients` values, r = K + 1 - a and
    a = floor(rate (K + 1)), at least 1. The share of new images above it is Beta(a, r), so the
    number of flags is beta-binomial.

    Parameters
    ----------
    rate
        False-flag rate of the threshold, in (0, 1).
    num_patients
        At least 1.

    Source: order statistics; David, Nagaraja 2003, section 2.5 (tolerance intervals).
    """
    from scipy.stats import betabinom  # here: it takes most of a second to import

    above = max(1, math.floor(rate * (num_patients + 1) + 1e-9))
    if above > num_patients:  # a threshold below the whole baseline: every image may exceed it
        return 1.0
    numbers = np.arange(max(flags, 0), images + 1)
    # The sum of the tail, for 1 - cdf has no correct digit left where the chance is small.
    tail = betabinom.pmf(numbers, images, above, num_patients + 1 - above).sum()
    return 1.0 if flags <= 0 else min(1.0, float(tail))


def _small(chance: float) -> str:
    return f"{chance:.2g}" if chance > SMALLEST_CHANCE else f"less than {SMALLEST_CHANCE:g}"


def _images(number: int) -> str:
    return "image is" if number == 1 else "images are"
