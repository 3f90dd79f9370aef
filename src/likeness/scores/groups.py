"""The best image of every group so far, for some queries.

Pairs of a query and a reference come in any order, in tables or one by one. What is kept does not
depend on the order: of equal similarities the lower image stays. A ranking needs nothing else, so
the memory grows with the number of groups, not with that of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.scores.ranking import PatientRanking
from likeness.types import Floats, Integers


@dataclass(frozen=True)
class GroupNumbers:
    """Groups that have images, numbered from 0 without gaps."""

    codes: NDArray[np.int32]
    """(K,) the code of each, rising."""
    of_image: NDArray[np.int32]
    """(m,) the number of each reference's group."""

    @staticmethod
    def of(groups: NDArray[np.int32]) -> GroupNumbers:
        """Give the groups of m references numbers."""
        codes, numbers = np.unique(groups, return_inverse=True)
        return GroupNumbers(codes.astype(np.int32), numbers.astype(np.int32))

    def __len__(self) -> int:
        return len(self.codes)

    def excluded(self, excluded: NDArray[np.int32] | None, count: int) -> NDArray[np.int32]:
        """Return (n,) the number of the group that each query must not meet, -1 for none."""
        if excluded is None or not len(self):
            return np.full(count, -1, dtype=np.int32)
        place = np.minimum(np.searchsorted(self.codes, excluded), len(self) - 1)
        return np.where(self.codes[place] == excluded, place, -1).astype(np.int32)


class GroupTable:
    """The best image of each of K groups for n queries, with what belongs to it.

    Several threads may write at once where their queries differ.

    Parameters
    ----------
    excluded
        (n,) number of the group that a query must not meet, -1 for none.
    groups
        K.
    """

    BYTES = 14
    """Per query and group."""

    def __init__(self, excluded: NDArray[np.int32], groups: int) -> None:
        count = len(excluded)
        self.best: Floats = np.full((count, groups), -np.inf)
        """(n, K) highest similarity; -inf where none was met, NaN where none must be met."""
        self.image = np.full((count, groups), -1, dtype=np.int32)
        self.place = np.zeros((count, groups), dtype=np.int16)
        """(n, K) how the query lies on it, a number of the family's own."""
        barred = np.flatnonzero(excluded >= 0)
        # Nothing is larger than NaN or equal to it: what must not be met is never written.
        self.best[barred, excluded[barred]] = np.nan

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that it knows; filling these arrays brings it back."""
        return {"best": self.best, "image": self.image, "place": self.place}

    def keep_table(
        self,
        rows: slice,
        values: Floats,
        places: NDArray[np.integer] | None,
        images: NDArray[np.integer],
        groups: NDArray[np.int32],
    ) -> None:
        """Take all pairs of some queries and some references.

        Parameters
        ----------
        rows
            Which queries.
        values
            (n', b); NaN for pairs that cannot be compared.
        places
            (n', b), or None for 0.
        images, groups
            (b,) index and group number of each reference; groups in rising order, and images of one
            group too.
        """
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        lengths = np.diff(np.append(starts, len(groups)))
        known = np.where(np.isnan(values), -np.inf, values)
        highest = np.maximum.reduceat(known, starts, axis=1)
        equal = known == np.repeat(highest, lengths, axis=1)
        columns = np.where(equal, np.arange(len(groups)), len(groups) - 1)
        first = np.minimum.reduceat(columns, starts, axis=1)
        image = images[first].astype(np.int32)
        place = 0 if places is None else np.take_along_axis(places, first, axis=1)
        present = groups[starts]
        # Neighbouring groups are a range of columns, which is written without a copy.
        whole = present[-1] - present[0] + 1 == len(present)
        at = (rows, slice(present[0], present[-1] + 1)) if whole else (rows, present)
        best, here = self.best[at], self.image[at]
        better = (highest > best) | ((highest == best) & (image < here) & (highest > -np.inf))
        self.best[at] = np.where(better, highest, best)
        self.image[at] = np.where(better, image, here)
        self.place[at] = np.where(better, place, self.place[at])

    def keep_pairs(
        self,
        query: Integers,
        group: NDArray[np.integer],
        image: NDArray[np.integer],
        values: Floats,
        places: NDArray[np.integer],
    ) -> None:
        """Take single pairs, all (p,), in any order; NaN is no value."""
        promising = np.flatnonzero(values >= self.best[query, group])
        if not len(promising):
            return
        keys = [key[promising] for key in (image, -values, group, query)]
        order = promising[np.lexsort(keys)]
        q, g = query[order], group[order]
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = (q[1:] != q[:-1]) | (g[1:] != g[:-1])
        order, q, g = order[first], q[first], g[first]
        value, best = values[order], self.best[q, g]
        new = image[order]
        better = (value > best) | ((value == best) & (new < self.image[q, g]))
        order, q, g = order[better], q[better], g[better]
        self.best[q, g] = values[order]
        self.image[q, g] = image[order]
        self.place[q, g] = places[order]

    def floors(self, depth: int, rows: slice = slice(None)) -> Floats:
        """Return (n',) what a group must reach to be among the first `depth`; -inf if nothing."""
        best = self.best[rows]
        count, groups = best.shape
        if groups < depth:
            return np.full(count, -np.inf)
        known = np.where(np.isnan(best), -np.inf, best)
        floor: Floats = np.partition(known, groups - depth, axis=1)[:, groups - depth]
        return floor

    def ranking(
        self, codes: NDArray[np.int32], depth: int
    ) -> tuple[PatientRanking, NDArray[np.int16]]:
        """Sort the groups of every query.

        Parameters
        ----------
        codes
            (K,) what the groups are called.
        depth
            Groups kept per query; the ranking is narrower where there are fewer.

        Returns
        -------
        ranking, places
            Equal similarities: the lower image index first. The ranking has no placement; places
            are (n, L), 0 where absent.
        """
        count, groups = self.best.shape
        kept = min(depth, groups)
        similarity = np.full((count, kept), np.nan)
        group = np.full((count, kept), -1, dtype=np.int32)
        image = np.full((count, kept), -1, dtype=np.int32)
        place = np.zeros((count, kept), dtype=np.int16)
        for row in range(count):
            best = self.best[row]
            met = best > -np.inf
            if kept < groups:
                known = np.where(met, best, -np.inf)
                # All that tie with the last are looked at.
                met &= best >= np.partition(known, groups - kept)[groups - kept]
            wanted = np.flatnonzero(met)
            wanted = wanted[np.lexsort((self.image[row, wanted], -best[wanted]))[:kept]]
            part = slice(0, len(wanted))
            similarity[row, part] = best[wanted]
            group[row, part] = codes[wanted]
            image[row, part] = self.image[row, wanted]
            place[row, part] = self.place[row, wanted]
        nothing = np.empty((count, kept, 0), dtype=np.float32)
        return PatientRanking(similarity, group, image, nothing), place
