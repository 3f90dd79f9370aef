"""Making rows for many images with several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from likeness.search._threads import single_blas_thread

_AT_ONCE = 64

_In = TypeVar("_In")
_Out = TypeVar("_Out")
Rows = dict[str, NDArray[Any]]


def in_threads(function: Callable[[_In], _Out], items: Iterable[_In], threads: int) -> list[_Out]:
    """Return what a function gives for each item; NumPy's BLAS keeps to the calling thread."""
    with single_blas_thread(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


class InThreads:
    """A function of images as `derived_rows` wants it, for some images at a time in each thread."""

    def __init__(self, function: Callable[[NDArray[Any]], Rows], threads: int) -> None:
        self._function, self._threads = function, threads

    def __call__(self, images: NDArray[Any]) -> Rows:
        """Return the rows of images (n, ...), by field."""
        parts = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
        made = in_threads(self._function, parts, self._threads)
        return {field: np.concatenate([rows[field] for rows in made]) for field in made[0]}
