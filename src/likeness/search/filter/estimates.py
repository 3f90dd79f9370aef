"""Estimates of all pairs: products of the low coefficients.

NumKong multiplies bfloat16 numbers about twice as fast as NumPy multiplies float32; both give the
estimate to within the margin of `bounds`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.search.filter.coarse import from_halves
from likeness.search.filter.sizes import COLUMNS, LOW

_TRIAL: Final = (256, COLUMNS, LOW)


class LowProducts:
    """Queries, ready to be multiplied with any references.

    Parameters
    ----------
    low
        (w, C, K) upper halves of float32 numbers.
    """

    def __init__(self, low: NDArray[np.uint16]) -> None:
        self._rows = np.ascontiguousarray(low.swapaxes(0, 1))
        self._numkong = _numkong()
        if self._numkong is None:
            self._floats = from_halves(self._rows)
        else:
            self._tensors = [_tensor(self._numkong, rows) for rows in self._rows]

    def multiply(self, references: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Multiply with (t, C, K) references: (C, w, t)."""
        others = np.ascontiguousarray(references.swapaxes(0, 1))
        channels, width, _ = self._rows.shape
        out = np.empty((channels, width, others.shape[1]), dtype=np.float32)
        for c in range(channels):
            if self._numkong is None:
                np.matmul(self._floats[c], from_halves(others[c]).T, out=out[c])
            else:
                packed = self._numkong.dots_pack(_tensor(self._numkong, others[c]), "bf16")
                out[c] = np.asarray(self._numkong.dots_packed(self._tensors[c], packed))
        return out


def _tensor(numkong: Any, rows: NDArray[np.uint16]) -> Any:  # noqa: ANN401
    return numkong.from_pointer(rows.ctypes.data, rows.shape, "bf16", owner=rows)


@lru_cache(maxsize=1)
def _numkong() -> Any:  # noqa: ANN401
    """Return NumKong where its products are there, right, and the faster ones."""
    import time

    try:
        import numkong
    except Exception:  # noqa: BLE001 - a broken optional library must not stop a search
        return None
    rng = np.random.default_rng(3)
    w, t, length = _TRIAL
    floats = rng.standard_normal((w + t, length)).astype(np.float32)
    floats /= np.linalg.norm(floats, axis=1, keepdims=True)
    halves = (floats.view(np.uint32) >> 16).astype(np.uint16)
    rows, others = from_halves(halves[:w]), from_halves(halves[w:])
    expected = rows.astype(np.float64) @ others.astype(np.float64).T
    try:
        first = _tensor(numkong, halves[:w])
        packed = numkong.dots_pack(_tensor(numkong, halves[w:]), "bf16")
        found = np.asarray(numkong.dots_packed(first, packed))
        if not np.abs(found - expected).max() <= 2 * length * 2.0**-24:
            return None
        times = []
        for multiply in (lambda: numkong.dots_packed(first, packed), lambda: rows @ others.T):
            fastest = float("inf")
            for _ in range(3):
                began = time.perf_counter()
                multiply()
                fastest = min(fastest, time.perf_counter() - began)
            times.append(fastest)
    except Exception:  # noqa: BLE001
        return None
    return numkong if times[0] <= times[1] else None
