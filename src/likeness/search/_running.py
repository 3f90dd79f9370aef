"""Running bests: what has been found so far, updated tile by tile.

Before a pair gets here its best transform has been chosen, and the earlier transform kept on a tie.
Lists are in order of value, then of reference index. So a list does not depend on the order in
which its candidates came, and two lists over different references merge into the list over both.

Absent and undefined correlations are -inf here: they never win.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.types import Floats, Integers

ABSENT = -np.inf


@dataclass
class Best:
    """For w queries and m references of a tile: the best transform of each pair."""

    value: Floats
    """(w, m) the correlation that is maximised."""
    other: Floats
    """(w, m) the other correlation of the same pair and transform."""
    transform: NDArray[np.int8]
    """(w, m)."""


@dataclass(frozen=True)
class Segments:
    """The images of a tile, sorted by patient."""

    order: Integers
    """(m,) stable: within a patient by index."""
    starts: Integers
    """(p,) where each patient begins in `order`."""
    codes: Integers
    """(p,) the patients of the tile, each once."""
    place: Integers
    """(m,) which of the p patients each image of the tile belongs to."""

    @staticmethod
    def of(codes: NDArray[Any]) -> Segments:
        """Sort the patient codes of a tile."""
        order = np.argsort(codes, kind="stable")
        distinct, starts, place = np.unique(codes[order], return_index=True, return_inverse=True)
        back = np.empty_like(order)
        back[order] = place
        return Segments(order, starts, distinct.astype(np.int64), back)

    def maxima(self, values: Floats) -> Floats:
        """Return the highest value of each patient: (w, m) to (w, p)."""
        return np.maximum.reduceat(values[:, self.order], self.starts, axis=1)

    def first_of(self, values: Floats, maxima: Floats) -> Integers:
        """Return where in the tile each patient first reaches its maximum, (w, p)."""
        ordered = values[:, self.order]
        width = ordered.shape[1]
        position = np.where(
            ordered == np.repeat(maxima, np.diff(self.starts, append=width), axis=1),
            np.arange(width),
            width,
        )
        return self.order[np.minimum.reduceat(position, self.starts, axis=1)]


class RankedImages:
    """The k best references of each of q queries."""

    def __init__(self, queries: int, length: int) -> None:
        self.value = np.full((queries, length), ABSENT)
        self.other = np.full((queries, length), ABSENT)
        self.index = np.full((queries, length), -1, dtype=np.int64)
        self.transform = np.full((queries, length), -1, dtype=np.int8)

    def update(self, rows: slice, best: Best, first: int) -> None:
        """Merge a tile that begins at reference `first` into the lists of some queries."""
        better = best.value >= self.value[rows, -1:]  # an equal one may have the lower index
        better &= best.value > ABSENT
        which = np.flatnonzero(better.any(axis=1))
        if which.size == 0:
            return
        columns = np.flatnonzero(better[which].any(axis=0))
        pick = np.ix_(which, columns)
        index = np.broadcast_to(first + columns, (which.size, columns.size))
        self._merge_new(
            rows.start + which, best.value[pick], best.other[pick], index, best.transform[pick]
        )

    def merge(
        self,
        rows: Integers,
        value: Floats,
        other: Floats,
        index: Integers,
        transform: NDArray[np.int8],
    ) -> None:
        """Merge candidates, (w, t) each, into the lists of w queries.

        An image that is listed stays as it is unless the candidate is better.
        """
        value = _drop_worse(self, rows, value, index, self.index[rows], index)
        self._merge_new(rows, value, other, index, transform)

    def _merge_new(
        self,
        rows: Integers,
        value: Floats,
        other: Floats,
        index: Integers,
        transform: NDArray[np.int8],
    ) -> None:
        """Merge candidates of which none is listed."""
        value = np.concatenate([self.value[rows], value], axis=1)
        index = np.concatenate([self.index[rows], index], axis=1)
        order = _best_first(value, index, self.value.shape[1])
        listed = np.take_along_axis(value, order, axis=1) > ABSENT

        def taken(values: NDArray[Any], absent: Any) -> NDArray[Any]:  # noqa: ANN401
            return np.where(listed, np.take_along_axis(values, order, axis=1), absent)

        both = np.concatenate([self.other[rows], other], axis=1)
        turned = np.concatenate([self.transform[rows], transform], axis=1)
        self.value[rows] = taken(value, ABSENT)
        self.other[rows] = taken(both, ABSENT)
        self.index[rows] = taken(index, -1)
        self.transform[rows] = taken(turned, np.int8(-1))


class RankedPatients(RankedImages):
    """The best reference of each of the L best patients, for each of q queries.

    Whoever is among the L best over all references is among the L best over those where his best
    one lies; so nobody is lost when lists over parts are merged.
    """

    def __init__(self, queries: int, length: int) -> None:
        super().__init__(queries, length)
        self.code = np.full((queries, length), -1, dtype=np.int32)

    def update_patients(self, rows: slice, best: Best, segments: Segments, first: int) -> None:
        """Merge a tile that begins at reference `first`."""
        maxima = segments.maxima(best.value)
        better = (maxima >= self.value[rows, -1:]) & (maxima > ABSENT)
        which = np.flatnonzero(better.any(axis=1))
        if which.size == 0:
            return
        patients = np.flatnonzero(better[which].any(axis=0))
        column = segments.first_of(best.value[which], maxima[which])[:, patients]
        pick = which[:, None], column
        codes = np.broadcast_to(segments.codes[patients], column.shape)
        self.merge_patients(
            rows.start + which,
            np.where(better[which][:, patients], best.value[pick], ABSENT),
            best.other[pick],
            first + column,
            best.transform[pick],
            codes,
        )

    def merge_patients(
        self,
        rows: Integers,
        value: Floats,
        other: Floats,
        index: Integers,
        transform: NDArray[np.int8],
        code: Integers,
    ) -> None:
        """Merge candidates, (w, t) each, of which no two of a row are of one patient."""
        value = _drop_worse(self, rows, value, index, self.code[rows], code)
        both = np.concatenate([self.value[rows], value], axis=1)
        index = np.concatenate([self.index[rows], index], axis=1)
        order = _best_first(both, index, self.value.shape[1])
        listed_now = np.take_along_axis(both, order, axis=1) > ABSENT

        def merged(old: NDArray[Any], new: NDArray[Any], absent: Any) -> NDArray[Any]:  # noqa: ANN401
            values = np.concatenate([old[rows], new], axis=1)
            return np.where(listed_now, np.take_along_axis(values, order, axis=1), absent)

        self.other[rows] = merged(self.other, other, ABSENT)
        self.transform[rows] = merged(self.transform, transform, np.int8(-1))
        self.code[rows] = merged(self.code, code.astype(np.int32), np.int32(-1))
        self.index[rows] = np.where(listed_now, np.take_along_axis(index, order, axis=1), -1)
        self.value[rows] = np.take_along_axis(both, order, axis=1)


def _drop_worse(
    listed: RankedImages,
    rows: Integers,
    value: Floats,
    index: Integers,
    keys: NDArray[Any],
    candidates: Integers,
) -> Floats:
    """Where a candidate's key (w, t) is among those listed (w, k), mark the worse one as absent.

    Returns the values of the candidates; of equal ones the lower index is better, then the one that
    is listed.
    """
    value = value.copy()
    same = (keys[:, :, None] == candidates[:, None, :]) & (candidates >= 0)[:, None, :]
    place, twice = same.argmax(axis=1), same.any(axis=1)
    known = np.take_along_axis(listed.value[rows], place, axis=1)
    at = np.take_along_axis(listed.index[rows], place, axis=1)
    wins = twice & ((value > known) | ((value == known) & (index < at)))
    value[twice & ~wins] = ABSENT
    row, column = np.nonzero(wins)
    listed.value[rows[row], place[row, column]] = ABSENT
    return value


def _best_first(value: Floats, index: Integers, length: int) -> Integers:
    """Return the order by falling value, then rising index; the first `length`."""
    return np.lexsort((index, -value), axis=1)[:, :length]


class RunningIdentity:
    """The best reference of each of q queries without flips and turns."""

    def __init__(self, queries: int) -> None:
        self.value = np.full(queries, ABSENT)
        self.index = np.full(queries, -1, dtype=np.int64)

    def update(self, rows: slice, values: Floats, first: int) -> None:
        """Merge a tile, (w, m), that begins at reference `first`."""
        column = np.argmax(values, axis=1)
        highest = values[np.arange(len(values)), column]
        known = self.value[rows]
        better = (highest > known) | ((highest == known) & (first + column < self.index[rows]))
        self.value[rows][better] = highest[better]
        self.index[rows][better] = first + column[better]

    def merge(self, rows: Integers, value: Floats, index: Integers) -> None:
        """Merge one candidate (w,) for each of w queries."""
        known = self.value[rows]
        better = (value > known) | ((value == known) & (index < self.index[rows]))
        better &= value > ABSENT
        self.value[rows[better]] = value[better]
        self.index[rows[better]] = index[better]
