"""Comparison of 8-bit images in exact integers.

r follows from integer sums by the formula of `likeness.similarity._sums`, element by element, so
that it is the same bit for bit whatever the tile, the thread or the engine. Integers are kept in
float64 while all of them are below 2**53, else in int64; both are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.search._level import Defined, Needed, Split, flat
from likeness.search.engines import loaded
from likeness.similarity._sums import FLOAT64_EXACT
from likeness.similarity.transforms import apply_transform
from likeness.types import Flags, Floats, Images, Integers, Transform

if TYPE_CHECKING:
    from likeness.search.engines import Engine

_BYTE: Final = 255


@dataclass(frozen=True)
class Moments:
    """Sums and variances of n images; the variances are count**2 times the usual ones."""

    sums: Integers
    """(n, C + 1); the last is over all channels."""
    variances: Integers
    """(n, C + 1)."""
    defined: Defined

    @staticmethod
    def empty(count: int, channels: int) -> Moments:
        """Make room for `count` images."""
        table = (count, channels + 1)
        defined = Defined(np.zeros(count, dtype=np.bool_), np.zeros((count, channels), np.bool_))
        return Moments(np.zeros(table, np.int64), np.zeros(table, np.int64), defined)

    def fill(self, i: int, values: NDArray[Any], engine: Engine) -> None:
        """Measure one image (C, P)."""
        found = np.array([engine.moments(channel) for channel in values], dtype=np.int64)
        sums, squares = found[:, 0], found[:, 1]
        channels, pixels = values.shape
        self.sums[i, :-1], self.sums[i, -1] = sums, sums.sum()
        self.variances[i, :-1] = pixels * squares - sums * sums
        self.variances[i, -1] = channels * pixels * squares.sum() - self.sums[i, -1] ** 2
        self.defined.channel[i] = self.variances[i, :-1] > 0
        self.defined.image[i] = self.defined.channel[i].any()


@dataclass(frozen=True)
class IntegerGroup:
    """Queries, ready in each transform."""

    packed: list[list[Any]]
    """Per transform, per channel."""
    moments: Moments
    """Flips and turns do not change them."""

    @property
    def defined(self) -> Defined:
        """What can be correlated."""
        return self.moments.defined


@dataclass(frozen=True)
class IntegerTile:
    """References."""

    left: list[Any]
    """Per channel (m, P), as the engine's `products` is best given them."""
    moments: Moments

    @property
    def defined(self) -> Defined:
        """What can be correlated."""
        return self.moments.defined


@dataclass(frozen=True)
class IntegerLevel:
    """See the module."""

    engine: Engine
    channels: int
    pixels: int
    """Values per channel, P."""

    @property
    def description(self) -> str:
        """The arithmetic, in words."""
        return "exact integers"

    @property
    def keeps_pixels(self) -> bool:
        """Whether pairs are decided from the pixels."""
        return False

    def query_bytes(self, transforms: int) -> int:
        """Packed operands; engines may pad them by a tenth."""
        return int(1.1 * transforms * self.channels * self.pixels)

    def reference_bytes(self) -> int:
        """Nothing: the operands are the pixels themselves."""
        return 0

    def work_bytes(self, rows: int, columns: int, transforms: int) -> int:
        """Count the float64 tables of one comparison, and what an engine needs to convert."""
        del transforms
        return 8 * rows * columns * (2 * self.channels + 12) + 16_384 * (rows + columns)

    def pack(self, images: Images, transforms: tuple[Transform, ...]) -> IntegerGroup:
        """Prepare queries in every transform."""
        packed: list[list[Any]] = []
        moments = Moments.empty(len(images), self.channels)
        for i, image in enumerate(images):
            moments.fill(i, flat(image), self.engine)
        values = np.empty((len(images), self.channels, self.pixels), dtype=np.uint8)
        for name in transforms:
            for i, image in enumerate(images):
                values[i] = flat(apply_transform(image, name))
            packed.append([self.engine.pack(values[:, c]) for c in range(self.channels)])
        return IntegerGroup(packed, moments)

    def prepare(self, images: Images, split: Split) -> IntegerTile:
        """Prepare references."""
        moments = Moments.empty(len(images), self.channels)
        values = images.reshape(len(images), self.channels, self.pixels)

        def measure(start: int, stop: int) -> None:
            for i in range(start, stop):
                moments.fill(i, values[i], self.engine)

        split(len(images), measure)
        left = [loaded(self.engine, values[:, c]) for c in range(self.channels)]
        return IntegerTile(left, moments)

    def scores(
        self, group: IntegerGroup, tile: IntegerTile, excluded: Flags | None, needed: Needed
    ) -> Iterator[tuple[Floats, Floats]]:
        """Compare exactly; `needed` is not asked, because all is decided."""
        del needed
        work = _Work.of(self, group.moments, tile.moments)
        for packed in group.packed:
            total: Any = 0
            mean = np.zeros(work.shape)
            for c in range(self.channels):
                product = self.engine.products(tile.left[c], packed[c])
                exact = product if work.integers is np.float64 else product.astype(work.integers)
                total = exact.copy() if c == 0 else np.add(total, exact, out=total)
                mean += work.correlation(exact, self.pixels, c)
            whole = work.correlation(total, self.pixels * self.channels, self.channels)
            if work.count is None:
                mean /= self.channels
            else:
                mean /= work.count
            work.blank(whole, mean, excluded)
            yield whole, mean


@dataclass(frozen=True)
class _Work:
    """What is the same for all transforms of a group and a tile."""

    shape: tuple[int, int]
    integers: type[np.float64 | np.int64]
    outer: list[NDArray[Any]]
    """Products of sums, per channel and for all channels."""
    roots: list[Floats]
    """Square roots of products of variances; 1 where there is none, since cov is 0 there."""
    count: Floats | None
    """(m, w) channels that vary in both; None if all do, 1 where there are none."""
    undefined: Flags | None
    """(m, w) where the whole has no correlation."""
    undefined_mean: Flags | None

    @staticmethod
    def of(level: IntegerLevel, group: Moments, tile: Moments) -> _Work:
        total = level.channels * level.pixels
        small = total * total * _BYTE * _BYTE < FLOAT64_EXACT
        integers: type[np.float64 | np.int64] = np.float64 if small else np.int64
        outer, roots = [], []
        for c in range(level.channels + 1):
            outer.append(
                np.multiply.outer(
                    tile.sums[:, c].astype(integers), group.sums[:, c].astype(integers)
                )
            )
            root = np.sqrt(
                np.multiply.outer(
                    tile.variances[:, c].astype(np.float64),
                    group.variances[:, c].astype(np.float64),
                )
            )
            root[root == 0] = 1.0
            roots.append(root)
        shape = outer[0].shape
        undefined = undefined_mean = count = None
        if not (tile.defined.image.all() and group.defined.image.all()):
            undefined = ~np.logical_and.outer(tile.defined.image, group.defined.image)
        if not (tile.defined.channel.all() and group.defined.channel.all()):
            both = tile.defined.channel.astype(np.float64) @ group.defined.channel.T.astype(
                np.float64
            )
            undefined_mean = both == 0
            count = np.maximum(both, 1.0)
        return _Work((shape[0], shape[1]), integers, outer, roots, count, undefined, undefined_mean)

    def correlation(self, product: NDArray[Any], count: int, which: int) -> Floats:
        """Turn sums of products, which are overwritten, into correlations."""
        product *= count
        product -= self.outer[which]
        covariance: Floats = product.astype(np.float64, copy=False)
        covariance /= self.roots[which]
        return np.clip(covariance, -1.0, 1.0, out=covariance)

    def blank(self, whole: Floats, mean: Floats, excluded: Flags | None) -> None:
        """Put -inf where there is no correlation."""
        for table, undefined in ((whole, self.undefined), (mean, self.undefined_mean)):
            if undefined is not None:
                table[undefined] = -np.inf
            if excluded is not None:
                table[excluded] = -np.inf
