"""Read the headers of many files, in the processes that are at hand for decoding them later."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Final, TypeAlias

from likeness.datasets.processes import give_up_processes, lent_processes
from likeness.errors import UnreadableImageError
from likeness.readers import Header, ReadOptions, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CHUNK: Final = 32
"""Files that travel together: a header takes a tenth of a millisecond and more."""
_AHEAD: Final = 6
"""Chunks that wait for a process."""

Described: TypeAlias = Header | UnreadableImageError
"""What the headers of a file say, or why they cannot be read."""


def headers_of(paths: Sequence[Path], options: ReadOptions) -> Iterator[Described]:
    """Yield what the headers of each file say, in order.

    While the processes still start, or are slower, this one reads headers too. Without any, or
    where they break, it reads all of them.
    """
    pool = lent_processes()
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    upcoming = iter(chunks)
    waiting: deque[tuple[Sequence[Path], Future[list[Described]]]] = deque()

    def submit(chunk: Sequence[Path]) -> Future[list[Described]]:
        nonlocal pool
        if pool is not None and len(chunks) > 1:
            try:
                return pool.submit(_describe_all, chunk, options)
            except BrokenProcessPool:
                pool = None
                give_up_processes()
        return _here(chunk, options)

    while True:
        while len(waiting) < _AHEAD and (chunk := next(upcoming, None)) is not None:
            waiting.append((chunk, submit(chunk)))
        if not waiting:
            return
        while not waiting[0][1].done() and (chunk := next(upcoming, None)) is not None:
            waiting.append((chunk, _here(chunk, options)))
        chunk, found = waiting.popleft()
        try:
            yield from found.result()
        except BrokenProcessPool:
            pool = None
            give_up_processes()
            yield from _describe_all(chunk, options)


def _here(chunk: Sequence[Path], options: ReadOptions) -> Future[list[Described]]:
    done: Future[list[Described]] = Future()
    done.set_result(_describe_all(chunk, options))
    return done


def _describe_all(paths: Sequence[Path], options: ReadOptions) -> list[Described]:
    found: list[Described] = []
    for path in paths:
        try:
            found.append(describe(path, options))
        except UnreadableImageError as error:
            found.append(error)
    return found
