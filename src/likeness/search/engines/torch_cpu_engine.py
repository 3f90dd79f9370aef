"""Exact 8-bit products by torch on the processor.

``torch._int_mm`` multiplies unsigned bytes with signed ones by the byte instructions of AVX512-VNNI
and the like. So rows go in as they are, and only packed rows are shifted (`torch_bytes`). On
processors without such instructions the same call saturates at 16 bits, without a word
(pytorch#136746; seen with torch 2.13 held to AVX2, with both shifted too): there the self-test
rules the engine out.

The sums over the rows come out of the same product, from a column of ones, which costs little where
there are many columns; where there are few it would cost memory, and a product of its own gives
them. Rows are cut so that what torch copies within stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from likeness.search.engines._base import Bytes
from likeness.search.engines.numpy_engine import NumpyEngine
from likeness.search.engines.torch_bytes import CENTRE, as_tensor, pieces, shifted
from likeness.search.engines.torch_threads import OneThread
from likeness.types import Floats

_PIECE: Final = 16_384
"""As fast as the longest possible, 65,536, and torch copies a quarter of it at a time."""
_MANY: Final = 10
"""So many packed rows grow by a tenth at most if ones are added."""


@dataclass(frozen=True)
class _Packed:
    parts: tuple[Any, ...]
    """Per piece (k, n) or, with ones, (k, n + 1) signed bytes."""
    count: int
    """n."""
    has_ones: bool


class TorchCpuEngine:
    """The engine of the optional package torch, without a GPU."""

    name = "torch-cpu-int8"

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._alone = OneThread(torch)
        self._ones = torch.ones((_PIECE, 1), dtype=torch.int8)
        self._moments = NumpyEngine().moments

    def pack(self, rows: Bytes) -> _Packed:
        """Shift, turn and cut."""
        torch = self._torch
        count, length = rows.shape
        has_ones = count >= _MANY
        parts = []
        with self._alone():
            values = as_tensor(torch, rows)
            for cut in pieces(length, _PIECE):
                part = torch.empty((cut.stop - cut.start, count + has_ones), dtype=torch.int8)
                part[:, :count] = shifted(torch, values[:, cut]).t()
                part[:, count:] = 1
                parts.append(part)
        return _Packed(tuple(parts), count, has_ones)

    def products(self, rows: Bytes, packed: _Packed) -> Floats:
        """Multiply piece by piece, and add in float64."""
        torch, n = self._torch, packed.count
        with self._alone():
            values = as_tensor(torch, rows)
            total = torch.zeros((len(rows), n + 1), dtype=torch.float64)
            products, sums = total[:, :n], total[:, n:]
            for cut, part in zip(pieces(rows.shape[1], _PIECE), packed.parts, strict=True):
                left = values[:, cut]
                if packed.has_ones:
                    total += torch._int_mm(left, part)
                else:
                    products += torch._int_mm(left, part)
                    sums += torch._int_mm(left, self._ones[: len(part)])
            found: Floats = torch.add(products, sums, alpha=CENTRE).numpy()
        return found

    def moments(self, row: Bytes) -> tuple[int, int]:
        """Add bytes and their squares as the NumPy engine does: torch has nothing faster."""
        return self._moments(row)
