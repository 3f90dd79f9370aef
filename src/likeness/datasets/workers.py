"""Decode units in several processes, in their own order, with bounded memory.

A process that dies (a decoder that crashes on a poisoned file, or the system short of memory)
costs its unit, never the run: the units that were under way are tried again one at a time, and the
one that kills its process again is left out as ``decoder_crashed``. Small units travel in chunks.
The processes may have been started before the decoder was known, see `processes`: it comes with the
chunks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, TypeAlias

from likeness.datasets.processes import (
    give_up_processes,
    keep_freed_memory,
    lent_processes,
    new_executor,
)
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
    keep_freed_memory()
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


def _take_decoder(decoder: Decoder | None) -> None:
    if decoder is not None:
        _decoders[:] = [decoder]
    keep_freed_memory()


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
        self._borrowed = lent_processes() if light else None
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
        return new_executor(jobs, _take_decoder, None if self._sent else self._decoder)


def _crashed(unit: Unit, index: int) -> UnitResult:
    report = UnitReport(index, [None] * len(unit.files))
    reason = "its decoder crashed"
    leave_out(unit, report, UnreadableImageError(unit.files[0].path, "decoder_crashed", reason))
    return UnitResult(report, [])
