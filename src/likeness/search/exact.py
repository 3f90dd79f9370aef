"""The search: plan, run block by block, put the result together."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.errors import OptionError
from likeness.search._assemble import Assembly
from likeness.search._block import BlockState, Job, run_block
from likeness.search._checkpoint import Checkpoint
from likeness.search._filtered import coarse_level, run_filtered
from likeness.search._levels import build_level
from likeness.search._threads import single_blas_thread
from likeness.search.engines import EngineChoice, choose_engine
from likeness.search.options import SearchOptions
from likeness.search.plan import DEFAULT_MEMORY, Method, plan_search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likeness._progress import Progress, Task
    from likeness.search.engines import Engine
    from likeness.search.result import SearchResult
    from likeness.search.source import ImageSource
    from likeness.types import Integers


def search(
    queries: ImageSource,
    references: ImageSource,
    *,
    options: SearchOptions | None = None,
    engine: Engine | EngineChoice | str = "auto",
    memory_bytes: int = DEFAULT_MEMORY,
    threads: int | None = None,
    query_groups: NDArray[np.integer] | Integers | None = None,
    method: Method = "auto",
    progress: Progress = SILENT,
    checkpoint: Path | None = None,
) -> SearchResult:
    """Compare every query with every reference and keep the most correlated.

    The result depends on the images and `options` alone: `engine`, `memory_bytes`, `threads`,
    `method` and an interruption change no bit of it.

    Parameters
    ----------
    queries, references
        Sets of images of the same shape, channels and number type.
    options
        What to search for; None for the defaults.
    engine
        ``auto`` for the fastest engine that passes its self-test here, the name of one, or an
        engine of your own. Only 8-bit images are compared by engines.
    memory_bytes
        What the whole process may need at most, besides images that the caller holds in memory;
        the queries are taken in blocks accordingly.
    threads
        None for all cores that this process may use.
    query_groups
        (n,) for each query, the patient in the coding of `references` whose images it must not meet
        (its own, where the queries are references themselves), or -1 for none. None for none at
        all.
    method
        ``brute force`` compares every pair at full size; ``filter`` skips those that provably
        cannot be listed; ``auto`` chooses.
    progress
        Where to tell how far the search has come, in pairs.
    checkpoint
        A folder for intermediate states; a search that was killed goes on from there.

    Returns
    -------
    SearchResult
        See there.

    Raises
    ------
    ImageMismatchError, NoImagesError, InputError
        If the sets cannot be compared, or a pixel is not finite.
    OptionError, MissingExtraError
        If an option is out of range, or an engine cannot be used.
    MemoryBudgetError
        If even the smallest plan needs more than `memory_bytes`.
    OutputError
        If the intermediate state cannot be written.
    """
    began = time.monotonic()
    options = options or SearchOptions()
    choice = engine if isinstance(engine, EngineChoice) else choose_engine(engine, threads)
    if method == "auto" and choice.name.startswith("torch-cuda"):
        method = "brute force"  # the filter's loops run on the processor
    plan = plan_search(
        queries,
        references,
        options=options,
        memory_bytes=memory_bytes,
        threads=threads,
        method=method,
    )
    own = _own_patients(query_groups, len(queries))
    compared = 0
    level = build_level(choice.engine, queries.dtype, plan.image_shape)
    with (
        single_blas_thread(),
        ThreadPoolExecutor(plan.threads, thread_name_prefix="likeness-search") as pool,
        ThreadPoolExecutor(1, thread_name_prefix="likeness-read") as reader,
    ):
        coarse = None
        if plan.method == "filter":
            coarse = coarse_level(references, work=checkpoint, progress=progress)
        if plan.method == "filter" and coarse is None:  # no compiled loops on this machine
            plan = plan_search(
                queries,
                references,
                options=options,
                memory_bytes=memory_bytes,
                threads=threads,
                method="brute force",
            )
        assembly = Assembly(options, plan)
        job = Job(queries, references, own, options, plan, level, pool, reader)
        store = Checkpoint(checkpoint, job)
        done = store.finished()
        remaining = len(queries) - sum(state.stop - state.start for state in done)
        for state in done:
            assembly.add(state)
        gaps = _gaps([(state.start, state.stop) for state in done], len(queries))
        del done
        with progress.task("search", remaining * len(references), unit="pairs") as task:
            for state in _blocks(gaps, store.partial(), job):
                if coarse is not None and not state.position:
                    compared += run_filtered(state, job, coarse, task)
                else:
                    _run(state, job, store, task)
                    compared += (state.stop - state.start) * len(references)
                store.save_finished(state)
                assembly.add(state)
    return assembly.result(
        choice=choice,
        compared=compared,
        pairs=_count_pairs(assembly, references.patient_codes, own),
        seconds=time.monotonic() - began,
    )


def _run(state: BlockState, job: Job, store: Checkpoint, task: Task) -> None:
    count = state.stop - state.start
    if state.position:
        task.advance(count * state.position)

    def after_tile(state: BlockState, references: int) -> None:
        store.save_partial(state)
        highest = float(state.tops[0].value.max())
        if np.isfinite(highest):
            task.note(f"highest r {highest:.4f}")
        task.advance(count * references)

    run_block(state, job, after_tile)


def _own_patients(
    query_groups: NDArray[np.integer] | Integers | None, count: int
) -> NDArray[np.int32] | None:
    if query_groups is None:
        return None
    own = np.asarray(query_groups)
    if own.shape != (count,) or own.dtype.kind not in "iu":
        msg = (
            f"query_groups must hold one whole number for each of {count} queries; got shape "
            f"{own.shape} of {own.dtype}."
        )
        raise OptionError(msg)
    return own.astype(np.int32)


def _gaps(done: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Return the ranges of queries that no finished block covers."""
    gaps, position = [], 0
    for start, stop in done:
        if position < start:
            gaps.append((position, start))
        position = stop
    if position < count:
        gaps.append((position, count))
    return gaps


def _blocks(
    gaps: list[tuple[int, int]], partial: BlockState | None, job: Job
) -> Iterator[BlockState]:
    """Cut the gaps into blocks, with the block that was at work, where it still fits, as it was."""
    size = job.plan.query_block
    for start, stop in gaps:
        resumed = None
        if (
            partial is not None
            and start <= partial.start
            and partial.stop <= stop
            and partial.stop - partial.start <= size
        ):
            resumed, partial = partial, None
            yield resumed
        around = [(start, stop)]
        if resumed is not None:
            around = [(start, resumed.start), (resumed.stop, stop)]
            resumed = None
        for low, high in around:
            for i in range(low, high, size):
                yield BlockState(i, min(i + size, high), job)


def _count_pairs(
    assembly: Assembly, codes: NDArray[np.int32], own: NDArray[np.int32] | None
) -> int:
    queries, references = ~assembly.undefined_queries, ~assembly.undefined_references
    pairs = int(queries.sum()) * int(references.sum())
    if own is None:
        return pairs
    per_patient = np.bincount(codes[references], minlength=int(codes.max()) + 1)
    met = own[queries]
    return pairs - int(per_patient[met[(met >= 0) & (met < len(per_patient))]].sum())
