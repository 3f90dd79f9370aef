"""The contract of an engine."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from likeness.types import Floats

Bytes: TypeAlias = NDArray[np.uint8]


class Engine(Protocol):
    """Exact inner products, sums and sums of squares of rows of bytes.

    - Any number of rows and any length of rows, one or more, must work.
    - Every product is the exact integer: no rounding, no saturation, no wrap-around, also where all
      bytes are 255. The length times 255 squared stays below 2**53, so float64 can hold it.
    - All calls may come from several threads at once, also with the same packed rows; `products`
      should release the interpreter lock while it multiplies.
    - No call changes or keeps its arguments; what `pack` returns holds its own copy.
    - No state: the same arguments give the same result.

    `likeness.testing.engines.EngineTests` checks all of this for an engine of your own.
    """

    @property
    def name(self) -> str:
        """Library and number type, for example ``numpy-float32``."""
        ...

    def pack(self, rows: Bytes) -> Any:  # noqa: ANN401
        """Bring rows into the engine's own layout, of at most 1.1 n K bytes where rows are long.

        Parameters
        ----------
        rows
            (n, K); each row is contiguous, but rows may lie apart. May be read-only.
        """
        ...

    def products(self, rows: Bytes, packed: Any) -> Floats:  # noqa: ANN401
        """Multiply every row with every packed row.

        Parameters
        ----------
        rows
            (m, K); each row is contiguous, but rows may lie apart. May be read-only.
        packed
            What `pack` returned for (n, K).

        Returns
        -------
        Floats
            (m, n), exact integers.
        """
        ...

    def moments(self, row: Bytes) -> tuple[int, int]:
        """Return the sum and the sum of squares of one row (K,), contiguous; both exact."""
        ...


@runtime_checkable
class LoadingEngine(Engine, Protocol):
    """An engine far from the memory of the host, which would rather be sent the same rows once.

    `products` of such an engine takes what `load` returned in place of the rows, with the same
    result. All else is as in `Engine`; what `load` returns holds its own copy.
    """

    def load(self, rows: Bytes) -> Any:  # noqa: ANN401
        """Send rows (m, K) to where they will be multiplied, each with several packed ones."""
        ...


def loaded(engine: Engine, rows: Bytes) -> Any:  # noqa: ANN401
    """Return what `products` of this engine is best given for rows that it will meet often."""
    return engine.load(rows) if isinstance(engine, LoadingEngine) else rows
