"""Where words go: results to stdout, progress and messages to stderr.

On a terminal progress is a bar; elsewhere it is one line per ten per cent, so that a log file
stays readable. ``NO_COLOR`` and ``TERM=dumb`` are honoured by rich.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from likeness._progress import SILENT, Task
from likeness._progress import Progress as ProgressProtocol
from likeness.cli._interrupt import InsistingProgress
from likeness.errors import OutputError

QUIET_SECONDS = 2.0
"""Where progress is written as lines, short work writes none and long work at most one per step."""

STDERR = Console(stderr=True, highlight=False, soft_wrap=True)


def say(*lines: str) -> None:
    """Print a result to stdout; odd characters of file names are made visible."""
    try:
        for line in lines:
            sys.stdout.write(printable(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"The result cannot be printed: {error.strerror}."
        raise OutputError(msg) from error


def remark(line: str) -> None:
    """Print a message to stderr."""
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    """Return text without control characters and lone surrogates, which could act on a terminal."""
    visible = "".join(
        char
        if char.isprintable() or char in "\n\t"
        else char.encode("unicode_escape", "backslashreplace").decode()
        for char in text
    )
    encoding = sys.stdout.encoding or "ascii"
    return visible.encode(encoding, "backslashreplace").decode(encoding)


def make_progress(*, show: bool) -> ProgressProtocol:
    """Return a bar on a terminal, lines elsewhere, nothing where it is not wanted."""
    if not show:
        return InsistingProgress(SILENT)
    return InsistingProgress(Bars() if STDERR.is_terminal else Lines())


class _BarTask:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: float = 1.0) -> None:
        self._progress.advance(self._task, amount)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=escape(printable(text)))


class Bars:
    """Progress bars with the remaining time."""

    def say(self, text: str) -> None:
        """Write a line."""
        remark(text)

    @contextmanager
    def task(self, name: str, total: float, *, unit: str = "images") -> Iterator[Task]:
        """Show one bar until the block ends."""
        columns = (
            TextColumn("{task.description:<20}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn() if total < 10**7 else TextColumn("{task.percentage:>5.1f} %"),
            TextColumn(unit if total < 10**7 else ""),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=STDERR) as progress:
            yield _BarTask(progress, progress.add_task(escape(name), total=total, note=""))


@dataclass
class _LineTask:
    name: str
    total: float
    unit: str
    started: float
    done: float = 0.0
    shown: int = 0
    last: float = 0.0
    text: str = ""

    def advance(self, amount: float = 1.0) -> None:
        self.done += amount
        step = int(10 * self.done / self.total) if self.total else 10
        seconds = time.monotonic() - self.started
        if step > self.shown and seconds - self.last >= QUIET_SECONDS:
            self.shown, self.last = step, seconds
            left = seconds * (self.total - self.done) / self.done if self.done else 0.0
            note = f"  {self.text}" if self.text else ""
            remark(
                f"{self.name:<20} {min(step * 10, 100):>3} %  {seconds:.0f} s, "
                f"about {max(left, 0):.0f} s left{note}"
            )

    def note(self, text: str) -> None:
        self.text = text


class Lines:
    """One line per ten per cent."""

    def say(self, text: str) -> None:
        """Write a line."""
        remark(text)

    @contextmanager
    def task(self, name: str, total: float, *, unit: str = "images") -> Iterator[Task]:
        """Write lines until the block ends."""
        yield _LineTask(name, total, unit, time.monotonic())
