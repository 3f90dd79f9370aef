"""Precision, recall, density and coverage against loops over pairs."""

import numpy as np
import pytest

from likeness.metrics import manifolds
from likeness.metrics.manifolds import memberships


def reference(real, other, k):
    """Return the four per image, with every distance written out."""

    def radius(features, i):
        return sorted(np.linalg.norm(features[i] - x) for j, x in enumerate(features) if j != i)[
            k - 1
        ]

    real_radii = [radius(real, i) for i in range(len(real))]
    radii = [radius(other, j) for j in range(len(other))]
    distance = [[np.linalg.norm(a - b) for b in other] for a in real]
    n, m = len(real), len(other)
    precision = [any(distance[i][j] <= real_radii[i] for i in range(n)) for j in range(m)]
    density = [sum(distance[i][j] <= real_radii[i] for i in range(n)) / k for j in range(m)]
    recall = [any(distance[i][j] <= radii[j] for j in range(m)) for i in range(n)]
    coverage = [min(distance[i]) <= real_radii[i] for i in range(n)]
    return precision, density, recall, coverage


@pytest.mark.parametrize("k", [1, 3, 5])
def test_they_agree_with_loops(k, monkeypatch):
    monkeypatch.setattr(manifolds, "_BLOCK", 7)
    rng = np.random.default_rng(k)
    real, other = rng.normal(size=(30, 3)) + 50, rng.normal(size=(22, 3)) + 51.2
    found = memberships(real, other, k=k)
    expected = reference(real, other, k)
    assert found.precision.tolist() == expected[0]
    assert found.density.tolist() == expected[1]
    assert found.recall.tolist() == expected[2]
    assert found.coverage.tolist() == expected[3]
    assert 0 < found.precision.mean() < 1
    assert 0 < found.recall.mean() < 1


def test_which_is_which():
    """A generator of one mode is precise and covers little; one that is too wide is not precise."""
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 100])
    narrow = memberships(real, rng.normal(size=(200, 2)))
    assert narrow.precision.mean() > 0.9
    assert narrow.recall[100:].sum() == narrow.coverage[100:].sum() == 0
    wide = memberships(rng.normal(size=(200, 2)), 30 * rng.normal(size=(200, 2)))
    assert wide.precision.mean() < 0.1
    assert wide.recall.mean() > 0.9


def test_copies_do_best():
    """None of these numbers sees memorization."""
    real = np.random.default_rng(1).normal(size=(50, 4))
    copied = memberships(real, real.copy())
    assert copied.precision.all()
    assert copied.recall.all()
    assert copied.coverage.all()


def test_the_expected_coverage_of_equal_distributions():
    """1 - 2^-k for equal numbers (Naeem et al. 2020, section 3.3, for large sets)."""
    rng = np.random.default_rng(2)
    found = [
        memberships(rng.normal(size=(300, 2)), rng.normal(size=(300, 2)), k=2).coverage.mean()
        for _ in range(20)
    ]
    assert np.mean(found) == pytest.approx(0.75, abs=0.02)
