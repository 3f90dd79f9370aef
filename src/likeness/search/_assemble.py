"""From finished blocks to the result of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likeness.search._block import BlockState, absent_to_nan
from likeness.search.result import SearchResult, TopImages, TopPatients
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
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


class Assembly:
    """Takes finished blocks one by one."""

    def __init__(self, options: SearchOptions, plan: SearchPlan) -> None:
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

    def add(self, state: BlockState) -> None:
        """Take over a finished block."""
        rows = slice(state.start, state.stop)
        self.undefined_queries[rows] = state.undefined_queries
        self.undefined_references |= state.undefined_references
        for which in (0, 1):
            for found, lists in (
                (state.tops[which], self._tops[which]),
                (state.patients[which], self._patients[which]),
            ):
                lists.value[rows] = absent_to_nan(found.value)
                lists.other[rows] = absent_to_nan(found.other)
                lists.index[rows] = found.index
                lists.transform[rows] = found.transform
            self._patients[which].code[rows] = state.patients[which].code
            self._identity[which][rows] = absent_to_nan(state.identities[which].value)
            self._identity_index[which][rows] = state.identities[which].index

    def result(
        self, *, choice: EngineChoice, pairs: int, compared: int, seconds: float
    ) -> SearchResult:
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
            undefined_queries=self.undefined_queries,
            undefined_references=self.undefined_references,
            transforms=self._plan.transforms,
            channels=self._plan.channels,
            plan=self._plan,
            engine=choice.name,
            engine_check=choice.check,
            num_pairs=pairs,
            num_compared=compared,
            seconds=seconds,
        )


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
