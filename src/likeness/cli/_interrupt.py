"""Ctrl-C that is not lost.

Python raises `KeyboardInterrupt` wherever it happens to be. Inside a destructor or a callback of a
compiled library the exception is printed and forgotten, and the work goes on as if nobody had
pressed a key. So the signal is remembered as well, and the next word of progress raises again.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from likeness._progress import Progress, Task

_asked = False


def remember_interrupts() -> None:
    """Take SIGINT and SIGTERM as a wish to stop; where SIGINT is ignored (nohup), it stays so."""
    global _asked
    _asked = False
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _stop):
        signal.signal(signal.SIGINT, _stop)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    global _asked
    _asked = True
    raise KeyboardInterrupt


def _insist() -> None:
    if _asked:
        raise KeyboardInterrupt


class InsistingTask:
    """A task that raises `KeyboardInterrupt` after a signal that was lost."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def advance(self, amount: float = 1.0) -> None:
        """Say that more is done, or stop."""
        _insist()
        self._task.advance(amount)

    def note(self, text: str) -> None:
        """Show a remark, or stop."""
        _insist()
        self._task.note(text)


class InsistingProgress:
    """Progress that raises `KeyboardInterrupt` after a signal that was lost."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def say(self, text: str) -> None:
        """Show a line, or stop."""
        _insist()
        self._progress.say(text)

    @contextmanager
    def task(self, name: str, total: float, *, unit: str = "images") -> Iterator[Task]:
        """Open a task, or stop."""
        _insist()
        with self._progress.task(name, total, unit=unit) as task:
            yield InsistingTask(task)
