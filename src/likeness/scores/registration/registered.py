"""Ranking the patients of every query after registration.

Per query: candidates from the search of all pairs and from other rankings; alignment of all of them
on coarse blocks; alignment of the best on the grid of decisions; correlation of slopes over the
part of the frame that both show. Every step is per query and per pair, so a query gives the same
numbers alone, in a set, and with any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT, Progress
from likeness.errors import MemoryBudgetError
from likeness.scores.ranking import PatientRanking
from likeness.scores.registration.features import FeatureMaker
from likeness.scores.registration.options import RegistrationOptions
from likeness.scores.registration.pairs import ReferenceSide, compare
from likeness.scores.registration.poses import PLACEMENT
from likeness.scores.registration.proposals import Proposer, proposed_pairs
from likeness.scores.registration.shortlist import FeatureIndex
from likeness.scores.unfinished import FORGETFUL, Unfinished
from likeness.search._threads import count_threads, single_blas_thread
from likeness.search.source import read_images
from likeness.similarity.transforms import possible_transforms
from likeness.types import TRANSFORMS

if TYPE_CHECKING:
    from likeness.scores.decision_scale import Decisions
    from likeness.search.source import ImageSource

_QUERIES_AT_ONCE: Final = 8
_LEAST_BLOCK, _LARGEST_BLOCK = 64, 512


def rank_registered(
    queries: ImageSource,
    references: ImageSource,
    query_scale: Decisions,
    reference_scale: Decisions,
    *,
    channels: tuple[int, ...],
    groups: NDArray[np.int32],
    excluded: NDArray[np.int32] | None = None,
    proposals: Sequence[PatientRanking] = (),
    depth: int = 10,
    options: RegistrationOptions | None = None,
    index: FeatureIndex | None = None,
    threads: int | None = None,
    memory_bytes: int = 1 << 30,
    state: Unfinished = FORGETFUL,
    progress: Progress = SILENT,
) -> PatientRanking:
    """Rank the groups of every query by their likeness after registration.

    Parameters
    ----------
    queries, references
        n and m images of one shape. The queries are read once more, at twice the decision grid.
    query_scale, reference_scale
        Their block means, of `channels`.
    channels
        Indices of the channels that are compared.
    groups
        (m,) exclusion group of every reference, at least 0.
    excluded
        (n,) group that a query must not meet, -1 for none; None for none at all.
    proposals
        Rankings of the same queries whose first images become candidates too. Where placement has
        one number, it is the index of the transform.
    depth
        Groups kept per query. Only candidates are ranked, so rows may end earlier.
    options
        None for the defaults.
    index
        Of the references, where it was made before; None: made here.
    threads
        None for all cores that this process may use.
    memory_bytes
        Limit for what is held beside the arguments and the result.
    state
        Where the state of a call that takes long is kept, so that one after a kill goes on.

    Returns
    -------
    PatientRanking
        Similarity: absolute `slope_correlation` over the shared part of the frame, never below that
        of the unmoved pair. Placement (6): angle, zoom, shift down, shift right
        (degrees, factor, pixels of the full-size image; see `Pose`), sign, index of the transform.

    Raises
    ------
    MemoryBudgetError
        If the features of the references alone exceed the limit.
    """
    options = options or RegistrationOptions()
    threads = count_threads(threads)
    _, height, width = queries.image_shape
    allowed = possible_transforms(TRANSFORMS, height, width)
    maker = FeatureMaker(reference_scale.shape, options)
    if index is None:
        index = FeatureIndex.of(reference_scale, options, threads=threads, progress=progress)
    poses = options.poses(height, width)
    block = _block(index, len(poses), threads, memory_bytes)
    proposer = Proposer(index, reference_scale.varies, groups, poses, options, block, allowed)
    side = ReferenceSide(reference_scale, height, width)
    count = len(queries)
    width_of_result = min(depth, int(groups.max()) + 1)
    similarity = np.full((count, width_of_result), np.nan)
    image = np.full((count, width_of_result), -1, dtype=np.int32)
    group = np.full((count, width_of_result), -1, dtype=np.int32)
    placement = np.zeros((count, width_of_result, PLACEMENT), dtype=np.float32)

    result = {"similarity": similarity, "image": image, "group": group, "placement": placement}
    ranked = state.resume((0, count), result)

    def rank(start: int) -> int:
        stop = min(start + _QUERIES_AT_ONCE, count)
        values_of = query_scale.read(start, stop)
        for row, pixels in enumerate(read_images(queries, start, stop, channels), start):
            values, varies = values_of[row - start], query_scale.varies[row]
            if not varies.any():
                continue
            posed = maker.posed(values, varies)
            pairs = proposed_pairs(proposals, row, options.proposed, allowed)
            own = -1 if excluded is None else int(excluded[row])
            candidates = proposer.candidates(posed, varies, own, pairs)
            if not len(candidates):
                continue
            found, where = compare(pixels, values, varies, side, candidates, groups, options)
            _fill(
                (similarity[row], group[row], image[row], placement[row]),
                found, where, candidates.image, groups,
            )  # fmt: skip
        return stop - start

    with (
        single_blas_thread(),
        ThreadPoolExecutor(threads) as pool,
        progress.task("registration", count) as task,
    ):
        task.advance(ranked)
        for done in pool.map(rank, range(ranked, count, _QUERIES_AT_ONCE)):
            ranked += done
            # Threads are at work on the rows behind these, which are ranked anew after a kill.
            state.keep((0, count), result, ranked)
            task.advance(done)
    return PatientRanking(similarity, group, image, placement)


def _block(index: FeatureIndex, poses: int, threads: int, memory_bytes: int) -> int:
    """How many references are multiplied at once."""
    free = memory_bytes - index.memory_bytes
    block = free // (threads * poses * 2 * np.dtype(np.float32).itemsize)
    if block < _LEAST_BLOCK:
        needed = memory_bytes - free + _LEAST_BLOCK * threads * poses * 8
        msg = (
            f"Registration needs {needed:,} bytes; the limit is {memory_bytes:,}. "
            "Allow more memory or fewer threads."
        )
        raise MemoryBudgetError(msg)
    return min(block, _LARGEST_BLOCK)


def _fill(
    row: tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]],
    found: NDArray[np.float64],
    where: NDArray[np.float64],
    image: NDArray[np.int32],
    groups: NDArray[np.int32],
) -> None:
    """Write the best image of each group, best group first."""
    similarity, group, best, placement = row
    column, met = 0, set()
    for k in np.lexsort((image, -found)).tolist():
        of = int(groups[image[k]])
        if of in met or column == len(similarity):
            continue
        met.add(of)
        similarity[column], group[column], best[column] = found[k], of, image[k]
        placement[column] = where[k]
        column += 1
