"""Some queries on their way through all references, tile by tile, see `tiles`."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores import kernels
from likeness.scores._pair_products import cache_order, pair_products
from likeness.scores._pruning import EVERY, FLOORS_EVERY, SPARE, first_groups, needed
from likeness.scores._tile_places import PlaceSearch
from likeness.scores._tile_plan import TilePlan
from likeness.scores._tile_vectors import TileVectors, whole_vectors
from likeness.scores.groups import GroupTable
from likeness.scores.tile_index import TileIndex, limits
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness.scores.decision_scale import Decisions
    from likeness.scores.tiles import TileOptions
    from likeness.scores.unfinished import Rows, Unfinished
    from likeness.types import Integers

_WIDTH: Final = 64
"""Queries of one thread whose bounds are computed at once; with `_BLOCK` what fits a cache."""
_BLOCK: Final = 256
"""References whose bounds are computed at once."""
_PACKED: Final = 64
"""References that one thread cuts into tiles for single pairs."""
_MANY: Final = 0.5
"""Part of the pairs of a block from which it is compared as a whole."""
_MANY_UNCOMPILED: Final = 0.1


class TileBlock:
    """Queries with the table of the groups that they have met."""

    def __init__(
        self,
        plan: TilePlan,
        options: TileOptions,
        queries: NDArray[np.uint16],
        references: Decisions,
        index: TileIndex | None,
        table: GroupTable,
        groups: NDArray[np.int32],
        depth: int,
        pool: Executor,
    ) -> None:
        self.table = table
        self._plan, self._layout, self._shrinkage = plan, plan.layout, options.shrinkage
        self._references, self._index = references, index
        self._groups, self._depth, self._pool = groups, depth, pool
        vectors = TileVectors(
            queries, plan.layout, shrinkage=options.shrinkage, least_spread=options.least_spread
        )
        self._channels = vectors.used.sum(axis=1)
        self._queries = whole_vectors(vectors, plan.layout, len(queries))
        self._coarse: NDArray[np.float32] | None = None
        self._margin: NDArray[np.float32] | None = None
        if index is not None:
            self._coarse, self._margin = index.queries(vectors, self._channels)
        scale = plan.layout.scale
        # (n, T) what the products of a query's tile are multiplied by: a mean over channels.
        self._factor = np.divide(
            1.0 / (scale * scale),
            self._channels,
            out=np.zeros(self._channels.shape),
            where=self._channels > 0,
        )
        self._any = self._factor.any(axis=1)
        self._slices = [
            slice(i, min(i + _WIDTH, len(queries))) for i in range(0, len(queries), _WIDTH)
        ]
        self._floors: Floats = np.empty(0)

    def compare(self, rows: Rows, state: Unfinished) -> None:
        """Meet all references, from where the state of these rows says on."""
        total = len(self._references)
        if self._index is None or not len(self._queries):
            self._whole(np.arange(total))
            return
        arrays = self.table.arrays()
        position = state.resume(rows, arrays)
        if not position:
            self._begin()
        for number, first in enumerate(range(position, total, _BLOCK)):
            if number % FLOORS_EVERY == 0:
                self._floors = self.table.floors(self._depth)
            last = min(first + _BLOCK, total)
            self._chosen(np.arange(first, last))
            state.keep(rows, arrays, last)

    def _whole(self, images: Integers) -> None:
        """Compare all queries with all of some references."""
        # In order of their groups, so that a group's best is a maximum of neighbours.
        images = images[np.argsort(self._groups[images], kind="stable")]
        size = self._plan.references
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        workers = self._plan.workers
        for start in range(0, len(parts), workers):  # no more results at a time than are counted
            some = parts[start : start + workers]
            for part, (values, place) in zip(some, self._pool.map(self._table, some), strict=True):
                self.table.keep_table(slice(None), values, place, part, self._groups[part])

    def _table(self, images: Integers) -> tuple[Floats, NDArray[np.int16]]:
        """Return (n, b) similarities, NaN for a query without a tile that varies, and places."""
        vectors = TileVectors(
            self._references.take(images), self._layout, shrinkage=self._shrinkage
        )
        product = np.empty((len(self._factor), len(images)))
        search = PlaceSearch(self._layout, product.shape)
        for tile in range(self._factor.shape[1]):
            np.matmul(self._queries[:, tile].astype(np.float64), vectors.tile(tile).T, out=product)
            product *= self._factor[:, tile, None]
            search.add(product)
        similarity = search.similarity()
        similarity[~self._any] = np.nan
        return similarity, search.place

    def _begin(self) -> None:
        """Compare the most promising image of each of the most promising groups."""
        assert self._index is not None
        images = np.arange(0, len(self._references), EVERY)
        images = images[np.argsort(self._groups[images], kind="stable")]
        promise = GroupTable(
            np.full(len(self._queries), -1, dtype=np.int32), self.table.best.shape[1]
        )
        promise.best[np.isnan(self.table.best)] = np.nan

        def look(rows: slice, *, some: Integers, columns: NDArray[np.float32]) -> None:
            least = self._least(rows, columns)
            promise.keep_table(rows, -least.astype(np.float64), None, some, self._groups[some])

        for start in range(0, len(images), _BLOCK):
            some = images[start : start + _BLOCK]
            columns = self._index.rows.take(some)
            list(self._pool.map(partial(look, some=some, columns=columns), self._slices))
        query, image = first_groups(promise.best, promise.image, self._depth + SPARE)
        self._exact(query, image, np.full(len(query), np.inf, dtype=np.float32))

    def _least(self, rows: slice, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self._index is not None
        assert self._coarse is not None
        assert self._margin is not None
        least = self._index.least(self._coarse[rows], self._margin[rows], columns)
        least[~self._any[rows]] = np.inf
        return least

    def _chosen(self, images: Integers) -> None:
        """Compare the queries with those of some references in a row that may matter."""
        assert self._index is not None
        columns = self._index.rows.read(int(images[0]), int(images[-1]) + 1)
        groups = self._groups[images]

        def look(rows: slice) -> tuple[Integers, Integers, NDArray[np.float32]]:
            least = self._least(rows, columns)
            values, column = needed(self.table, self._floors, rows, groups)
            limit = limits(values)[:, column]
            left, right = np.nonzero(least <= limit)
            return left + rows.start, images[right], limit[left, right]

        found = list(self._pool.map(look, self._slices))
        query, image = (np.concatenate([part[side] for part in found]) for side in (0, 1))
        limit = np.concatenate([part[2] for part in found])
        many = _MANY_UNCOMPILED if kernels.compiled() is None else _MANY
        if len(query) > many * len(self._queries) * len(images):
            self._whole(images)
        else:
            self._exact(query, image, limit)

    def _exact(self, query: Integers, image: Integers, limit: NDArray[np.float32]) -> None:
        """Compare pairs, where they can reach their limit, and keep what is best."""
        there = self._any[query]
        query, image, limit = query[there], image[there], limit[there]
        images = np.unique(image)
        tiles = [images[start : start + _PACKED] for start in range(0, len(images), _PACKED)]
        work = partial(self._pairs, query=query, image=image, limit=limit)
        for found in self._pool.map(work, tiles):
            left, which, values, place = found
            self.table.keep_pairs(left, self._groups[which], which, values, place)

    def _pairs(
        self, images: Integers, *, query: Integers, image: Integers, limit: NDArray[np.float32]
    ) -> tuple[Integers, Integers, Floats, NDArray[np.int16]]:
        """Compare the pairs that hold one of some images; rising."""
        inside = np.flatnonzero((image >= images[0]) & (image <= images[-1]))
        left, right = query[inside], np.searchsorted(images, image[inside])
        order = cache_order(left, right)
        left, right = left[order], right[order]
        vectors = TileVectors(
            self._references.take(images), self._layout, shrinkage=self._shrinkage
        )
        theirs = whole_vectors(vectors, self._layout, len(images))
        products = self._products(theirs, images, left, right, limit[inside][order])
        products *= self._factor[left]
        search = PlaceSearch(self._layout, left.shape)
        for product in products.T:
            search.add(product)
        return left, images[right], search.similarity(), search.place

    def _products(
        self,
        theirs: NDArray[np.int32],
        images: Integers,
        left: Integers,
        right: Integers,
        limit: NDArray[np.float32],
    ) -> Floats:
        """Return (p, T) the products of all tiles that may matter; what others have is no more."""
        fast = kernels.compiled()
        if fast is None:
            return pair_products(self._queries, theirs, left, right)
        assert self._index is not None
        layout = self._layout
        grid = tuple(
            number
            for axis in (layout.tops, layout.lefts)
            for number in (len(axis), min(2, len(axis)))
        )
        products: Floats = np.empty((len(left), theirs.shape[1]))
        fast.tile_products(
            self._queries, theirs, self._coarse, self._index.rows.take(images), self._margin,
            (grid[0], grid[2], grid[1], grid[3]), left, right, limit, products,
        )  # fmt: skip
        return products
