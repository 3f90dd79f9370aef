"""A block of queries, made ready for one flip or turn after the other."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.search.filter.bounds import Terms, terms_of
from likeness.search.filter.chunks import Chunks
from likeness.search.filter.coarse import Coarse, Layout, coarse_of, from_halves
from likeness.search.filter.estimates import LowProducts
from likeness.similarity.transforms import apply_transform
from likeness.types import Images, Integers, Transform

_AT_ONCE = 16
"""Images that a thread prepares at once."""
_COARSEST = 16
"""Coefficients per channel by which images are put in order."""


@dataclass(frozen=True)
class Turned:
    """Queries in one turn."""

    low: LowProducts
    floats: NDArray[np.float32]
    """(C, w, K) the low coefficients."""
    terms: Terms
    bands: list[NDArray[np.int8]]
    """For each band (C, w, K_b) steps."""
    pixels: tuple[NDArray[np.int8], ...]
    """Of the window and of what lies around it (chunks, w, stride), less 128."""
    moments: Integers
    """(w, C, 2)."""


class Queries:
    """w images (w, C, H, W) of 8 bit and their coarse level.

    They are taken in an order in which those that follow each other look alike, for what is left of
    two such images to compare is much the same: the processor then reads each reference once for
    both. `order` (w,) says which image stands where.
    """

    def __init__(
        self, images: Images, chunks: tuple[Chunks, ...], layout: Layout, pool: Executor
    ) -> None:
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

    def _packed(self, turn: Transform) -> tuple[NDArray[np.int8], ...]:
        count = len(self._images)
        packed = tuple(
            np.zeros((len(chunks.pieces), count, chunks.stride), dtype=np.int8)
            for chunks in self._chunks
        )

        def pack(start: int) -> None:
            stop = min(start + _AT_ONCE, count)
            images = self._images[self.order[start:stop]]
            turned = np.ascontiguousarray(apply_transform(images, turn))
            signed = (turned ^ np.uint8(0x80)).view(np.int8)
            for chunks, out in zip(self._chunks, packed, strict=True):
                for k, (channel, rows, columns) in enumerate(chunks.pieces):
                    piece = signed[:, channel, rows, columns].reshape(stop - start, -1)
                    out[k, start:stop, : piece.shape[1]] = piece

        list(self._pool.map(pack, range(0, count, _AT_ONCE)))
        return packed


def _alike(values: NDArray[np.float32]) -> Integers:
    """Return the order along the direction in which rows (w, k) differ most."""
    centred = values.astype(np.float64) - values.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.argsort(centred @ directions[:, -1], kind="stable")
