"""Memory does not grow with the number of references."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from likeness.scores import kernels
from likeness.scores.decision_scale import DecisionImages
from likeness.scores.orientations import rank_orientations
from likeness.scores.tiles import rank_tiles

SHAPE = (2, 16, 16)


class Made:
    """Images that are made when they are read."""

    def __init__(self, count):
        self.count = count
        self.varies = np.ones((count, SHAPE[0]), dtype=bool)
        self.shape = SHAPE

    def __len__(self):
        return self.count

    def take(self, rows):
        return np.stack(
            [np.random.default_rng(int(row)).integers(0, 65536, SHAPE, np.uint16) for row in rows]
        )

    def read(self, start, stop):
        return self.take(np.arange(start, stop))


def peak(rank, count, groups):
    queries = DecisionImages(Made(5).read(0, 5), np.ones((5, SHAPE[0]), dtype=bool))
    kernels.compiled()  # compiling takes memory of its own
    tracemalloc.start()
    try:
        rank(
            queries, Made(count), groups=np.arange(count, dtype=np.int32) % groups, depth=5,
            threads=1, memory_bytes=32 << 20,
        )  # fmt: skip
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rank", [rank_orientations, rank_tiles])
def test_three_times_the_references_need_no_more_memory(rank):
    few, many = peak(rank, 1500, 50), peak(rank, 4500, 50)
    assert many < few * 1.1 + 4500 * 64
    everything = 4500 * 2 * 16 * 16 * 2
    assert everything > 0.2 * few  # that would not go unnoticed
