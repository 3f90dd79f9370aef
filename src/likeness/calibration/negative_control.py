"""The audit tried on real people who cannot have been copied.

In each fold some patients play the synthetic set, against the rest, with the baseline recomputed
without them. None of them may be flagged. Two numbers are looked at:

- folds with any flag: Benjamini-Hochberg at q gives a fold of innocents a flag with a probability
  of at most q. More folds with flags than that explains (P < 0.05; with q = 0.05, 3 or more of 10)
  fail the control.
- the share of p-values at or below 0.01. Where it is above 0.02, and its lower 95 % limit above
  0.01, the p-values are too small, and all are multiplied by the observed inflation. Above 0.05
  (inflation 5) the baseline does not describe new people, multiplying does not mend that, and the
  control fails.

The flags are those after the correction: what is tried is the procedure that is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from likeness.calibration._checks import checked_share
from likeness.calibration.bounds import lower_limit
from likeness.calibration.multiplicity import benjamini_hochberg
from likeness.errors import InputError
from likeness.types import Flags, Floats

NOMINAL: Final = 0.01
"""The p-value whose frequency is looked at."""

TOLERATED: Final = 0.02
"""Share of innocents at or below it that is not corrected."""

LARGEST_INFLATION: Final = 5.0
_CHANCE: Final = 0.05


@dataclass(frozen=True)
class NegativeControl:
    """What became of innocents."""

    passed: bool
    reasons: tuple[str, ...]
    """Why it failed, in sentences; empty where it passed."""
    num_images: int
    num_low: int
    """Images with a p-value of at most 0.01."""
    rate: float
    """Their share."""
    inflation: float
    """Factor for all p-values of the audit, at least 1."""
    num_folds: int
    folds_with_flags: int
    """Folds in which an image was flagged after the correction."""
    flagged: tuple[Flags, ...]
    """For each fold (n,) which of its images were flagged."""
    chance: float
    """Probability of as many folds with flags, or more, if the procedure is right."""

    @property
    def num_flagged(self) -> int:
        """Images flagged in all folds together."""
        return sum(int(fold.sum()) for fold in self.flagged)

    def sentence(self) -> str:
        """Say it in words."""
        corrected = (
            f"; all p-values were multiplied by {self.inflation:.1f}"
            if self.inflation > 1.0
            else ""
        )
        return (
            f"Of {self.num_images:,} real images of people who cannot have been copied, "
            f"{self.num_flagged} were flagged, in {self.folds_with_flags} of {self.num_folds} "
            f"folds; {self.num_low} ({self.rate:.1%}) had a p-value of at most {NOMINAL:g}, where "
            f"{NOMINAL:.0%} is expected{corrected}."
        )


def negative_control(folds: Sequence[Floats], *, q: float = 0.05) -> NegativeControl:
    """Judge the p-values of innocents.

    Parameters
    ----------
    folds
        For each fold the p-values of its images, combined over families, in [0, 1]. One image per
        patient, so that they are independent.
    q
        False discovery rate at which the audit flags. In (0, 1).

    Raises
    ------
    InputError
        If there is no fold or an empty one.
    """
    checked_share(q, "q")
    if not folds or any(len(fold) == 0 for fold in folds):
        msg = "The negative control has no fold, or one without an image."
        raise InputError(msg)
    pooled = np.concatenate([np.asarray(fold, dtype=np.float64) for fold in folds])
    number, low = len(pooled), int((pooled <= NOMINAL).sum())
    rate = low / number
    inflation = 1.0
    if rate > TOLERATED and lower_limit(low, number, _CHANCE) > NOMINAL:
        inflation = rate / NOMINAL
    flags = [benjamini_hochberg(np.minimum(fold * inflation, 1.0), q) for fold in folds]
    with_flags = sum(bool(f.any()) for f in flags)
    chance = _chance_of_at_least(with_flags, len(folds), q)

    reasons = []
    if inflation > LARGEST_INFLATION:
        reasons.append(
            f"{rate:.1%} of real images of other people have a p-value of at most {NOMINAL:g}; up "
            f"to {LARGEST_INFLATION * NOMINAL:.0%} could have been corrected. The baseline does "
            "not describe new people."
        )
    if chance < _CHANCE:
        reasons.append(
            f"Real images of other people were flagged in {with_flags} of {len(folds)} folds; by "
            f"chance that has a probability of {chance:.2g}."
        )
    return NegativeControl(
        passed=not reasons,
        reasons=tuple(reasons),
        num_images=number,
        num_low=low,
        rate=rate,
        inflation=inflation,
        num_folds=len(folds),
        folds_with_flags=with_flags,
        flagged=tuple(flags),
        chance=chance,
    )


def _chance_of_at_least(number: int, total: int, share: float) -> float:
    """Return P(X >= number) for a binomial X."""
    if number == 0:
        return 1.0
    from scipy.special import bdtrc

    return float(bdtrc(number - 1, total, share))
