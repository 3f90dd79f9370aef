"""Which images a step sees, and the seed of its noise: pure functions of the seed and the step."""

from __future__ import annotations

from typing import Final

import numpy as np

from likeness.types import Integers

_SEEDS: Final = 2**32
_ORDER, _NOISE = 0, 1  # streams of one seed


class DataOrder:
    """Every epoch visits each image once, in an order of its own.

    Parameters
    ----------
    seed
        Not negative.
    count
        Images of the set.
    batch
        Images per step. A step may take the end of one epoch and the start of the next.
    """

    def __init__(self, seed: int, count: int, batch: int) -> None:
        self._seed, self._count, self._batch = seed, count, batch
        self._epoch = -1
        self._permuted: Integers = np.empty(0, np.int64)

    def rows(self, step: int) -> Integers:
        """Return the images (batch,) int64 of a step; steps count from 0, in any order."""
        places = range(step * self._batch, (step + 1) * self._batch)
        return np.array([self._permutation(p // self._count)[p % self._count] for p in places])

    def _permutation(self, epoch: int) -> Integers:
        if epoch != self._epoch:
            sequence = np.random.SeedSequence([self._seed, _ORDER, epoch])
            order = np.random.Generator(np.random.Philox(sequence)).permutation(self._count)
            self._epoch, self._permuted = epoch, order
        return self._permuted


def noise_seed(seed: int, step: int) -> int:
    """Return the seed of one step's times and noise, 0 to 2^32 - 1; different for 2^32 steps.

    torch's generator on the processor uses 32 bits of its seed.
    """
    first = int(np.random.SeedSequence([seed, _NOISE]).generate_state(1, np.uint32)[0])
    return (first + step) % _SEEDS
