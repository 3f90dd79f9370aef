"""From scores and a threshold to flags and a verdict: plain and visible.

An image is flagged when its score is above the threshold. Chance alone flags about
`false_flag_rate` of any images, so flags are not yet copies: the verdict compares the number
flagged with the number expected.
"""

from __future__ import annotations

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
    """Probability of at least as many flags if no image were a copy and images were
    independent; 1 where there is no threshold."""
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
        return Decision(nothing, 0.0, 1.0, nothing, "INCONCLUSIVE", (reason,))

    comparable = np.where(defined, scores, -np.inf)
    flagged = comparable > threshold.value
    highest = float(baseline.max()) if len(baseline) else -1.0
    certain = flagged & (comparable > highest) & (comparable >= NEAR_DUPLICATE)
    num_flagged, num_certain = int(flagged.sum()), int(certain.sum())
    expected = threshold.false_flag_rate * num_images
    chance = _chance_of_at_least(num_flagged, num_images, threshold.false_flag_rate)

    reasons: list[str] = []
    code: VerdictCode
    if num_certain:
        reasons.append(
            f"{num_certain} flagged {_images(num_certain)} closer to a training image than any "
            f"baseline image, with a correlation of at least {NEAR_DUPLICATE}."
        )
    if num_flagged > expected and chance < CHANCE_LEVEL:
        reasons.append(
            f"{num_flagged} {_images(num_flagged)} above the threshold where {expected:.1f} were "
            f"expected by chance; as many or more have a probability of {chance:.2g}."
        )
    if reasons:
        code = "COPIES_FOUND"
    elif num_flagged:
        code = "INCONCLUSIVE"
        reasons.append(
            f"{num_flagged} {_images(num_flagged)} above the threshold, about as many as chance "
            f"alone gives ({expected:.1f}). Look at the pairs; more synthetic images would tell."
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
    return Decision(flagged, expected, chance, certain, code, tuple(reasons))


def _images(number: int) -> str:
    return "image is" if number == 1 else "images are"


def _chance_of_at_least(successes: int, trials: int, rate: float) -> float:
    from scipy.stats import binom  # here: it takes most of a second to import

    return float(binom.sf(successes - 1, trials, rate))
