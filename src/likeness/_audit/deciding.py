"""From contrasts to p-values to flags.

For every family the contrasts of the training images among other people are the null. A p-value per
family, times their number (Bonferroni), gives one p-value per image; Benjamini-Hochberg over the
images gives the list of copies and the wider list of the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness._findings import FamilyBaseline
from likeness.calibration import (
    PValues,
    Tail,
    adjusted,
    benjamini_hochberg,
    combine_families,
    fit_tail,
    p_values,
)
from likeness.scores import FAMILIES, Family, PatientRanking
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST_BASELINE = 20
"""With fewer baseline images nothing is decided."""
MANY_FOR_999 = 1000
AS_GOOD = 10.0
"""P-values within this factor of each other tell the same; extrapolated ones are no more exact."""


@dataclass(frozen=True)
class FamilyNull:
    """The null of one family: what training images reach among other people."""

    contrast: Floats
    """(b,) no NaN."""
    groups: NDArray[np.int32]
    """(b,) whose images these are."""
    similarity: Floats
    """(b,) highest similarity."""
    tail: Tail | None

    @staticmethod
    def of(ranking: PatientRanking, groups: NDArray[np.int32]) -> FamilyNull:
        """Take the images that have a contrast."""
        contrast = ranking.contrast()
        there = ~np.isnan(contrast)
        return FamilyNull(
            contrast[there],
            groups[there],
            ranking.similarity[there, 0],
            fit_tail(contrast[there], groups=groups[there]),
        )

    def judge(self, contrast: Floats, *, inflation: float = 1.0) -> PValues:
        """Return the p-values of some contrasts."""
        return p_values(
            contrast, self.contrast, groups=self.groups, tail=self.tail, inflation=inflation
        )

    def describe(self, family: Family) -> FamilyBaseline:
        """Sum the null up for the findings."""
        tail = self.tail
        quantiles = np.quantile(self.contrast, [0.5, 0.99, 1.0]).tolist()
        return FamilyBaseline(
            family=family,
            num_images=len(self.contrast),
            num_groups=len(np.unique(self.groups)),
            most_per_group=int(np.unique(self.groups, return_counts=True)[1].max()),
            contrast_median=quantiles[0],
            contrast_99=quantiles[1],
            contrast_maximum=quantiles[2],
            tail_threshold=None if tail is None else tail.threshold,
            tail_share=None if tail is None else tail.share,
            tail_shape=None if tail is None else tail.shape,
            tail_scale=None if tail is None else tail.scale,
            similarity_999=float(np.quantile(self.similarity, 0.999))
            if len(self.similarity) >= MANY_FOR_999
            else None,
        )


@dataclass(frozen=True)
class Judged:
    """P-values of n images, family by family and together."""

    rankings: Mapping[Family, PatientRanking]
    families: tuple[Family, ...]
    contrast: Floats
    """(n, F) NaN where a family has no score."""
    p_family: Floats
    """(n, F) before Bonferroni."""
    p: Floats
    """(n,) times the number of families."""
    best: Integers
    """(n,) column of the deciding family: the first, in the order of `FAMILIES`, that points to the
    same group as the one with the smallest p and whose p is at most `AS_GOOD` times as large."""
    conservative: Floats
    """(n,) times the number of families, of the deciding family."""
    extrapolated: Flags
    """(n,) of the deciding family."""
    above: Integers
    """(n,) baseline images with at least the same contrast, in the deciding family."""

    def ranking(self, row: int) -> PatientRanking:
        """Return the ranking of the deciding family of an image."""
        return self.rankings[self.families[self.best[row]]]

    @property
    def group(self) -> NDArray[np.int32]:
        """(n,) the group that each image points to, -1 without a score."""
        return self._first("group")

    @property
    def image(self) -> NDArray[np.int32]:
        """(n,) the training image that each image points to, -1 without a score."""
        return self._first("image")

    def _first(self, field: str) -> NDArray[np.int32]:
        tables = np.stack([getattr(self.rankings[f], field)[:, 0] for f in self.families], axis=1)
        chosen: NDArray[np.int32] = tables[np.arange(len(tables)), self.best]
        return chosen


def null_of(
    rankings: Mapping[Family, PatientRanking], groups: Mapping[Family, NDArray[np.int32]]
) -> dict[Family, FamilyNull]:
    """Return the null of each family that has enough images; none where a family has too few.

    Parameters
    ----------
    rankings
        Training images among other people, per family.
    groups
        (b,) per family, whose images these are.
    """
    nulls = {family: FamilyNull.of(rankings[family], groups[family]) for family in rankings}
    if any(len(null.contrast) < FEWEST_BASELINE for null in nulls.values()):
        return {}
    return nulls


def judge(
    rankings: Mapping[Family, PatientRanking],
    nulls: Mapping[Family, FamilyNull],
    *,
    inflation: float = 1.0,
) -> Judged:
    """Judge images by all families.

    Parameters
    ----------
    rankings
        n rows per family.
    nulls
        The null of each family.
    inflation
        Factor on all p-values, from the negative control.
    """
    families = tuple(family for family in FAMILIES if family in nulls)
    contrast = np.stack([rankings[family].contrast() for family in families], axis=1)
    found = [
        nulls[family].judge(contrast[:, column], inflation=inflation)
        for column, family in enumerate(families)
    ]
    p_family = np.stack([values.working for values in found], axis=1)
    combined, smallest = combine_families(p_family)
    best = _simplest(p_family, smallest, rankings, families)
    rows = np.arange(len(best))
    conservative = np.stack([values.conservative for values in found], axis=1)[rows, best]
    extrapolated = np.stack([values.extrapolated for values in found], axis=1)[rows, best]
    above = np.array(
        [
            int((nulls[families[column]].contrast >= contrast[row, column]).sum())
            for row, column in enumerate(best)
        ],
        dtype=np.int64,
    )
    return Judged(
        rankings=rankings,
        families=families,
        contrast=contrast,
        p_family=p_family,
        p=combined,
        best=best,
        conservative=np.minimum(1.0, len(families) * conservative),
        extrapolated=extrapolated,
        above=above,
    )


def _simplest(
    p: Floats,
    smallest: Integers,
    rankings: Mapping[Family, PatientRanking],
    families: tuple[Family, ...],
) -> Integers:
    """Return the simplest family that tells the same story as the one with the smallest p.

    An exact copy is as clear without any registration; whoever reads "registered" looks for a
    movement that is not there.
    """
    rows = np.arange(len(p))
    groups = np.stack([_nearest(rankings[family]) for family in families], axis=1)
    as_good = p <= AS_GOOD * p[rows, smallest][:, None]
    same: Flags = groups == groups[rows, smallest][:, None]
    first: Integers = (as_good & same).argmax(axis=1).astype(np.int64)
    return first


def _nearest(ranking: PatientRanking) -> NDArray[np.int32]:
    nothing = np.full(len(ranking), -1, dtype=np.int32)
    return ranking.group[:, 0] if ranking.depth else nothing


@dataclass(frozen=True)
class Flagged:
    """Which images are listed."""

    copies: Flags
    """(n,) at the false discovery rate of copies."""
    unusual: Flags
    """(n,) at the wider rate of the gate; contains `copies`."""
    q_value: Floats
    """(n,)."""

    def joined_by(self, identical: Flags) -> Flagged:
        """List images that equal a training image too, whatever their p-value."""
        return Flagged(self.copies | identical, self.unusual | identical, self.q_value)


def flag(judged: Judged, *, fdr_copy: float, fdr_gate: float) -> Flagged:
    """List images at two false discovery rates."""
    copies = benjamini_hochberg(judged.p, fdr_copy)
    unusual = benjamini_hochberg(judged.p, fdr_gate) | copies
    return Flagged(copies, unusual, adjusted(judged.p))
