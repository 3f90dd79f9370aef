"""The shipped contract fails for engines that break it, each in one way."""

from __future__ import annotations

import time

import numpy as np
import pytest

from likeness.testing.engines import EngineTests, exact_products


class Slow:
    """Right in everything, without a matrix library; each fault changes one thing."""

    name = "slow-int64"

    def pack(self, rows):
        return rows.astype(np.int64)

    def products(self, rows, packed):
        return self.multiplied(rows.astype(np.int64), packed).astype(np.float64)

    def multiplied(self, rows, packed):
        return exact_products(rows, packed)

    def moments(self, row):
        wide = row.astype(np.int64)
        return int(wide.sum()), int((wide * wide).sum())


class Nameless(Slow):
    name = ""


class SaturatesAt31Bits(Slow):
    def multiplied(self, rows, packed):
        return np.minimum(exact_products(rows, packed), 2**31 - 1)


class WrapsAt32Bits(Slow):
    def multiplied(self, rows, packed):
        return exact_products(rows, packed) % 2**32


class WrapsAtSigned32Bits(Slow):
    def multiplied(self, rows, packed):
        return exact_products(rows, packed).astype(np.int32)


class SaturatesPairsAt16Bits(Slow):
    """As processors without 8-bit dot products do: two neighbouring products share 16 bits."""

    def multiplied(self, rows, packed):
        total = np.zeros((len(rows), len(packed)), dtype=np.int64)
        for i, row in enumerate(rows):
            for j, other in enumerate(packed):
                pairs = np.append(row * (other - 128), [0] * (len(row) % 2)).reshape(-1, 2)
                total[i, j] = np.clip(pairs.sum(axis=1), -(2**15), 2**15 - 1).sum()
                total[i, j] += 128 * row.sum()
        return total


class TruncatesProductsAt16Bits(Slow):
    def multiplied(self, rows, packed):
        return sum(
            ((rows[:, k, None] * packed[None, :, k]).astype(np.int16).astype(np.int64))
            for k in range(rows.shape[1])
        )


class TakesBytesAsSigned(Slow):
    def multiplied(self, rows, packed):
        return exact_products(rows.astype(np.int8), packed.astype(np.int8))


class RoundsToFloat32(Slow):
    def multiplied(self, rows, packed):
        return exact_products(rows, packed).astype(np.float32)


class LosesTheRemainderOfTheLength(Slow):
    def multiplied(self, rows, packed):
        whole = max(1, rows.shape[1] // 8 * 8)
        return exact_products(rows[:, :whole], packed[:, :whole])


class LosesTheRemainderOfTheRows(Slow):
    def multiplied(self, rows, packed):
        exact = exact_products(rows, packed)
        if len(rows) > 16:
            exact[len(rows) // 16 * 16 :] = 0
        return exact


class ErrsInOneColumnOfMany(Slow):
    def multiplied(self, rows, packed):
        exact = exact_products(rows, packed)
        if exact.shape[1] > 64:
            exact[:, 64] += 1
        return exact


class TakesRowsAsNeighbours(Slow):
    def products(self, rows, packed):
        start = rows.__array_interface__["data"][0]
        base = rows
        while base.base is not None:
            base = base.base
        first = start - base.__array_interface__["data"][0]
        flat = np.resize(base.reshape(-1)[first:], rows.shape)
        return super().products(flat, packed)


class PacksRowsAsNeighbours(TakesRowsAsNeighbours):
    def pack(self, rows):
        kept = []
        self.multiplied = lambda rows, packed: kept.append(rows) or np.zeros((1, 1))
        TakesRowsAsNeighbours.products(self, rows, None)
        del self.multiplied
        return kept[0]

    def products(self, rows, packed):
        return Slow.products(self, rows, packed)


class WantsToWrite(Slow):
    def products(self, rows, packed):
        assert rows.flags.writeable
        return super().products(rows, packed)


class KeepsWhatItPacks(Slow):
    def pack(self, rows):
        return rows

    def products(self, rows, packed):
        return super().products(rows, packed.astype(np.int64))


class ChangesWhatItPacks(Slow):
    def pack(self, rows):
        packed = super().pack(rows)
        rows ^= 128
        return packed


class ChangesItsRows(Slow):
    def products(self, rows, packed):
        exact = super().products(rows, packed)
        rows ^= 128
        return exact


class RemembersRows(Slow):
    def __init__(self):
        self.seen = {}

    def products(self, rows, packed):
        key = (id(packed), rows.__array_interface__["data"][0], rows.shape)
        return self.seen.setdefault(key, super().products(rows, packed)).copy()


class GivesTheSameArrayAgain(Slow):
    def __init__(self):
        self.tables = {}

    def products(self, rows, packed):
        exact = super().products(rows, packed)
        table = self.tables.setdefault(exact.shape, exact)
        table[:] = exact
        return table


class SharesABuffer(Slow):
    """Threads overwrite each other's rows."""

    def products(self, rows, packed):
        self.buffer = rows.astype(np.int64)
        time.sleep(0.002)
        return self.multiplied(self.buffer, packed).astype(np.float64)


class GivesFloat32(Slow):
    def products(self, rows, packed):
        return super().products(rows, packed).astype(np.float32)


class TurnsItsTable(Slow):
    def multiplied(self, rows, packed):
        return exact_products(rows, packed).T


class WrapsSquares(Slow):
    def moments(self, row):
        total, squares = super().moments(row)
        return total, squares % 2**32


class SumsSignedBytes(Slow):
    def moments(self, row):
        return super().moments(row.view(np.int8))


class Loads(Slow):
    """Right, with `load`."""

    def load(self, rows):
        return rows.copy()


class KeepsWhatItLoads(Slow):
    def load(self, rows):
        return rows


class LoadsTheFirstPieceOnly(Slow):
    def load(self, rows):
        there = rows.copy()
        there[:, 65_536:] = 0
        return there


def contract_of(engine):
    class Tests(EngineTests):
        def make_engine(self):
            return engine()

    return Tests()


PROMISES = sorted(name for name in dir(EngineTests) if name.startswith("test_"))


FAULTS = [
    (Nameless, "test_name"),
    (SaturatesAt31Bits, "test_largest_sums"),
    (WrapsAt32Bits, "test_largest_sums"),
    (WrapsAtSigned32Bits, "test_largest_sums"),
    (SaturatesPairsAt16Bits, "test_alternating_extremes"),
    (TruncatesProductsAt16Bits, "test_every_pair_of_bytes"),
    (TakesBytesAsSigned, "test_every_pair_of_bytes"),
    (RoundsToFloat32, "test_random_shapes"),
    (LosesTheRemainderOfTheLength, "test_lengths_around_powers_of_two"),
    (LosesTheRemainderOfTheRows, "test_every_remainder"),
    (ErrsInOneColumnOfMany, "test_every_remainder"),
    (TakesRowsAsNeighbours, "test_rows_that_lie_apart"),
    (PacksRowsAsNeighbours, "test_packed_rows_that_lie_apart"),
    (WantsToWrite, "test_rows_that_cannot_be_written"),
    (KeepsWhatItPacks, "test_arguments_are_neither_changed_nor_kept"),
    (ChangesWhatItPacks, "test_arguments_are_neither_changed_nor_kept"),
    (ChangesItsRows, "test_arguments_are_neither_changed_nor_kept"),
    (RemembersRows, "test_nothing_is_remembered"),
    (GivesTheSameArrayAgain, "test_results_belong_to_the_caller"),
    (SharesABuffer, "test_threads"),
    (GivesFloat32, "test_random_shapes"),
    (TurnsItsTable, "test_random_shapes"),
    (WrapsSquares, "test_moments"),
    (SumsSignedBytes, "test_moments"),
    (KeepsWhatItLoads, "test_rows_that_were_sent_before"),
    (LoadsTheFirstPieceOnly, "test_rows_that_were_sent_before"),
]


@pytest.mark.parametrize(("engine", "promise"), FAULTS, ids=[one.__name__ for one, _ in FAULTS])
def test_a_broken_engine_fails(engine, promise):
    """Each fault is found by the test that is named after the promise it breaks."""
    with pytest.raises(AssertionError):
        getattr(contract_of(engine), promise)()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_right_engine_passes(promise):
    """So a failure above is the fault's, not the rest of the engine's."""
    getattr(contract_of(Loads), promise)()


def test_no_test_of_the_contract_is_idle():
    """Every test of the contract fails for some engine above."""
    assert {promise for _, promise in FAULTS} == set(PROMISES)
