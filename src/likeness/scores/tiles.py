"""Copies of a part: the place where a query comes closest to a reference.

Pictures are compared tile by tile, each tile with the tile at the same place. A tile is a quarter
of the picture high and wide (64 pixels of 256), and tiles overlap by half. The similarity of a pair
is taken where it is highest among all places of 2 x 2 neighbouring tiles (96 x 96 pixels, so that a
copied quarter of the picture holds such a place wherever it lies): there, the four correlations are
averaged as Fisher's z. Single tiles are alike by chance; four neighbours at once hardly are.

'Range' is that of the decision scale: from the lowest to the highest block mean of one channel of
one image. A tile of the query whose standard deviation is a small part of it shows air or plain
background, where all pictures agree, and counts as not correlated.

What is not seen: a part that was moved, turned or mirrored, and a part smaller than 96 x 96 pixels.

With g = (1 - r) / (1 + r) = exp(-2 z) the mean of z is a product: the place is where g g g g is
least, and the similarity is (1 - h) / (1 + h) with h its fourth root. Only operations that IEEE 754
rounds correctly are used, so the similarity is the same on every machine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.errors import ImageMismatchError, OptionError
from likeness.scores._pruning import index_pays
from likeness.scores._tile_places import layout_places
from likeness.scores._tile_plan import plan_tiles
from likeness.scores._tile_vectors import TileLayout
from likeness.scores._tile_work import TileBlock
from likeness.scores.groups import GroupTable
from likeness.scores.ranking import PatientRanking, stack_rankings
from likeness.scores.tile_index import TileIndex
from likeness.scores.unfinished import FORGETFUL, Unfinished
from likeness.search._threads import count_threads, single_blas_thread

if TYPE_CHECKING:
    from likeness._progress import Progress
    from likeness.scores.decision_scale import Decisions

_DEFAULT_MEMORY: Final = 2 << 30


@dataclass(frozen=True)
class TileOptions:
    """Everything that changes the similarity of tiles.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    least_spread: float = 0.05
    """A tile of the query counts where its standard deviation is at least this part of the range
    of its image. 0 to 1. On phantoms, 0.02 to 0.08 find 100 to 98 % of copied quarters."""
    shrinkage: float = 0.0025
    """Standard deviation, as a part of the range, added in quadrature to that of every tile: about
    half a step of 8 bits, which says nothing. 0 to 1. On phantoms, 0 to 0.005 find 99 % of copied
    quarters, 0.02 finds 97 % and 0.04 70 %: more of it hides how alike copies are."""

    def __post_init__(self) -> None:
        for name in ("least_spread", "shrinkage"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                msg = f"TileOptions.{name} must be from 0 to 1; got {getattr(self, name)}."
                raise OptionError(msg)


def rank_tiles(
    queries: Decisions,
    references: Decisions,
    *,
    groups: NDArray[np.int32],
    excluded: NDArray[np.int32] | None = None,
    depth: int = 10,
    options: TileOptions = TileOptions(),
    index: TileIndex | None = None,
    threads: int | None = None,
    memory_bytes: int = _DEFAULT_MEMORY,
    state: Unfinished = FORGETFUL,
    progress: Progress = SILENT,
) -> PatientRanking:
    """Rank the groups of the references by their most similar tiles.

    The result depends on the images and `options` alone, not on threads or memory.

    Parameters
    ----------
    queries, references
        n and m images on the same grid of block means.
    groups
        (m,) group of each reference, from 0.
    excluded
        (n,) the group a query is not compared with, -1 for none; None for none at all.
    depth
        Groups kept per query.
    index
        Of the references with these options, where it was made before. None: made here if it pays.
    threads
        None for all cores.
    memory_bytes
        Working memory, without the images and the result.
    state
        Where the state of a call that takes long is kept, so that one after a kill goes on.

    Returns
    -------
    PatientRanking
        `similarity` in [0, 1]: tanh of the mean Fisher z of the four tiles of the best place; per
        tile, r is the mean over the channels that vary in the query's tile, and a negative r counts
        as 0. `placement` (n, depth, 4): top, left, height and width of that place in blocks (of 64
        along an axis); -1 where absent. A query without any tile that varies enough has no
        similarity with anything.

    Raises
    ------
    ImageMismatchError
        If the grids of the queries and the references differ.
    OptionError
        If a number is out of range.
    MemoryBudgetError
        If `memory_bytes` holds not even the comparison of one pair.
    """
    _check(queries, references, groups, excluded, depth)
    workers = count_threads(threads)
    count, total = len(queries), len(references)
    num_groups = int(groups.max(initial=-1)) + 1
    if index is None and index_pays(count, total):
        index = TileIndex.of(references, options, threads=workers, progress=progress)
    plan = plan_tiles(
        TileLayout(*queries.shape),
        num_queries=count,
        num_groups=num_groups,
        workers=workers,
        memory_bytes=memory_bytes,
    )
    if excluded is None:
        excluded = np.full(count, -1, dtype=np.int32)
    parts = []
    with (
        single_blas_thread(),
        ThreadPoolExecutor(workers) as pool,
        progress.task("tiles", count) as task,
    ):
        for start in range(0, max(count, 1), plan.queries):
            stop = min(start + plan.queries, count)
            block = TileBlock(
                plan, options, queries.read(start, stop), references, index,
                GroupTable(excluded[start:stop], num_groups), groups, depth, pool,
            )  # fmt: skip
            block.compare((start, stop), state)
            if stop < count:
                state.keep((start, stop), block.table.arrays(), total, at_once=True)
            parts.append(_ranking(block.table, depth, plan.layout))
            task.advance(stop - start)
    return stack_rankings(parts)


def _ranking(table: GroupTable, depth: int, layout: TileLayout) -> PatientRanking:
    codes = np.arange(table.best.shape[1], dtype=np.int32)
    ranking, place = table.ranking(codes, depth)
    where = layout_places(layout, place.astype(np.int64))
    where[ranking.image < 0] = -1
    return PatientRanking(ranking.similarity, ranking.group, ranking.image, where)


def _check(
    queries: Decisions,
    references: Decisions,
    groups: NDArray[np.int32],
    excluded: NDArray[np.int32] | None,
    depth: int,
) -> None:
    if queries.shape != references.shape:
        msg = (
            f"The queries have {queries.shape} channels, rows and columns of block means, the "
            f"references {references.shape}; they must agree. Prepare both sets alike."
        )
        raise ImageMismatchError(msg)
    if groups.shape != (len(references),) or (len(groups) and groups.min() < 0):
        msg = f"`groups` must hold one number from 0 per reference ({len(references)})."
        raise OptionError(msg)
    if excluded is not None and excluded.shape != (len(queries),):
        msg = f"`excluded` must hold one number per query ({len(queries)})."
        raise OptionError(msg)
    if depth < 1:
        msg = f"`depth` must be at least 1; got {depth}."
        raise OptionError(msg)
