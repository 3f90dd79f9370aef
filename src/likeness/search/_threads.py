"""How many threads, and keeping NumPy's BLAS from starting more.

The search has threads of its own, each of which multiplies. If the BLAS behind NumPy started a set
of threads for every one of them, they would fight over the cores; so it is asked for one thread
while a search runs, and set back afterwards. A BLAS that cannot be asked is left alone: slower, not
wrong.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYMBOLS: Final = (
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)


def count_threads(threads: int | None) -> int:
    """Return how many threads to use: `threads`, or all cores this process may use.

    Raises
    ------
    OptionError
        If `threads` is less than 1.
    """
    if threads is None:
        affinity = getattr(os, "sched_getaffinity", None)  # Linux: what a container allows
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if threads < 1:
        msg = f"--threads must be at least 1; got {threads}."
        raise OptionError(msg)
    return threads


@contextmanager
def single_blas_thread() -> Iterator[None]:
    """Keep NumPy's matrix products to the calling thread."""
    functions = _blas_functions()
    if functions is None:
        yield
        return
    get, put = functions
    before = int(get())
    put(1)
    try:
        yield
    finally:
        put(before)


@lru_cache(maxsize=1)
def _blas_functions() -> tuple[Any, Any] | None:
    """Find the OpenBLAS that NumPy's wheels bring with them."""
    home = Path(np.__file__).parent
    for folder in (home.parent / "numpy.libs", home / ".libs", home / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")) if folder.is_dir() else ():
            try:
                library = ctypes.CDLL(str(path))
            except OSError:
                continue
            for symbol in _SYMBOLS:
                get = getattr(library, symbol.format("get"), None)
                put = getattr(library, symbol.format("set"), None)
                if get is not None and put is not None:
                    get.restype, put.argtypes = ctypes.c_int, [ctypes.c_int]
                    return get, put
    return None
