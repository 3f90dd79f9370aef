"""The coarse level: what the filter keeps of an image, and how far it can be off.

Each channel is centred and divided by its norm, u. Sums of 2 x 2 pixels are written in the cosine
basis (two-dimensional, orthonormal), lowest frequencies first: `low`, rounded to bfloat16, then the
bands `fine_1` and `fine_2`, each in whole steps of its own. What remains is kept as its norm alone.
For two images

    <u, u'> = <low, low'> + <fine_1, fine_1'> + <fine_2, fine_2'> + <rest, rest'>

and |<rest, rest'>| <= |rest| |rest'| by Cauchy and Schwarz. The norms of what rounding took away
are kept beside; see `bounds`.

An image's rows depend on that image alone, so a set can grow and shrink without its others being
touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.search.filter.kernels import compiled
from likeness.search.filter.sizes import BANDS, LOW
from likeness.similarity.transforms import transform_steps
from likeness.types import Flags, Floats, Images, Integers, Transform

if TYPE_CHECKING:
    pass

VERSION: Final = 1


@dataclass(frozen=True)
class Layout:
    """Which frequencies are kept of images of one size.

    Frequencies of equal parity lie together, so that a transform of half the length gives them: a
    plane of coefficients is (2, 2, rows, columns), with odd rows, odd columns, and half the
    frequency as indices.
    """

    height: int
    width: int
    low: Integers
    """(K,) positions in the flat plane."""
    bands: tuple[Integers, ...]
    """(K_b,) likewise."""

    @property
    def half(self) -> tuple[int, int]:
        """Rows and columns of a plane, for each parity."""
        return self.height // 4, self.width // 4

    def parities(self, places: Integers) -> tuple[Flags, Flags]:
        """Return which frequencies are odd from top to bottom, and from left to right."""
        block = places // (self.half[0] * self.half[1])
        return block // 2 == 1, block % 2 == 1

    def exchanged(self, places: Integers) -> Integers:
        """Return where each frequency goes when rows and columns are exchanged, within `places`."""
        rows, columns = self.half
        block, place = np.divmod(places, rows * columns)
        row, column = np.divmod(place, columns)
        swapped = (block % 2 * 2 + block // 2) * rows * columns + column * columns + row
        order = np.argsort(places, kind="stable")
        where: Integers = order[np.searchsorted(places, swapped, sorter=order)]
        return where


@lru_cache(maxsize=32)
def layout_of(height: int, width: int) -> Layout:
    """Choose the lowest frequencies, in cycles per pixel, for images of a size.

    Both sides must be multiples of 4.
    """
    rows, columns = height // 4, width // 4
    odd_row, odd_column, i, j = np.meshgrid(*map(np.arange, (2, 2, rows, columns)), indexing="ij")
    radius = ((2 * i + odd_row) / height) ** 2 + ((2 * j + odd_column) / width) ** 2
    order = np.argsort(radius.ravel(), kind="stable")[1:]  # the first is the mean
    ordered = radius.ravel()[order]
    edges = [0, *(_whole_shells(ordered, int(most)) for most in np.cumsum([LOW, *BANDS]))]
    pieces = [order[a:b] for a, b in pairwise(edges)]
    return Layout(height, width, pieces[0], tuple(pieces[1:]))


def _whole_shells(radius: Floats, most: int) -> int:
    """Return how many to take, at most `most`, so that equal radii stay together.

    Rows and columns can then be exchanged within what is kept.
    """
    if len(radius) <= most:
        return len(radius)
    return int(np.searchsorted(radius, radius[most] * (1 - 1e-12)))


@lru_cache(maxsize=32)
def _cosines(length: int) -> tuple[Floats, Floats]:
    """Return even and odd rows of the orthonormal cosine transform (type II) on half the length.

    A sequence whose halves were added gives the even ones, one whose halves were subtracted the odd
    ones: (length / 2, length / 2) each.
    """
    k, x = np.arange(length)[:, None], np.arange(length // 2)[None]
    table = np.cos(np.pi * (2 * x + 1) * k / (2 * length)) * np.sqrt(2 / length)
    table[0] = np.sqrt(1 / length)
    return table[::2].copy(), table[1::2].copy()


@dataclass(frozen=True)
class Coarse:
    """The coarse level of n images; the fields are what is stored with an image set."""

    low: NDArray[np.uint16]
    """(n, C, K) the upper halves of float32 numbers: bfloat16; a few zeros at the end."""
    fine_1: NDArray[np.uint8]
    """(n, C, K_1) whole steps plus 128; zero steps at the end."""
    fine_2: NDArray[np.uint8]
    """(n, C, K_2)."""
    numbers: NDArray[np.float32]
    """(n, C, 8): norm of what `low` leaves, norm of its rounding, and for each band the norm of
    what is left after it, of its rounding, and its step. Norms are upper bounds."""
    moments: Integers
    """(n, C, 2) sums of pixels and of their squares, exact."""

    def __len__(self) -> int:
        return len(self.low)

    @property
    def bands(self) -> tuple[NDArray[np.uint8], ...]:
        """The bands in order."""
        return self.fine_1, self.fine_2

    def turned(self, transform: Transform, layout: Layout) -> Coarse:
        """Return the coarse level of the images flipped or turned.

        Exchanging rows and columns exchanges frequencies; mirroring changes the sign of odd ones.
        """
        swap, down, right = transform_steps(transform)
        found: list[NDArray[Any]] = []
        stored_fields: tuple[NDArray[Any], ...] = (self.low, *self.bands)
        for stored, places in zip(stored_fields, (layout.low, *layout.bands), strict=True):
            values, count = stored.copy(), len(places)
            if swap:
                values[:, :, :count] = values[:, :, layout.exchanged(places)]
            odd_rows, odd_columns = layout.parities(places)
            signs = np.flatnonzero((odd_rows & down) ^ (odd_columns & right))
            if values.dtype == np.uint16:
                values[:, :, signs] ^= 0x8000
            else:
                values[:, :, signs] = -values[:, :, signs]  # 256 less the byte, in 8 bits
            found.append(values)
        low, first, second = found
        return Coarse(low, first, second, self.numbers, self.moments)


def coarse_of(images: Images) -> Coarse:
    """Compute the coarse level of 8-bit images (n, C, H, W), sides multiples of 4."""
    count, channels, height, width = images.shape
    layout = layout_of(height, width)
    rows, columns = layout.half
    flat = np.ascontiguousarray(images).reshape(count * channels, height, width)
    folded = np.empty((len(flat), 2, 2, rows, columns))
    moments = np.empty((len(flat), 2), dtype=np.int64)
    compiled().fold(flat, folded, moments)
    planes = np.empty_like(folded)
    down, across = _cosines(height // 2), _cosines(width // 2)
    for odd_row in (0, 1):
        for odd_column in (0, 1):
            half = folded[:, odd_row, odd_column] @ across[odd_column].T
            np.matmul(down[odd_row], half, out=planes[:, odd_row, odd_column])
    low = np.zeros((len(flat), _filled(LOW)), dtype=np.float32)
    bands = [np.full((len(flat), _filled(size)), 128, dtype=np.uint8) for size in BANDS]
    numbers = np.zeros((len(flat), 2 + 3 * len(BANDS)), dtype=np.float32)
    flat_planes, left = planes.reshape(len(flat), -1), np.empty(len(flat))
    compiled().round_low(
        flat_planes, moments, height * width, layout.low, low, numbers[:, :2], left
    )
    for k, (band, places) in enumerate(zip(bands, layout.bands, strict=True)):
        compiled().round_band(flat_planes, places, band, numbers[:, 2 + 3 * k :], left)
    shape = (count, channels, -1)
    first, second = (band.reshape(shape) for band in bands)
    return Coarse(
        to_halves(low).reshape(shape),
        first,
        second,
        numbers.reshape(shape),
        moments.reshape(shape),
    )


def _filled(count: int) -> int:
    return -(-count // 64) * 64


def to_halves(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Keep the upper halves of float32 numbers; exact for bfloat16 numbers."""
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def from_halves(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16 numbers as float32."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def make_rows(images: Images) -> dict[str, NDArray[Any]]:
    """Return the coarse level as the rows that are stored with a set."""
    return dict(vars(coarse_of(images)))
