"""Exact 8-bit products by NumPy's float32 matrix product.

float32 holds all integers up to 2**24, and bytes less 128 have products of at most 2**14. So a sum
of 1,024 such products is exact in any order of addition, with or without fused multiply-add. Longer
rows are cut, and the pieces are added in float64. What centring took away comes back by

    sum a b = sum (a - 128)(b - 128) + 128 sum (a - 128) + 128 sum (b - 128) + 128 128 K

where the row sums of a come out of the same product, from a column of ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from likeness.search.engines._base import Bytes
from likeness.types import Floats

_PIECE: Final = 1024
_SQUARES: Final = 256
"""So many squares of bytes stay below 2**24."""
_CENTRE: Final = 128


@dataclass(frozen=True)
class _Packed:
    pieces: tuple[Bytes, ...]
    sums: Floats


class NumpyEngine:
    """The engine that is always there."""

    name = "numpy-float32"

    def pack(self, rows: Bytes) -> _Packed:
        """Cut rows into contiguous pieces."""
        pieces = tuple(
            rows[:, start : start + _PIECE].copy() for start in range(0, rows.shape[1], _PIECE)
        )
        sums = rows.sum(axis=1, dtype=np.int64) - _CENTRE * rows.shape[1]
        return _Packed(pieces, sums.astype(np.float64))

    def products(self, rows: Bytes, packed: _Packed) -> Floats:
        """Multiply piece by piece."""
        width = len(packed.sums)
        total = np.zeros((len(rows), width + 1))
        for i, piece in enumerate(packed.pieces):
            right = np.empty((width + 1, piece.shape[1]), dtype=np.float32)
            np.subtract(piece, np.float32(_CENTRE), out=right[:width])
            right[width] = 1.0
            left = np.subtract(rows[:, i * _PIECE : (i + 1) * _PIECE], np.float32(_CENTRE))
            total += left @ right.T
        exact = total[:, :width]
        exact += _CENTRE * total[:, width:]
        exact += _CENTRE * packed.sums + float(_CENTRE * _CENTRE * rows.shape[1])
        return exact

    def moments(self, row: Bytes) -> tuple[int, int]:
        """Add piece by piece in float32, and the pieces in float64."""
        whole = len(row) - len(row) % _SQUARES
        pieces = row[:whole].reshape(-1, _SQUARES).astype(np.float32)
        sums = pieces @ np.ones(_SQUARES, dtype=np.float32)
        squares = np.vecdot(pieces, pieces)
        rest = row[whole:].astype(np.int64)
        return (
            int(sums.sum(dtype=np.float64)) + int(rest.sum()),
            int(squares.sum(dtype=np.float64)) + int((rest * rest).sum()),
        )
