"""Exact inner products of chosen pairs of vectors of whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores import kernels

if TYPE_CHECKING:
    from likeness.types import Floats, Integers

NEAR: Final = 8
"""Vectors of one side that stay in the processor's cache while pairs are multiplied."""


def cache_order(left: Integers, right: Integers) -> Integers:
    """Return the order in which pairs are best multiplied: a few on the right, all their left."""
    order: Integers = np.lexsort((right, left, right // NEAR))
    return order


def pair_products(
    queries: NDArray[Any], references: NDArray[Any], left: Integers, right: Integers
) -> Floats:
    """Multiply pair by pair, part by part.

    Parameters
    ----------
    queries, references
        (n, S, P) and (b, S, P) whole numbers, float32 or int32. Sums of absolute products stay
        below 2**53, so that they are exact in float64 in whatever order they are added up.
    left, right
        (p,) which query and which reference.

    Returns
    -------
    Floats
        (p, S).
    """
    out: Floats = np.empty((len(left), queries.shape[1]))
    if not len(left):
        return out
    fast = kernels.compiled()
    if fast is not None:
        fast.pair_products(queries, references, left, right, out)
        return out
    near = right // NEAR
    for block in np.unique(near):
        pairs = np.flatnonzero(near == block)
        rows, row = np.unique(left[pairs], return_inverse=True)
        columns, column = np.unique(right[pairs], return_inverse=True)
        mine = queries[rows].astype(np.float64).swapaxes(0, 1)
        theirs = references[columns].astype(np.float64).transpose(1, 2, 0)
        out[pairs] = (mine @ theirs)[:, row, column].T
    return out
