"""Keeping torch's products to the calling thread.

The search has threads of its own, each of which multiplies; torch would start a set of threads for
every one of them. ``torch.set_num_threads`` changes the whole process, and is not safe to set and
set back from several threads. But OpenMP, by which torch makes its threads, keeps the number for
each calling thread; so that is set, in the OpenMP that torch has loaded, and set back afterwards.
Where it cannot be found torch is left alone: slower, not wrong.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class OneThread:
    """Torch with one thread per caller."""

    def __init__(self, torch: Any) -> None:  # noqa: ANN401
        self._number_of_threads = torch.get_num_threads
        self._get: Any = None
        self._put: Any = None
        try:  # the search for a symbol goes on in the libraries that this one needs
            library = ctypes.CDLL(torch._C.__file__)
            self._get, self._put = library.omp_get_max_threads, library.omp_set_num_threads
        except (OSError, AttributeError, TypeError):
            return
        self._get.restype, self._put.argtypes = ctypes.c_int, [ctypes.c_int]
        self._put.restype = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Use one thread within the block, where the calling thread is concerned."""
        if self._put is None:
            yield
            return
        # Torch gives a thread its number when it first works there; that must not come in between.
        self._number_of_threads()
        before = self._get()
        self._put(1)
        try:
            yield
        finally:
            self._put(before)
