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

from likeness.search.engines import LoadingEngine

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
        """All orders of 0, 128 and 255, where kernels that add two or four products saturate."""
        fours = np.stack(np.meshgrid(*[[0, 128, 255]] * 4), axis=-1).reshape(-1, 4)
        rows = np.tile(fours.astype(np.uint8), 20)[:, :77]
        self._check(rows, rows)

    def test_every_remainder(self) -> None:
        """Numbers of rows and lengths that leave every remainder when cut for registers."""
        rng = np.random.default_rng(11)
        rows, others = rng.integers(128, 256, (2, 66, 200), dtype=np.uint8)
        for k in range(1, 67):
            self._check(rows[:k, : 2 * k + 1], others[: 67 - k, : 2 * k + 1])

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

    def test_rows_that_cannot_be_written(self) -> None:
        """The arrays may be read-only."""
        rng = np.random.default_rng(7)
        rows = rng.integers(0, 256, (20, 900), dtype=np.uint8)
        others = rng.integers(0, 256, (11, 900), dtype=np.uint8)
        rows.flags.writeable = others.flags.writeable = False
        self._check(rows, others)

    def test_arguments_are_neither_changed_nor_kept(self) -> None:
        """Changing an array after `pack` changes nothing."""
        rng = np.random.default_rng(3)
        rows = rng.integers(0, 256, (6, 3000), dtype=np.uint8)
        others = rng.integers(0, 256, (5, 3000), dtype=np.uint8)
        before, others_before = rows.copy(), others.copy()
        expected = exact_products(rows, others)
        engine = self.make_engine()
        packed = engine.pack(others)
        assert (others == others_before).all()
        others[:] = 0
        first = np.array(engine.products(rows, packed))
        second = np.array(engine.products(rows, packed))
        assert (rows == before).all()
        assert (first == expected).all()
        assert (second == expected).all()

    def test_nothing_is_remembered(self) -> None:
        """The same array with other bytes gives other products; packed rows are used again."""
        rng = np.random.default_rng(8)
        engine = self.make_engine()
        others = rng.integers(0, 256, (5, 3000), dtype=np.uint8)
        packed = engine.pack(others)
        rows = np.empty((6, 3000), dtype=np.uint8)
        for _ in range(3):
            rows[:] = rng.integers(0, 256, rows.shape, dtype=np.uint8)
            assert (engine.products(rows, packed) == exact_products(rows, others)).all()
            engine.pack(rows)

    def test_results_belong_to_the_caller(self) -> None:
        """A result can be overwritten, and does not change when the next one is computed."""
        rng = np.random.default_rng(9)
        engine = self.make_engine()
        rows, others = rng.integers(0, 256, (2, 12, 700), dtype=np.uint8)
        packed = engine.pack(others)
        first = engine.products(rows, packed)
        second = engine.products(others, packed)
        assert (first == exact_products(rows, others)).all()
        first[:] = -1.0
        assert (second == exact_products(others, others)).all()
        assert (engine.products(rows, packed) == exact_products(rows, others)).all()

    def test_rows_that_were_sent_before(self) -> None:
        """Where an engine has `load`, what it returns stands for the rows, and is a copy."""
        engine = self.make_engine()
        if not isinstance(engine, LoadingEngine):
            return
        rng = np.random.default_rng(10)
        for shape, width in (((40, 3001), 9), ((1, 70_001), 2), ((130, 65_536), 1)):
            rows = rng.integers(0, 256, shape, dtype=np.uint8)
            others = rng.integers(0, 256, (width, shape[1]), dtype=np.uint8)
            before, expected = rows.copy(), exact_products(rows, others)
            there = engine.load(rows)
            assert (rows == before).all()
            rows[:] = 0
            for _ in range(2):
                assert (engine.products(there, engine.pack(others)) == expected).all()

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
        blocks = [rng.integers(0, 256, (20, 20_000), dtype=np.uint8) for _ in range(16)]
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
