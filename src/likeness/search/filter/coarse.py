"""The coarse level: what the filter keeps of an image, and how far it can be off.

Each channel is centred and divided by its norm, u. Sums of 2 x 2 pixels of a window in the middle
(see `window`) are written in the cosine basis (two-dimensional, orthonormal), lowest frequencies
first: `low`, rounded to bfloat16, then the bands `fine_1` and `fine_2`, each in whole steps of its
own. In the place of the frequency 0 stands the one pattern that is level inside the window, level
outside and has no mean. What remains is kept as its norm alone. For two images

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
    from likeness.datasets.derived import Rows

VERSION: Final = 2


@dataclass(frozen=True)
class Layout:
    """Which frequencies of their window are kept of images of one size.

    Frequencies of equal parity lie together, so that a transform of half the length gives them: a
    plane of coefficients is (2, 2, rows, columns), with odd rows, odd columns, and half the
    frequency as indices.
    """

    height: int
    width: int
    window: tuple[int, int]
    """Rows and columns of the pixels in the middle that are transformed."""
    low: Integers
    """(K,) positions in the flat plane."""
    bands: tuple[Integers, ...]
    """(K_b,) likewise."""

    @property
    def half(self) -> tuple[int, int]:
        """Rows and columns of a plane, for each parity."""
        return self.window[0] // 4, self.window[1] // 4

    @property
    def level(self) -> float:
        """What turns the cosine of frequency 0 into the pattern that is level outside too.

        With A pixels inside and B outside it is sqrt(1 / A + 1 / B) times their sum, the cosine
        sqrt(1 / A) times; 0 where nothing lies outside, for then it is the mean.
        """
        inside = self.window[0] * self.window[1]
        outside = self.height * self.width - inside
        return float(np.sqrt(1 + inside / outside)) if outside else 0.0

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
def layout_of(height: int, width: int, window: tuple[int, int]) -> Layout:
    """Choose the lowest frequencies, in cycles per pixel, for images of a size.

    All sides must be multiples of 4.
    """
    rows, columns = window[0] // 4, window[1] // 4
    odd_row, odd_column, i, j = np.meshgrid(*map(np.arange, (2, 2, rows, columns)), indexing="ij")
    radius = ((2 * i + odd_row) / window[0]) ** 2 + ((2 * j + odd_column) / window[1]) ** 2
    order = np.argsort(radius.ravel(), kind="stable")
    if window == (height, width):
        order = order[1:]  # the first is the mean
    ordered = radius.ravel()[order]
    edges = [0, *(_whole_shells(ordered, int(most)) for most in np.cumsum([LOW, *BANDS]))]
    pieces = [order[a:b] for a, b in pairwise(edges)]
    return Layout(height, width, window, pieces[0], tuple(pieces[1:]))


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
    """(n, C, 9): norm of what `low` leaves, norm of its rounding, and for each band the norm of
    what is left after it, of its rounding, and its step; last 1 where a pixel outside the window is
    not 0. Norms are upper bounds."""
    moments: Integers
    """(n, C, 2) sums of pixels and of their squares, exact."""

    def __len__(self) -> int:
        return len(self.low)

    @property
    def bands(self) -> tuple[NDArray[np.uint8], ...]:
        """The bands in order."""
        return self.fine_1, self.fine_2

    @property
    def left(self) -> NDArray[np.float32]:
        """(n, C) norms of what is left after the last band."""
        return self.numbers[..., -4]

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


@dataclass(frozen=True)
class CoarseLevel:
    """The coarse level of a set."""

    window: tuple[int, int]
    rows: dict[str, Rows]
    """The fields of `Coarse`."""


def coarse_of(images: Images, window: tuple[int, int]) -> Coarse:
    """Compute the coarse level of 8-bit images (n, C, H, W), sides multiples of 4."""
    count, channels, height, width = images.shape
    layout = layout_of(height, width, window)
    rows, columns = layout.half
    flat = np.ascontiguousarray(images).reshape(count * channels, height, width)
    folded = np.empty((len(flat), 2, 2, rows, columns))
    sums = np.empty((len(flat), 3), dtype=np.int64)
    compiled().fold(flat, folded, sums)
    moments, outside = np.ascontiguousarray(sums[:, :2]), sums[:, 2]
    planes = np.empty_like(folded)
    down, across = _cosines(window[0] // 2), _cosines(window[1] // 2)
    for odd_row in (0, 1):
        for odd_column in (0, 1):
            half = folded[:, odd_row, odd_column] @ across[odd_column].T
            np.matmul(down[odd_row], half, out=planes[:, odd_row, odd_column])
    # The others have no mean; this one is to be that of centred images.
    level = 2 * np.sqrt(window[0] * window[1]) * (moments[:, 0] / (height * width))
    planes[:, 0, 0, 0, 0] = (planes[:, 0, 0, 0, 0] - level) * layout.level
    low = np.zeros((len(flat), _filled(LOW)), dtype=np.float32)
    bands = [np.full((len(flat), _filled(size)), 128, dtype=np.uint8) for size in BANDS]
    numbers = np.zeros((len(flat), 3 + 3 * len(BANDS)), dtype=np.float32)
    numbers[:, -1] = outside > 0
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


def make_rows(images: Images, window: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Return the coarse level as the rows that are stored with a set."""
    return dict(vars(coarse_of(images, window)))
