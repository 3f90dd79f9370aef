"""Decode units in several processes, in their own order, with bounded memory.

A process that dies (a decoder that crashes on a poisoned file, or the system short of memory)
costs its unit, never the run: the units that were under way are tried again one at a time, and the
one that kills its process again is left out as ``decoder_crashed``. Small units travel in chunks.

A process takes some tenths of a second to load what it needs. `processes_started` lets it do so
while the folder is still being looked through; the decoder, not known by then, comes with the
chunks.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from likeness.datasets.units import UnitReport, UnitResult, leave_out, run_unit
from likeness.errors import UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.datasets.units import Decoder, Unit

_CHUNKS_PER_WORKER = 3
"""Chunks under way per process: one being decoded, two waiting."""
_CHUNK_UNITS = 16
_CHUNK_BYTES = 1 << 20
"""Units that travel together, and the bytes of their files. One small image alone costs as much on
its way to another process and back as its decoding does."""
_LIGHT_BYTES = 4096
"""A decoder of so many bytes goes with each chunk; one that holds a table is sent once to each
process, as it starts."""

_started: ContextVar[ProcessPoolExecutor | None] = ContextVar("_started", default=None)


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
    executor = _new_executor(jobs, _load, module)
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


def decode_in_order(
    decoder: Decoder, units: Sequence[Unit], *, jobs: int, first: int = 0
) -> Iterator[UnitResult]:
    """Yield the result of every unit from number `first` on, in order.

    Parameters
    ----------
    decoder
        Picklable if `jobs` is more than 1.
    jobs
        Number of processes. With 1 everything happens in this one; so do streamed units always.
    """
    _keep_freed_memory()
    pool = _Pool(decoder, jobs) if jobs > 1 else None
    if pool is None or not pool.works():
        for index in range(first, len(units)):
            yield run_unit(decoder, units[index], index)
        return
    try:
        yield from pool.results(units, first)
    finally:
        pool.close()


_decoders: list[Decoder] = []
"""In a process of the pool: its decoder, where that was sent once."""


_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""glibc's names for what `mallopt` sets."""
_KEPT_BYTES: Final = 64 << 20


def _load(module: str) -> None:
    import_module(module)
    _keep_freed_memory()


def _take_decoder(decoder: Decoder | None) -> None:
    if decoder is not None:
        _decoders[:] = [decoder]
    _keep_freed_memory()


def _new_executor(
    jobs: int, initializer: Callable[[Any], None], given: object
) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=initializer,
        initargs=(given,),
    )


def _keep_freed_memory() -> None:
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


def _ping(decoder: Decoder | None = None) -> bool:
    return decoder is None or callable(decoder)


def _run_units(decoder: Decoder | None, chunk: list[tuple[int, Unit]]) -> list[UnitResult]:
    decoder = decoder or _decoders[0]
    return [run_unit(decoder, unit, index) for index, unit in chunk]


def _chunks(units: Sequence[Unit], first: int) -> Iterator[list[tuple[int, Unit]]]:
    """Cut the units into runs of small ones; a streamed unit stands alone."""
    chunk: list[tuple[int, Unit]] = []
    num_bytes = 0
    for index in range(first, len(units)):
        unit = units[index]
        size = sum(file.num_bytes for file in unit.files)
        full = len(chunk) == _CHUNK_UNITS or num_bytes + size > _CHUNK_BYTES
        if chunk and (full or unit.streamed or chunk[-1][1].streamed):
            yield chunk
            chunk, num_bytes = [], 0
        chunk.append((index, unit))
        num_bytes += size
    if chunk:
        yield chunk


_Waiting: TypeAlias = "tuple[list[tuple[int, Unit]], Future[list[UnitResult]] | None]"


class _Pool:
    def __init__(self, decoder: Decoder, jobs: int) -> None:
        self._decoder = decoder
        self._jobs = jobs
        light = len(ForkingPickler.dumps(decoder)) <= _LIGHT_BYTES
        self._sent = decoder if light else None
        """What goes with each chunk."""
        self._borrowed = _started.get() if light else None
        self._executor = self._borrowed or self._start(jobs)

    def works(self) -> bool:
        """Whether a process can be started and loads the decoder.

        From an interactive session it cannot; nor must a broken installation, which would break
        every process, be taken for a thousand poisoned files.
        """
        try:
            return self._executor.submit(_ping, self._sent).result()
        except BrokenProcessPool:
            return False

    def close(self) -> None:
        if self._executor is not self._borrowed:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def results(self, units: Sequence[Unit], first: int) -> Iterator[UnitResult]:
        waiting: deque[_Waiting] = deque()
        upcoming = _chunks(units, first)
        limit = self._jobs * _CHUNKS_PER_WORKER
        while True:
            while len(waiting) < limit and (chunk := next(upcoming, None)) is not None:
                waiting.append((chunk, self._submit(chunk)))
            if not waiting:
                return
            chunk, future = waiting.popleft()
            try:
                found = self._here(chunk) if future is None else future.result()
            except BrokenProcessPool:
                # Whoever was under way may be the culprit: each is tried again with nobody beside.
                yield from self._one_at_a_time(chunk)
                for other, its_future in waiting:
                    yield from (
                        self._here(other) if its_future is None else (self._one_at_a_time(other))
                    )
                waiting.clear()
                give_up_processes()
                self._executor = self._start(self._jobs)
                continue
            yield from found

    def _submit(self, chunk: list[tuple[int, Unit]]) -> Future[list[UnitResult]] | None:
        if chunk[0][1].streamed:
            return None
        try:
            return self._executor.submit(_run_units, self._sent, chunk)
        except BrokenProcessPool as error:
            broken: Future[list[UnitResult]] = Future()
            broken.set_exception(error)
            return broken

    def _here(self, chunk: list[tuple[int, Unit]]) -> Iterator[UnitResult]:
        for index, unit in chunk:
            yield run_unit(self._decoder, unit, index)

    def _one_at_a_time(self, chunk: list[tuple[int, Unit]]) -> Iterator[UnitResult]:
        """Run units in a process of their own, a new one after each that kills it."""
        executor: ProcessPoolExecutor | None = None
        try:
            for index, unit in chunk:
                if executor is None:
                    executor = self._start(1)
                    executor.submit(_ping).result()
                try:
                    task = executor.submit(_run_units, self._sent, [(index, unit)])
                    [result] = task.result()
                except BrokenProcessPool:
                    executor.shutdown()
                    executor = None
                    result = _crashed(unit, index)
                yield result
        finally:
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)

    def _start(self, jobs: int) -> ProcessPoolExecutor:
        return _new_executor(jobs, _take_decoder, None if self._sent else self._decoder)


def _crashed(unit: Unit, index: int) -> UnitResult:
    report = UnitReport(index, [None] * len(unit.files))
    reason = "its decoder crashed"
    leave_out(unit, report, UnreadableImageError(unit.files[0].path, "decoder_crashed", reason))
    return UnitResult(report, [])
