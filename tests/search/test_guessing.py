"""The guessed floor: where the coefficients hold all of an image, it is what the lists end with."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.search import SearchOptions, search
from likeness.search.filter import guessing, kernels, run
from likeness.similarity import correlation, correlation_mean

from .sources import Source

pytestmark = pytest.mark.skipif(not kernels.available(), reason="Numba is not installed")


def coarse_noise(rng, count):
    """(count, 2, 128, 128) uint8: noise in blocks of 2 x 2, as strong in all frequencies."""
    small = rng.normal(128, 30, (count, 2, 64, 64)).clip(0, 255)
    return np.rint(small).astype(np.uint8).repeat(2, axis=2).repeat(2, axis=3)


def mixed(rng, sources, shares):
    noise = coarse_noise(rng, len(sources)).astype(float)
    blend = 128 + shares[:, None, None, None] * (sources - 128.0) + 0.6 * (noise - 128)
    return np.rint(blend.clip(0, 255)).astype(np.uint8)


@pytest.mark.parametrize("own", [False, True])
def test_it_is_where_the_lists_end(monkeypatch, own):
    rng = np.random.default_rng(5)
    queries = coarse_noise(rng, 6)
    references = mixed(rng, queries[rng.integers(0, 6, 90)], rng.uniform(0, 0.8, 90))
    references[8, 1] = 50  # a channel without variance
    codes = np.concatenate([np.arange(12), rng.integers(0, 12, 78)])
    groups = np.arange(6) if own else None
    options = SearchOptions(top_k=5, top_patients=3, transforms=("identity",))
    guessed = []

    def spy(*arguments):
        guessed.append(guessing.guess_floors(*arguments))
        return guessed[-1]

    monkeypatch.setattr(run, "guess_floors", spy)
    search(
        Source(queries), Source(references, codes), options=options, method="filter",
        query_groups=groups,
    )  # fmt: skip
    ends = np.array(
        [
            [
                slow_end(query, references, codes, measure, None if groups is None else row)
                for measure in (correlation, correlation_mean)
            ]
            for row, query in enumerate(queries)
        ]
    )
    (found,) = guessed
    # The search takes the queries in an order of its own.
    found, ends = (values[np.argsort(values[:, 0])] for values in (found, ends))
    np.testing.assert_allclose(found, ends - guessing.ALLOWANCE, atol=0.003)


def slow_end(query, references, codes, measure, left_out):
    """Return the lower of the 5th best image and the best image of the 3rd best patient."""
    values = {
        k: measure(query, reference)
        for k, reference in enumerate(references)
        if codes[k] != left_out
    }
    best = {}
    for k, value in values.items():
        best[codes[k]] = max(best.get(codes[k], -1.0), value)
    return min(sorted(values.values())[-5], sorted(best.values())[-3])


def test_many_wanted():
    """More images than there are, and a list longer than a heap of a few."""
    rng = np.random.default_rng(6)
    estimates = rng.normal(size=(3, 50)).astype(np.float32)
    codes = rng.integers(0, 9, 50)
    excluded = np.array([-1, 4, -3])
    out = np.empty((3, 20 + 5), dtype=np.int64)
    kernels.compiled().list_likely(estimates, codes, excluded, 20, 9, out)
    for row in (0, 1):
        order = [int(k) for k in np.argsort(-estimates[row]) if codes[k] != excluded[row]]
        assert set(out[row, :20]) == set(order[:20])
        firsts = [k for n, k in enumerate(order) if codes[k] not in codes[order[:n]]]
        assert list(out[row, 20:]) == firsts[:5]
    assert (out[2] == -1).all()
