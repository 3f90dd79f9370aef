"""Which images go out: pure arithmetic on two tables, a policy and a review.

An image is *withheld* if one of these holds; it may meet several:

==============  ==================================================================================
flagged         the audit lists it as a copy
unusual         Benjamini-Hochberg lists it at the false discovery rate of the policy
registered      after registration it is closer to a training image than the policy's quantile of
                real images of other people
mirrored        turned by a flip or a quarter turn it is closer than that quantile, and closer than
rotated         it is unturned; or, after registration, by a rotation
shifted         after registration by a shift
undefined       without a score nobody can say whom it shows
reviewed        a person called it a copy, or was not sure
not_reviewed    it lies in the review band and nobody (or not everybody needed) cleared it
==============  ==================================================================================

Every rule reads one image and thresholds that are fixed beforehand. So a released image meets the
same thresholds again, whatever other images are in the set: Benjamini-Hochberg is turned into the
p-value that it put the line at, and is not run again on fewer images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from likeness._findings import Family
from likeness._release.policy import ReleasePolicy
from likeness._release.reviews import Review
from likeness._release.tables import BaselineTable, ImagesTable
from likeness.errors import InputError
from likeness.types import Flags, Floats

Reason = Literal[
    "flagged",
    "unusual",
    "registered",
    "mirrored",
    "rotated",
    "shifted",
    "undefined",
    "reviewed",
    "not_reviewed",
]

MIRRORED: Final = frozenset({"flip_h", "flip_v", "transpose", "antitranspose"})
ROTATED: Final = frozenset({"rot90", "rot180", "rot270"})
_SMALL_SHIFT: Final = 0.5
"""Registration always finds some fraction of a pixel; below this an image is not "shifted"."""
_SMALL_ANGLE: Final = 0.5
"""The same, in degrees."""


@dataclass(frozen=True)
class Thresholds:
    """What one image is held against."""

    p_value: float
    """Withheld at or below it."""
    registered: float
    """Withheld above this similarity after registration."""
    dihedral: float
    """The same for flips and quarter turns."""


@dataclass(frozen=True)
class Decisions:
    """What becomes of every image, and of the set."""

    reasons: tuple[tuple[Reason, ...], ...]
    """Per image, why it is withheld; empty for one that is released."""
    in_band: Flags
    """(n,) images that needed a human decision."""
    thresholds: Thresholds
    num_flagged: int
    num_audited: int
    """Images with a score."""
    most_per_patient: int
    """Most copies of one patient."""
    blocked: tuple[str, ...]
    """Why nothing may be released; empty if it may."""

    @property
    def released(self) -> Flags:
        """(n,) images that go out."""
        return np.array([not why for why in self.reasons], dtype=np.bool_)

    @property
    def copy_rate(self) -> float:
        """Share of copies among the audited images."""
        return self.num_flagged / self.num_audited if self.num_audited else 0.0

    def innocent_expected(self, policy: ReleasePolicy) -> float:
        """Return how many images that copy nobody are expected among the withheld ones.

        The false discovery rate times the images listed as unusual, and the share of real images
        beyond the quantile times the others.
        """
        unusual = sum("unusual" in why for why in self.reasons)
        others = self.num_audited - unusual
        return policy.fdr * unusual + (1.0 - policy.registered_quantile) * others

    def by_reason(self) -> dict[str, int]:
        """Return how many images meet each rule; an image may meet several."""
        counts = Counter(reason for why in self.reasons for reason in why)
        return {reason: counts[reason] for reason in sorted(counts)}


def decide(
    images: ImagesTable, baseline: BaselineTable, policy: ReleasePolicy, review: Review
) -> Decisions:
    """Apply a policy.

    Parameters
    ----------
    images
        n synthetic images.
    baseline
        Training images among the images of other people.
    review
        May be empty.

    Raises
    ------
    InputError
        If no baseline image has a registered similarity: the policy cannot be applied then.
    """
    thresholds = thresholds_from(images, baseline, policy)
    withheld = withheld_by_rule(
        p_value=images.p_value,
        similarity=images.similarity,
        thresholds=thresholds,
        kinds=policy.withhold_transforms,
        transforms=images.transforms,
        angle=images.angle,
        shift=images.shift,
    )
    registered = images.similarity["registered"]
    in_band = _no_nan(registered) > thresholds.registered - policy.review_band
    reasons: list[tuple[Reason, ...]] = []
    for row, image_id in enumerate(images.image_ids):
        why = list(withheld[row])
        if images.flagged[row]:
            why.insert(0, "flagged")
        if images.undefined[row] and "undefined" not in why:
            why.append("undefined")
        in_band[row] &= not why
        said = {decision.decision for decision in review.about(image_id)}
        if said & {"copy", "unsure"}:
            why.append("reviewed")
        elif in_band[row] and not _cleared(review, image_id, policy):
            why.append("not_reviewed")
        reasons.append(tuple(why))
    num_audited = int(np.count_nonzero(~images.undefined))
    num_flagged = int(np.count_nonzero(images.flagged))
    most = _most_per_patient(images)
    released = sum(not why for why in reasons)
    return Decisions(
        reasons=tuple(reasons),
        in_band=in_band,
        thresholds=thresholds,
        num_flagged=num_flagged,
        num_audited=num_audited,
        most_per_patient=most,
        blocked=tuple(_blocked(num_flagged, num_audited, most, released, policy)),
    )


def thresholds_from(
    images: ImagesTable, baseline: BaselineTable, policy: ReleasePolicy
) -> Thresholds:
    """Fix the thresholds that every image is then held against."""
    registered = quantile_of(baseline.similarity["registered"], policy.registered_quantile)
    if registered is None:
        msg = (
            "No baseline image was compared after registration, so the rule on the registered "
            "similarity cannot be applied. Run the audit again."
        )
        raise InputError(msg)
    dihedral = quantile_of(baseline.similarity["dihedral"], policy.registered_quantile)
    return Thresholds(
        p_value=line_of(np.where(images.undefined, np.nan, images.p_value), policy.fdr),
        registered=registered,
        dihedral=np.inf if dihedral is None else dihedral,
    )


def withheld_by_rule(
    *,
    p_value: Floats,
    similarity: Mapping[Family, Floats],
    thresholds: Thresholds,
    kinds: tuple[str, ...],
    transforms: tuple[str | None, ...] | None = None,
    angle: Floats | None = None,
    shift: Floats | None = None,
) -> list[tuple[Reason, ...]]:
    """Return for each image the rules, reviews and the audit's own list aside, that withhold it.

    Parameters
    ----------
    p_value
        (n,) over all families; NaN without a score.
    similarity
        (n,) per family.
    kinds
        Near-duplicates by transform that are withheld.
    transforms, angle, shift
        (n,) how each image lies on its training image; None where that is not known, in which case
        every kind of turn counts.
    """
    registered, dihedral = similarity["registered"], similarity["dihedral"]
    plain = _no_nan(similarity["plain"])
    undefined = np.isnan(p_value) | np.isnan(registered)
    unusual = np.nan_to_num(p_value, nan=1.0) <= thresholds.p_value
    close = _no_nan(registered) > thresholds.registered
    turned = (_no_nan(dihedral) > thresholds.dihedral) & (_no_nan(dihedral) > plain)
    reasons: list[tuple[Reason, ...]] = []
    for row in range(len(p_value)):
        why: list[Reason] = []
        if unusual[row]:
            why.append("unusual")
        if close[row]:
            why.append("registered")
            if shift is not None and shift[row] >= _SMALL_SHIFT and "shifted" in kinds:
                why.append("shifted")
            if angle is not None and abs(angle[row]) >= _SMALL_ANGLE and "rotated" in kinds:
                why.append("rotated")
        if turned[row]:
            name = None if transforms is None else transforms[row]
            why += [kind for kind in _turns(name) if kind in kinds and kind not in why]
        if undefined[row]:
            why.append("undefined")
        reasons.append(tuple(why))
    return reasons


def line_of(p_value: Floats, fdr: float) -> float:
    """Return the p-value at which Benjamini-Hochberg draws the line in this set.

    With m p-values of which k are listed, that is ``fdr k / m``: exactly the listed images lie at
    or below it. Where none is listed, one alone would have needed ``fdr / m``.

    Parameters
    ----------
    p_value
        (n,) NaN for images without a score, which do not count.

    Source: Benjamini, Hochberg 1995.
    """
    ordered = np.sort(p_value[~np.isnan(p_value)])
    count = len(ordered)
    if not count:
        return 0.0
    below = np.flatnonzero(ordered <= fdr * np.arange(1, count + 1) / count)
    listed = int(below[-1]) + 1 if len(below) else 1
    return fdr * listed / count


def quantile_of(values: Floats, quantile: float) -> float | None:
    """Return the smallest value that at least the share `quantile` does not exceed, or None.

    With fewer than 1 / (1 - quantile) values that is the largest.
    """
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return None
    rank = int(np.ceil(quantile * len(ordered) - 1e-9))
    return float(ordered[max(rank, 1) - 1])


def _turns(name: str | None) -> Iterator[Literal["mirrored", "rotated"]]:
    """Yield what a turn is; the audit names it only where turns decided, else it may be either."""
    if name not in ROTATED:
        yield "mirrored"
    if name not in MIRRORED:
        yield "rotated"


def _cleared(review: Review, image_id: str, policy: ReleasePolicy) -> bool:
    """Whether somebody, and everybody whom the policy names, said that it is no copy."""
    cleared_by = {d.reviewer for d in review.about(image_id) if d.decision == "not a copy"}
    return bool(cleared_by) and set(policy.approvers) <= cleared_by


def _most_per_patient(images: ImagesTable) -> int:
    named = Counter(
        patient
        for patient, flagged in zip(images.patient_ids, images.flagged, strict=True)
        if flagged and patient is not None
    )
    return max(named.values(), default=0)


def _blocked(
    flagged: int, audited: int, most: int, released: int, policy: ReleasePolicy
) -> Iterator[str]:
    if audited and flagged / audited > policy.max_copy_rate:
        yield (
            f"{flagged} of {audited} images are copies ({flagged / audited:.1%}); the policy "
            f"allows {policy.max_copy_rate:.1%}. A generator that copies so often has learned "
            "patients by heart: train it again instead of filtering its images."
        )
    if most > policy.max_images_per_patient:
        yield (
            f"One patient is shown by {most} copies; the policy allows "
            f"{policy.max_images_per_patient}. Look for repeated images of this patient in the "
            "training set."
        )
    if not released:
        yield "No image is left to release: all are withheld."


def _no_nan(values: Floats) -> Floats:
    return np.where(np.isnan(values), -np.inf, values)
