"""Checks and small conversions that several formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.readers._base import ReadOptions
    from likeness.readers._sources import Source

_KINDS = "buif"
_LARGEST_ITEM = 8  # float128 differs between machines


def check_page_size(
    source: Source, options: ReadOptions, *, height: int, width: int, values: int
) -> None:
    """Refuse a page by what its header says, before anything is allocated.

    Parameters
    ----------
    values
        How many numbers would be decoded at once, all channels and slices together.

    Raises
    ------
    UnreadableImageError
        ``bad_size``, ``too_many_pixels`` or ``too_large``.
    """
    if height < 1 or width < 1:
        source.refuse(
            "bad_size",
            f"the header says {height} rows and {width} columns; both must be at least 1",
        )
    if height * width > options.max_pixels:
        source.refuse(
            "too_many_pixels",
            f"the header says {height:,} x {width:,} = {height * width:,} pixels; the limit is "
            f"{options.max_pixels:,} (max_pixels)",
        )
    if values > options.max_values:
        source.refuse(
            "too_large",
            f"the header says {values:,} numbers; the limit is {options.max_values:,} (max_values)",
        )


def check_dtype(source: Source, dtype: np.dtype[Any]) -> None:
    """Refuse number types that no image has: complex, structured, text, dates.

    Raises
    ------
    UnreadableImageError
        ``object_array`` or ``dtype``.
    """
    if dtype.hasobject:
        source.refuse(
            "object_array",
            "the array holds pickled Python objects, which could run code and are never loaded; "
            "save it again as plain numbers",
        )
    if dtype.kind not in _KINDS or dtype.itemsize > _LARGEST_ITEM:
        source.refuse(
            "dtype",
            f"the number type is {dtype}; expected bool, integers or floats of at most 64 bits",
        )


def page_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the number type of the pages: native byte order, and uint8 for bool."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def owned(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that is C-contiguous, writable and native; bool becomes 0 and 255."""
    if array.dtype.kind == "b":
        # Not by multiplying: a file may hold other bytes than 0 and 1 as bool.
        return np.where(array.view(np.uint8) != 0, np.uint8(255), np.uint8(0))
    return np.array(array, dtype=page_dtype(array.dtype), order="C", copy=True, subok=False)


def check_finite(
    source: Source, values: NDArray[Any], options: ReadOptions
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Deal with NaN and infinities as `ReadOptions.nan` says, in place.

    Returns
    -------
    values
        The array that was given.
    notes
        How many numbers were replaced.

    Raises
    ------
    UnreadableImageError
        ``non_finite``, with the count.
    """
    if values.dtype.kind != "f":
        return values, ()
    finite = np.isfinite(values)
    bad = int(finite.size - np.count_nonzero(finite))
    if not bad:
        return values, ()
    if options.nan == "refuse":
        source.refuse(
            "non_finite",
            f"{bad:,} of {values.size:,} numbers are NaN or infinite; mend the file, or pass "
            "nan='zero' (likeness prepare ... --nan zero) to write 0 there",
        )
    values[~finite] = 0
    return values, (f"{bad:,} NaN or infinite numbers replaced by 0",)
