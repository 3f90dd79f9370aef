"""Compiled loops: products of chosen pairs, and passes over tables of estimates.

Compiled by Numba when first used. Products of bytes use the processor's instruction for them
(AVX-512 VNNI) where it is there and a trial gave the right sums; otherwise plain loops that the
compiler makes vector code of. Both are whole numbers: the same result.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np


def available() -> bool:
    """Whether Numba is installed and works."""
    return _load() is not None


@lru_cache(maxsize=1)
def _load() -> Any:  # noqa: ANN401
    try:
        from likeness.search.filter import _compiled
    except Exception:  # noqa: BLE001 - a broken optional library must not stop a search
        return None
    return _compiled if _compiled.self_test(np.random.default_rng(7)) else None


def compiled() -> Any:  # noqa: ANN401
    """Return the module of compiled functions; call only where `available`."""
    return _load()
