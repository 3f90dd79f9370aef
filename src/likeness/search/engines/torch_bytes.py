"""Bytes as the signed bytes that integer multiply instructions want, and exact sums of products.

A pixel x goes in as x' = x - 128, from -128 to 127: the same bits with the highest one flipped.
What the shift took away comes back from sums over the rows of K pixels,

    sum x y = sum x' y' + 128 sum x' + 128 sum y' + 128 128 K      (both shifted)
    sum x y = sum x  y' + 128 sum x                                 (only y shifted)

The multiplication adds up in signed 32 bits. A product is at most 2**14 in magnitude if both are
shifted and 255 x 128 if one is, so 65,536 of them stay below 2**31; longer rows are cut, and the
pieces are added in wider numbers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from likeness.search.engines._base import Bytes

CENTRE: Final = 128
LONGEST_PIECE: Final = 65_536
"""65,536 x 255 x 128 = 2,139,095,040 < 2**31."""


def pieces(length: int, longest: int) -> list[slice]:
    """Cut a row into pieces of at most `longest`."""
    return [slice(start, min(start + longest, length)) for start in range(0, length, longest)]


def padded(count: int, multiple: int) -> int:
    """Round up to a multiple."""
    return -(-count // multiple) * multiple


def as_tensor(torch: Any, rows: Bytes) -> Any:  # noqa: ANN401
    """Look at an array as a tensor, without a copy where torch can do without one.

    Of a read-only array torch would warn, since it cannot promise not to write. And it multiplies
    wrongly, without a word, where the step between rows is 0, as it is in ``row[None]``, or the
    step between the values of rows of one value, as in ``column[:, None]`` (seen with torch 2.13).
    """
    between_rows, between_values = rows.strides
    if not rows.flags.writeable or between_values != 1 or between_rows < rows.shape[1]:
        rows = np.array(rows, order="C")
    return torch.from_numpy(rows)


def shifted(torch: Any, values: Any) -> Any:  # noqa: ANN401
    """Return unsigned bytes less 128 as signed bytes: a tensor of uint8 to a new one of int8."""
    return torch.bitwise_xor(values, CENTRE).view(torch.int8)
