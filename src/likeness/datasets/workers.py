"""Decode units in several processes, in their own order, with bounded memory.

A process that dies (a decoder that crashes on a poisoned file, or the system short of memory)
costs its unit, never the run: the units that were under way are tried again one at a time, and the
one that kills its process again is left out as ``decoder_crashed``.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TYPE_CHECKING

from likeness.datasets.units import UnitReport, UnitResult, leave_out, run_unit
from likeness.errors import UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likeness.datasets.units import Decoder, Unit

_UNITS_PER_WORKER = 2
"""Units under way per process: one being decoded, one waiting."""


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
    pool = _Pool(decoder, jobs) if jobs > 1 else None
    if pool is None or not pool.works():
        for index in range(first, len(units)):
            yield run_unit(decoder, units[index], index)
        return
    try:
        yield from pool.results(units, first)
    finally:
        pool.close()


def _ping(decoder: Decoder) -> bool:
    return callable(decoder)


class _Pool:
    def __init__(self, decoder: Decoder, jobs: int) -> None:
        self._decoder = decoder
        self._jobs = jobs
        self._executor = self._start(jobs)

    def works(self) -> bool:
        """Whether a process can be started and loads the decoder.

        From an interactive session it cannot; nor must a broken installation, which would break
        every process, be taken for a thousand poisoned files.
        """
        try:
            return self._executor.submit(_ping, self._decoder).result()
        except BrokenProcessPool:
            return False

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def results(self, units: Sequence[Unit], first: int) -> Iterator[UnitResult]:
        waiting: deque[tuple[int, Future[UnitResult] | None]] = deque()
        upcoming = first
        while waiting or upcoming < len(units):
            while upcoming < len(units) and len(waiting) < self._jobs * _UNITS_PER_WORKER:
                waiting.append((upcoming, self._submit(units[upcoming], upcoming)))
                upcoming += 1
            index, future = waiting.popleft()
            if future is None:
                yield run_unit(self._decoder, units[index], index)
                continue
            try:
                yield future.result()
            except BrokenProcessPool:
                again = [index, *(number for number, other in waiting if other is not None)]
                redone = {number: self._alone(units[number], number) for number in again}
                self._executor = self._start(self._jobs)
                yield redone.pop(index)
                for number, other in waiting:
                    if other is None:
                        yield run_unit(self._decoder, units[number], number)
                    else:
                        yield redone.pop(number)
                waiting.clear()

    def _submit(self, unit: Unit, index: int) -> Future[UnitResult] | None:
        if unit.streamed:
            return None
        try:
            return self._executor.submit(run_unit, self._decoder, unit, index)
        except BrokenProcessPool as error:
            broken: Future[UnitResult] = Future()
            broken.set_exception(error)
            return broken

    def _alone(self, unit: Unit, index: int) -> UnitResult:
        executor = self._start(1)
        with executor:
            executor.submit(_ping, self._decoder).result()
            with suppress(BrokenProcessPool):
                return executor.submit(run_unit, self._decoder, unit, index).result()
        report = UnitReport(index, [None] * len(unit.files))
        reason = "its decoder crashed"
        leave_out(unit, report, UnreadableImageError(unit.files[0].path, "decoder_crashed", reason))
        return UnitResult(report, [])

    @staticmethod
    def _start(jobs: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
