"""Exact 8-bit products by NumKong's byte kernels.

They multiply unsigned bytes and add in unsigned 32 bits, which holds 65,536 products of 255 x 255.
Rows are cut far shorter: pieces of 8,192 bytes of up to 96 packed rows stay in the second-level
cache while the other rows stream past (measured on a Zen 4 core: 310 giga-operations per second,
against 150 for whole rows and 128 packed rows).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from likeness.search.engines._base import Bytes
from likeness.types import Floats

_PIECE: Final = 8192


class NumkongEngine:
    """The engine of the optional package NumKong."""

    name = "numkong-uint8"

    def __init__(self) -> None:
        import numkong

        self._pack = numkong.dots_pack
        self._products = numkong.dots_packed
        self._moments = numkong.moments

    def pack(self, rows: Bytes) -> list[Any]:
        """Pack piece by piece."""
        starts = range(0, rows.shape[1], _PIECE)
        return [self._pack(np.ascontiguousarray(rows[:, i : i + _PIECE]), "uint8") for i in starts]

    def products(self, rows: Bytes, packed: list[Any]) -> Floats:
        """Multiply piece by piece."""
        if len(rows) == 1:  # a row that lies apart has no contiguous neighbour to judge by
            rows = np.ascontiguousarray(rows)
        total: Floats | None = None
        for i, piece in enumerate(packed):
            part = self._products(rows[:, i * _PIECE : (i + 1) * _PIECE], piece)
            product = np.asarray(part).reshape(len(rows), -1)
            if total is None:
                total = product.astype(np.float64)
            else:
                total += product
        if total is None:
            msg = "Rows must not be empty."
            raise ValueError(msg)
        return total

    def moments(self, row: Bytes) -> tuple[int, int]:
        """Add bytes and their squares."""
        total, squares = self._moments(row, dtype="uint8")
        return int(total), int(squares)
