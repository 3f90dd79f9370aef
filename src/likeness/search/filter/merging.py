"""Exact correlations of chosen pairs, brought into the lists of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likeness.search._running import ABSENT
from likeness.types import TRANSFORMS, Floats, Integers, Transform

if TYPE_CHECKING:
    from likeness.search._block import BlockState
    from likeness.search._running import RankedImages, RankedPatients


@dataclass(frozen=True)
class Found:
    """Exact correlations of some pairs."""

    query: Integers
    reference: Integers
    whole: Floats
    mean: Floats


@dataclass(frozen=True)
class _Sorted:
    """Pairs by query, the best first."""

    query: Integers
    value: Floats
    other: Floats
    reference: Integers

    def at(self, places: Integers) -> _Sorted:
        """Return some of them."""
        return _Sorted(*(values[places] for values in vars(self).values()))

    def padded(
        self, length: int, *more: tuple[NDArray[Any], int]
    ) -> tuple[Integers, list[NDArray[Any]]]:
        """Bring each query's into a row, `length` at most.

        Returns the queries that have any, and tables of values, other values, references, and
        whatever columns `more` brings with what stands for nothing.
        """
        rows, starts = np.unique(self.query, return_index=True)
        ends = np.append(starts, len(self.query))
        place = np.arange(len(self.query)) - np.repeat(starts, np.diff(ends))
        kept = place < length
        row = np.searchsorted(rows, self.query[kept])
        columns = [(self.value, ABSENT), (self.other, ABSENT), (self.reference, -1), *more]
        tables = []
        for values, absent in columns:
            table = np.full((len(rows), length), absent, dtype=values.dtype)
            table[row, place[kept]] = values[kept]
            tables.append(table)
        return rows, tables


def merge_found(
    state: BlockState, found: list[Found], codes: NDArray[np.int32], turn: Transform
) -> None:
    """Merge exact correlations of one turn into the lists of a block."""
    query = np.concatenate([f.query for f in found])
    reference = np.concatenate([f.reference for f in found])
    values = [np.concatenate([getattr(f, name) for f in found]) for name in ("whole", "mean")]
    number = TRANSFORMS.index(turn)
    for which in (0, 1):
        value, other = values[which], values[1 - which]
        order = np.lexsort((reference, -value, query))
        order = order[value[order] > ABSENT]
        pairs = _Sorted(query[order], value[order], other[order], reference[order])
        if turn == "identity":
            rows, (best, _, index) = pairs.padded(1)
            state.identities[which].merge(rows, best[:, 0], index[:, 0])
        _merge_images(state.tops[which], pairs, number)
        _merge_patients(state.patients[which], pairs, codes, number)


def _merge_images(running: RankedImages, pairs: _Sorted, turn: int) -> None:
    rows, tables = pairs.padded(running.value.shape[1])
    value, other, reference = tables
    turns = np.full(value.shape, turn, dtype=np.int8)
    running.merge(rows, value, other, reference, turns)


def _merge_patients(
    running: RankedPatients, pairs: _Sorted, codes: NDArray[np.int32], turn: int
) -> None:
    owners = np.stack([pairs.query, codes[pairs.reference]], axis=1)
    # The best of each patient comes first in the order given.
    _, first = np.unique(owners, axis=0, return_index=True)
    kept = pairs.at(np.sort(first))
    rows, tables = kept.padded(running.value.shape[1], (codes[kept.reference].astype(np.int64), -1))
    value, other, reference, code = tables
    turns = np.full(value.shape, turn, dtype=np.int8)
    running.merge_patients(rows, value, other, reference, turns, code)
