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
from likeness.scores._tile_places import PlaceSearch, layout_places
from likeness.scores._tile_plan import TilePlan, plan_tiles
from likeness.scores._tile_vectors import TileLayout, TileVectors
from likeness.scores.ranking import PatientRanking, rank_groups, stack_rankings
from likeness.search._threads import count_threads, single_blas_thread
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness._progress import Progress
    from likeness.scores.decision_scale import DecisionImages

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
    queries: DecisionImages,
    references: DecisionImages,
    *,
    groups: NDArray[np.int32],
    excluded: NDArray[np.int32] | None = None,
    depth: int = 10,
    options: TileOptions = TileOptions(),
    threads: int | None = None,
    memory_bytes: int = _DEFAULT_MEMORY,
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
    threads
        None for all cores.
    memory_bytes
        Working memory, without the images and the result.

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
    plan = plan_tiles(
        TileLayout(*queries.shape),
        num_queries=len(queries),
        num_references=len(references),
        num_groups=int(groups.max(initial=-1)) + 1,
        workers=workers,
        memory_bytes=memory_bytes,
    )
    if excluded is None:
        excluded = np.full(len(queries), -1, dtype=np.int32)
    # Columns in order of their groups, so that a group's best is a maximum of neighbours.
    order = np.argsort(groups, kind="stable")
    parts = []
    with (
        single_blas_thread(),
        ThreadPoolExecutor(workers) as pool,
        progress.task("tiles", len(queries)) as task,
    ):
        for start in range(0, max(len(queries), 1), plan.queries):
            part = slice(start, start + plan.queries)
            ranked = _Search(plan, options, queries.values[part]).rank(
                references.values, order, groups, pool
            )
            parts.append(ranked.ranking(excluded[part], depth, plan.layout))
            task.advance(len(parts[-1]))
    return stack_rankings(parts)


class _Search:
    """Some queries, ready to be compared; several threads may do so at once."""

    def __init__(self, plan: TilePlan, options: TileOptions, queries: NDArray[np.uint16]) -> None:
        self._plan, self._layout, self._shrinkage = plan, plan.layout, options.shrinkage
        vectors = TileVectors(
            queries, plan.layout, shrinkage=options.shrinkage, least_spread=options.least_spread
        )
        tiles = range(len(plan.layout.corners))
        self._queries = [vectors.tile(tile) for tile in tiles]
        channels = vectors.used.sum(axis=1)
        scale = plan.layout.scale
        # (n, T) what the products of a query's tile are multiplied by: a mean over channels.
        self._factor = np.divide(
            1.0 / (scale * scale), channels, out=np.zeros(channels.shape), where=channels > 0
        )

    def rank(
        self,
        references: NDArray[np.uint16],
        order: NDArray[np.intp],
        groups: NDArray[np.int32],
        pool: ThreadPoolExecutor,
    ) -> _Table:
        """Compare with all references, taken in `order`."""
        table = _Table(len(self._factor), self._plan.num_groups)
        columns = [order[start : start + self._plan.references] for start in self._plan.starts]
        found = pool.map(lambda index: self.compare(references[index]), columns)
        for index, (similarity, place) in zip(columns, found, strict=True):
            table.keep(similarity, place, index, groups[index])
        return table

    def compare(self, references: NDArray[np.uint16]) -> tuple[Floats, NDArray[np.int16]]:
        """Return (n, b) similarities, NaN for a query without a tile that varies, and places."""
        layout = self._layout
        vectors = TileVectors(references, layout, shrinkage=self._shrinkage)
        product = np.empty((len(self._factor), len(references)))
        search = PlaceSearch(layout, product.shape)
        for tile, queries in enumerate(self._queries):
            np.matmul(queries, vectors.tile(tile).T, out=product)
            product *= self._factor[:, tile, None]
            search.add(product)
        similarity = search.similarity()
        similarity[~self._factor.any(axis=1)] = np.nan
        return similarity, search.place


class _Table:
    """The best image of every group so far."""

    def __init__(self, queries: int, groups: int) -> None:
        self._best = np.full((queries, groups), -1.0)
        self._image = np.full((queries, groups), -1, dtype=np.int32)
        self._place = np.zeros((queries, groups), dtype=np.int16)

    def keep(
        self,
        similarity: Floats,
        place: NDArray[np.int16],
        index: NDArray[np.intp],
        groups: NDArray[np.int32],
    ) -> None:
        """Take the columns of some references, in order of their `groups`.

        Of equal similarities the first column wins: within a group the lowest index.
        """
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        present = groups[starts]
        highest = np.maximum.reduceat(similarity, starts, axis=1)
        lengths = np.diff(np.append(starts, len(groups)))
        # A NaN equals nothing; it is better than nothing neither.
        equal = similarity == np.repeat(highest, lengths, axis=1)
        columns = np.where(equal, np.arange(len(groups)), len(groups) - 1)
        first = np.minimum.reduceat(columns, starts, axis=1)
        better = highest > self._best[:, present]
        for table, values in (
            (self._best, highest),
            (self._image, index[first]),
            (self._place, np.take_along_axis(place, first, axis=1)),
        ):
            table[:, present] = np.where(better, values, table[:, present])

    def ranking(
        self, excluded: NDArray[np.int32], depth: int, layout: TileLayout
    ) -> PatientRanking:
        """Sort the groups of every query, without the excluded one."""
        self._best[self._image < 0] = np.nan
        barred = np.flatnonzero(excluded >= 0)
        self._best[barred, excluded[barred]] = np.nan
        ranking = rank_groups(
            self._best, self._image, self._place[:, :, None].astype(np.float32), depth=depth
        )
        where = layout_places(layout, ranking.placement[:, :, 0].astype(np.int64))
        where[ranking.image < 0] = -1
        return PatientRanking(ranking.similarity, ranking.group, ranking.image, where)


def _check(
    queries: DecisionImages,
    references: DecisionImages,
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
