"""Which of the four verdicts, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from likeness._findings import Membership, NegativeControl, Rates, SelfCheck, VerdictCode
from likeness.calibration.negative_control import LARGEST_INFLATION

FEWEST_SYNTHETIC: Final = 300
"""With fewer images and no flag, a generator that copies one patient in a hundred would often
pass: (1 - 0.01)^300 = 5 %."""
SIGNAL: Final = 0.01
"""Membership p-value from which the set as a whole points to the training patients."""
DOUBT: Final = 0.05


@dataclass(frozen=True)
class Grounds:
    """What a verdict rests on."""

    num_judged: int
    """Synthetic images with a score."""
    num_flagged: int
    num_identical: int
    """Of these, images that equal a training image pixel by pixel."""
    has_baseline: bool
    why_no_baseline: str
    self_check: SelfCheck
    membership: Membership
    rates: Rates
    obstacles: list[str]
    """What forbids a clearance, in sentences."""


def reach_verdict(grounds: Grounds) -> tuple[VerdictCode, list[str]]:
    """Return the verdict and what led to it, in sentences; the first matters most.

    Copies that were found stand, unless real pictures of other people are flagged as well: then
    the list means nothing, but for images that equal a training image pixel by pixel. Everything
    else that is wrong forbids only a clearance.
    """
    if not grounds.has_baseline:
        reasons = [f"There is no usable baseline: {grounds.why_no_baseline}."]
        if grounds.num_identical:
            reasons.append(f"{_identical(grounds.num_identical)}; see the duplicates.")
        return "INCONCLUSIVE", reasons
    check, membership = grounds.self_check, grounds.membership
    if check.run and check.negative is not None and not check.negative.passed:
        spoilt = [
            _about_innocents(check.negative),
            "Needed: correct patient ids, and sets of different people prepared in one way.",
        ]
        if not grounds.num_identical:
            return "INCONCLUSIVE", spoilt
        beyond_doubt = f"{_identical(grounds.num_identical)}; only these are beyond doubt."
        return "COPIES_FOUND", [beyond_doubt, *spoilt]
    if grounds.num_flagged:
        return "COPIES_FOUND", _about_copies(grounds)
    if membership.available and membership.p_value is not None:
        excess = grounds.rates.excess_rate
        close = excess is not None and excess.low > 0
        if membership.p_value <= SIGNAL or (close and membership.p_value <= DOUBT):
            reasons = [
                "No single image stands out enough to be named, but the set points to training "
                f"patients (p = {membership.p_value:.2g})."
            ]
            if not check.sensitive:
                reasons.append(
                    "Copies may be among the images all the same: the self-check did not show that "
                    "the audit recognises them."
                )
            return "TRAINING_SIGNAL", reasons
    doubts = _doubts(grounds)
    if doubts:
        return "INCONCLUSIVE", doubts
    return "NO_COPY_DETECTED", [f"None of the {grounds.num_judged} images is listed as a copy."]


def _about_innocents(negative: NegativeControl) -> str:
    if negative.inflation > LARGEST_INFLATION:  # more than a correction can mend
        return (
            f"Real pictures of other people stand out too often: {negative.share_below_01:.1%} of "
            f"{negative.num_images} have a p-value of at most 0.01, where 1 % is expected."
        )
    return (
        f"Real pictures of other people were flagged too: {negative.num_flagged} of "
        f"{negative.num_images}, in {negative.folds_with_flags} of {negative.num_folds} parts, "
        "more than chance explains."
    )


def _identical(number: int) -> str:
    return (
        f"{number} synthetic {'image equals' if number == 1 else 'images equal'} a training image "
        "pixel by pixel"
    )


def _about_copies(grounds: Grounds) -> list[str]:
    reasons = []
    if grounds.num_identical:
        reasons.append(f"{_identical(grounds.num_identical)}.")
    if not grounds.self_check.run:
        reasons.append("The self-check was not run: how sure this list is was not measured.")
    elif not grounds.self_check.sensitive:
        reasons.append(
            "The self-check missed too many planted copies: there may be more copies than listed."
        )
    return reasons


def _doubts(grounds: Grounds) -> list[str]:
    """Return what forbids a clearance, with what is needed."""
    doubts = list(grounds.obstacles)
    check, membership = grounds.self_check, grounds.membership
    if not check.run:
        doubts.append("The self-check was not run; without it nobody knows what would be found.")
    elif not check.sensitive:
        doubts.append(f"That the audit recognises altered copies was not shown: {check.reason}.")
    elif not check.passed:
        doubts.append(f"The self-check failed: {check.reason}.")
    if grounds.num_judged < FEWEST_SYNTHETIC:
        doubts.append(
            f"No image is listed, but {grounds.num_judged} synthetic "
            f"{'image is' if grounds.num_judged == 1 else 'images are'} too few to say so of the "
            f"generator; at least {FEWEST_SYNTHETIC} are needed."
        )
    if membership.available and membership.p_value is not None and membership.p_value <= DOUBT:
        doubts.append(
            "The set as a whole may point to training patients "
            f"(p = {membership.p_value:.2g}): neither clear nor to be dismissed."
        )
    return doubts
