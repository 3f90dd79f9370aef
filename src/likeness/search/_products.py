"""Exact inner products of non-negative integers, made of what an engine can do: products of bytes.

Values up to 255 go to the engine as they are. Values up to 16,383 (block sums of 8 x 8 pixels) are
written as 128 h + l; then, with the third sum saved as Karatsuba does,

    sum v v' = 16,384 sum h h' + 128 (sum (h + l)(h' + l') - sum h h' - sum l l') + sum l l'

where h, l and h + l are bytes. Larger values go through a float64 matrix product, which is exact in
any order of addition while all sums stay below 2**53.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.types import Floats, Integers

if TYPE_CHECKING:
    from likeness.search.engines import Engine

_BYTE: Final = 255
_SHIFT: Final = 7
_BASE: Final = 1 << _SHIFT
_TWO_DIGITS: Final = _BASE * _BASE - 1
_UINT8: Final = np.dtype(np.uint8)
_FLOAT64: Final = np.dtype(np.float64)


class Products(Protocol):
    """A way to multiply rows of integers exactly."""

    @property
    def parts(self) -> int:
        """How many numbers a value is written as."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of those numbers."""
        ...

    def left(self, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Write the values of references, (..., P), as (parts, ..., P)."""
        ...

    def right(self, values: NDArray[Any]) -> Any:  # noqa: ANN401
        """Prepare the values of queries, (w, P)."""
        ...

    def multiply(self, left: NDArray[Any], right: Any) -> Floats:  # noqa: ANN401
        """Multiply (parts, m, P) with packed (w, P): (m, w) exact integers."""
        ...

    def sums_and_squares(self, values: NDArray[Any]) -> tuple[Integers, Integers]:
        """Add up the values of an image and their squares, (C, P) to (C,) each, exactly."""
        ...


@dataclass(frozen=True)
class ByteProducts:
    """Values up to 255."""

    engine: Engine
    parts: int = 1
    dtype: np.dtype[Any] = _UINT8

    def left(self, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Copy the values."""
        out[0] = values

    def right(self, values: NDArray[Any]) -> Any:  # noqa: ANN401
        """Pack."""
        return self.engine.pack(values)

    def multiply(self, left: NDArray[Any], right: Any) -> Floats:  # noqa: ANN401
        """Multiply."""
        return self.engine.products(left[0], right)

    def sums_and_squares(self, values: NDArray[Any]) -> tuple[Integers, Integers]:
        """Ask the engine."""
        found = np.array([self.engine.moments(channel) for channel in values], dtype=np.int64)
        return found[:, 0], found[:, 1]


@dataclass(frozen=True)
class DigitProducts:
    """Values up to 16,383."""

    engine: Engine
    parts: int = 3
    dtype: np.dtype[Any] = _UINT8

    def left(self, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Write high digits, low digits, and their sums."""
        out[0] = values >> _SHIFT
        out[1] = values & (_BASE - 1)
        np.add(out[0], out[1], out=out[2])

    def right(self, values: NDArray[Any]) -> Any:  # noqa: ANN401
        """Pack the three."""
        digits = np.empty((self.parts, *values.shape), dtype=self.dtype)
        self.left(values, digits)
        return tuple(self.engine.pack(digit) for digit in digits)

    def multiply(self, left: NDArray[Any], right: Any) -> Floats:  # noqa: ANN401
        """Multiply three times."""
        high, low, both = (
            self.engine.products(digit, packed) for digit, packed in zip(left, right, strict=True)
        )
        both -= high
        both -= low
        both *= _BASE
        high *= _BASE * _BASE
        both += high
        both += low
        return both

    def sums_and_squares(self, values: NDArray[Any]) -> tuple[Integers, Integers]:
        """Add in float64."""
        return _add_up(values)


@dataclass(frozen=True)
class WideProducts:
    """Larger values, whose sums of products stay below 2**53."""

    parts: int = 1
    dtype: np.dtype[Any] = _FLOAT64

    def left(self, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Copy the values as float64."""
        out[0] = values

    def right(self, values: NDArray[Any]) -> Any:  # noqa: ANN401
        """Return the values as float64."""
        return values.astype(np.float64)

    def multiply(self, left: NDArray[Any], right: Any) -> Floats:  # noqa: ANN401
        """Multiply."""
        return left[0] @ right.T  # type: ignore[no-any-return]

    def sums_and_squares(self, values: NDArray[Any]) -> tuple[Integers, Integers]:
        """Add in float64."""
        return _add_up(values)


def _add_up(values: NDArray[Any]) -> tuple[Integers, Integers]:
    floats = values.astype(np.float64)  # all sums stay below 2**53: exact in any order
    return floats.sum(axis=1).astype(np.int64), np.vecdot(floats, floats).astype(np.int64)


def choose_products(engine: Engine, maximum: int) -> Products:
    """Return a way to multiply rows of values in [0, `maximum`] whose sums stay below 2**53."""
    if maximum <= _BYTE:
        return ByteProducts(engine)
    return DigitProducts(engine) if maximum <= _TWO_DIGITS else WideProducts()
