"""Almost equal pictures in whole sets: every pair is compared, none can be missed.

Asked for are all pairs (query, reference) of different patients whose r_ch at 64 x 64 block means,
in the best of the eight flips and turns, is at least a limit. The search runs on `BlockImages`,
whose rounding turns each picture by a known angle. With theta the angle between two pictures
(r = cos theta) and a, b the angles of their rounding,

    theta(rounded) <= theta(true) + a + b,   so   r(rounded) >= cos(arccos(limit) + a + b)

for every pair that is asked for. (r_ch is the product of two unit vectors, which are those of the
channels one below the other; the angle of such a vector is at most that of its worst channel.) All
pairs above that bound are candidates; their r is then computed from the block means themselves, in
all flips and turns. A list that is full of candidates is searched again, deeper, until it is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._neighbours.searching import Resources, run_search
from likeness.errors import InputError
from likeness.similarity import apply_transform, correlation, correlation_mean
from likeness.types import TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness._neighbours.block_images import BlockImages
    from likeness.types import Floats, Image, Integers, Transform

FIRST_DEPTH: Final = 8
DEEPEST: Final = 10_000
"""Candidates of one image that are looked at."""
ROUGH_ANGLE: Final = 0.02
"""References that rounding turns by more are searched apart, so that they loosen no other bound."""
_SLACK: Final = 1e-6
"""Radians; far above what float64 loses on the way, far below what it would add in work."""
_LIST_BYTES: Final = 256 << 20
_ENTRY_BYTES: Final = 150
"""Of one listed image while a search runs."""
_PAIRS_AT_ONCE: Final = 128


@dataclass(frozen=True)
class NearPairs:
    """Pairs whose similarity is at least the limit, by query, then by reference."""

    query: Integers
    """(p,)."""
    reference: Integers
    """(p,)."""
    transform: NDArray[np.int8]
    """(p,) what lays the query on the reference, into `TRANSFORMS`."""
    similarity: Floats
    """(p,) r_ch of the block means."""
    correlation: Floats
    """(p,) r_cat at full size, laid in the same way."""
    correlation_mean: Floats
    """(p,) r_ch at full size, laid in the same way."""
    num_compared: int
    """Pairs that were compared."""
    num_candidates: int
    """Pairs that were computed anew from the block means."""
    unfinished: Integers
    """(u,) queries with more candidates than `DEEPEST`: not all of theirs are listed."""
    engine: str

    def __len__(self) -> int:
        return len(self.query)


def find_near(
    queries: BlockImages,
    references: BlockImages,
    *,
    limit: float,
    own: NDArray[np.int32],
    transforms: tuple[Transform, ...],
    resources: Resources,
    checkpoint: Path,
) -> NearPairs:
    """Find all pairs of almost equal pictures.

    Parameters
    ----------
    queries, references
        May be the same; each pair then comes once, with the lower index as query.
    limit
        In (0, 1].
    own
        (n,) for each query the patient of the references that it is not compared with; -1 for
        none.
    transforms
        Flips and turns that are tried.
    resources, checkpoint
        For the searches.

    Raises
    ------
    LikenessError
        As `likeness.search.search`.
    """
    found: set[tuple[int, int]] = set()
    unfinished: set[int] = set()
    compared, engine = 0, ""
    same = queries is references
    for name, rows in _classes(references):
        part = references if rows is None else references.subset(rows)
        # Codes of a subset are counted anew; the own patients are given in its coding.
        own_there = own if rows is None else _recoded(own, references, rows)
        bound = _bounds(queries.angle, float(part.angle.max()), limit)
        todo = np.arange(len(queries))
        depth = min(FIRST_DEPTH, len(part))
        while len(todo):
            deeper = []
            for number, chunk in enumerate(_chunks(todo, depth)):
                result = run_search(
                    queries if len(chunk) == len(queries) else queries.subset(chunk),
                    part,
                    transforms=transforms,
                    resources=resources,
                    checkpoint=checkpoint / f"{name}-{depth}-{number}",
                    top_k=depth,
                    own=own_there[chunk],
                )
                engine = result.engine
                if depth == min(FIRST_DEPTH, len(part)):
                    compared += result.num_pairs
                value = np.nan_to_num(result.top_mean.correlation_mean, nan=-2.0)
                listed = value >= bound[chunk, None]
                for i, j in zip(*np.nonzero(listed), strict=True):
                    query = int(chunk[i])
                    reference = int(result.top_mean.reference_index[i, j])
                    if rows is not None:
                        reference = int(rows[reference])
                    pair = (query, reference)
                    found.add((min(pair), max(pair)) if same else pair)
                deeper.append(chunk[listed[:, -1]])
            todo = np.concatenate(deeper)
            if depth in (len(part), DEEPEST):
                unfinished.update(todo.tolist() if depth < len(part) else ())
                break
            depth = min(depth * 8, DEEPEST, len(part))
    pairs = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    return _refine(
        queries,
        references,
        pairs,
        limit=limit,
        transforms=transforms,
        num_compared=compared // 2 if same else compared,
        unfinished=np.array(sorted(unfinished), dtype=np.int64),
        engine=engine,
    )


def _classes(references: BlockImages) -> Iterator[tuple[str, Integers | None]]:
    rough = references.angle > ROUGH_ANGLE
    if rough.all() or not rough.any():
        yield "all", None
        return
    yield "fine", np.flatnonzero(~rough)
    yield "rough", np.flatnonzero(rough)


def _recoded(own: NDArray[np.int32], references: BlockImages, rows: Integers) -> NDArray[np.int32]:
    """Translate patient codes of the references into those of a part of them."""
    names = references.images.patient_names
    part = {name: code for code, name in enumerate(references.images.subset(rows).patient_names)}
    new = np.array([part.get(name, -1) for name in names], dtype=np.int32)
    return np.where(own < 0, -1, new[np.maximum(own, 0)]).astype(np.int32)


def _bounds(angles: Floats, worst: float, limit: float) -> Floats:
    """Return what the rounded r of each query must reach at least."""
    widest = math.acos(limit) + angles + worst + _SLACK
    bounds: Floats = np.cos(np.minimum(widest, math.pi))
    return bounds


def _chunks(rows: Integers, depth: int) -> Iterator[Integers]:
    """Cut queries so that the lists of one search stay small."""
    size = max(1, _LIST_BYTES // (_ENTRY_BYTES * (depth + 2)))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _refine(
    queries: BlockImages,
    references: BlockImages,
    pairs: Integers,
    *,
    limit: float,
    transforms: tuple[Transform, ...],
    num_compared: int,
    unfinished: Integers,
    engine: str,
) -> NearPairs:
    """Compute every candidate from the block means and keep those at or above the limit."""
    kept: list[tuple[int, int, int, float, float, float]] = []
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        first = _pixels(queries, part[:, 0])
        second = _pixels(references, part[:, 1])
        for query, reference in part.tolist():
            a, b = first[query], second[reference]
            best = _best(
                _block_means(queries, query, a), _block_means(references, reference, b), transforms
            )
            if best is None or best[0] < limit:
                continue
            turned = np.ascontiguousarray(apply_transform(a, TRANSFORMS[best[1]]))
            kept.append((query, reference, best[1], best[0], *_full_size(turned, b)))
    columns = list(zip(*kept, strict=True)) if kept else [()] * 6
    return NearPairs(
        query=np.array(columns[0], dtype=np.int64),
        reference=np.array(columns[1], dtype=np.int64),
        transform=np.array(columns[2], dtype=np.int8),
        similarity=np.array(columns[3], dtype=np.float64),
        correlation=np.array(columns[4], dtype=np.float64),
        correlation_mean=np.array(columns[5], dtype=np.float64),
        num_compared=num_compared,
        num_candidates=len(pairs),
        unfinished=unfinished,
        engine=engine,
    )


def _pixels(source: BlockImages, rows: Integers) -> dict[int, Image]:
    """Read some images, each once, with the compared channels."""
    distinct = np.unique(rows)
    taken = source.images.take(distinct)[:, list(source.channel_indices)]
    return {int(row): image for row, image in zip(distinct, taken, strict=True)}


def _block_means(source: BlockImages, row: int, image: Image) -> Floats:
    means = source.blocks.means(np.ascontiguousarray(image))
    means[~source.varies[row]] = 0.0  # constant there, constant here
    return means


def _best(
    first: Floats, second: Floats, transforms: tuple[Transform, ...]
) -> tuple[float, int] | None:
    """Return the highest r_ch and its transform; the earlier one on a tie."""
    best: tuple[float, int] | None = None
    for name in transforms:
        turned = np.ascontiguousarray(apply_transform(first, name))
        try:
            value = correlation_mean(turned, second)
        except InputError:  # no channel varies in both
            return None
        if best is None or value > best[0]:
            best = value, TRANSFORMS.index(name)
    return best


def _full_size(first: Image, second: Image) -> tuple[float, float]:
    try:
        return correlation(first, second), correlation_mean(first, second)
    except InputError:
        return math.nan, math.nan
