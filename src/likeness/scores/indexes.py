"""What is derived of references once and used by every scorer: block means, indexes.

An audit compares with the same references several times: by patient, by person, for the null, the
test and the synthetic images. `shared_indexes` gives all of them one set of indexes, as long as the
references live.
"""

from __future__ import annotations

import threading
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any

from likeness.scores._orientation_bounds import OrientationIndex
from likeness.scores._pruning import index_pays
from likeness.scores.decision_scale import StoredDecisions, decision_images
from likeness.scores.registration.shortlist import FeatureIndex
from likeness.scores.tile_index import TileIndex

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.scores.tiles import TileOptions
    from likeness.search.source import ImageSource

_shared: weakref.WeakKeyDictionary[Any, dict[Any, ReferenceIndexes]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class ReferenceIndexes:
    """References at the scale of decisions, and what each family needs of them; made when needed.

    Parameters
    ----------
    references
        m images. They are not kept alive by what is derived of them.
    channels, grid
        As in `decision_images`.
    work
        Folder for what does not fit into memory.
    threads
        That make an index.
    """

    def __init__(
        self,
        references: ImageSource,
        channels: tuple[int, ...],
        grid: int,
        *,
        work: Path | None,
        threads: int,
        progress: Progress,
    ) -> None:
        self.scale: StoredDecisions = decision_images(
            references, channels, grid=grid, work=work, progress=progress
        )
        self._settings: dict[str, Any] = {"work": work, "progress": progress}
        self._threads = threads
        self._orientations: OrientationIndex | None = None
        self._tiles: dict[Any, TileIndex] = {}

    def orientations(self, queries: int) -> OrientationIndex | None:
        """For the plain and the dihedral family; None where it does not pay for so many queries."""
        if self._orientations is None and index_pays(queries, len(self.scale)):
            self._orientations = OrientationIndex.of(
                self.scale, threads=self._threads, **self._settings
            )
        return self._orientations

    @cached_property
    def features(self) -> FeatureIndex:
        """For the registered family."""
        return FeatureIndex.of(self.scale, threads=self._threads, **self._settings)

    def tiles(self, options: TileOptions, queries: int) -> TileIndex | None:
        """For tiles with these options; None where it does not pay for so many queries."""
        if options not in self._tiles and index_pays(queries, len(self.scale)):
            self._tiles[options] = TileIndex.of(
                self.scale, options, threads=self._threads, **self._settings
            )
        return self._tiles.get(options)


def shared_indexes(
    references: ImageSource,
    channels: tuple[int, ...],
    grid: int,
    *,
    work: Path | None,
    threads: int,
    progress: Progress,
) -> ReferenceIndexes:
    """Return the indexes of references, those of an earlier call where there was one."""

    def make() -> ReferenceIndexes:
        return ReferenceIndexes(
            references, channels, grid, work=work, threads=threads, progress=progress
        )

    with _lock:
        try:
            known = _shared.setdefault(references, {})
        except TypeError:  # it cannot be referred to weakly, or has no hash
            return make()
        if (channels, grid) not in known:
            known[channels, grid] = make()
        return known[channels, grid]
