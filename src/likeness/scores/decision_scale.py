"""Images at the scale of decisions: block means as whole numbers.

Each channel of each image is stretched to 0..65535 and rounded. Correlations per channel do not
see the stretching, and the rounding changes them by a few millionths at most (3e-6 measured on
smooth pictures). With whole numbers of 16 bits an inner product of up to 2**21 of them is exact in
float64, in whatever order it is added up.

A set of 91,271 images of four channels takes 3 GB at this scale. So a set's block means are rows
that are made once, lie beside the set (`likeness.datasets.derived`) and are read when needed;
which channels vary is kept in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.datasets.derived import Step, derived_rows
from likeness.errors import InputError
from likeness.scores._sources import Origin
from likeness.search.source import read_images
from likeness.similarity._sums import relative_spread
from likeness.similarity.blocks import BlockGrid
from likeness.types import Flags, Image, Images

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.datasets.derived import Rows
    from likeness.search.source import ImageSource

TOP: Final = 65535
_READ_AT_ONCE: Final = 64
_VERSION: Final = 1
"""Of what `decision_images` stores; to be raised with any change of the numbers."""


class Decisions(Protocol):
    """Block means of a set of images, in memory or on disk. Several threads may read at once."""

    @property
    def varies(self) -> Flags:
        """(n, C) False where a channel is constant and has no correlation."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, rows, columns)."""

    @property
    def origin(self) -> Origin | None:
        """The images behind them, where more that is derived can be stored with these."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Return images `start` to `stop` - 1, (stop - start, C, rows, columns)."""

    def take(self, rows: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Return these images in this order."""


@dataclass(frozen=True)
class DecisionImages:
    """Block means of a set of images, in memory."""

    values: NDArray[np.uint16]
    """(n, C, rows, columns), each channel of each image stretched to 0..65535; 0 where constant."""
    varies: Flags
    """(n, C) False where a channel is constant and has no correlation."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def origin(self) -> None:
        """None: they may be some of those of a set."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, rows, columns)."""
        channels, rows, columns = self.values.shape[1:]
        return channels, rows, columns

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Return images `start` to `stop` - 1; a view."""
        return self.values[start:stop]

    def take(self, rows: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Return these images in this order."""
        taken: NDArray[np.uint16] = self.values[rows]
        return taken


@dataclass(frozen=True, eq=False)
class StoredDecisions:
    """Block means of a set of images that lie with the set and are read in parts."""

    rows: Rows
    """(n, C, rows, columns) as in `DecisionImages`."""
    varies: Flags
    """(n, C)."""
    origin: Origin | None = None
    """The images, and how these were derived from them."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, rows, columns)."""
        channels, rows, columns = self.rows.row_shape
        return channels, rows, columns

    @property
    def values(self) -> NDArray[np.uint16]:
        """All of them at once, read anew."""
        return self.read(0, len(self))

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Return images `start` to `stop` - 1, fresh from the disk."""
        return self.rows.read(start, stop)

    def take(self, rows: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Return these images in this order, fresh from the disk."""
        return self.rows.take(np.asarray(rows, dtype=np.int64))

    def part(self, start: int, stop: int) -> DecisionImages:
        """Return some images in a row, in memory."""
        return DecisionImages(self.read(start, stop), self.varies[start:stop])


def decision_images(
    source: ImageSource,
    channels: tuple[int, ...],
    *,
    grid: int = 64,
    work: Path | None = None,
    progress: Progress = SILENT,
) -> StoredDecisions:
    """Reduce a set of images to block means, or find where that was done before.

    Parameters
    ----------
    source
        n images.
    channels
        Indices of the channels that are compared.
    grid
        Blocks along each axis; an axis shorter than this keeps its length.
    work
        Folder for the block means of a set that cannot be written to.

    Returns
    -------
    StoredDecisions
        2 C rows columns bytes per image on disk (in memory for small sets without a folder).

    Raises
    ------
    InputError
        If a pixel is not finite.
    """
    _, height, width = source.image_shape
    blocks = BlockGrid(height, width, grid)
    limit = relative_spread(source.dtype, blocks.pixels_per_block)
    step = Step(
        "decisions",
        {"version": _VERSION, "grid": grid, "channels": list(channels)},
        partial(_reduced, blocks=blocks, channels=channels, limit=limit),
        field="values",
    )
    try:
        rows = derived_rows(
            source, step.name, step.settings, step.make, work=work, progress=progress
        )
    except InputError:
        for start in range(0, len(source), _READ_AT_ONCE):  # says which image it is
            read_images(source, start, min(start + _READ_AT_ONCE, len(source)), channels)
        raise
    varies = rows["varies"].read(0, len(rows["varies"])).astype(np.bool_)
    return StoredDecisions(rows["values"], varies, Origin.of(source, step))


def _reduced(
    images: Images, *, blocks: BlockGrid, channels: tuple[int, ...], limit: float
) -> dict[str, NDArray[Any]]:
    values = np.empty((len(images), len(channels), blocks.rows, blocks.columns), dtype=np.uint16)
    varies = np.empty((len(images), len(channels)), dtype=np.uint8)
    every = channels == tuple(range(images.shape[1]))
    for row, image in enumerate(images):
        chosen = np.ascontiguousarray(image if every else image[list(channels)])
        if chosen.dtype.kind == "f" and not np.isfinite(chosen).all():
            msg = "An image holds values that are not finite; prepare the set again without it."
            raise InputError(msg)
        values[row], varies[row] = stretched(blocks, chosen, limit)
    return {"values": values, "varies": varies}


def stretched(blocks: BlockGrid, image: Image, limit: float) -> tuple[NDArray[np.uint16], Flags]:
    """Return the block means of one image (C, H, W) as whole numbers, and which channels vary.

    Parameters
    ----------
    limit
        Spread, relative to the largest value, up to which a channel counts as constant.
    """
    means = blocks.means(image)
    low = means.min(axis=(1, 2), keepdims=True)
    spread = means.max(axis=(1, 2), keepdims=True) - low
    largest = np.abs(means).max(axis=(1, 2), keepdims=True)
    varies = spread > limit * largest
    scale = np.divide(TOP, spread, out=np.zeros_like(spread), where=varies)
    return np.rint((means - low) * scale).astype(np.uint16), varies[:, 0, 0]
