"""What derived rows are made of: all images of a source, or rows derived from these before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness.datasets.image_set import ImageSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness._progress import Task
    from likeness.datasets._rows import Rows
    from likeness.types import Images, Integers

_PIECE_VALUES: Final = 8 << 20
"""Pixels that a recipe gets at once: 64 MB once they are float64."""


class Pixels:
    """All images of a source, and what the recipe gets: some of their channels, or other rows."""

    def __init__(
        self,
        whole: Any,  # noqa: ANN401
        channels: tuple[int, ...] | None,
        before: Rows | None,
    ) -> None:
        self.whole = whole
        self.source = whole.stored.store if isinstance(whole, ImageSet) else whole
        self._channels, self.before = channels, before
        shape = self.source.image_shape if before is None else before.row_shape
        self._piece = max(1, _PIECE_VALUES // int(np.prod(shape)))

    def __len__(self) -> int:
        return len(self.source)

    def pieces(self, start: int, stop: int, task: Task) -> Iterator[tuple[Images | None, Images]]:
        """Yield the images as they are stored, and as the recipe gets them.

        None for the first where it gets other rows.
        """
        for first in range(start, stop, self._piece):
            last = min(first + self._piece, stop)
            if self.before is not None:
                yield None, self.before.read(first, last)
            else:
                stored = self.source.read(first, last)
                yield stored, self.chosen(stored)
            task.advance(last - first)

    @property
    def seen(self) -> Rows:
        """What the recipe gets of all images."""
        return _AsSeen(self) if self.before is None else self.before

    def chosen(self, stored: Images) -> Images:
        """Return the channels that the recipe gets."""
        if self._channels is None:
            return stored
        return np.ascontiguousarray(stored[:, list(self._channels)])


class _AsSeen:
    """The images of a source with the channels that the recipe gets, as rows."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        first = self.read(0, 1)
        self.row_shape, self.dtype = first.shape[1:], first.dtype

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop` - 1."""
        return self._pixels.chosen(self._pixels.source.read(start, stop))

    def take(self, rows: Integers) -> Images:
        """Return these images in this order."""
        return np.concatenate([self.read(row, row + 1) for row in np.asarray(rows).tolist()])


def whole_of(source: Any) -> tuple[Any, Integers | None]:  # noqa: ANN401
    """Return what the source is a part of, in the end, and which of its rows."""
    rows: Integers | None = None
    while True:
        if isinstance(source, ImageSet):
            inner = source.stored.rows
        else:
            hook = getattr(source, "derived_from", None)
            if hook is None:
                return source, rows
            parent, inner = hook()
        if inner is not None:
            rows = inner if rows is None else inner[rows]
        if isinstance(source, ImageSet):
            return source, rows
        source = parent
