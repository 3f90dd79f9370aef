"""The most similar groups of every query, and by how much the first stands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from likeness.types import Flags, Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

Family = Literal["plain", "dihedral", "registered", "tiles"]
FAMILIES: Final[tuple[Family, ...]] = get_args(Family)

CLIP: Final = 1e-7
"""Correlations are kept this far from 1 before artanh, which is infinite there."""


@dataclass(frozen=True)
class PatientRanking:
    """The most similar groups of every query, best first, each with its best image.

    A group is a patient, or several patients that are taken for one person.
    """

    similarity: Floats
    """(n, L) in [-1, 1], falling; NaN where there are fewer than L groups."""
    group: NDArray[np.int32]
    """(n, L), each group at most once per row; -1 where absent."""
    image: NDArray[np.int32]
    """(n, L) index of the reference image; -1 where absent. Equal similarities: the lower first."""
    placement: NDArray[np.float32]
    """(n, L, P) how the query was laid on the reference, in the family's own terms; P may be 0."""

    def __len__(self) -> int:
        return len(self.similarity)

    @property
    def depth(self) -> int:
        """Number of groups kept per query."""
        return int(self.similarity.shape[1])

    def contrast(self) -> Floats:
        """Return (n,) ``artanh r(1) - artanh r(2)``, at least 0; NaN with fewer than two groups.

        Source: method of the project; the difference of Fisher's transformed correlations.
        """
        if self.depth < 2:
            return np.full(len(self), np.nan)
        z = fisher(self.similarity[:, :2])
        difference: Floats = z[:, 0] - z[:, 1]
        return difference

    def rows(self, index: NDArray[np.integer] | Flags) -> PatientRanking:
        """Return some of the queries."""
        return PatientRanking(
            self.similarity[index], self.group[index], self.image[index], self.placement[index]
        )

    def head(self, depth: int) -> PatientRanking:
        """Return the first `depth` groups of every query."""
        part = slice(0, depth)
        return PatientRanking(
            self.similarity[:, part],
            self.group[:, part],
            self.image[:, part],
            self.placement[:, part],
        )

    def keep_groups(self, keep: Flags) -> PatientRanking:
        """Return the ranking as it would be if only the groups marked in `keep` (K,) existed.

        What is dropped leaves gaps at the end: the row gets shorter, for groups beyond the L that
        were kept are not known.
        """
        absent = self.group < 0
        gone = absent | ~keep[np.where(absent, 0, self.group)]
        return self._reordered(np.argsort(gone, axis=1, kind="stable"), gone)

    def without(self, excluded: NDArray[np.int32]) -> PatientRanking:
        """Return the ranking without the group ``excluded[i]`` in row i; -1 for none."""
        gone = (self.group < 0) | (self.group == excluded[:, None])
        return self._reordered(np.argsort(gone, axis=1, kind="stable"), gone)

    def merge_groups(self, new: NDArray[np.int32]) -> PatientRanking:
        """Return the ranking with group g renamed to ``new[g]``; of equal names the best is kept.

        Parameters
        ----------
        new
            (K,) new code of every group.
        """
        absent = self.group < 0
        group = np.where(absent, -1, new[np.where(absent, 0, self.group)]).astype(np.int32)
        order = np.argsort(group, axis=1, kind="stable")
        in_order = np.take_along_axis(group, order, axis=1)
        again = np.zeros_like(absent)
        again[:, 1:] = in_order[:, 1:] == in_order[:, :-1]
        repeated = np.zeros_like(absent)
        np.put_along_axis(repeated, order, again, axis=1)
        renamed = PatientRanking(self.similarity, group, self.image, self.placement)
        gone = absent | repeated
        return renamed._reordered(np.argsort(gone, axis=1, kind="stable"), gone)

    def _reordered(self, order: NDArray[np.intp], gone: Flags) -> PatientRanking:
        """Take the entries in `order`, blanking those that are gone."""
        gone = np.take_along_axis(gone, order, axis=1)
        return PatientRanking(
            np.where(gone, np.nan, np.take_along_axis(self.similarity, order, axis=1)),
            np.where(gone, -1, np.take_along_axis(self.group, order, axis=1)).astype(np.int32),
            np.where(gone, -1, np.take_along_axis(self.image, order, axis=1)).astype(np.int32),
            np.take_along_axis(self.placement, order[:, :, None], axis=1),
        )


def rank_groups(
    similarity: Floats,
    image: NDArray[np.integer],
    placement: NDArray[np.floating] | None = None,
    *,
    depth: int,
) -> PatientRanking:
    """Sort a table with one column per group.

    Parameters
    ----------
    similarity
        (n, K); NaN where a group cannot be compared with the query, or is excluded.
    image
        (n, K) the reference image of each group.
    placement
        (n, K, P), or None for P = 0.
    depth
        Groups kept per query; the ranking is narrower where there are fewer.
    """
    count, groups = similarity.shape
    if placement is None:
        placement = np.empty((count, groups, 0), dtype=np.float32)
    absent = np.isnan(similarity)
    key = np.where(absent, np.inf, -similarity)
    order = np.lexsort((image, key), axis=1)[:, : min(depth, groups)]
    gone = np.take_along_axis(absent, order, axis=1)
    return PatientRanking(
        np.take_along_axis(similarity, order, axis=1),
        np.where(gone, -1, order).astype(np.int32),
        np.where(gone, -1, np.take_along_axis(image, order, axis=1)).astype(np.int32),
        np.take_along_axis(placement, order[:, :, None], axis=1).astype(np.float32),
    )


def stack_rankings(parts: Sequence[PatientRanking]) -> PatientRanking:
    """Put the queries of several rankings of equal depth one after the other."""
    return PatientRanking(
        np.concatenate([part.similarity for part in parts]),
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.image for part in parts]),
        np.concatenate([part.placement for part in parts]),
    )


def fisher(similarity: Floats) -> Floats:
    """Return ``artanh r``, with r kept `CLIP` away from -1 and 1.

    Source: Fisher's z-transform, 1915.
    """
    transformed: Floats = np.arctanh(np.clip(similarity, -1.0 + CLIP, 1.0 - CLIP))
    return transformed
