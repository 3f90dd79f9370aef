"""The floor that each query's lists will probably end above: a guess, which the search proves.

The images and patients that the low coefficients find best are looked at with the fine ones too.
That is nearly their correlation. What it lacks is the product of what both images have left, and
pictures that are alike are mostly alike in that too: how much is learned from the pixels of a few
of these pairs, as a share of the most that it could be. With it the 20th of a query is nearly what
its list ends with. What that saves, and how close a guess is, depends on the images and is never
relied upon.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.search.filter.bounds import Terms
from likeness.search.filter.chunks import one_behind_the_other
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
_ASKED: Final = 24
"""Queries of which some pairs are looked at pixel by pixel."""
_PAIRS_EACH: Final = 8
"""How many pairs of each."""


@dataclass(frozen=True)
class Known:
    """What is known of the m references."""

    terms: Terms
    codes: Integers
    """(m,) of patients, -2 where an image has no correlation."""
    num_patients: int
    read: Callable[[str, int, int], NDArray[Any]]
    """Reads a field of the coarse level: field, first row, end."""


def guess_floors(
    queries: Turned,
    tables: tuple[NDArray[np.float32], NDArray[np.float32]],
    known: Known,
    excluded: Integers,
    options: SearchOptions,
    correlate: Callable[[int, Integers], Floats],
    pool: Executor,
) -> Floats:
    """Return (w, 2) floors for r of all channels and for the mean over channels.

    Parameters
    ----------
    tables
        (w, m) estimates of both.
    excluded
        (w,) a code that a query must not meet, -3 where it has no correlation itself.
    correlate
        Returns both correlations (p, 2) of a query and some references.
    """
    width, count = tables[0].shape
    terms, codes = known.terms, known.codes
    images = min(int(_MORE_IMAGES * options.top_k), count)
    places = images + options.top_patients + _MORE_PATIENTS
    likely = np.empty((width, 2 * places), dtype=np.int64)

    def list_likely(start: int) -> None:
        rows = slice(start, start + _ROWS)
        for which, table in enumerate(tables):
            compiled().list_likely(
                table[rows], codes, excluded[rows], images, known.num_patients,
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
            values[pairs] += _bands(queries, known, here, mine, start, stop)

    list(pool.map(sharpen, range(len(starts) - 1)))
    begins = np.searchsorted(right, np.arange(width + 1))
    rests = _rests(queries.terms, terms, right, left)
    values += _share_of_rests(values, rests, begins, left, images, correlate) * rests
    floors = np.empty((width, 2))
    compiled().kth_values(values, codes[left], begins, options.top_k, options.top_patients, floors)
    return floors - ALLOWANCE


def _bands(
    queries: Turned,
    known: Known,
    left: Integers,
    right: Integers,
    start: int,
    stop: int,
) -> Floats:
    """Return (p, 2) what the bands add to both estimates of pairs."""
    gains, terms = np.zeros((len(left), 2)), known.terms
    mine, theirs = queries.terms.first, np.ascontiguousarray(terms.first[start:stop].T)
    mixed = queries.terms.mixed or terms.mixed
    for k, steps in enumerate(queries.bands):
        stored = known.read(f"fine_{k + 1}", start, stop)
        channels, size = stored.shape[1:]
        if not size:
            break
        sums = np.zeros((len(left), channels), dtype=np.int64)
        compiled().pair_products(
            stored.reshape(len(stored), -1), steps, one_behind_the_other(channels, size),
            np.arange(channels), left, right, TILE, sums,
        )  # fmt: skip
        compiled().add_band(
            sums, left, right, mine, theirs, mixed, queries.terms.bands[k],
            np.ascontiguousarray(terms.bands[k][start:stop].T), gains,
        )  # fmt: skip
    return gains


def _rests(mine: Terms, theirs: Terms, right: Integers, left: Integers) -> Floats:
    """Return (p, 2) the most that the rests after the last band can add to both estimates."""
    channels = mine.varies.shape[1]
    norms = slice(channels, 2 * channels)
    rest = mine.bands[-1][right, norms] * theirs.bands[-1][left, norms]
    weight = mine.first[right, :channels].astype(np.float64) * theirs.first[left, :channels]
    shared = (mine.varies[right] & theirs.varies[left]).sum(axis=1)
    return np.stack([(weight * rest).sum(axis=1), rest.sum(axis=1) / np.maximum(shared, 1)], axis=1)


def _share_of_rests(
    values: Floats,
    rests: Floats,
    begins: Integers,
    left: Integers,
    images: int,
    correlate: Callable[[int, Integers], Floats],
) -> Floats:
    """Return (2,) which share of the most that rests could add they mostly do add.

    Learned from the likeliest pairs of some queries; 0 where there are none.
    """
    asked = np.flatnonzero(np.diff(begins))
    asked = asked[np.linspace(0, len(asked) - 1, min(_ASKED, len(asked))).astype(np.int64)]
    shares = []
    for query in asked:
        pairs = np.arange(begins[query], begins[query + 1])
        pairs = pairs[np.argsort(-values[pairs, 0], kind="stable")][:images]
        pairs = np.sort(pairs[:: -(-len(pairs) // _PAIRS_EACH)])
        more = correlate(int(query), left[pairs]) - values[pairs]
        shares.append(more / np.maximum(rests[pairs], np.finfo(np.float64).tiny))
    if not shares:
        return np.zeros(2)
    middle: Floats = np.median(np.concatenate(shares), axis=0)
    return np.clip(middle, -1.0, 1.0)
