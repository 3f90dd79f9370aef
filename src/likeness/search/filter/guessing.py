"""The floor that each query's lists will probably end above: a guess, which the search proves.

The images and patients that the low coefficients find best are looked at with the fine ones too.
That is nearly their correlation, and the 20th of them nearly what the list ends with: a floor so
close leaves half as many pairs to compare as one from the low coefficients alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.search.filter.bounds import Terms
from likeness.search.filter.kernels import compiled
from likeness.search.filter.queries import Turned
from likeness.search.filter.sizes import READ, TILE
from likeness.search.options import SearchOptions
from likeness.types import Floats, Integers

ALLOWANCE: Final = 0.002
"""How far below what was found the guess lies. It changes the time, not the result."""
_MORE_IMAGES: Final = 1.5
"""Candidates per image that is wanted."""
_MORE_PATIENTS: Final = 2
_ROWS: Final = 64
"""Queries that a thread takes at once."""


def guess_floors(
    queries: Turned,
    tables: tuple[NDArray[np.float32], NDArray[np.float32]],
    terms: Terms,
    codes: Integers,
    excluded: Integers,
    num_patients: int,
    options: SearchOptions,
    read: Callable[[str, int, int], NDArray[Any]],
    pool: Executor,
) -> Floats:
    """Return (w, 2) floors for r of all channels and for the mean over channels.

    Parameters
    ----------
    tables
        (w, m) estimates of both.
    terms, codes
        Of the references; patients' codes (m,), -2 where an image has no correlation.
    excluded
        (w,) a code that a query must not meet, -3 where it has no correlation itself.
    read
        Reads a field of the references' coarse level: field, first row, end.
    """
    width, count = tables[0].shape
    images = min(int(_MORE_IMAGES * options.top_k), count)
    places = images + options.top_patients + _MORE_PATIENTS
    likely = np.empty((width, 2 * places), dtype=np.int64)

    def list_likely(start: int) -> None:
        rows = slice(start, start + _ROWS)
        for which, table in enumerate(tables):
            compiled().list_likely(
                table[rows], codes, excluded[rows], images, num_patients,
                likely[rows, which * places : (which + 1) * places],
            )  # fmt: skip

    list(pool.map(list_likely, range(0, width, _ROWS)))
    likely.sort(axis=1)
    likely[:, 1:][likely[:, 1:] == likely[:, :-1]] = -1
    right, columns = np.nonzero(likely >= 0)
    left = likely[right, columns]
    values = np.stack([table[right, left] for table in tables], axis=1).astype(np.float64)
    order = np.lexsort((left, right, left // TILE))
    step = -(-READ // TILE) * TILE
    starts = np.arange(0, count + step, step)
    edges = np.searchsorted(left[order] // TILE, starts // TILE)

    def sharpen(number: int) -> None:
        pairs = order[edges[number] : edges[number + 1]]
        if len(pairs):
            start, stop = int(starts[number]), min(int(starts[number + 1]), count)
            here, mine = left[pairs] - start, right[pairs]
            values[pairs] += _bands(queries, terms, here, mine, start, stop, read)

    list(pool.map(sharpen, range(len(starts) - 1)))
    floors = np.empty((width, 2))
    begins = np.searchsorted(right, np.arange(width + 1))
    compiled().kth_values(values, codes[left], begins, options.top_k, options.top_patients, floors)
    return floors - ALLOWANCE


def _bands(
    queries: Turned,
    terms: Terms,
    left: Integers,
    right: Integers,
    start: int,
    stop: int,
    read: Callable[[str, int, int], NDArray[Any]],
) -> Floats:
    """Return (p, 2) what the bands add to both estimates of pairs."""
    gains = np.zeros((len(left), 2))
    mine, theirs = queries.terms.first, np.ascontiguousarray(terms.first[start:stop].T)
    mixed = queries.terms.mixed or terms.mixed
    for k, steps in enumerate(queries.bands):
        stored = read(f"fine_{k + 1}", start, stop)
        channels, size = stored.shape[1:]
        if not size:
            break
        sums = np.zeros((len(left), channels), dtype=np.int64)
        compiled().pair_products(
            stored.reshape(len(stored), -1), steps, np.arange(channels + 1) * size,
            np.arange(channels), left, right, TILE, sums,
        )  # fmt: skip
        compiled().add_band(
            sums, left, right, mine, theirs, mixed, queries.terms.bands[k],
            np.ascontiguousarray(terms.bands[k][start:stop].T), gains,
        )  # fmt: skip
    return gains
