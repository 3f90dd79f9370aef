"""The filter as the search calls it: the coarse level of the references, and one block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.search._block import BlockState, Job, run_block
from likeness.search.filter import kernels

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress, Task
    from likeness.datasets.derived import Rows
    from likeness.search.source import ImageSource


def coarse_rows(
    references: ImageSource, *, work: Path | None, progress: Progress
) -> dict[str, Rows] | None:
    """Return the coarse level of the references, made now or found with the set.

    None where compiled loops are not available.
    """
    if not kernels.available():
        return None
    from likeness.datasets.derived import derived_rows
    from likeness.search.filter.coarse import VERSION, make_rows
    from likeness.search.filter.sizes import BANDS, LOW

    return derived_rows(
        references,
        "coarse",
        {"version": VERSION, "low": LOW, "bands": list(BANDS)},
        make_rows,
        work=None if work is None else work / "coarse",
        progress=progress,
    )


def run_filtered(state: BlockState, job: Job, rows: dict[str, Rows], task: Task) -> int:
    """Fill the state; return how many pairs were compared exactly."""
    from likeness.search.filter.run import DoesNotPayError, FilteredBlock

    block = FilteredBlock(state, job, rows)
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
