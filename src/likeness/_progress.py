"""One way to tell how far long work has come.

The library is silent by default. The command line passes a `Progress` that draws on stderr.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work whose length is known."""

    def advance(self, amount: float = 1.0) -> None:
        """Say that `amount` more units are done."""

    def note(self, text: str) -> None:
        """Show a short remark beside the bar, for example the running maximum."""


class Progress(Protocol):
    """Where tasks are shown."""

    def task(
        self, name: str, total: float, *, unit: str = "images"
    ) -> AbstractContextManager[Task]:
        """Open a task of `total` units; it ends with the block."""

    def say(self, text: str) -> None:
        """Show a line beside the tasks, for example the plan of a search."""


class SilentTask:
    """A task that shows nothing."""

    def advance(self, amount: float = 1.0) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


class SilentProgress:
    """Progress that shows nothing: the default in the library."""

    @contextmanager
    def task(self, name: str, total: float, *, unit: str = "images") -> Iterator[Task]:
        """Open a task that shows nothing."""
        yield SilentTask()

    def say(self, text: str) -> None:
        """Do nothing."""


SILENT: Progress = SilentProgress()
