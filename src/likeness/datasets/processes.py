"""Processes that decode, started early and lent to whoever needs them.

A process takes some tenths of a second to load what it needs. `processes_started` lets it do so
while the folder is still being looked through.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Final

_started: ContextVar[ProcessPoolExecutor | None] = ContextVar("_started", default=None)

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""glibc's names for what `mallopt` sets."""
_KEPT_BYTES: Final = 64 << 20


@contextmanager
def processes_started(jobs: int, module: str) -> Iterator[None]:
    """Start the processes for the calls of `decode_in_order` to come.

    Parameters
    ----------
    jobs
        Number of processes. With 1 there is nothing to start.
    module
        Where the decoder is likely to come from: they load it at once.
    """
    if jobs == 1:
        yield
        return
    executor = new_executor(jobs, _load, module)
    token = _started.set(executor)
    try:
        executor.submit(_ping)  # the first task starts all of them
        yield
    finally:
        _started.reset(token)
        executor.shutdown(wait=True, cancel_futures=True)


def lent_processes() -> ProcessPoolExecutor | None:
    """Return the processes that `processes_started` started, for other work of the meantime."""
    return _started.get()


def give_up_processes() -> None:
    """Have nobody use them any more: one of them died."""
    _started.set(None)


def new_executor(
    jobs: int, initializer: Callable[[Any], None], given: object
) -> ProcessPoolExecutor:
    """Start processes that share nothing with this one; each calls `initializer(given)`."""
    return ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=initializer,
        initargs=(given,),
    )


def keep_freed_memory() -> None:
    """Have the next image use the memory of the last, where this is glibc.

    Otherwise some megabytes go back to the system after every image and are asked for again, page
    by page, which costs a sixth of the decoding. These are the values that glibc comes to by itself
    in a process that has once freed an array of 32 MiB, so that this one may keep them.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
            mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)


def _load(module: str) -> None:
    import_module(module)
    keep_freed_memory()


def _ping() -> None:
    """Do nothing, in a process that has started then."""
