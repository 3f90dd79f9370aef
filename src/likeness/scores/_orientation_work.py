"""Some queries on their way through all references, see `orientations`."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores import kernels
from likeness.scores._orientation_pairs import Orientations, Packed
from likeness.scores._pair_products import cache_order, pair_products
from likeness.scores._pruning import EVERY, FLOORS_EVERY, SPARE, first_groups, needed
from likeness.scores.groups import GroupNumbers, GroupTable
from likeness.scores.ranking import PatientRanking

if TYPE_CHECKING:
    from likeness._progress import Task
    from likeness.scores._orientation_bounds import OrientationIndex
    from likeness.scores.decision_scale import Decisions
    from likeness.scores.unfinished import Rows, Unfinished
    from likeness.types import Flags, Floats, Integers

_WIDTH: Final = 128
"""Queries that one thread multiplies at once."""
_BLOCK: Final = 1024
"""References whose bounds are computed at once."""
_TILE: Final = 256
"""References that are packed at once; with `_WIDTH` what fits a processor's cache."""
_PACKED: Final = 128
"""References that one thread packs for single pairs."""
_MANY: Final = 0.3
"""Part of the pairs of a block from which it is compared as a whole."""
_MANY_UNCOMPILED: Final = 0.1


class QueryBlock:
    """Queries with the tables of the groups they have met."""

    def __init__(
        self,
        queries: Packed,
        coarse: NDArray[np.float32] | None,
        references: Decisions,
        index: OrientationIndex | None,
        numbers: GroupNumbers,
        excluded: NDArray[np.int32],
        orientations: Orientations,
        depth: int,
        pool: Executor,
    ) -> None:
        self._queries, self._coarse = queries, coarse
        self._references, self._index = references, index
        self._numbers, self._excluded = numbers, excluded
        self._orientations, self._depth, self._pool = orientations, depth, pool
        self._plain = GroupTable(excluded, len(numbers))
        self._turned = GroupTable(excluded, len(numbers))
        self._slices = [
            slice(i, min(i + _WIDTH, len(queries))) for i in range(0, len(queries), _WIDTH)
        ]
        self._floors: list[Floats] = []

    def compare(self, task: Task, rows: Rows, state: Unfinished) -> None:
        """Meet all references, from where the state of these rows says on."""
        total = len(self._references)
        arrays = self.arrays()
        position = state.resume(rows, arrays)
        task.advance(len(self._queries) * position)
        if self._index is not None and not position:
            self._begin()
        for number, first in enumerate(range(position, total, _BLOCK)):
            last = min(first + _BLOCK, total)
            if self._index is not None and number % FLOORS_EVERY == 0:
                self._floors = [t.floors(self._depth) for t in (self._plain, self._turned)]
            if self._index is None:
                self._whole(first, last)
            else:
                self._chosen(first, last)
            state.keep(rows, arrays, last)
            task.advance(len(self._queries) * (last - first))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was found so far; filling these arrays brings it back."""
        tables = {"plain": self._plain, "turned": self._turned}
        return {
            f"{name}_{field}": array
            for name, table in tables.items()
            for field, array in table.arrays().items()
        }

    def rankings(self) -> tuple[PatientRanking, PatientRanking]:
        """Return what was found: the plain and the dihedral ranking."""
        found = []
        for table in (self._plain, self._turned):
            ranking, place = table.ranking(self._numbers.codes, self._depth)
            place = np.where(ranking.group < 0, -1, place)
            found.append(
                PatientRanking(
                    ranking.similarity, ranking.group, ranking.image,
                    place.astype(np.float32)[:, :, None],
                )
            )  # fmt: skip
        return found[0], found[1]

    def _whole(self, first: int, last: int) -> None:
        """Compare all queries with all of some references."""
        for start in range(first, last, _TILE):
            stop = min(start + _TILE, last)
            # In order of their groups, so that a group's best is a maximum of neighbours.
            images = start + np.argsort(self._numbers.of_image[start:stop], kind="stable")
            tile = self._packed(images)
            list(self._pool.map(partial(self._table, tile=tile, images=images), self._slices))

    def _packed(self, images: Integers) -> Packed:
        values, moments = self._references.take(images), None
        if self._index is not None:
            moments = self._index.sums[images], self._index.deviations[images]
        varies = self._references.varies[images]
        return Packed.of(values, varies, transposed=False, moments=moments)

    def _table(self, rows: slice, *, tile: Packed, images: Integers) -> None:
        groups = self._numbers.of_image[images]
        plain, best, turn = self._orientations.table(self._queries.some(rows), tile)
        self._plain.keep_table(rows, plain, None, images, groups)
        self._turned.keep_table(rows, best, turn, images, groups)

    def _bounds(
        self, rows: slice, columns: NDArray[np.float32], varies: Flags
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        assert self._index is not None
        assert self._coarse is not None
        return self._index.bounds(
            self._coarse[:, rows], self._queries.varies[rows], columns, varies, self._orientations
        )

    def _begin(self) -> None:
        """Compare the most promising image of each of the most promising groups."""
        assert self._index is not None
        groups = len(self._numbers)
        images = np.arange(0, len(self._references), EVERY)
        images = images[np.argsort(self._numbers.of_image[images], kind="stable")]
        tables = [GroupTable(self._excluded, groups) for _ in range(1 + self._orientations.swaps)]

        def look(rows: slice, *, some: Integers, columns: NDArray[np.float32]) -> None:
            plain, found = self._bounds(rows, columns, self._references.varies[some])
            for table, bound in zip(tables, (plain, *found), strict=True):
                table.keep_table(
                    rows, bound.astype(np.float64), None, some, self._numbers.of_image[some]
                )

        for start in range(0, len(images), _BLOCK):
            some = images[start : start + _BLOCK]
            columns = self._index.rows.take(some)
            list(self._pool.map(partial(look, some=some, columns=columns), self._slices))
        kept = self._depth + SPARE
        pairs: list[tuple[Integers, Integers]] = []
        plain, *turned = tables
        highest = np.stack([np.where(np.isnan(t.best), -np.inf, t.best) for t in turned])
        for swap in range(self._orientations.swaps):
            # Each group in the one of the two that promises more; the upright one also for plain.
            mine = np.where(highest.argmax(axis=0) == swap, highest[swap], -np.inf)
            wanted = [(mine, turned[swap].image)]
            if swap == 0:
                wanted.append((plain.best, plain.image))
            found = [first_groups(value, image, kept) for value, image in wanted]
            left = np.concatenate([f[0] for f in found])
            image = np.concatenate([f[1] for f in found])
            both = np.unique(left * len(self._references) + image)
            pairs.append((both // len(self._references), both % len(self._references)))
        self._exact(pairs)

    def _chosen(self, first: int, last: int) -> None:
        """Compare the queries with those of some references that may matter."""
        assert self._index is not None
        columns = self._index.rows.read(first, last)
        look = partial(self._survivors, first=first, columns=columns)
        found = list(self._pool.map(look, self._slices))
        total = len(self._queries) * (last - first)
        many = _MANY_UNCOMPILED if kernels.compiled() is None else _MANY
        for swap in range(self._orientations.swaps):
            if sum(len(part[swap][0]) for part in found) > many * total:
                self._whole(first, last)
                return
        self._exact(
            [
                (
                    np.concatenate([part[swap][0] for part in found]),
                    np.concatenate([part[swap][1] for part in found]),
                )
                for swap in range(self._orientations.swaps)
            ]
        )

    def _survivors(
        self, rows: slice, *, first: int, columns: NDArray[np.float32]
    ) -> list[tuple[Integers, Integers]]:
        """Return per swap the pairs (query, reference) whose bound reaches what is known."""
        last = first + len(columns)
        plain, found = self._bounds(rows, columns, self._references.varies[first:last])
        groups = self._numbers.of_image[first:last]
        plain_needed, turned_needed = (
            _rounded_down(*needed(table, floors, rows, groups))
            for table, floors in zip((self._plain, self._turned), self._floors, strict=True)
        )
        pairs = []
        for swap, bound in enumerate(found):
            reached = bound >= turned_needed
            if swap == 0:
                reached |= plain >= plain_needed
            left, right = np.nonzero(reached)
            pairs.append((left + rows.start, right + first))
        return pairs

    def _exact(self, pairs: list[tuple[Integers, Integers]]) -> None:
        """Compare pairs (query, reference), given per swap, and keep what is best."""
        images = np.unique(np.concatenate([right for _, right in pairs]))
        tiles = [images[start : start + _PACKED] for start in range(0, len(images), _PACKED)]
        for found in self._pool.map(partial(self._pairs, pairs=pairs), tiles):
            for left, image, plain, best, turn in found:
                group = self._numbers.of_image[image]
                if plain is not None:
                    self._plain.keep_pairs(left, group, image, plain, np.zeros_like(turn))
                self._turned.keep_pairs(left, group, image, best, turn)

    def _pairs(
        self, images: Integers, *, pairs: list[tuple[Integers, Integers]]
    ) -> list[tuple[Integers, Integers, Floats | None, Floats, NDArray[np.int8]]]:
        """Compare the pairs that hold one of some images; rising."""
        tile = self._packed(images)
        done = []
        for swap, (left, right) in enumerate(pairs):
            inside = np.flatnonzero((right >= images[0]) & (right <= images[-1]))
            query, column = left[inside], np.searchsorted(images, right[inside])
            order = cache_order(query, column)
            query, column = query[order], column[order]
            mine, theirs = self._queries.parts[swap], tile.parts[0]
            kinds, length = mine.shape[1:3], mine.shape[3]
            products = pair_products(
                mine.reshape(len(mine), -1, length), theirs.reshape(len(theirs), -1, length),
                query, column,
            ).T.reshape(*kinds, -1)  # fmt: skip
            found = self._orientations.pairs(swap, products, self._queries, tile, query, column)
            done.append((query, images[column], *found))
        return done


def _rounded_down(values: Floats, column: Integers) -> NDArray[np.float32]:
    """Return what every pair must reach, not rounded up: nothing is skipped that equals it."""
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf))[:, column]
