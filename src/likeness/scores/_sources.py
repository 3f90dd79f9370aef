"""Deriving more from block means: stored with the set where they are, otherwise as long as used."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.datasets.derived import SharedArrays, Step, derived_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.datasets.derived import Rows, Source
    from likeness.scores.decision_scale import Decisions


@dataclass(frozen=True)
class Origin:
    """Where block means come from. It does not keep the images: they may keep it."""

    step: Step
    _source: weakref.ref[Source]

    @staticmethod
    def of(source: Source, step: Step) -> Origin | None:
        """Remember a source, where it can be referred to weakly."""
        try:
            return Origin(step, weakref.ref(source))
        except TypeError:
            return None

    @property
    def source(self) -> Source | None:
        """The images, as long as somebody holds them."""
        return self._source()


def derive(
    decisions: Decisions,
    name: str,
    settings: dict[str, Any],
    make: Callable[[NDArray[Any]], dict[str, NDArray[Any]]],
    *,
    shared: SharedArrays | None = None,
    work: Path | None = None,
    progress: Progress = SILENT,
) -> dict[str, Rows]:
    """Return rows derived from block means, as `derived_rows` does.

    Where it is known what set the block means come from, the rows are stored with it.
    """
    origin = decisions.origin
    source = None if origin is None else origin.source
    through = None if origin is None or source is None else origin.step
    return derived_rows(
        DecisionsAsSource(decisions) if source is None else source,
        name,
        settings,
        make,
        through=through,
        shared=shared,
        work=work,
        progress=progress,
    )


class DecisionsAsSource:
    """What `likeness.datasets.derived.derived_rows` needs of images."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self.image_shape = decisions.shape

    def __len__(self) -> int:
        return len(self._decisions)

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Return the block means `start` to `stop` - 1."""
        return self._decisions.read(start, stop)
