"""What the families share that skip pairs by a bound.

A ranking needs the best image of each of the first groups. A pair whose bound stays below the best
image of its group so far, or below the last of the groups that are kept, changes nothing. To begin
with something, the most promising image of each of the most promising groups is compared first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from likeness.scores.groups import GroupTable
    from likeness.types import Floats, Integers

_FEWEST: Final = 1024
"""References: axes are sought in as many."""
_PAIRS_OF_AXES, _PAIRS_OF_A_REFERENCE = 1_000_000, 250
"""Exact comparisons in whose time the axes of an index are found and one reference is described."""
EVERY: Final = 4
"""For a start every so many references are looked at: slices resemble their neighbours."""
SPARE: Final = 8
"""Groups that are compared first, beyond those that are kept."""
FLOORS_EVERY: Final = 8
"""Blocks after which it is looked up again what the last group that is kept has reached."""


def index_pays(queries: int, references: int) -> bool:
    """Whether bounds save more than making an index of the references costs."""
    cost = _PAIRS_OF_AXES + _PAIRS_OF_A_REFERENCE * references
    return references >= _FEWEST and queries * references > cost


def needed(
    table: GroupTable, floors: Floats, rows: slice, groups: NDArray[np.int32]
) -> tuple[Floats, Integers]:
    """Return what pairs of some queries and references must reach, as values and columns.

    Parameters
    ----------
    floors
        (n,) what the last group that is kept has reached.
    groups
        (b,) group number of each reference.

    Returns
    -------
    values, column
        (n', k) and (b,): ``values[:, column]`` is what each pair must reach; NaN, which nothing
        does, where the group must not be met.
    """
    low, high = int(groups.min()), int(groups.max()) + 1
    return np.maximum(table.best[rows, low:high], floors[rows, None]), groups.astype(np.int64) - low


def first_groups(value: Floats, image: NDArray[np.int32], kept: int) -> tuple[Integers, Integers]:
    """Return (query, image) of the `kept` highest of every row (n, K); NaN and -inf are none."""
    known = np.where(np.isnan(value), -np.inf, value)
    kept = min(kept, known.shape[1])
    places = np.argpartition(-known, kept - 1, axis=1)[:, :kept]
    rows = np.repeat(np.arange(len(known)), kept)
    columns = places.reshape(-1)
    there = known[rows, columns] > -np.inf
    return rows[there], image[rows[there], columns[there]].astype(np.int64)
