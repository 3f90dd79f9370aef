"""Where 2 x 2 neighbouring tiles of a pair are most alike, found in one pass over the tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likeness.scores.ranking import CLIP
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness.scores._tile_vectors import TileLayout


class PlaceSearch:
    """The best place of many pairs at once.

    It is fed the correlations of one tile after the other, row by row, and keeps only the products
    of neighbours in the last row. Along an axis with a single tile a place is one tile long.

    Parameters
    ----------
    layout
        Where the tiles lie.
    shape
        Of the pairs.
    dtype, highest
        float32, and correlations up to 1 instead of a little less, serve for bounds.
    places
        Whether to note which place is the best.
    """

    def __init__(
        self,
        layout: TileLayout,
        shape: tuple[int, ...],
        dtype: type[np.floating[Any]] = np.float64,
        *,
        highest: float = 1.0 - CLIP,
        places: bool = True,
    ) -> None:
        self._layout = layout
        self._high = min(2, len(layout.tops))
        self._across = min(2, len(layout.lefts))
        self._highest, self._places = highest, places
        starts = len(layout.lefts) - self._across + 1
        self._above = [np.empty(shape, dtype) for _ in range(starts)]
        self._left, self._here, self._pair, self._place = (np.empty(shape, dtype) for _ in range(4))
        self.least = np.full(shape, np.inf, dtype)
        """Smallest product of g over a place so far."""
        self.place = np.zeros(shape, dtype=np.int16)
        """First tile of the best place so far; of equals the first."""
        self._count = 0

    def add(self, correlation: NDArray[np.floating]) -> None:
        """Take the correlations of the next tile; negative ones count as 0."""
        row, column = divmod(self._count, len(self._layout.lefts))
        self._count += 1
        here, pair = self._here, self._pair
        np.clip(correlation, 0.0, self._highest, out=here)
        np.add(here, 1.0, out=pair)
        np.subtract(1.0, here, out=here)
        np.divide(here, pair, out=here)
        if self._across == 1:
            np.copyto(pair, here)
        elif column:
            np.multiply(self._left, here, out=pair)
        self._left, self._here = here, self._left
        index = column - self._across + 1
        if index < 0:
            return
        if self._high == 1:
            self._keep(pair, row, index)
        else:
            if row:
                np.multiply(self._above[index], pair, out=self._place)
                self._keep(self._place, row - 1, index)
            self._above[index], self._pair = pair, self._above[index]

    def _keep(self, place: NDArray[Any], row: int, column: int) -> None:
        if self._places:
            np.copyto(self.place, row * len(self._layout.lefts) + column, where=place < self.least)
        np.minimum(self.least, place, out=self.least)

    def similarity(self) -> Floats:
        """Return tanh of the mean Fisher z of the tiles of the best place, in [0, 1]."""
        root: Floats = self.least
        for _ in range(self._high * self._across // 2):  # 1, 2 or 4 tiles
            root = np.sqrt(root)
        similarity: Floats = (1.0 - root) / (1.0 + root)
        return similarity


def layout_places(layout: TileLayout, tile: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return (..., 4) top, left, height and width, in blocks, of places given by first tile."""
    tops, lefts = layout.tops, layout.lefts
    row, column = np.divmod(tile, len(lefts))
    height = layout.height + (min(2, len(tops)) - 1) * tops.step
    width = layout.width + (min(2, len(lefts)) - 1) * lefts.step
    size = np.broadcast_to([height, width], (*row.shape, 2))
    corner = np.stack([row * tops.step, column * lefts.step], axis=-1)
    return np.concatenate([corner, size], axis=-1).astype(np.float32)
