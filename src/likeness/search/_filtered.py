"""The filter as the search calls it: the coarse level of the references, and one block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likeness.search._block import BlockState, Job, run_block
from likeness.search.filter import kernels

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress, Task
    from likeness.search.filter.coarse import CoarseLevel
    from likeness.search.source import ImageSource


def coarse_level(
    references: ImageSource, *, work: Path | None, progress: Progress
) -> CoarseLevel | None:
    """Return the coarse level of the references, made now or found with the set.

    None where compiled loops are not available.
    """
    if not kernels.available():
        return None
    from likeness.datasets.derived import SharedArrays, derived_rows
    from likeness.search.filter.coarse import VERSION, CoarseLevel, make_rows
    from likeness.search.filter.sizes import BANDS, LOW
    from likeness.search.filter.window import window_of

    shared = SharedArrays(lambda rows: {"window": np.array(window_of(rows))}, personal=False)

    def window() -> tuple[int, int]:
        rows, columns = shared.arrays["window"].tolist()
        return rows, columns

    rows = derived_rows(
        references,
        "coarse",
        {"version": VERSION, "low": LOW, "bands": list(BANDS)},
        lambda images: make_rows(images, window()),
        shared=shared,
        work=None if work is None else work / "coarse",
        progress=progress,
    )
    return CoarseLevel(window(), rows)


def run_filtered(state: BlockState, job: Job, level: CoarseLevel, task: Task) -> int:
    """Fill the state; return how many pairs were compared exactly."""
    from likeness.search.filter.run import DoesNotPayError, FilteredBlock

    block = FilteredBlock(state, job, level)
    try:
        block.run(task.advance)
    except DoesNotPayError:
        fresh = BlockState(state.start, state.stop, job)
        run_block(fresh, job, lambda _, count: task.advance((state.stop - state.start) * count))
        vars(state).update(vars(fresh))
        return (state.stop - state.start) * len(job.references)
    highest = float(state.tops[0].value.max())
    task.note(f"highest r {highest:.4f}")
    return block.survivors
