"""Running bests: what has been found so far, updated tile by tile.

Tiles of references come in ascending order and within a tile a lower index stands first; so "keep
the old one unless the new one is greater" gives every tie to the lower reference index. Before a
pair gets here its best transform has been chosen, and the earlier transform kept on a tie.

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


class RunningTop:
    """The k best references of each of q queries."""

    def __init__(self, queries: int, k: int) -> None:
        self.value = np.full((queries, k), ABSENT)
        self.other = np.full((queries, k), ABSENT)
        self.index = np.full((queries, k), -1, dtype=np.int64)
        self.transform = np.full((queries, k), -1, dtype=np.int8)

    def update(self, rows: slice, best: Best, first: int) -> None:
        """Merge a tile that begins at reference `first` into the lists of some queries."""
        kth = self.value[rows, -1]
        better = best.value > kth[:, None]
        which = np.flatnonzero(better.any(axis=1))
        if which.size == 0:
            return
        columns = np.flatnonzero(better[which].any(axis=0))
        here = np.arange(rows.start, rows.stop)[which]
        pick = np.ix_(which, columns)
        value = np.concatenate([self.value[here], best.value[pick]], axis=1)
        k = self.value.shape[1]
        # Stable: of equal values the one already listed, then the lower index, stays in front.
        order = np.argsort(-value, axis=1, kind="stable")[:, :k]
        index = np.broadcast_to(first + columns, (which.size, columns.size))

        def merged(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
            return np.take_along_axis(np.concatenate([old[here], new], axis=1), order, axis=1)

        merged_value = np.take_along_axis(value, order, axis=1)
        listed = merged_value > ABSENT
        self.other[here] = np.where(listed, merged(self.other, best.other[pick]), ABSENT)
        self.index[here] = np.where(listed, merged(self.index, index), -1)
        self.transform[here] = np.where(
            listed, merged(self.transform, best.transform[pick]), np.int8(-1)
        )
        self.value[here] = merged_value


class RunningPatients:
    """The best reference of each of K patients, for each of q queries."""

    def __init__(self, queries: int, patients: int, *, with_other: bool) -> None:
        self.value = np.full((queries, patients), ABSENT)
        self.index = np.full((queries, patients), -1, dtype=np.int32)
        self.transform = np.full((queries, patients), -1, dtype=np.int8)
        self.other = np.full((queries, patients), ABSENT) if with_other else None

    def update(self, rows: slice, best: Best, segments: Segments, first: int) -> None:
        """Merge a tile that begins at reference `first`."""
        maxima = segments.maxima(best.value)
        view = self.value[rows]
        better = maxima > view[:, segments.codes]
        if not better.any():
            return
        row, patient = np.nonzero(better)
        column = segments.first_of(best.value, maxima)[row, patient]
        code = segments.codes[patient]
        view[row, code] = maxima[row, patient]
        self.index[rows][row, code] = first + column
        self.transform[rows][row, code] = best.transform[row, column]
        if self.other is not None:
            self.other[rows][row, code] = best.other[row, column]


class RunningIdentity:
    """The best reference of each of q queries without flips and turns."""

    def __init__(self, queries: int) -> None:
        self.value = np.full(queries, ABSENT)
        self.index = np.full(queries, -1, dtype=np.int64)

    def update(self, rows: slice, values: Floats, first: int) -> None:
        """Merge a tile, (w, m), that begins at reference `first`."""
        column = np.argmax(values, axis=1)
        highest = values[np.arange(len(values)), column]
        better = highest > self.value[rows]
        self.value[rows][better] = highest[better]
        self.index[rows][better] = first + column[better]
