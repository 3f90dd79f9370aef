"""From finished blocks to the result of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness.search._block import BlockState, absent_to_nan
from likeness.search.result import GridBest, SearchResult, TopImages, TopPatients
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
    from likeness.search._running import RunningPatients
    from likeness.search.engines import EngineChoice
    from likeness.search.options import SearchOptions
    from likeness.search.plan import SearchPlan


class _Lists:
    """Ranked lists of n queries: value is what they are ranked by."""

    def __init__(self, queries: int, length: int) -> None:
        self.value: Floats = np.full((queries, length), np.nan)
        self.other: Floats = np.full((queries, length), np.nan)
        self.index: Integers = np.full((queries, length), -1, dtype=np.int64)
        self.transform = np.full((queries, length), -1, dtype=np.int8)
        self.code = np.full((queries, length), -1, dtype=np.int32)


class _Grid:
    def __init__(self, queries: int, patients: int) -> None:
        self.value: Floats = np.full((queries, patients), np.nan)
        self.index = np.full((queries, patients), -1, dtype=np.int32)
        self.transform = np.full((queries, patients), -1, dtype=np.int8)


class Assembly:
    """Takes finished blocks one by one."""

    def __init__(self, options: SearchOptions, plan: SearchPlan, num_patients: int) -> None:
        self._plan = plan
        n = plan.num_queries
        self.undefined_queries: Flags = np.zeros(n, dtype=np.bool_)
        self.undefined_references: Flags = np.zeros(plan.num_references, dtype=np.bool_)
        self._tops = (_Lists(n, options.top_k), _Lists(n, options.top_k))
        self._patients = (_Lists(n, options.top_patients), _Lists(n, options.top_patients))
        self._identity: tuple[Floats, Floats] = (np.full(n, np.nan), np.full(n, np.nan))
        self._identity_index: tuple[Integers, Integers] = (
            np.full(n, -1, dtype=np.int64),
            np.full(n, -1, dtype=np.int64),
        )
        self._grid = tuple(_Grid(n, num_patients) for _ in range(0 if options.grid is None else 2))

    def add(self, state: BlockState) -> None:
        """Take over a finished block."""
        rows = slice(state.start, state.stop)
        self.undefined_queries[rows] = state.undefined_queries
        self.undefined_references |= state.undefined_references
        for which in (0, 1):
            top, lists = state.tops[which], self._tops[which]
            lists.value[rows] = absent_to_nan(top.value)
            lists.other[rows] = absent_to_nan(top.other)
            lists.index[rows] = top.index
            lists.transform[rows] = top.transform
            _rank_patients(state.patients[which], self._patients[which], rows)
            self._identity[which][rows] = absent_to_nan(state.identities[which].value)
            self._identity_index[which][rows] = state.identities[which].index
        for found, grid in zip(state.grid, self._grid, strict=True):
            grid.value[rows] = absent_to_nan(found.value)
            grid.index[rows] = found.index
            grid.transform[rows] = found.transform

    def result(self, *, choice: EngineChoice, pairs: int, seconds: float) -> SearchResult:
        """Return the whole."""
        return SearchResult(
            top=_images(self._tops[0], by_mean=False),
            top_mean=_images(self._tops[1], by_mean=True),
            patients=_patients(self._patients[0], by_mean=False),
            patients_mean=_patients(self._patients[1], by_mean=True),
            identity=self._identity[0],
            identity_index=self._identity_index[0],
            identity_mean=self._identity[1],
            identity_mean_index=self._identity_index[1],
            grid=_grid_best(*self._grid) if self._grid else None,
            undefined_queries=self.undefined_queries,
            undefined_references=self.undefined_references,
            transforms=self._plan.transforms,
            channels=self._plan.channels,
            plan=self._plan,
            engine=choice.name,
            engine_check=choice.check,
            num_pairs=pairs,
            seconds=seconds,
        )


def _grid_best(whole: _Grid, mean: _Grid) -> GridBest:
    return GridBest(
        correlation=whole.value,
        correlation_mean=mean.value,
        reference_index=whole.index,
        reference_index_mean=mean.index,
        transform=whole.transform,
        transform_mean=mean.transform,
    )


def _rank_patients(found: RunningPatients, lists: _Lists, rows: slice) -> None:
    """Sort patients by their best image; on a tie the lower reference index comes first."""
    kept = min(lists.value.shape[1], found.value.shape[1])
    order = np.lexsort((found.index, -found.value), axis=1)[:, :kept]

    def taken(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.take_along_axis(values, order, axis=1)

    value = np.take_along_axis(found.value, order, axis=1)
    lists.value[rows, :kept] = absent_to_nan(value)
    lists.index[rows, :kept] = taken(found.index)
    lists.transform[rows, :kept] = taken(found.transform)
    lists.code[rows, :kept] = np.where(np.isneginf(value), -1, order)
    if found.other is not None:
        lists.other[rows, :kept] = absent_to_nan(np.take_along_axis(found.other, order, axis=1))


def _images(lists: _Lists, *, by_mean: bool) -> TopImages:
    whole, mean = (lists.other, lists.value) if by_mean else (lists.value, lists.other)
    return TopImages(
        reference_index=lists.index,
        transform=lists.transform,
        correlation=whole,
        correlation_mean=mean,
    )


def _patients(lists: _Lists, *, by_mean: bool) -> TopPatients:
    whole, mean = (lists.other, lists.value) if by_mean else (lists.value, lists.other)
    return TopPatients(
        reference_index=lists.index,
        transform=lists.transform,
        correlation=whole,
        correlation_mean=mean,
        patient_code=lists.code,
    )
