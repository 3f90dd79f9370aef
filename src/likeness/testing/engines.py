"""The contract of an engine as tests. See `likeness.search.engines.Engine`.

Write a subclass in your own tests and run it with pytest:

    class TestMyEngine(EngineTests):
        def make_engine(self):
            return MyEngine()

NumPy is all it needs; pytest only collects it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.search.engines import Engine
    from likeness.types import Integers


class EngineTests:
    """Inherit, and say how your engine is made."""

    def make_engine(self) -> Engine:
        """Return the engine under test."""
        raise NotImplementedError

    def test_name(self) -> None:
        """An engine names its library and number type."""
        name = self.make_engine().name
        assert isinstance(name, str)
        assert name

    def test_random_shapes(self) -> None:
        """All shapes, odd ones too, give exact products."""
        rng = np.random.default_rng(0)
        for _ in range(40):
            m, n, length = (int(k) for k in rng.integers(1, [70, 70, 3000]))
            self._check(
                rng.integers(0, 256, (m, length), dtype=np.uint8),
                rng.integers(0, 256, (n, length), dtype=np.uint8),
            )

    def test_lengths_around_powers_of_two(self) -> None:
        """Lengths just below, at and above the sizes where kernels change."""
        rng = np.random.default_rng(1)
        for power in (4, 6, 8, 10, 12, 14, 16):
            for length in ((1 << power) - 1, 1 << power, (1 << power) + 1):
                self._check(
                    rng.integers(0, 256, (3, length), dtype=np.uint8),
                    rng.integers(0, 256, (2, length), dtype=np.uint8),
                )

    def test_largest_sums(self) -> None:
        """65,536 products of 255 x 255 fill unsigned 32 bits; longer rows go beyond them."""
        for length in (65_536, 100_003, 262_144):
            rows = np.full((2, length), 255, dtype=np.uint8)
            products = self._products(rows, rows)
            assert (products == 255 * 255 * length).all()

    def test_alternating_extremes(self) -> None:
        """0 beside 255, and 127 beside 128, where signed kernels saturate or wrap."""
        for first, second in ((0, 255), (127, 128), (255, 128), (1, 254)):
            rows = np.full((5, 4097), first, dtype=np.uint8)
            rows[:, ::2] = second
            self._check(rows, rows[::-1, ::-1].copy())

    def test_every_pair_of_bytes(self) -> None:
        """Each of the 65,536 products of two bytes is right on its own."""
        values = np.arange(256, dtype=np.uint8)[:, None]
        self._check(values, values)

    def test_rows_that_lie_apart(self) -> None:
        """Rows may be parts of longer rows."""
        rng = np.random.default_rng(2)
        wide = rng.integers(0, 256, (9, 5000), dtype=np.uint8)
        others = rng.integers(0, 256, (4, 2000), dtype=np.uint8)
        self._check(wide[:, 700:2700], others)
        self._check(wide[3:4, 700:2700], others)

    def test_packed_rows_that_lie_apart(self) -> None:
        """So may the rows to be packed."""
        rng = np.random.default_rng(5)
        wide = rng.integers(0, 256, (9, 5000), dtype=np.uint8)
        rows = rng.integers(0, 256, (4, 2000), dtype=np.uint8)
        self._check(rows, wide[:, 700:2700])
        self._check(rows, wide[3:4, 700:2700])

    def test_arguments_are_neither_changed_nor_kept(self) -> None:
        """Changing an array after `pack` changes nothing."""
        rng = np.random.default_rng(3)
        rows = rng.integers(0, 256, (6, 3000), dtype=np.uint8)
        others = rng.integers(0, 256, (5, 3000), dtype=np.uint8)
        before, expected = rows.copy(), exact_products(rows, others)
        engine = self.make_engine()
        packed = engine.pack(others)
        others[:] = 0
        first = np.array(engine.products(rows, packed))
        second = np.array(engine.products(rows, packed))
        assert (rows == before).all()
        assert (first == expected).all()
        assert (second == expected).all()

    def test_moments(self) -> None:
        """Sums and sums of squares are exact, also beyond 32 bits."""
        rng = np.random.default_rng(6)
        engine = self.make_engine()
        for length in (1, 3, 255, 256, 257, 4099, 65_536, 65_537, 300_001):
            for row in (
                rng.integers(0, 256, length, dtype=np.uint8),
                np.full(length, 255, dtype=np.uint8),
                np.zeros(length, dtype=np.uint8),
            ):
                wide = row.astype(np.int64)
                assert engine.moments(row) == (int(wide.sum()), int((wide * wide).sum()))

    def test_threads(self) -> None:
        """Several threads may multiply with the same packed rows at once."""
        rng = np.random.default_rng(4)
        engine = self.make_engine()
        others = rng.integers(0, 256, (33, 20_000), dtype=np.uint8)
        packed = engine.pack(others)
        blocks = [rng.integers(0, 256, (20, 20_000), dtype=np.uint8) for _ in range(8)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda rows: engine.products(rows, packed), blocks))
        for rows, products in zip(blocks, found, strict=True):
            assert (products == exact_products(rows, others)).all()

    def _check(self, rows: NDArray[np.uint8], others: NDArray[np.uint8]) -> None:
        expected = exact_products(rows, others)
        products = self._products(rows, others)
        assert products.shape == expected.shape
        assert (products == expected).all()

    def _products(self, rows: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
        engine = self.make_engine()
        products = np.asarray(engine.products(rows, engine.pack(others)))
        assert products.dtype == np.float64
        return products


def exact_products(rows: NDArray[np.uint8], others: NDArray[np.uint8]) -> Integers:
    """Return inner products in int64, one packed row at a time: (m, K) and (n, K) to (m, n)."""
    wide = rows.astype(np.int64)
    return np.stack([(wide * other.astype(np.int64)).sum(axis=1) for other in others], axis=1)
