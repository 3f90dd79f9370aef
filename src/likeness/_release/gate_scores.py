"""Scores and p-values of images, computed again with the baseline that the audit left.

What an image is held against, the training images and the baseline, is fixed; which other images
are judged beside it changes nothing. So a score that is computed again must be the same to the last
digits that floating point leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from likeness._findings import Family
from likeness._release.requirements import compared_channels
from likeness._release.tables import FAMILIES, BaselineTable
from likeness.calibration import combine_families, p_values
from likeness.datasets import ImageSet
from likeness.types import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness._release.audit_folder import AuditContent
    from likeness._release.sets import Sets

SAME: Final = 1e-9
"""Largest difference between a score and its repetition; all sums are done in a fixed order."""


@dataclass(frozen=True)
class Scores:
    """Similarity and contrast of n images per family; NaN where there is none."""

    similarity: Mapping[Family, Floats]
    contrast: Mapping[Family, Floats]


Rescore: TypeAlias = Callable[[ImageSet], Scores]
"""Score images among the training images of the audit."""


@dataclass(frozen=True)
class Null:
    """What real images reach among the training images of other people, and p from contrasts."""

    contrast: Mapping[Family, Floats]
    groups: NDArray[np.int64]
    """Person behind each baseline image."""
    inflation: float

    @staticmethod
    def of(table: BaselineTable, merged: list[list[str]], inflation: float) -> Null:
        """Take it from the baseline of an audit."""
        return Null(table.contrast, people_codes(table.patients, merged), inflation)

    def p_value(self, contrast: Mapping[Family, Floats]) -> Floats:
        """Return (n,) the p-value over all families; NaN for an image without any score."""
        used = [f for f in FAMILIES if np.isfinite(self.contrast[f]).any()]
        columns = [
            p_values(
                contrast[family],
                self.contrast[family],
                groups=self.groups,
                inflation=self.inflation,
            ).working
            for family in used
        ]
        # A family that was not run counts as if it had shown nothing: Bonferroni stays the same.
        columns += [np.ones(len(columns[0]))] * (len(FAMILIES) - len(used))
        combined, _ = combine_families(np.stack(columns, axis=1))
        missing = np.all([np.isnan(contrast[family]) for family in FAMILIES], axis=0)
        return np.where(missing, np.nan, combined)

    def without_people(self, share: float, rng: np.random.Generator) -> Null:
        """Return the baseline without a share of its people, drawn at random."""
        people = np.unique(self.groups)
        dropped = rng.choice(people, size=int(share * len(people)), replace=False)
        keep = ~np.isin(self.groups, dropped)
        contrast = {family: values[keep] for family, values in self.contrast.items()}
        return Null(contrast, self.groups[keep], self.inflation)


def people_codes(patients: tuple[str, ...], merged: list[list[str]]) -> NDArray[np.int64]:
    """Return a number per person; patients that are one person have the same number."""
    same = {name: names[0] for names in merged for name in names}
    numbers: dict[str, int] = {}
    return np.array(
        [numbers.setdefault(same.get(name, name), len(numbers)) for name in patients],
        dtype=np.int64,
    )


def rescorer(audit: AuditContent, sets: Sets) -> Rescore:
    """Return the scoring of the audit, ready for more images."""
    from likeness.scores import Scorer, ScorerOptions
    from likeness.scores.registration import RegistrationOptions
    from likeness.types import TRANSFORMS

    names = compared_channels(audit.findings, sets.train)
    channels = tuple(sets.train.channels.index(name) for name in names)
    people = people_codes(
        tuple(sets.train.patient_names[code] for code in sets.train.patient_codes),
        audit.findings.merged_patients,
    )
    flips = audit.findings.provenance.settings.get("flips", True)
    transforms = TRANSFORMS if flips else ("identity",)
    options = ScorerOptions(
        transforms=transforms, registration=RegistrationOptions(transforms=transforms)
    )
    scorer = Scorer(sets.train, channels=channels, groups=people.astype(np.int32), options=options)

    def score(images: ImageSet) -> Scores:
        rankings = scorer.score(images)
        absent = np.full(len(images), np.nan)
        similarity = {
            f: rankings[f].similarity[:, 0] if f in rankings else absent for f in FAMILIES
        }
        contrast = {f: rankings[f].contrast() if f in rankings else absent for f in FAMILIES}
        return Scores(similarity, contrast)

    return score


def largest_difference(first: Mapping[Family, Floats], second: Mapping[Family, Floats]) -> float:
    """Return the largest absolute difference; infinite where only one of two is defined."""
    largest = 0.0
    for family in FAMILIES:
        a, b = first[family], second[family]
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            return float("inf")
        apart = np.abs(a - b)
        largest = max(largest, float(np.nanmax(apart)) if np.isfinite(apart).any() else 0.0)
    return largest
