"""What "none found" means: limits for shares, exact and one-sided where that is the question.

Two targets, never mixed: *this released set* (`hypergeometric_bound`: how many more copies can be
among the images that nobody looked at) and *future images* from the same generator
(`copy_rate_bound`: in how many of them). Both hold for copies that the audit can see; the second
divides by the sensitivity measured with planted copies.

Source: Clopper, Pearson 1934; for the hypergeometric limit Konijn 1973; the division by the
sensitivity after Abbott 1925.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from likeness.calibration._checks import checked_counts, checked_share


@dataclass(frozen=True)
class Interval:
    """A share with its limits, all in [0, 1]."""

    estimate: float
    low: float
    high: float
    confidence: float
    """In (0, 1)."""


@dataclass(frozen=True)
class CopyRateBound:
    """How many copies of one kind a generator can make without being noticed."""

    rate: float
    """Upper limit of the share of copies among future images, in [0, 1]."""
    sensitivity: float
    """Lower limit of the share of such copies that the audit finds, in [0, 1]."""
    confidence: float
    """Probability with which both limits hold together."""

    def sentence(self) -> str:
        """Say it in words."""
        if self.rate >= 1.0:
            return (
                "Copies of this kind are found too rarely for a statement about how many there are."
            )
        return (
            f"Fewer than {_one_in(self.rate)} images are copies of this kind, with "
            f"{self.confidence:.0%} confidence; the audit finds at least {self.sensitivity:.1%} "
            "of them."
        )


_ROUNDING: Final = 1e-9
"""By which a computed probability may be off, as a share of it."""


@dataclass(frozen=True)
class HiddenCopies:
    """How many copies can be left in a released set of which a part was audited."""

    most: int
    """Upper limit of the copies in the whole set."""
    total: int
    audited: int
    found: int
    confidence: float

    @property
    def unseen(self) -> int:
        """Upper limit of the copies among the images that were not audited."""
        return self.most - self.found

    def sentence(self) -> str:
        """Say it in words."""
        if self.audited == self.total:
            return (
                f"All {self.total:,} images were audited; {self.found} were recognised as copies."
            )
        return (
            f"{self.audited:,} of the {self.total:,} images were audited and {self.found} "
            f"recognised as copies; with {self.confidence:.0%} confidence the whole set holds at "
            f"most {self.most:,} that would be recognised."
        )


def lower_limit(k: int, m: int, alpha: float) -> float:
    """Return the one-sided lower limit of a share after `k` of `m`: ``Beta^-1(alpha; k, m-k+1)``.

    Parameters
    ----------
    k, m
        ``0 <= k <= m``, m at least 1.
    alpha
        Probability that the true share is lower, at most. In (0, 1).
    """
    _checked(k, m, alpha)
    if k == 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(k, m - k + 1, alpha))


def upper_bound(k: int, m: int, alpha: float) -> float:
    """Return the one-sided upper limit of a share after `k` of `m`.

    ``Beta^-1(1-alpha; k+1, m-k)``; for k = 0 that is ``1 - alpha^(1/m)``, about 3/m at 0.05.

    Parameters
    ----------
    k, m
        ``0 <= k <= m``, m at least 1.
    alpha
        Probability that the true share is higher, at most. In (0, 1).
    """
    _checked(k, m, alpha)
    if k == m:
        return 1.0
    from scipy.special import betainccinv

    return float(betainccinv(k + 1, m - k, alpha))


def clopper_pearson(k: int, m: int, confidence: float = 0.95) -> Interval:
    """Return the share `k` of `m` with its exact two-sided interval.

    Parameters
    ----------
    k, m
        ``0 <= k <= m``, m at least 1.
    confidence
        In (0, 1).
    """
    checked_share(confidence, "confidence")
    alpha = (1.0 - confidence) / 2.0
    return Interval(k / max(m, 1), lower_limit(k, m, alpha), upper_bound(k, m, alpha), confidence)


def sensitivity_low(caught: int, planted: int, alpha: float = 0.05) -> float:
    """Return the lower limit of the sensitivity, half of `alpha` being kept for the other limit.

    Parameters
    ----------
    caught, planted
        Planted copies of one level, and those that would be flagged as the only copy in the set.
    alpha
        In (0, 1).
    """
    return lower_limit(caught, planted, alpha / 2.0)


def copy_rate_bound(
    k: int, m: int, caught: int, planted: int, alpha: float = 0.05
) -> CopyRateBound:
    """Bound the share of copies of one kind among images that the generator will make.

    Upper limit of the flagged share over lower limit of the sensitivity, at alpha / 2 each.

    Parameters
    ----------
    k, m
        Flagged and audited images.
    caught, planted
        Planted copies of the kind, and those that would be flagged as the only copy in the set.
    alpha
        In (0, 1).
    """
    sensitivity = sensitivity_low(caught, planted, alpha)
    flagged = upper_bound(k, m, alpha / 2.0)
    rate = min(1.0, flagged / sensitivity) if sensitivity > 0.0 else 1.0
    return CopyRateBound(rate, sensitivity, 1.0 - alpha)


def hypergeometric_bound(total: int, audited: int, found: int, alpha: float = 0.05) -> HiddenCopies:
    """Bound the number of copies in a set of which a random part was audited.

    The largest number for which finding so few still has a probability of at least `alpha`. Where
    it is `alpha` itself, rounding must not decide: the larger number stands.

    Parameters
    ----------
    total
        Images in the released set.
    audited
        Images drawn from it at random, at least 1.
    found
        Copies among these.
    alpha
        In (0, 1).

    Raises
    ------
    InputError
        If ``found <= audited <= total`` does not hold.
    """
    checked_counts(audited, total, "images audited")
    _checked(found, audited, alpha)
    from scipy.stats import hypergeom

    low, high = found, total - audited + found  # the number of copies is certainly within
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeom.cdf(found, total, middle, audited) >= alpha * (1.0 - _ROUNDING):
            low = middle
        else:
            high = middle - 1
    return HiddenCopies(low, total, audited, found, 1.0 - alpha)


def _checked(k: int, m: int, alpha: float) -> None:
    checked_share(alpha, "alpha")
    checked_counts(k, m, "images")


def _one_in(rate: float) -> str:
    """Write a rate so that a reader can picture it: "4 in 1,000"; rounded up."""
    base = next((b for b in (100, 1_000, 10_000, 100_000) if rate * b >= 1.0), 1_000_000)
    return f"{math.ceil(rate * base)} in {base:,}"
