"""What is wanted of derived rows, see `derived`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from likeness.datasets._derived_files import Recipe, describe_recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness._progress import Progress
    from likeness.datasets._shared_arrays import SharedArrays
    from likeness.types import Images

Make: TypeAlias = "Callable[[Images], dict[str, NDArray[Any]]]"


@dataclass(frozen=True)
class Step:
    """Rows that others are derived from."""

    name: str
    settings: dict[str, Any]
    make: Make
    field: str
    """Which of the fields that `make` gives."""


@dataclass(frozen=True)
class Request:
    """What is wanted, see `derived_rows`."""

    name: str
    settings: dict[str, Any]
    make: Make
    through: Step | None
    shared: SharedArrays | None
    work: Path | None
    progress: Progress
    keep_in_memory_bytes: int

    def of_step(self, step: Step) -> Request:
        """Return the request for the rows that these are derived from."""
        settings = step.name, step.settings, step.make, None, None
        return Request(*settings, self.work, self.progress, self.keep_in_memory_bytes)

    def recipe(self, full: dict[str, Any], first: Images) -> Recipe:
        """Learn from one image what is made, once the shared arrays are known."""
        sha256 = "" if self.shared is None else self.shared.sha256
        return describe_recipe(self.name, full, self.make, first, sha256)
