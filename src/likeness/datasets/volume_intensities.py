"""How the intensities of a volume become bytes: decided once, done slice by slice.

Most voxels of a head are air, and most slices are not kept. So a volume of whole numbers of at most
16 bits, which nearly all are, is counted, not sorted: its quantiles and its labels come from how
often each number occurs. What becomes of each number is then looked up. Other volumes go through
the same formulas voxel by voxel. The results are equal, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from likeness.datasets.transforms import relabel, rescale_intensity, to_uint8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.types import Integers

ToBytes: TypeAlias = Callable[["NDArray[Any]"], "NDArray[np.uint8]"]
"""Turns any part of a volume into bytes of the same shape."""

_PIECE: Final = 1 << 16
"""Voxels that are counted at once: they stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class Occurrences:
    """How often each number occurs in an array of whole numbers of at most 16 bits."""

    values: NDArray[Any]
    """The numbers, rising, of the type of the array."""
    counts: Integers
    """How often each occurs, at least once."""

    def quantile(self, share: float) -> float:
        """Return what `numpy.quantile` returns for the array, with linear interpolation."""
        ends = np.cumsum(self.counts)
        place = (int(ends[-1]) - 1) * share
        below = floor(place)
        around = np.searchsorted(ends, [below, min(below + 1, int(ends[-1]) - 1)], side="right")
        return float(np.quantile(self.values[around].astype(np.float64), place - below))


def occurrences(voxels: NDArray[Any]) -> Occurrences | None:
    """Count the numbers of an array that is not empty; None if it holds others."""
    if voxels.dtype.kind not in "iu" or voxels.dtype.itemsize > 2:
        return None
    # Numbers below zero count from the end of the table, as their bits do.
    flat = _in_memory_order(voxels).view(_unsigned(voxels.dtype))
    counts = np.zeros(1 << (8 * voxels.dtype.itemsize), dtype=np.int64)
    for start in range(0, len(flat), _PIECE):
        piece = flat[start : start + _PIECE]
        piece = piece[piece != 0]
        found = np.bincount(piece)
        counts[: len(found)] += found
    counts[0] = len(flat) - counts.sum()
    numbers = _all_numbers(voxels.dtype)
    present = np.flatnonzero(counts)
    present = present[np.argsort(numbers[present])]
    return Occurrences(numbers[present], counts[present])


def looked_up(dtype: np.dtype[Any], make: ToBytes, values: NDArray[Any]) -> ToBytes:
    """Return a function that looks up what `make` makes of each of some numbers.

    Parameters
    ----------
    dtype
        Whole numbers of at most 16 bits.
    values
        The only numbers that will be asked for.
    """
    unsigned = _unsigned(dtype)
    table = np.zeros(1 << (8 * dtype.itemsize), dtype=np.uint8)
    table[values.view(unsigned)] = make(values)
    return lambda part: table.take(part.view(unsigned))


def scaled_to_quantile(voxels: NDArray[Any], share: float) -> tuple[ToBytes, str]:
    """Map 0 to 0 and a quantile of a volume to 255; the second is a remark or empty."""
    known = occurrences(voxels)
    if known is None:
        flat = _in_memory_order(voxels)  # the order does not matter, and turning it would cost
        top, lowest = float(np.quantile(flat.astype(np.float64), share)), flat.min()
    else:
        top, lowest = known.quantile(share), known.values[0]
    if top <= 0:
        return lambda part: np.zeros(part.shape, np.uint8), "no intensity above zero"
    remark = "negative intensities became 0" if lowest < 0 else ""

    def make(part: NDArray[Any]) -> NDArray[np.uint8]:
        return rescale_intensity(part, 0.0, top)

    return (looked_up(voxels.dtype, make, known.values) if known else make), remark


def as_they_are(voxels: NDArray[Any]) -> ToBytes | tuple[float, float]:
    """Keep the intensities, if all are whole numbers from 0 to 255; else return their range."""
    flat = _in_memory_order(voxels)
    low, high = float(flat.min()), float(flat.max())
    if low < 0 or high > 255 or (voxels.dtype.kind == "f" and (flat != np.rint(flat)).any()):
        return low, high
    return to_uint8


def labels_of(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return the different numbers of an annotation, rising."""
    known = occurrences(voxels)
    return np.unique(_in_memory_order(voxels)) if known is None else known.values


def relabelled(voxels: NDArray[Any], found: NDArray[Any], mapping: dict[int, int]) -> ToBytes:
    """Replace the labels of an annotation, of which `found` are there; 0 stays 0.

    Raises
    ------
    OptionError
        If a label is not in the mapping, or is no whole number.
    """
    relabel(found, mapping)  # refuses

    def make(part: NDArray[Any]) -> NDArray[np.uint8]:
        return relabel(part, mapping)

    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= 2:
        return looked_up(voxels.dtype, make, found)
    return make


def _in_memory_order(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return all voxels in one row, as they lie in memory; a view wherever that is possible."""
    forward = tuple(slice(None, None, -1 if step < 0 else 1) for step in voxels.strides)
    return voxels[forward].ravel(order="K")


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"u{dtype.itemsize}")


def _all_numbers(dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return every number of a type, by its bits."""
    bits = np.arange(1 << (8 * dtype.itemsize), dtype=_unsigned(dtype))
    return bits.view(dtype)
