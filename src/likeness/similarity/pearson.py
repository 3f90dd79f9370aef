"""The definition of record: Pearson's correlation of one pair of images.

`correlation` takes all pixels of all channels as one vector, with one mean and one norm (the
definition of the paper: Akbar, Wang, Eklund 2025, section 2.3). `correlation_mean` is the mean over
channels of the correlation within each channel; a channel that is constant in either image is left
out for that pair.

8-bit images: exact integers (`_sums`). All other types, and 8-bit images of more than 11.9 million
values: float64, centred first, summed by `numpy.sum` over contiguous vectors, whose order depends
neither on threads nor on a BLAS. The search gives the very same float64 numbers.

An image whose channels are all constant has no correlation, even where their levels differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.errors import ImageMismatchError, InputError
from likeness.similarity._sums import centring, fits_integers, ratio, relative_spread
from likeness.similarity.blocks import BlockGrid
from likeness.types import Image

_BYTE = 255


def correlation(first: Image, second: Image) -> float:
    """Correlate all pixels of all channels as one vector.

    Parameters
    ----------
    first, second
        (C, H, W), same shape and number type.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    InputError
        If an image is constant (all its channels are), or holds a value that is not finite.
    ImageMismatchError
        If shapes or number types differ.
    """
    return _defined(_pair(first, second).whole())


def correlation_mean(first: Image, second: Image) -> float:
    """Average the correlation within each channel over the channels that vary in both images.

    Parameters
    ----------
    first, second
        (C, H, W), same shape and number type.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    InputError
        If no channel varies in both images, or a value is not finite.
    ImageMismatchError
        If shapes or number types differ.
    """
    return _defined(_pair(first, second).mean())


def correlation_per_channel(first: Image, second: Image) -> tuple[float | None, ...]:
    """Correlate channel by channel.

    Parameters
    ----------
    first, second
        (C, H, W), same shape and number type.

    Returns
    -------
    tuple
        One number in [-1, 1] per channel; None where the channel is constant in either image.

    Raises
    ------
    InputError
        If a value is not finite.
    ImageMismatchError
        If shapes or number types differ.
    """
    return _pair(first, second).per_channel()


def block_correlation(first: Image, second: Image, *, grid: int = 64) -> float:
    """Return `correlation` of block means; exact integers for 8-bit images. See `block_means`."""
    return _defined(_block_pair(first, second, grid).whole())


def block_correlation_mean(first: Image, second: Image, *, grid: int = 64) -> float:
    """Return `correlation_mean` of block means; exact integers for 8-bit images."""
    return _defined(_block_pair(first, second, grid).mean())


def exact_maximum(dtype: np.dtype[Any], count: int) -> int | None:
    """Return the largest pixel where pixels of this type are compared in integers, else None."""
    exact = dtype == np.uint8 and fits_integers(count, _BYTE)
    return _BYTE if exact else None


def exact_block_maximum(dtype: np.dtype[Any], channels: int, blocks: BlockGrid) -> int | None:
    """Return the largest block integer where block means are compared in integers, else None."""
    maximum = blocks.maximum(_BYTE)
    count = channels * blocks.rows * blocks.columns
    exact = dtype == np.uint8 and fits_integers(count, maximum)
    return maximum if exact else None


@dataclass(frozen=True)
class _Pair:
    """Two images as rows of channels, and how to compare them."""

    first: NDArray[Any]
    """(C, P)."""
    second: NDArray[Any]
    exact: bool
    limit: float
    """Relative deviation up to which floats count as constant."""

    def whole(self) -> float | None:
        """Correlate all channels as one vector."""
        if all(r is None for r in self.channels(self.first, self.first)) or all(
            r is None for r in self.channels(self.second, self.second)
        ):
            return None
        return self._correlate(self.first.reshape(-1), self.second.reshape(-1))

    def per_channel(self) -> tuple[float | None, ...]:
        """Correlate channel by channel."""
        return self.channels(self.first, self.second)

    def mean(self) -> float | None:
        """Average over the channels that vary in both."""
        present = [r for r in self.per_channel() if r is not None]
        total = 0.0
        for r in present:  # in the order of the channels, as the search adds them
            total += r
        return total / len(present) if present else None

    def channels(self, a: NDArray[Any], b: NDArray[Any]) -> tuple[float | None, ...]:
        """Correlate the rows of `a` with those of `b`."""
        return tuple(self._correlate(x, y) for x, y in zip(a, b, strict=True))

    def _correlate(self, x: NDArray[Any], y: NDArray[Any]) -> float | None:
        if not self.exact:
            first, second = centring(x, self.limit), centring(y, self.limit)
            if first.constant or second.constant:
                return None
            product = np.sum(first.apply(x) * second.apply(y))
            return float(ratio(product, first.squares, second.squares))
        n = x.size
        u, v = x.astype(np.int64), y.astype(np.int64)
        sum_u, sum_v = int(u.sum()), int(v.sum())
        var_u = n * int((u * u).sum()) - sum_u * sum_u
        var_v = n * int((v * v).sum()) - sum_v * sum_v
        if var_u == 0 or var_v == 0:
            return None
        return float(ratio(n * int((u * v).sum()) - sum_u * sum_v, var_u, var_v))


def _pair(first: Image, second: Image) -> _Pair:
    _check(first, second)
    a, b = (np.ascontiguousarray(x).reshape(x.shape[0], -1) for x in (first, second))
    exact = exact_maximum(first.dtype, first.size) is not None
    return _Pair(a, b, exact, relative_spread(first.dtype))


def _block_pair(first: Image, second: Image, grid: int) -> _Pair:
    _check(first, second)
    channels, height, width = first.shape
    blocks = BlockGrid(height, width, grid)
    exact = exact_block_maximum(first.dtype, channels, blocks) is not None
    reduce = blocks.integers if exact else blocks.means
    a, b = (reduce(x).reshape(channels, -1) for x in (first, second))
    return _Pair(a, b, exact, relative_spread(first.dtype, blocks.pixels_per_block))


def _check(first: Image, second: Image) -> None:
    if first.shape != second.shape or first.dtype != second.dtype:
        msg = (
            f"Images of shape {first.shape} ({first.dtype}) and {second.shape} ({second.dtype}) "
            "cannot be compared: prepare both in the same way."
        )
        raise ImageMismatchError(msg)
    if first.ndim != 3 or first.size == 0 or first.dtype.kind not in "iuf":
        msg = f"An image must be (C, H, W) real numbers; got {first.shape} of {first.dtype}."
        raise ImageMismatchError(msg)
    for image in (first, second):
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            msg = "An image holds values that are not finite: leave it out or mend it."
            raise InputError(msg)


def _defined(value: float | None) -> float:
    if value is None:
        msg = "A constant image has no correlation: leave it out."
        raise InputError(msg)
    return value
