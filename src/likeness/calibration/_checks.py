"""Checks that several modules share, with messages that say what was expected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.errors import InputError, OptionError
from likeness.types import Integers


def checked_share(value: float, name: str, *, upper: float = 1.0) -> None:
    """Raise unless ``0 < value < upper``."""
    if not 0.0 < value < upper:
        msg = f"{name} is {value}; give a number between 0 and {upper:g}, both excluded."
        raise OptionError(msg)


def checked_groups(groups: NDArray[np.integer] | None, length: int, whose: str) -> Integers:
    """Return codes (length,) for the patients; every image its own patient if none are given."""
    if groups is None:
        return np.arange(length, dtype=np.int64)
    codes = np.asarray(groups)
    if codes.shape != (length,):
        msg = (
            f"There are {length} {whose} images, but patients for an array of shape "
            f"{codes.shape}; give one patient per image."
        )
        raise InputError(msg)
    return codes.astype(np.int64)


def checked_counts(found: int, total: int, what: str) -> None:
    """Raise unless ``0 <= found <= total`` and ``total >= 1``."""
    if total < 1 or not 0 <= found <= total:
        msg = f"{found} of {total} {what}: the first must be between 0 and the second, at least 1."
        raise InputError(msg)
