"""One way to tell how far long work has come.

The library is silent by default. The command line passes a `Progress` that draws on stderr.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Task(Protocol):
    """One piece of work whose length is known."""

    def advance(self, amount: float = 1.0) -> None:
        """Say that `amount` more units are done."""

    def note(self, text: str) -> None:
        """Show a short remark beside the bar, for example the running maximum."""


class Progress(Protocol):
    """Where tasks are shown."""

    @contextmanager
    def task(self, name: str, total: float, *, unit: str = "images") -> Iterator[Task]:
        """Open a task of `total` units; it ends with the block."""
        yield SilentTask()


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


SILENT: Progress = SilentProgress()
