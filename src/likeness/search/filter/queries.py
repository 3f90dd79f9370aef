"""A block of queries, made ready for one flip or turn after the other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.search.filter.bounds import Terms, terms_of
from likeness.search.filter.coarse import Coarse, Layout, coarse_of, from_halves
from likeness.search.filter.estimates import LowProducts
from likeness.search.filter.sizes import CHUNK
from likeness.similarity.transforms import apply_transform
from likeness.types import Images, Integers, Transform

_AT_ONCE = 16
"""Images that a thread prepares at once."""
_COARSEST = 16
"""Coefficients per channel by which images are put in order."""


@dataclass(frozen=True)
class Chunks:
    """How the pixels of an image are cut, so that those of all queries stay in the cache.

    Of each channel the window comes first and then what lies around it, which most images with a
    window leave black: 0 times anything is nothing, so it need not be multiplied.
    """

    pieces: tuple[tuple[int, slice, slice], ...]
    """Channel, rows and columns of each."""
    places: Integers
    """(chunks, 4) where it lies in an image (C, H, W) laid out flat: first pixel, lines, pixels of
    a line, and from one line to the next."""
    channel: Integers
    """(chunks,) which channel each is of."""
    inside: tuple[slice, ...]
    """Per channel, the chunks of the window."""
    outside: tuple[slice, ...]
    """Per channel, the chunks around it."""

    @staticmethod
    def of(channels: int, size: tuple[int, int], window: tuple[int, int]) -> Chunks:
        """Cut every channel of images of a size."""
        height, width = size
        top, first = (height - window[0]) // 2, (width - window[1]) // 2
        middle, across = slice(top, top + window[0]), slice(first, first + window[1])
        around = [
            (slice(0, top), slice(0, width)),
            (slice(top + window[0], height), slice(0, width)),
            (middle, slice(0, first)),
            (middle, slice(first + window[1], width)),
        ]
        pieces: list[tuple[int, slice, slice]] = []
        inside, outside = [], []
        for c in range(channels):
            begin = len(pieces)
            pieces += [(c, *piece) for piece in _cut(middle, across)]
            end = len(pieces)
            pieces += [(c, *piece) for region in around for piece in _cut(*region)]
            inside.append(slice(begin, end))
            outside.append(slice(end, len(pieces)))
        places = [_place(c, rows, columns, size) for c, rows, columns in pieces]
        channel = np.array([c for c, _, _ in pieces])
        return Chunks(tuple(pieces), np.array(places), channel, tuple(inside), tuple(outside))


@dataclass(frozen=True)
class Turned:
    """Queries in one turn."""

    low: LowProducts
    floats: NDArray[np.float32]
    """(C, w, K) the low coefficients."""
    terms: Terms
    bands: list[NDArray[np.int8]]
    """For each band (C, w, K_b) steps."""
    pixels: NDArray[np.int8]
    """(chunks, w, CHUNK) less 128."""
    moments: Integers
    """(w, C, 2)."""


def _cut(rows: slice, columns: slice) -> Iterator[tuple[slice, slice]]:
    """Cut a region into pieces of at most `CHUNK` pixels."""
    for left in range(columns.start, columns.stop, CHUNK):
        right = min(left + CHUNK, columns.stop)
        step = max(1, CHUNK // (right - left))
        for top in range(rows.start, rows.stop, step):
            yield slice(top, min(top + step, rows.stop)), slice(left, right)


def _place(channel: int, rows: slice, columns: slice, size: tuple[int, int]) -> list[int]:
    height, width = size
    lines, line = rows.stop - rows.start, columns.stop - columns.start
    first = (channel * height + rows.start) * width + columns.start
    # Whole rows lie one behind the other.
    return [first, 1, lines * line, 0] if line == width else [first, lines, line, width]


def one_behind_the_other(count: int, size: int) -> Integers:
    """Return the places (count, 4) of chunks of equal size, see `Chunks.places`."""
    return np.array([[k * size, 1, size, 0] for k in range(count)])


class Queries:
    """w images (w, C, H, W) of 8 bit and their coarse level.

    They are taken in an order in which those that follow each other look alike, for what is left of
    two such images to compare is much the same: the processor then reads each reference once for
    both. `order` (w,) says which image stands where.
    """

    def __init__(self, images: Images, chunks: Chunks, layout: Layout, pool: Executor) -> None:
        self._chunks, self._layout, self._pool = chunks, layout, pool
        parts = pool.map(
            lambda start: coarse_of(images[start : start + _AT_ONCE], layout.window),
            range(0, len(images), _AT_ONCE),
        )
        fields = zip(*(vars(part).values() for part in parts), strict=True)
        coarse = Coarse(*(np.concatenate(field) for field in fields))
        self.order = _alike(from_halves(coarse.low[:, :, :_COARSEST]).reshape(len(images), -1))
        self._images = images
        self._coarse = Coarse(*(field[self.order] for field in vars(coarse).values()))

    def turned(self, turn: Transform) -> Turned:
        """Return the images flipped or turned; the coarse level is not computed again."""
        height, width = self._images.shape[2:]
        here = self._coarse
        if turn != "identity":
            here = here.turned(turn, self._layout)
        steps = [(band ^ np.uint8(0x80)).view(np.int8) for band in here.bands]
        offsets = tuple(band.sum(axis=2, dtype=np.int64) for band in steps)
        return Turned(
            LowProducts(here.low),
            from_halves(np.ascontiguousarray(here.low.swapaxes(0, 1))),
            terms_of(here.numbers, here.moments, height * width, offsets),
            [np.ascontiguousarray(band.swapaxes(0, 1)) for band in steps],
            self._packed(turn),
            here.moments,
        )

    def _packed(self, turn: Transform) -> NDArray[np.int8]:
        count = len(self._images)
        packed = np.zeros((len(self._chunks.pieces), count, CHUNK), dtype=np.int8)

        def pack(start: int) -> None:
            stop = min(start + _AT_ONCE, count)
            images = self._images[self.order[start:stop]]
            turned = np.ascontiguousarray(apply_transform(images, turn))
            signed = (turned ^ np.uint8(0x80)).view(np.int8)
            for k, (channel, rows, columns) in enumerate(self._chunks.pieces):
                piece = signed[:, channel, rows, columns].reshape(stop - start, -1)
                packed[k, start:stop, : piece.shape[1]] = piece

        list(self._pool.map(pack, range(0, count, _AT_ONCE)))
        return packed


def _alike(values: NDArray[np.float32]) -> Integers:
    """Return the order along the direction in which rows (w, k) differ most."""
    centred = values.astype(np.float64) - values.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.argsort(centred @ directions[:, -1], kind="stable")
