"""Exact 8-bit products by torch on a CUDA GPU.

Rows lie on the GPU as signed bytes (`torch_bytes`) with their sums, and products are added up there
in 64-bit integers. Two kinds of multiplication:

- ``int8``: ``torch._int_mm`` on integer tensor cores. It wants more than 16 rows, and widths and
  lengths that are multiples of 8; some versions of cuBLAS err or refuse unless the second matrix is
  turned and all sizes are multiples of 32 (pytorch#107671, #106840). So zeros are added up to
  multiples of 32, and the second matrix is always the turned one.
- ``float32``: for GPUs where that fails. Bytes less 128 have 8 significant bits, so that they and
  their products are exact in float32 and in TF32 alike; 1,024 products add up to at most 2**24,
  which float32 holds in any order of addition. float16 and bfloat16 would hold the bytes too, but
  torch rounds their results to 16 bits; so they are not used.

No result of either is trusted before the self-test has passed on the very GPU.

How rows travel is in `torch_queues`. Rows that meet many packed rows are sent once (`load`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from likeness.errors import MemoryBudgetError, OptionError
from likeness.search.engines._base import Bytes
from likeness.search.engines.numpy_engine import NumpyEngine
from likeness.search.engines.torch_bytes import CENTRE, LONGEST_PIECE, padded, pieces
from likeness.search.engines.torch_queues import STAGING_BYTES, CudaQueues, Queues
from likeness.types import Floats

_MULTIPLE: Final = 32
_FLOAT_PIECE: Final = 1024

Multiply: TypeAlias = Callable[[Any, Any, Any], Any]
"""``multiply(torch, left, right)``: (m, k) and (n, k) signed bytes, k at most 65,536 and all sizes
multiples of 32, to (m, n) exact integers."""


@dataclass(frozen=True)
class _Sent:
    """Rows on the GPU."""

    parts: tuple[Any, ...]
    """Per piece (n, k) signed bytes, k a multiple of 32; what was added is 0."""
    sums: Any
    """(n,) int64, of the signed bytes."""
    length: int
    """K, without what was added."""


def multiply_integers(torch: Any, left: Any, right: Any) -> Any:  # noqa: ANN401
    """Multiply on integer tensor cores."""
    return torch._int_mm(left, right.t())


def multiply_floats(torch: Any, left: Any, right: Any) -> Any:  # noqa: ANN401
    """Multiply in float32, in pieces that float32 adds up exactly."""
    total = torch.zeros((len(left), len(right)), dtype=torch.int64, device=left.device)
    for cut in pieces(left.shape[1], _FLOAT_PIECE):
        total += (left[:, cut].float() @ right[:, cut].float().t()).long()
    return total


class TorchCudaEngine:
    """The engine of the optional package torch with a CUDA GPU.

    Parameters
    ----------
    name
        ``torch-cuda-int8`` or ``torch-cuda-float32``.
    multiply
        `multiply_integers` or `multiply_floats`.
    make_queues
        Makes the queues of one thread; None for those of the current CUDA device.

    Raises
    ------
    OptionError
        If torch sees no CUDA GPU.
    """

    def __init__(
        self,
        name: str,
        multiply: Multiply,
        make_queues: Callable[[], Queues] | None = None,
    ) -> None:
        import torch

        if make_queues is None and not torch.cuda.is_available():
            msg = f"The engine {name!r} needs a CUDA GPU, and torch {torch.__version__} sees none."
            raise OptionError(msg)
        self.name = name
        self._torch = torch
        self._multiply = multiply
        self._make_queues = make_queues or (lambda: CudaQueues(torch))
        self._local = threading.local()
        self._moments = NumpyEngine().moments

    def load(self, rows: Bytes) -> _Sent:
        """Send rows, and wait until they have arrived."""
        with self._queues() as queues:
            return self._send(queues, rows)

    def pack(self, rows: Bytes) -> _Sent:
        """Keep rows on the GPU: there both sides look the same."""
        return self.load(rows)

    def products(self, rows: Bytes | _Sent, packed: _Sent) -> Floats:
        """Multiply what is there, or block by block while the next block is on its way."""
        with self._queues() as queues:
            exact: Floats
            if isinstance(rows, _Sent):
                with queues.computing():
                    exact = self._exact(rows, packed).cpu().numpy()
                return exact
            sent, tables = [], []
            step = max(1, STAGING_BYTES // min(padded(rows.shape[1], _MULTIPLE), LONGEST_PIECE))
            for start in range(0, len(rows), step):
                sent.append(self._send(queues, rows[start : start + step]))
                with queues.computing():
                    tables.append(self._exact(sent[-1], packed))
            with queues.computing():
                exact = self._torch.cat(tables).cpu().numpy()
        return exact  # only now may the memory of what was sent go to others

    def moments(self, row: Bytes) -> tuple[int, int]:
        """Add bytes and their squares as the NumPy engine does."""
        return self._moments(row)

    @contextmanager
    def _queues(self) -> Iterator[Queues]:
        queues: Queues | None = getattr(self._local, "queues", None)
        if queues is None:
            queues = self._local.queues = self._make_queues()
        try:
            yield queues
        except self._torch.OutOfMemoryError as error:
            msg = (
                "The GPU has too little free memory for this search. Lower --memory, so that fewer "
                "queries lie there at a time, or choose another --engine."
            )
            raise MemoryBudgetError(msg) from error
        finally:
            queues.finish()

    def _send(self, queues: Queues, rows: Bytes) -> _Sent:
        """Start sending rows, and what is to be done with them on the GPU."""
        count, length = rows.shape
        raw = []
        for cut in pieces(length, LONGEST_PIECE):
            used = cut.stop - cut.start
            width = padded(used, _MULTIPLE)
            raw.append(queues.empty(count, width))
            step = STAGING_BYTES // width
            for start in range(0, count, step):
                block = rows[start : start + step, cut]
                room = queues.room(len(block), width)
                values = room.numpy()
                values[:, :used] = block
                values[:, used:] = CENTRE  # becomes 0
                queues.send(raw[-1][start : start + step])
        torch = self._torch
        with queues.computing():
            parts = tuple(part.bitwise_xor_(CENTRE).view(torch.int8) for part in raw)
            sums = sum(part.sum(dim=1, dtype=torch.int64) for part in parts)
        return _Sent(parts, sums, length)

    def _exact(self, rows: _Sent, packed: _Sent) -> Any:  # noqa: ANN401
        """Return the products (m, n) as float64 on the GPU."""
        m, n = len(rows.sums), len(packed.sums)
        total = CENTRE * (rows.sums[:, None] + packed.sums[None, :])
        total += CENTRE * CENTRE * rows.length
        for left, right in zip(rows.parts, packed.parts, strict=True):
            product = self._multiply(self._torch, self._filled(left), self._filled(right))
            total += product[:m, :n]
        return total.double()

    def _filled(self, part: Any) -> Any:  # noqa: ANN401
        """Add rows of zeros up to a multiple of 32."""
        missing = padded(len(part), _MULTIPLE) - len(part)
        return self._torch.nn.functional.pad(part, (0, 0, 0, missing)) if missing else part
