"""From a value per reference image to a ranking of groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.scores.ranking import PatientRanking
from likeness.types import Floats, Integers


@dataclass(frozen=True)
class GroupedReferences:
    """m reference images, put in order by group."""

    order: Integers
    """(m,) image indices, by group and within a group rising."""
    starts: Integers
    """(K',) where each group that has images begins in `order`."""
    sizes: Integers
    """(K',) number of its images."""
    codes: NDArray[np.int32]
    """(K',) its code."""

    @staticmethod
    def of(groups: NDArray[np.int32]) -> GroupedReferences:
        """Sort references by their groups (m,)."""
        order = np.argsort(groups, kind="stable")
        codes, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
        return GroupedReferences(order, starts, sizes, codes.astype(np.int32))

    def rank(
        self,
        values: Floats,
        *,
        depth: int,
        excluded: NDArray[np.int32] | None = None,
        placement: NDArray[np.generic] | None = None,
    ) -> PatientRanking:
        """Rank the groups by their highest value.

        Parameters
        ----------
        values
            (n, m); NaN for pairs that cannot be compared.
        depth
            Groups kept per query.
        excluded
            (n,) group that a query must not meet, -1 for none.
        placement
            (n, m, P) how each query lies on each reference.

        Returns
        -------
        PatientRanking
            Equal values: the lower image index first.
        """
        count = len(values)
        kept = min(depth, len(self.codes))
        width = 0 if placement is None else placement.shape[2]
        similarity = np.full((count, kept), np.nan)
        group = np.full((count, kept), -1, dtype=np.int32)
        image = np.full((count, kept), -1, dtype=np.int32)
        places = np.full((count, kept, width), -1, dtype=np.float32)
        for row in range(count):
            line = values[row][self.order]
            line[np.isnan(line)] = -np.inf
            highest = np.maximum.reduceat(line, self.starts)
            if excluded is not None:
                highest[self.codes == excluded[row]] = -np.inf
            best = self._best(line, highest, kept)
            similarity[row, : len(best)] = highest[best[:, 0]]
            group[row, : len(best)] = self.codes[best[:, 0]]
            image[row, : len(best)] = best[:, 1]
            if placement is not None:
                places[row, : len(best)] = placement[row, best[:, 1]]
        return PatientRanking(similarity, group, image, places)

    def _best(self, line: Floats, highest: Floats, kept: int) -> Integers:
        """Return (L, 2): position of the group and its image, best first."""
        # One more group than is kept may tie with the last: all that reach its value are looked at.
        if kept < len(highest):
            limit = np.partition(highest, len(highest) - kept)[len(highest) - kept]
            wanted = np.flatnonzero((highest >= limit) & (highest > -np.inf))
        else:
            wanted = np.flatnonzero(highest > -np.inf)
        images = np.empty(len(wanted), dtype=np.int64)
        for place, position in enumerate(wanted):
            start, size = self.starts[position], self.sizes[position]
            images[place] = self.order[start + int(np.argmax(line[start : start + size]))]
        order = np.lexsort((images, -highest[wanted]))[:kept]
        return np.stack([wanted[order], images[order]], axis=1)
