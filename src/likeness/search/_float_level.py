"""Comparison of images that are not 8-bit: float32 proposes, float64 decides.

Proposal. Every channel is centred in float64 and divided by its norm, u_c = d_c / |d_c|, and
rounded to float32. Its correlation with another is the inner product of the two, in pieces of 1,024
terms that are added in float64. With a_c = |d_c| / S, b_c = sqrt(P) (mean_c - mean) / S and S the
norm of the whole image centred by its own mean, sum_c (a_c**2 + b_c**2) = 1 and

    r_cat = sum_c a_c a'_c (u_c . u'_c) + sum_c b_c b'_c

Bound. Let e = 2**-24. Rounding to float32 changes each factor by at most e of itself. A product of
1,024 terms in float32, in any order and with or without fused multiply-add, errs by at most g =
1024 e / (1 - 1024 e) times the sum of the magnitudes of its terms, which over all pieces is at most
(1 + e)**2 by Cauchy and Schwarz, both vectors being of length 1. So |error| <= g (1 + e)**2 + 2 e +
e**2 for each channel; r_ch is a mean of those, and in r_cat the weights a_c a'_c sum to at most 1.
Underflow adds less than 2**-100. Centring errs by at most a few 2**-53 of the largest magnitude per
value; because an image whose deviation is below 1e-9 of that counts as constant, this is below 4e-6
of the norm. Together: `MARGIN`, about 7e-5. (Higham, Accuracy and Stability of Numerical
Algorithms, 2002, section 3.1, for g.)

Decision. Where a proposal plus the margin could enter any list, the pair is computed by the
definition of record (`likeness.similarity`), image by image. What could not is left out as -inf. So
the result is that of the definition of record for all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.search._level import Defined, Needed, Split, flat
from likeness.similarity._sums import Centring, centring, ratio
from likeness.similarity.transforms import apply_transform
from likeness.types import Flags, Floats, Images, Transform

_PIECE: Final = 1024
_ROUNDING: Final = 2.0**-24
_PRODUCT: Final = _PIECE * _ROUNDING / (1 - _PIECE * _ROUNDING)
MARGIN: Final = _PRODUCT * (1 + _ROUNDING) ** 2 + 2 * _ROUNDING + _ROUNDING**2 + 4e-6


@dataclass(frozen=True)
class Centrings:
    """How one image is centred, as a whole and channel by channel."""

    whole: Centring
    channels: tuple[Centring, ...]

    @staticmethod
    def of(values: NDArray[Any], limit: float) -> Centrings:
        """Measure values (C, P); see `centring` for `limit`."""
        whole = centring(values.reshape(-1), limit)
        return Centrings(whole, tuple(centring(v, limit) for v in values))

    @property
    def defined(self) -> bool:
        """Whether the image as a whole has a correlation."""
        return not self.whole.constant and not all(c.constant for c in self.channels)


@dataclass(frozen=True)
class _Units:
    """n images as unit vectors with their weights."""

    vectors: NDArray[np.float32]
    """(n, C, P)."""
    scales: Floats
    """(n, C), the a_c."""
    shifts: Floats
    """(n, C), the b_c."""
    defined: Defined


@dataclass(frozen=True)
class FloatGroup:
    """Queries."""

    images: Images
    transforms: tuple[Transform, ...]
    units: list[_Units]
    """Per transform."""

    @property
    def defined(self) -> Defined:
        """What can be correlated."""
        return self.units[0].defined


@dataclass(frozen=True)
class FloatTile:
    """References."""

    images: Images
    units: _Units
    centrings: dict[int, Centrings] = field(default_factory=dict)
    """Kept once measured; two threads that measure the same image find the same."""

    @property
    def defined(self) -> Defined:
        """What can be correlated."""
        return self.units.defined


@dataclass(frozen=True)
class FloatLevel:
    """See the module."""

    channels: int
    pixels: int
    limit: float
    """Relative deviation up to which an image counts as constant."""

    @property
    def description(self) -> str:
        """The arithmetic, in words."""
        return f"float32 proposals (margin {MARGIN:.0e}), decided in float64"

    @property
    def keeps_pixels(self) -> bool:
        """Whether pairs are decided from the pixels."""
        return True

    def query_bytes(self, transforms: int) -> int:
        """Count unit vectors."""
        return 4 * transforms * self.channels * self.pixels

    def reference_bytes(self) -> int:
        """Count unit vectors."""
        return 4 * self.channels * self.pixels

    def work_bytes(self, rows: int, columns: int, transforms: int) -> int:
        """Count proposals of all transforms and their comparisons, and one pair in float64."""
        proposals = rows * columns * (8 * (2 * transforms + 6) + 6 * transforms)
        return proposals + 6 * 8 * self.channels * self.pixels

    def pack(self, images: Images, transforms: tuple[Transform, ...]) -> FloatGroup:
        """Prepare queries in every transform."""
        units = []
        for name in transforms:
            units.append(self._empty(len(images)))
            for i, image in enumerate(images):
                self._fill(units[-1], i, flat(apply_transform(image, name)))
        return FloatGroup(images, transforms, units)

    def prepare(self, images: Images, split: Split) -> FloatTile:
        """Prepare references."""
        units = self._empty(len(images))

        def fill(start: int, stop: int) -> None:
            for i in range(start, stop):
                self._fill(units, i, flat(images[i]))

        split(len(images), fill)
        return FloatTile(images, units)

    def scores(
        self, group: FloatGroup, tile: FloatTile, excluded: Flags | None, needed: Needed
    ) -> Iterator[tuple[Floats, Floats]]:
        """Propose for all transforms, then decide what is needed."""
        shape = (len(group.units), len(tile.images), len(group.images))
        whole, mean = np.empty(shape), np.empty(shape)
        for t, units in enumerate(group.units):
            self._propose(units, tile.units, whole[t], mean[t])
            if excluded is not None:
                whole[t][excluded] = -np.inf
                mean[t][excluded] = -np.inf
        wanted = needed(whole, mean, MARGIN)
        for t in range(shape[0]):
            undefined = np.isneginf(whole[t]), np.isneginf(mean[t])
            whole[t] = mean[t] = -np.inf
            self._decide(group, tile, t, wanted[t], whole[t], mean[t])
            # A proposal and a decision must agree on what has no correlation.
            whole[t][undefined[0]] = -np.inf
            mean[t][undefined[1]] = -np.inf
            yield whole[t], mean[t]

    def _empty(self, count: int) -> _Units:
        table = (count, self.channels)
        return _Units(
            np.zeros((*table, self.pixels), dtype=np.float32),
            np.zeros(table),
            np.zeros(table),
            Defined(np.zeros(count, dtype=np.bool_), np.zeros(table, dtype=np.bool_)),
        )

    def _fill(self, units: _Units, i: int, values: NDArray[Any]) -> None:
        found = Centrings.of(values, self.limit)
        units.defined.image[i] = found.defined
        whole = found.whole
        norm = math.sqrt(whole.squares) or 1.0
        for c, own in enumerate(found.channels):
            units.defined.channel[i, c] = not own.constant
            shift = math.ldexp(own.mean, own.exponent - whole.exponent) - whole.mean
            units.shifts[i, c] = math.sqrt(self.pixels) * shift / norm
            if own.squares > 0:
                length = math.sqrt(own.squares)
                units.scales[i, c] = math.ldexp(length, own.exponent - whole.exponent) / norm
                units.vectors[i, c] = own.apply(values[c]) / length

    def _propose(self, group: _Units, tile: _Units, whole: Floats, mean: Floats) -> None:
        whole[...] = 0.0
        mean[...] = 0.0
        count = np.zeros(whole.shape)
        for c in range(self.channels):
            product = np.zeros(whole.shape)
            for start in range(0, self.pixels, _PIECE):
                piece = slice(start, start + _PIECE)
                product += tile.vectors[:, c, piece] @ group.vectors[:, c, piece].T
            both = np.logical_and.outer(tile.defined.channel[:, c], group.defined.channel[:, c])
            count += both
            mean += np.where(both, product, 0.0)
            product *= np.multiply.outer(tile.scales[:, c], group.scales[:, c])
            whole += product
            whole += np.multiply.outer(tile.shifts[:, c], group.shifts[:, c])
        mean /= np.maximum(count, 1.0)
        mean[count == 0] = -np.inf
        whole[~np.logical_and.outer(tile.defined.image, group.defined.image)] = -np.inf

    def _decide(
        self,
        group: FloatGroup,
        tile: FloatTile,
        transform: int,
        wanted: Flags,
        whole: Floats,
        mean: Floats,
    ) -> None:
        for column in np.flatnonzero(wanted.any(axis=0)):
            image = apply_transform(group.images[column], group.transforms[transform])
            values = flat(image)
            own = Centrings.of(values, self.limit)
            centred = own.whole.apply(values.reshape(-1))
            centred_channels = [c.apply(v) for c, v in zip(own.channels, values, strict=True)]
            for row in np.flatnonzero(wanted[:, column]):
                other = flat(tile.images[row])
                theirs = tile.centrings.get(int(row))
                if theirs is None:
                    theirs = tile.centrings[int(row)] = Centrings.of(other, self.limit)
                if own.defined and theirs.defined:
                    product = np.sum(centred * theirs.whole.apply(other.reshape(-1)))
                    whole[row, column] = ratio(product, own.whole.squares, theirs.whole.squares)
                total, count = 0.0, 0
                for c, (a, b) in enumerate(zip(own.channels, theirs.channels, strict=True)):
                    if a.constant or b.constant:
                        continue
                    product = np.sum(centred_channels[c] * b.apply(other[c]))
                    total += float(ratio(product, a.squares, b.squares))
                    count += 1
                if count:
                    mean[row, column] = total / count
