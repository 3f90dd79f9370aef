"""A few hundred numbers per image that bear small movements: low frequencies, whitened.

Every channel is reduced to at most 32 x 32 blocks, faded out towards the edges of the frame, and
described by its cosine coefficients below `FREQUENCIES` half waves, each multiplied by its
frequency. Without that factor all radiographs look alike: what they share is coarser than what
tells them apart.

The coefficients of a *moved* query are those of the query seen through moved cosines, so all shifts
of one turn and zoom cost two small matrix products. A flip or a quarter turn only swaps
coefficients and their signs (`Features.turned`).

Block means, cosines and the final numbers are rounded to whole numbers, small enough that every
inner product is exact: in float64 for the coefficients, in float32 for their products
(`LENGTH` squared stays below 2**24). So nothing depends on the order of summation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores.registration.poses import pose_to_map
from likeness.similarity.blocks import BlockGrid
from likeness.similarity.transforms import apply_transform
from likeness.types import Flags, Floats, Transform

if TYPE_CHECKING:
    from likeness.scores.registration.options import RegistrationOptions

COARSE: Final = 32
"""Blocks along each axis; below 12 half waves a block is a twelfth of a wave."""

FREQUENCIES: Final = 12
"""Half waves per side, exclusive. Measured on radiographs with turns of 7 and 12 degrees and zooms
of 1.1: 8, 12 and 16 all bring the source to the first place; 12 leaves the widest margin."""

FADE: Final = 0.25
"""Part of each side over which the frame fades in: what a movement pushes out counts little."""

LENGTH: Final = 3900
"""Length of a feature vector: products stay below (3900 + rounding)**2 < 2**24."""

_AT_ONCE: Final = 64

_COSINE: Final = 4096
"""One in the rounded cosines: 38 * 38 * 65535 * 4096**2 < 2**53."""


@dataclass(frozen=True)
class Features:
    """Whole numbers in float32."""

    values: NDArray[np.float32]
    """(n, C * D), each row of length `LENGTH` or a little more; 0 for constant channels."""
    coefficients: int
    """D."""

    @property
    def channels(self) -> int:
        """C."""
        return int(self.values.shape[1]) // self.coefficients

    def some(self, rows: Flags) -> Features:
        """Return some of the rows."""
        return Features(self.values[rows], self.coefficients)

    def turned(self, transform: Transform) -> NDArray[np.float32]:
        """Return what `values` would be had the pictures been flipped or turned."""
        if transform == "identity":
            return self.values
        source, sign = _turned_coefficients(transform)
        split = self.values.reshape(-1, self.channels, self.coefficients)
        return (split[:, :, source] * sign).reshape(self.values.shape)


class FeatureMaker:
    """Computes the features of images of one size, as they are or in all poses."""

    def __init__(self, shape: tuple[int, int, int], options: RegistrationOptions) -> None:
        self._channels, rows, columns = shape
        self._blocks = BlockGrid(rows, columns, COARSE)
        self._plain = _Sampling(self._blocks, np.array([[0.0, 1.0]]), (0.0,))
        self._posed = _Sampling(self._blocks, options.turns(), options.shifts)

    def plain(self, values: NDArray[np.uint16], varies: Flags) -> Features:
        """Describe images (n, C, rows, columns) as they are."""
        coefficients = int(_kept().sum())
        found = np.empty((len(values), self._channels * coefficients), dtype=np.float32)
        for start in range(0, len(values), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            means = self._centred(values[part])
            found[part] = self._rounded(self._plain.unmoved(means), varies[part])
        return Features(found, coefficients)

    def posed(self, values: NDArray[np.uint16], varies: Flags) -> Features:
        """Describe one image (C, rows, columns) in all poses, in the order of `options.poses`."""
        coefficients = self._posed.coefficients(self._centred(values))
        return Features(self._rounded(coefficients, varies[None]), int(_kept().sum()))

    def _centred(self, values: NDArray[np.uint16]) -> Floats:
        means = self._blocks.means(values)  # sums of whole numbers: exact in any order
        means -= np.rint(means.mean(axis=(-2, -1), keepdims=True))
        return means

    def _rounded(self, coefficients: Floats, varies: Flags) -> NDArray[np.float32]:
        """Bring coefficients (n, C, D) to their length; those of constant channels become 0."""
        weighted = coefficients * _weights()
        length = np.sqrt(np.sum(weighted * weighted, axis=-1, keepdims=True))
        there = (length > 0.0) & varies[..., None]
        scale = LENGTH / np.sqrt(self._channels)
        factor = np.divide(scale, length, out=np.zeros_like(length), where=there)
        whole: NDArray[np.float32] = np.rint(weighted * factor).astype(np.float32)
        return whole.reshape(len(weighted), -1)


class _Sampling:
    """How to see an image through several turns, zooms and shifts."""

    def __init__(self, blocks: BlockGrid, turns: Floats, shifts: tuple[float, ...]) -> None:
        self._shape = blocks.rows, blocks.columns
        self._turns, self._shifts = len(turns), len(shifts)
        farthest = max(abs(shift) for shift in shifts)
        margins = [int(np.ceil(farthest * length)) for length in self._shape]
        self._canvas = tuple(n + 2 * m for n, m in zip(self._shape, margins, strict=True))
        self._down, self._across = (
            _moved_cosines(n, m, shifts) for n, m in zip(self._shape, margins, strict=True)
        )
        self._places, self._parts = self._neighbours(turns)

    def _neighbours(self, turns: Floats) -> tuple[NDArray[np.int32], Floats]:
        """Which four blocks of the padded image each block of a turned canvas mixes, and how."""
        rows, columns = self._shape
        height, width = self._canvas
        down = np.arange(height) - (height - 1) / 2.0
        right = np.arange(width) - (width - 1) / 2.0
        # Blocks are taken as square: a picture that is not has its turns searched a little askew,
        # which the alignment of the candidates then mends.
        maps = pose_to_map(np.column_stack([turns, np.zeros((len(turns), 2))]))
        a, b = maps[:, 0, None, None], maps[:, 1, None, None]
        i = a * down[:, None] + b * right + (rows - 1) / 2.0 + 1.0
        j = a * right - b * down[:, None] + (columns - 1) / 2.0 + 1.0
        i, j = np.clip(i, 0.0, rows + 1.0), np.clip(j, 0.0, columns + 1.0)
        top = np.minimum(i.astype(np.int32), rows)
        left = np.minimum(j.astype(np.int32), columns)
        below, beside = i - top, j - left
        corner = top * (columns + 2) + left
        places = np.stack([corner, corner + 1, corner + columns + 2, corner + columns + 3])
        parts = np.stack(
            [
                (1 - below) * (1 - beside),
                (1 - below) * beside,
                below * (1 - beside),
                below * beside,
            ]
        )
        return places.astype(np.int32), parts

    def unmoved(self, means: Floats) -> Floats:
        """Return (n, C, D) of images (n, C, rows, columns), for the one pose that moves nothing."""
        return (self._down @ np.rint(means) @ self._across.T)[..., _kept()]

    def coefficients(self, means: Floats) -> Floats:
        """Return (poses, C, D) of one image (C, rows, columns) without its mean."""
        channels = len(means)
        padded = np.pad(means, ((0, 0), (1, 1), (1, 1))).reshape(channels, -1)
        canvas = np.zeros((channels, self._turns, *self._canvas))
        for place, part in zip(self._places, self._parts, strict=True):
            canvas += padded[:, place] * part
        seen = self._down @ np.rint(canvas) @ self._across.T
        split = seen.reshape(
            channels, self._turns, self._shifts, FREQUENCIES, self._shifts, FREQUENCIES
        )
        kept = split.transpose(1, 2, 4, 0, 3, 5)[..., _kept()]
        return kept.reshape(-1, channels, kept.shape[-1])


def _moved_cosines(length: int, margin: int, shifts: tuple[float, ...]) -> Floats:
    """Return (shifts * FREQUENCIES, length + 2 margin): cosines over the frame, moved and rounded.

    Moving the picture down is moving the frame up.
    """
    rows = []
    for shift in shifts:
        place = (np.arange(-margin, length + margin) + 0.5) / length + shift
        inside = (place > 0.0) & (place < 1.0)
        edge = np.clip(np.minimum(place, 1.0 - place) / FADE, 0.0, 1.0)
        window = np.where(inside, np.sin(np.pi / 2.0 * edge) ** 2, 0.0)
        waves = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * place)
        rows.append(np.rint(_COSINE * window * waves))
    return np.concatenate(rows)


@lru_cache(maxsize=1)
def _kept() -> Flags:
    """Which coefficients (FREQUENCIES, FREQUENCIES) count: a quarter circle without the mean."""
    down, across = np.mgrid[:FREQUENCIES, :FREQUENCIES]
    squares = down * down + across * across
    kept: Flags = (squares > 0) & (squares < FREQUENCIES * FREQUENCIES)
    return kept


@lru_cache(maxsize=1)
def _weights() -> Floats:
    down, across = np.mgrid[:FREQUENCIES, :FREQUENCIES]
    frequency: Floats = np.sqrt((down * down + across * across)[_kept()].astype(np.float64))
    return frequency


@lru_cache(maxsize=8)
def _turned_coefficients(transform: Transform) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """From which coefficient each coefficient of a turned picture comes, and with which sign.

    Mirroring an axis changes the sign of its odd cosines; swapping the axes swaps frequencies.
    """
    number = np.full((FREQUENCIES, FREQUENCIES), -1, dtype=np.intp)
    number[_kept()] = np.arange(_kept().sum())
    corner = apply_transform(np.arange(4).reshape(2, 2), transform)
    swap = {corner[0, 0], corner[0, 1]} not in ({0, 1}, {2, 3})
    up_down = corner[0, 0] in ({1, 3} if swap else {2, 3})
    left_right = corner[0, 0] in ({2, 3} if swap else {1, 3})
    source = (number.T if swap else number)[_kept()]
    down, across = np.mgrid[:FREQUENCIES, :FREQUENCIES]
    odd = (down * up_down + across * left_right)[_kept()] % 2
    return source, (1 - 2 * odd).astype(np.float32)
