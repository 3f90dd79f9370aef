"""The plain and the dihedral family: r_ch of block means, as the query is and over eight turns.

```
index of the references --> bound of every pair --+--> pairs that may matter --> exact --> table
                                 ^                |                                          |
                                 +----- best of the group so far, last of the groups kept <--+
```

A ranking needs the best image of each of the first groups, and nearly every pair is neither. So a
bound of every pair is computed from a few hundred numbers per image (`_orientation_bounds`); where
even the bound stays below the best image of the group, or below the last group that is kept, the
pair is skipped. The others are compared exactly (`_orientation_pairs`). To begin with something,
the most promising image of each of the most promising groups is compared first.

References go by in blocks, each read once for many queries. Which pairs are skipped depends on the
order of work; the result does not: what is skipped would have changed nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.scores._orientation_bounds import OrientationIndex
from likeness.scores._orientation_pairs import TURNS, Orientations, Packed
from likeness.scores._orientation_work import QueryBlock
from likeness.scores._pruning import index_pays
from likeness.scores.groups import GroupNumbers, GroupTable
from likeness.scores.ranking import PatientRanking, stack_rankings
from likeness.scores.unfinished import FORGETFUL, Unfinished
from likeness.search._threads import count_threads, single_blas_thread
from likeness.similarity.transforms import possible_transforms
from likeness.types import TRANSFORMS, Transform

if TYPE_CHECKING:
    from likeness._progress import Progress
    from likeness.scores.decision_scale import Decisions

_MOST_AT_ONCE: Final = 2048
_FIXED_BYTES: Final = 96 << 20
"""Blocks of references in all forms, per thread a third of it."""


def rank_orientations(
    queries: Decisions,
    references: Decisions,
    *,
    groups: NDArray[np.int32],
    excluded: NDArray[np.int32] | None = None,
    transforms: tuple[Transform, ...] = TRANSFORMS,
    depth: int = 64,
    index: OrientationIndex | None = None,
    threads: int | None = None,
    memory_bytes: int = 1 << 30,
    state: Unfinished = FORGETFUL,
    progress: Progress = SILENT,
) -> tuple[PatientRanking, PatientRanking]:
    """Rank the groups by their most similar image, without and with flips and quarter turns.

    Parameters
    ----------
    queries, references
        n and m images of the same shape.
    groups
        (m,) the exclusion group of each reference, from 0.
    excluded
        (n,) the group that a query must not meet, -1 for none.
    transforms
        Which of the eight orientations the dihedral family tries, the first always among them;
        those that do not fit pictures that are not square are left out.
    depth
        Groups kept per query.
    index
        Of the references, where it was made before. None: made here if it pays.
    memory_bytes
        Memory for tables and packed images, roughly; at least one query is taken at a time.
    state
        Where the state of a call that takes long is kept, so that one after a kill goes on.

    Returns
    -------
    tuple of PatientRanking
        Plain and dihedral; the placement is the index into `TRANSFORMS`. Equal similarities:
        the lower image first, and the earlier transform.
    """
    count, channels = len(queries), queries.shape[0]
    tried = possible_transforms((*transforms, "identity"), *queries.shape[1:])
    orientations = Orientations(tuple(turn for turn in TURNS if turn[0] in tried))
    workers = count_threads(threads)
    numbers = GroupNumbers.of(groups)
    if index is None and index_pays(count, len(references)):
        index = OrientationIndex.of(references, threads=workers, progress=progress)
    pixels = queries.shape[1] * queries.shape[2]
    per_query = 6 * GroupTable.BYTES * len(numbers) + 4 * 4 * orientations.swaps * channels * pixels
    free = memory_bytes - workers * _FIXED_BYTES // 3
    at_once = int(np.clip(free // per_query, 1, _MOST_AT_ONCE))
    parts: list[tuple[PatientRanking, PatientRanking]] = []
    with (
        single_blas_thread(),
        ThreadPoolExecutor(workers, thread_name_prefix="likeness-scores") as pool,
        progress.task("orientations", count * len(references), unit="pairs") as task,
    ):
        for start in range(0, count, at_once):
            stop = min(start + at_once, count)
            values = queries.read(start, stop)
            varies = queries.varies[start:stop]
            own = None if excluded is None else excluded[start:stop]
            block = QueryBlock(
                Packed.of(values, varies, transposed=orientations.swaps == 2),
                None if index is None else index.queries(values, swaps=orientations.swaps),
                references, index, numbers, numbers.excluded(own, stop - start),
                orientations, depth, pool,
            )  # fmt: skip
            block.compare(task, (start, stop), state)
            if stop < count:
                state.keep((start, stop), block.arrays(), len(references), at_once=True)
            parts.append(block.rankings())
    return stack_rankings([p for p, _ in parts]), stack_rankings([d for _, d in parts])
