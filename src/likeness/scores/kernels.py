"""Loops that Numba compiles when they are first used, if it is installed (extra ``fast``).

They only make the same numbers faster; nothing is written to any cache. Compiling takes a second or
two, so small work does without.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(maxsize=1)
def compiled() -> Any:  # noqa: ANN401
    """Return the module of compiled functions, or None where Numba is absent or fails its test."""
    try:
        from likeness.scores import _compiled

        return _compiled if _compiled.self_test(np.random.default_rng(7)) else None
    except Exception:  # noqa: BLE001 - a broken optional library must not stop an audit
        return None
