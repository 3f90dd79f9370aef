"""One piece of work as plain data, and the one function that does it, with or without Dask.

A task writes one file and returns a few numbers. It can be done twice, by two workers at once, or
by a worker that was thought dead: the file appears whole, under one name, with the same content.
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypedDict

from likeness._cluster import attempts
from likeness._versions import package_version
from likeness.errors import (
    ClusterError,
    MemoryBudgetError,
    MissingExtraError,
    OptionError,
    OutputError,
)

Kind = Literal["search", "scores"]

MOST_FAILURES: Final = 2
"""A task is tried once more after it has failed; then it is set aside."""

_NOT_ITS_FAULT: Final = (
    ClusterError,
    OutputError,
    MissingExtraError,
    OptionError,
    MemoryBudgetError,
)
"""Errors of the machine or of the settings: they would meet every task."""


class Work(Protocol):
    """What a kind of task can do; a module with these functions."""

    def compute(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Do the work, write its file, return a few numbers."""

    def is_done(self, payload: dict[str, Any]) -> bool:
        """Whether its file is there and whole."""

    def describe(self, payload: dict[str, Any]) -> str:
        """Say what it compares."""

    def files(self, payload: dict[str, Any]) -> tuple[str, ...]:
        """Return the files of images that it reads."""


@dataclass(frozen=True)
class Task:
    """One piece of work; JSON values only."""

    key: str
    """Unique; letters, digits and hyphens."""
    kind: Kind
    payload: dict[str, Any]
    """What the kind needs; see `search_work` and `score_work`."""
    marks: str
    """Folder in shared storage for the marks of tasks that are at work."""
    weight: float = 1.0
    """Share of the progress."""
    after: tuple[str, ...] = ()
    """Keys of tasks that must be finished before."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> Task:
        """Take JSON values back."""
        return Task(**{**values, "after": tuple(values["after"])})

    @property
    def work(self) -> Work:
        """The module that does it."""
        return _module(self.kind)

    def is_done(self) -> bool:
        """Whether its file is there and whole."""
        return self.work.is_done(self.payload)


class Report(TypedDict):
    """What a worker says of a task."""

    state: Literal["done", "failed", "killed", "stopped"]
    """`failed`: it raised. `killed`: earlier workers died of it, so it was not tried. `stopped`:
    nothing can be computed on that machine or with these settings."""
    reason: str
    """Why, unless it is done."""
    error: str
    """Name of the class of the error."""
    machine: str
    seconds: float
    numbers: dict[str, Any]


def run_task(values: dict[str, Any], failures: int = 0, version: str | None = None) -> Report:
    """Do a task in this process.

    Parameters
    ----------
    values
        `Task.to_json`.
    failures
        How often it has raised before.
    version
        That of the process that plans; None for any.

    Returns
    -------
    Report
        Errors come back in it: no traceback and no exception object passes the scheduler.
    """
    began = time.monotonic()

    def report(state: Any, error: BaseException | None = None, **numbers: Any) -> Report:  # noqa: ANN401
        return {
            "state": state,
            "reason": "" if error is None else " ".join(f"{error}".split()) or repr(error),
            "error": "" if error is None else type(error).__name__,
            "machine": platform.node(),
            "seconds": time.monotonic() - began,
            "numbers": numbers,
        }

    here = package_version("likeness")
    if version is not None and version != here:
        msg = f"{platform.node()} has Likeness {here}, the command that was given {version}"
        return report("stopped", ClusterError(msg))
    task = Task.from_json(values)
    marks = Path(task.marks)
    mark = None
    try:
        if task.is_done():
            return report("done")
        died = attempts.count(marks, task.key)
        if died and died + failures >= MOST_FAILURES:
            return report("killed", ClusterError(f"killed its worker {died} times"))
        mark = attempts.begin(marks, task.key)
        return report("done", **task.work.compute(task.payload))
    except _NOT_ITS_FAULT as error:
        return report("stopped", error)
    except Exception as error:  # noqa: BLE001 - one broken part must not stop the others
        return report("failed", error)
    finally:
        if mark is not None:
            attempts.end(mark)


def _module(kind: Kind) -> Work:
    # Here: both import this module, and a worker may need only one of them.
    from likeness._cluster import score_work, search_work

    return search_work if kind == "search" else score_work
