"""How pixels are cut into chunks for products of bytes: few enough to stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from likeness.search.filter.sizes import CHUNK, STEP
from likeness.types import Integers


@dataclass(frozen=True)
class Chunks:
    """How a part of the pixels is cut, so that those of all queries stay in the cache."""

    pieces: tuple[tuple[int, slice, slice], ...]
    """Channel, rows and columns of each."""
    places: Integers
    """(chunks, 4) where it lies in an image (C, H, W) laid out flat: first pixel, lines, pixels of
    a line, and from one line to the next."""
    channel: Integers
    """(chunks,) which channel each is of."""

    @property
    def stride(self) -> int:
        """Bytes that the longest takes where it lies packed: whole steps of the wide loop."""
        longest = max((int(lines * line) for _, lines, line, _ in self.places), default=0)
        return -(-longest // STEP) * STEP

    def of_channel(self, channel: int) -> slice:
        """Return which chunks are of a channel."""
        low, high = np.searchsorted(self.channel, [channel, channel + 1])
        return slice(int(low), int(high))


def chunks_of(
    channels: int, size: tuple[int, int], window: tuple[int, int]
) -> tuple[Chunks, Chunks]:
    """Cut images of a size: the window, and what lies around it.

    Most images with a window are black around it: 0 times anything is nothing, so that part need
    not be multiplied.
    """
    height, width = size
    top, first = (height - window[0]) // 2, (width - window[1]) // 2
    middle, across = slice(top, top + window[0]), slice(first, first + window[1])
    around = [
        (slice(0, top), slice(0, width)),
        (slice(top + window[0], height), slice(0, width)),
        (middle, slice(0, first)),
        (middle, slice(first + window[1], width)),
    ]
    return _chunks([(middle, across)], channels, size), _chunks(around, channels, size)


def _chunks(regions: list[tuple[slice, slice]], channels: int, size: tuple[int, int]) -> Chunks:
    cut = [piece for region in regions for piece in _cut(*region)]
    pieces = tuple((c, *piece) for c in range(channels) for piece in cut)
    places = np.array([_place(*piece, size) for piece in pieces], dtype=np.int64)
    channel = np.array([c for c, _, _ in pieces], dtype=np.int64)
    return Chunks(pieces, places.reshape(-1, 4), channel)


def _cut(rows: slice, columns: slice) -> Iterator[tuple[slice, slice]]:
    """Cut a region into pieces of at most `CHUNK` pixels, equal ones where that goes."""
    height = rows.stop - rows.start
    for left in range(columns.start, columns.stop, CHUNK):
        right = min(left + CHUNK, columns.stop)
        most = max(1, CHUNK // (right - left))
        step = -(-height // max(1, -(-height // most)))
        for top in range(rows.start, rows.stop, max(1, step)):
            yield slice(top, min(top + step, rows.stop)), slice(left, right)


def _place(channel: int, rows: slice, columns: slice, size: tuple[int, int]) -> list[int]:
    height, width = size
    lines, line = rows.stop - rows.start, columns.stop - columns.start
    first = (channel * height + rows.start) * width + columns.start
    # Whole rows lie one behind the other.
    return [first, 1, lines * line, 0] if line == width else [first, lines, line, width]


def one_behind_the_other(count: int, size: int) -> Integers:
    """Return the places (count, 4) of chunks of equal size, see `Chunks`."""
    return np.array([[k * size, 1, size, 0] for k in range(count)])
