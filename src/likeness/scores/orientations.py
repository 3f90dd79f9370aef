"""The plain and the dihedral family: r_ch of block means, as the query is and over eight turns.

A picture is a sum of four parts that are even or odd from top to bottom and from left to right.
Mirroring changes only the signs of odd parts, so the inner products of the parts give those of all
four mirrored pictures at once; the transposed picture gives the other four. Eight orientations cost
two products instead of eight. The parts hold whole numbers below 2**18, their products sum to less
than 2**53, and every inner product is exact.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.scores.groups import GroupedReferences
from likeness.scores.ranking import PatientRanking, stack_rankings
from likeness.search._threads import count_threads, single_blas_thread
from likeness.similarity.transforms import possible_transforms
from likeness.types import TRANSFORMS, Flags, Floats, Transform

if TYPE_CHECKING:
    from likeness._progress import Progress
    from likeness.scores.decision_scale import DecisionImages

_TILE: Final = 256
_WIDTH: Final = 128
"""Queries that one thread multiplies at once; with `_TILE` what fits a processor's cache."""
_MOST_AT_ONCE: Final = 2048

_TURNS: Final[tuple[tuple[Transform, bool, bool, bool], ...]] = (
    # name; rows and columns exchanged; then mirrored up-down; then mirrored left-right
    ("identity", False, False, False),
    ("flip_h", False, False, True),
    ("flip_v", False, True, False),
    ("rot90", True, True, False),
    ("rot180", False, True, True),
    ("rot270", True, False, True),
    ("transpose", True, False, False),
    ("antitranspose", True, True, True),
)


def rank_orientations(
    queries: DecisionImages,
    references: DecisionImages,
    *,
    groups: NDArray[np.int32],
    excluded: NDArray[np.int32] | None = None,
    transforms: tuple[Transform, ...] = TRANSFORMS,
    depth: int = 64,
    threads: int | None = None,
    memory_bytes: int = 1 << 30,
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
        Which of the eight orientations the dihedral family tries; those that do not fit pictures
        that are not square are left out.
    depth
        Groups kept per query.
    memory_bytes
        Memory for tables and packed images, roughly; at least one query is taken at a time.

    Returns
    -------
    tuple of PatientRanking
        Plain and dihedral; the placement is the index into `TRANSFORMS`. Equal similarities:
        the lower image first, and the earlier transform.
    """
    count, channels = len(queries), queries.shape[0]
    tried = possible_transforms(transforms, *queries.shape[1:])
    workers = count_threads(threads)
    order = GroupedReferences.of(groups)
    per_query = 24 * len(references) + 16 * channels * queries.values[0, 0].size * 2 + 64 * depth
    at_once = int(np.clip(memory_bytes // per_query, 1, _MOST_AT_ONCE))
    parts: list[tuple[PatientRanking, PatientRanking]] = []
    with (
        single_blas_thread(),
        ThreadPoolExecutor(workers, thread_name_prefix="likeness-scores") as pool,
        progress.task("orientations", count * len(references), unit="pairs") as task,
    ):
        for start in range(0, count, at_once):
            stop = min(start + at_once, count)
            block = _Block(queries, start, stop, tried, len(references), excluded)
            for first in range(0, len(references), _TILE):
                last = min(first + _TILE, len(references))
                tile = _Packed.of(references, first, last, transposed=False)
                list(pool.map(partial(block.compare, tile=tile, first=first), block.rows))
                task.advance((stop - start) * (last - first))
            parts.append(block.rankings(order, depth, pool))
    return stack_rankings([p for p, _ in parts]), stack_rankings([d for _, d in parts])


@dataclass(frozen=True)
class _Packed:
    """Even and odd parts of some images, with what a correlation needs besides."""

    parts: NDArray[Any]
    """(swaps, C, 4, n, P) float64 whole numbers; swaps: as it is, rows and columns exchanged."""
    sums: Floats
    """(C, n)."""
    deviations: Floats
    """(C, n) sqrt(N sum of squares - sum squared); inf where the channel is constant."""
    varies: Flags
    """(n, C)."""
    pixels: int

    @staticmethod
    def of(images: DecisionImages, start: int, stop: int, *, transposed: bool) -> _Packed:
        values = images.values[start:stop].astype(np.float64).swapaxes(0, 1)
        pixels = values.shape[2] * values.shape[3]
        sums = values.sum(axis=(2, 3))
        squares = np.einsum("cnij,cnij->cn", values, values)
        variance = pixels * squares - sums * sums
        varies = images.varies[start:stop]
        deviations = np.where(varies.T, np.sqrt(np.maximum(variance, 0.0)), np.inf)
        views = [values, values.swapaxes(2, 3)] if transposed else [values]
        return _Packed(np.stack([_parts(v) for v in views]), sums, deviations, varies, pixels)


def _parts(values: Floats) -> Floats:
    """Split (C, n, H, W) into (C, 4, n, P): even-even, even-odd, odd-even, odd-odd."""
    across = _even_odd(values)
    found = [part for half in across for part in _even_odd(half.swapaxes(2, 3))]
    # Mirrored first were the columns, then, exchanged, the rows: e. o. of columns by e. o. of rows.
    flat = [part.reshape(*part.shape[:2], -1) for part in (found[0], found[2], found[1], found[3])]
    return np.ascontiguousarray(np.stack(flat, axis=1))


def _even_odd(values: Floats) -> tuple[Floats, Floats]:
    """Return sums and differences of the mirrored columns; a middle column stays apart.

    With v the left and w the mirrored right half, <v, v'> + <w, w'> = (<e, e'> + <o, o'>) / 2. A
    middle column counts once; put beside the sums it would count half, so it is put beside both.
    """
    width = values.shape[3]
    left, right = values[..., : width // 2], values[..., : (width - 1) // 2 : -1]
    if width % 2 == 0:
        return left + right, left - right
    middle = values[..., width // 2 : width // 2 + 1]
    # Mirroring leaves the middle as it is: twice in the even part, half of which is one; the odd
    # part gets zeros so that both have one shape. sqrt(2) is no whole number, so two columns.
    even = np.concatenate([left + right, middle, middle], axis=3)
    odd = np.concatenate([left - right, 0 * middle, 0 * middle], axis=3)
    return even, odd


class _Block:
    """Some queries with their tables of all references."""

    def __init__(
        self,
        queries: DecisionImages,
        start: int,
        stop: int,
        tried: tuple[Transform, ...],
        references: int,
        excluded: NDArray[np.int32] | None,
    ) -> None:
        self._turns = [turn for turn in _TURNS if turn[0] in tried]
        swaps = any(swap for _, swap, _, _ in self._turns)
        count = stop - start
        self.rows = [slice(i, min(i + _WIDTH, count)) for i in range(0, count, _WIDTH)]
        self._packed = [
            _Packed.of(queries, start + rows.start, start + rows.stop, transposed=swaps)
            for rows in self.rows
        ]
        self._plain: Floats = np.empty((count, references))
        self._best: Floats = np.empty((count, references))
        self._turn = np.empty((count, references), dtype=np.int8)
        self._excluded = None if excluded is None else excluded[start:stop]

    def compare(self, rows: slice, *, tile: _Packed, first: int) -> None:
        """Fill the tables for some of the queries and a tile that begins at reference `first`."""
        query = self._packed[rows.start // _WIDTH]
        columns = slice(first, first + len(tile.varies))
        totals = [np.zeros((rows.stop - rows.start, len(tile.varies))) for _ in self._turns]
        for channel in range(len(tile.sums)):
            # 1 / (sd sd'), which is 0 where a channel is constant, and its factor of inner products
            scale = 1.0 / (query.deviations[channel][:, None] * tile.deviations[channel])
            factor = scale * (tile.pixels / 4.0)
            offset = query.sums[channel][:, None] * tile.sums[channel]
            offset *= scale
            for swap in range(len(query.parts)):
                ee, eo, oe, oo = (
                    query.parts[swap, channel, k] @ tile.parts[0, channel, k].T for k in range(4)
                )
                ee *= factor
                ee -= offset
                for product in (eo, oe, oo):
                    product *= factor
                upright, turned_over = (ee + oe, eo + oo), (ee - oe, eo - oo)
                for total, (_, swapped, up_down, left_right) in zip(
                    totals, self._turns, strict=True
                ):
                    if int(swapped) == swap:
                        rest, odd = turned_over if up_down else upright
                        total += rest
                        (np.subtract if left_right else np.add)(total, odd, out=total)
        shared = (query.varies[:, None, :] & tile.varies[None]).sum(axis=2)
        absent = shared == 0
        shared = np.maximum(shared, 1)
        best: Floats | None = None
        for total, (name, _, _, _) in zip(totals, self._turns, strict=True):
            mean = np.clip(np.divide(total, shared, out=total), -1.0, 1.0, out=total)
            if absent.any():
                mean[absent] = np.nan
            if best is None:
                best = mean.copy()
                self._plain[rows, columns] = mean
                turn = np.zeros(mean.shape, dtype=np.int8)
                continue
            better = mean > best
            best[better] = mean[better]
            turn[better] = TRANSFORMS.index(name)
        self._best[rows, columns] = best
        self._turn[rows, columns] = turn

    def rankings(
        self, order: GroupedReferences, depth: int, pool: ThreadPoolExecutor
    ) -> tuple[PatientRanking, PatientRanking]:
        """Reduce both tables to rankings."""

        def ranked(table: Floats, turn: NDArray[np.int8] | None) -> PatientRanking:
            def part(rows: slice) -> PatientRanking:
                own = None if self._excluded is None else self._excluded[rows]
                place = None if turn is None else turn[rows][:, :, None]
                return order.rank(table[rows], depth=depth, excluded=own, placement=place)

            return stack_rankings(list(pool.map(part, self.rows)))

        plain = ranked(self._plain, None)
        zeros = np.where(plain.group < 0, -1, 0).astype(np.float32)[:, :, None]
        plain = PatientRanking(plain.similarity, plain.group, plain.image, zeros)
        return plain, ranked(self._best, self._turn)
