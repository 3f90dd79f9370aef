"""How alike the tiles of a pair can be at most, from a few dozen numbers per tile.

The vector of a tile (see `_tile_vectors`), divided by the scale, has at most length 1 per channel.
It is described along principal axes of the tiles at its own place: anatomy is nearly the same from
image to image there, and 48 numbers hold what 128 of a common basis do (artificial heads of four
channels: 7 % of the pairs of a query remain; real heads of three: 9 %; radiographs: 1 %).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.datasets.derived import SharedArrays
from likeness.scores._axes import along, principal_axes, slack
from likeness.scores._sources import derive
from likeness.scores._threads import InThreads, in_threads
from likeness.scores._tile_places import PlaceSearch
from likeness.scores._tile_vectors import TileLayout, TileVectors
from likeness.types import Floats

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.datasets.derived import Rows
    from likeness.scores.decision_scale import Decisions
    from likeness.scores.tiles import TileOptions

_VERSION: Final = 1
"""To be raised with any change of the stored rows or of how axes are found."""
_SAMPLE: Final = 512
_AXES: Final = 48
_RELATIVE: Final = 1e-4
"""Room for the rounding of four divisions and three products of float32."""


@dataclass(frozen=True)
class TileIndex:
    """References as numbers along axes, tile by tile."""

    layout: TileLayout
    axes: Floats
    """(T, length of a tile, r)."""
    rows: Rows
    """(m, T, r + 1) float32, see `described`."""

    @classmethod
    def of(
        cls,
        references: Decisions,
        options: TileOptions,
        *,
        threads: int = 1,
        work: Path | None = None,
        progress: Progress = SILENT,
    ) -> TileIndex:
        """Describe m references; 10 KB each, stored with their set if there is one."""
        layout, shrinkage = TileLayout(*references.shape), options.shrinkage
        shared = SharedArrays(
            partial(_axes_of, layout=layout, shrinkage=shrinkage, threads=threads)
        )

        def make(images: NDArray[Any]) -> dict[str, NDArray[Any]]:
            vectors = TileVectors(images, layout, shrinkage=shrinkage)
            return {"numbers": described(vectors, layout, shared.arrays["axes"], len(images))}

        rows = derive(
            references,
            "tiles",
            {"version": _VERSION, "shrinkage": shrinkage},
            InThreads(make, threads),
            shared=shared,
            work=work,
            progress=progress,
        )
        return cls(layout, shared.arrays["axes"], rows["numbers"])

    def queries(
        self, vectors: TileVectors, channels: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the bounds need of some queries.

        Parameters
        ----------
        channels
            (n, T) channels that count in each tile of each query.

        Returns
        -------
        numbers, margin
            (n, T, r + 1) and (n, T): the product of the first with the numbers of a reference, plus
            the second, is the highest mean correlation that the tiles of a pair can have.
        """
        numbers = described(vectors, self.layout, self.axes, len(channels))
        share = np.divide(1.0, channels, out=np.zeros(channels.shape), where=channels > 0)
        numbers *= share.astype(np.float32)[:, :, None]
        margin = np.where(channels > 0, self.layout.channels * slack(numbers.shape[2]), 0.0)
        return numbers, margin.astype(np.float32)

    def least(
        self,
        numbers: NDArray[np.float32],
        margin: NDArray[np.float32],
        some: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return (n, b) a lower bound of the product of g over the best place, see `tiles`.

        Parameters
        ----------
        numbers, margin
            Of queries, as `queries` gives them.
        some
            (b, T, r + 1) of references, out of `rows`.
        """
        shape = len(numbers), len(some)
        search = PlaceSearch(self.layout, shape, np.float32, highest=1.0, places=False)
        bound = np.empty(shape, dtype=np.float32)
        for tile in range(numbers.shape[1]):
            np.matmul(numbers[:, tile], some[:, tile].T, out=bound)
            bound += margin[:, tile, None]
            search.add(bound)
        return search.least


def described(
    vectors: TileVectors, layout: TileLayout, axes: Floats, count: int
) -> NDArray[np.float32]:
    """Return (n, T, r + 1): numbers along the axes, and the length of what is left."""
    found = np.empty((count, axes.shape[0], axes.shape[2] + 1), dtype=np.float32)
    for tile, basis in enumerate(axes):
        part, rest = along(vectors.tile(tile) / layout.scale, basis)
        found[:, tile, :-1], found[:, tile, -1] = part, rest
    return found


def limits(similarity: Floats) -> NDArray[np.float32]:
    """Return what `TileIndex.least` must not exceed for pairs that can reach a similarity.

    Infinite for a similarity of -inf, NaN for NaN.
    """
    known = np.clip(similarity, 0.0, 1.0)
    root = (1.0 - known) / (1.0 + known)
    limit = root**4 * (1.0 + _RELATIVE) + np.finfo(np.float32).tiny
    return np.where(similarity == -np.inf, np.inf, limit).astype(np.float32)


def _axes_of(
    references: Rows, layout: TileLayout, shrinkage: float, threads: int
) -> dict[str, NDArray[Any]]:
    count = min(_SAMPLE, len(references))
    rows = np.unique(np.linspace(0, len(references) - 1, count).astype(np.int64))
    vectors = TileVectors(references.take(rows), layout, shrinkage=shrinkage)
    most = min(_AXES, len(rows), layout.length)

    def axes(tile: int) -> Floats:
        return principal_axes(vectors.tile(tile) / layout.scale, most)[0]

    return {"axes": np.stack(in_threads(axes, range(len(layout.corners)), threads))}
