"""One block of queries against all references, tile by tile."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likeness.search._candidates import needed_by_lists
from likeness.search._running import (
    ABSENT,
    Best,
    RankedImages,
    RankedPatients,
    RunningIdentity,
    Segments,
)
from likeness.search.source import read_images
from likeness.types import TRANSFORMS, Flags, Floats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likeness.search._level import Level
    from likeness.search.options import SearchOptions
    from likeness.search.plan import SearchPlan
    from likeness.search.source import ImageSource

_PIECES_PER_THREAD = 4


@dataclass(frozen=True)
class Job:
    """What is the same for all blocks of a search."""

    queries: ImageSource
    references: ImageSource
    query_groups: NDArray[np.int32] | None
    options: SearchOptions
    plan: SearchPlan
    level: Level
    pool: ThreadPoolExecutor
    reader: ThreadPoolExecutor


class BlockState:
    """Everything found so far for queries `start` to `stop`.

    In each pair the first maximises r_cat, the second r_ch.
    """

    def __init__(self, start: int, stop: int, job: Job) -> None:
        count = stop - start
        self.start, self.stop = start, stop
        self.position = 0
        """References done."""
        self.undefined_queries: Flags = np.zeros(count, dtype=np.bool_)
        self.undefined_references: Flags = np.zeros(len(job.references), dtype=np.bool_)
        k, people = job.options.top_k, job.options.top_patients
        self.tops = (RankedImages(count, k), RankedImages(count, k))
        self.patients = (RankedPatients(count, people), RankedPatients(count, people))
        self.identities = (RunningIdentity(count), RunningIdentity(count))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name; they are the state itself, not copies."""
        found: dict[str, NDArray[Any]] = {
            "undefined_queries": self.undefined_queries,
            "undefined_references": self.undefined_references,
        }
        for kind in ("tops", "patients", "identities"):
            for i, running in enumerate(getattr(self, kind)):
                for name, array in vars(running).items():
                    found[f"{kind}_{i}_{name}"] = array
        return found


@dataclass(frozen=True)
class _Group:
    """Queries that one thread multiplies at once."""

    rows: slice
    """Within the block."""
    ready: Any
    patients: NDArray[np.int32] | None
    """(w,) the own patient of each, whose references it never meets."""


@dataclass(frozen=True)
class _Tile:
    first: int
    codes: NDArray[np.int32]
    segments: Segments
    ready: Any


@dataclass
class _Chosen:
    """The best transform of each pair so far, (m, w) tables."""

    value: Floats
    other: Floats
    transform: NDArray[np.int8] = field(init=False)

    def __post_init__(self) -> None:
        self.value, self.other = self.value.copy(), self.other.copy()
        self.transform = np.zeros(self.value.shape, dtype=np.int8)  # identity is the first

    def consider(self, value: Floats, other: Floats, transform: int) -> None:
        better = value > self.value
        np.copyto(self.value, value, where=better)
        np.copyto(self.other, other, where=better)
        self.transform[better] = transform

    def best(self) -> Best:
        return Best(
            np.ascontiguousarray(self.value.T),
            np.ascontiguousarray(self.other.T),
            np.ascontiguousarray(self.transform.T),
        )


def run_block(state: BlockState, job: Job, after_tile: Callable[[BlockState, int], None]) -> None:
    """Search for the queries of a block, from where its state stands to the last reference.

    `after_tile` is called with the state and the number of references just done.
    """
    groups = list(job.pool.map(lambda rows: _pack(state, job, rows), _group_rows(state, job)))
    for tile in _tiles(state.position, job):
        stop = tile.first + len(tile.codes)
        state.undefined_references[tile.first : stop] = ~tile.ready.defined.image
        for _ in job.pool.map(partial(_compare, state, job, tile), groups):
            pass
        state.position = stop
        after_tile(state, len(tile.codes))


def _group_rows(state: BlockState, job: Job) -> list[slice]:
    count, width = state.stop - state.start, job.plan.group
    return [slice(i, min(i + width, count)) for i in range(0, count, width)]


def _pack(state: BlockState, job: Job, rows: slice) -> _Group:
    start, stop = state.start + rows.start, state.start + rows.stop
    images = read_images(job.queries, start, stop, job.plan.channels)
    ready = job.level.pack(images, job.plan.transforms)
    state.undefined_queries[rows] = ~ready.defined.image
    own = None if job.query_groups is None else job.query_groups[start:stop]
    return _Group(rows, ready, own)


def _tiles(position: int, job: Job) -> Iterator[_Tile]:
    """Read and prepare tiles one ahead of their use.

    The parts of the next tile queue up behind the comparisons with this one, so that a thread that
    is done early finds work.
    """
    total, size = len(job.references), job.plan.reference_block

    def coming(start: int) -> Future[_Tile] | None:
        return (
            job.reader.submit(_tile, job, start, min(start + size, total))
            if start < total
            else None
        )

    following = coming(position)
    while following is not None:
        tile = following.result()
        following = coming(tile.first + len(tile.codes))
        yield tile
        del tile  # before the one after next is read


def _tile(job: Job, start: int, stop: int) -> _Tile:
    def split(count: int, work: Callable[[int, int], None]) -> None:
        parts = min(count, _PIECES_PER_THREAD * job.plan.threads)
        edges = [i * count // parts for i in range(parts + 1)]
        for _ in job.pool.map(work, edges[:-1], edges[1:]):
            pass

    images = read_images(job.references, start, stop, job.plan.channels)
    ready = job.level.prepare(images, split)
    codes = job.references.patient_codes[start:stop]
    return _Tile(start, codes, Segments.of(codes), ready)


def _compare(state: BlockState, job: Job, tile: _Tile, group: _Group) -> None:
    excluded = None
    if group.patients is not None:
        own = tile.codes[:, None] == group.patients[None, :]
        excluded = own if own.any() else None
    rows, first = group.rows, tile.first
    needed = needed_by_lists(rows, tile.segments, state.tops, state.patients, state.identities)
    scores = job.level.scores(group.ready, tile.ready, excluded, needed)
    for which, chosen in enumerate(_choose(state, job, group, tile, scores)):
        state.tops[which].update(rows, chosen, first)
        state.patients[which].update_patients(rows, chosen, tile.segments, first)


def _choose(
    state: BlockState,
    job: Job,
    group: _Group,
    tile: _Tile,
    scores: Iterator[tuple[Floats, Floats]],
) -> tuple[Best, Best]:
    """Keep the best transform of every pair, by r_cat and by r_ch; the earlier one on a tie."""
    by_whole: _Chosen | None = None
    by_mean: _Chosen | None = None
    for name, (whole, mean) in zip(job.plan.transforms, scores, strict=True):
        if by_whole is None or by_mean is None:
            for running, values in zip(state.identities, (whole, mean), strict=True):
                running.update(group.rows, values.T, tile.first)
            by_whole, by_mean = _Chosen(whole, mean), _Chosen(mean, whole)
        else:
            by_whole.consider(whole, mean, TRANSFORMS.index(name))
            by_mean.consider(mean, whole, TRANSFORMS.index(name))
    assert by_whole is not None
    assert by_mean is not None
    return by_whole.best(), by_mean.best()


def absent_to_nan(values: Floats) -> Floats:
    """Turn the mark of absent values into NaN."""
    return np.where(values == ABSENT, np.nan, values)
