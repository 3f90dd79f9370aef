"""The Fréchet distance: closed form, an independent reference, and images that count twice."""

import numpy as np
import pytest
import scipy.linalg

from likeness.metrics.frechet import (
    affordable_draws,
    frechet_distance,
    weighted_frechet_distance,
)


def with_moments(mean, covariance, count, rng):
    """Return features that have exactly this mean and covariance."""
    raw = rng.normal(size=(count, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def reference(first, second):
    """Return the formula, by a matrix square root."""
    means = first.mean(axis=0), second.mean(axis=0)
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    gap = means[0] - means[1]
    return float(gap @ gap + np.trace(covariances[0] + covariances[1] - 2 * np.real(root)))


def ones(features):
    return np.ones(len(features))


def both(first, second):
    return [
        frechet_distance(first, second),
        weighted_frechet_distance(first, second, ones(first), ones(second)),
    ]


def test_the_closed_form_of_gaussians_with_axes_in_common():
    """For diagonal covariances: squared gaps of the means and of the standard deviations."""
    rng = np.random.default_rng(0)
    means = np.array([1.0, -2, 0.5]), np.array([0.0, 1, 0.5])
    deviations = np.array([1.0, 2, 0.1]), np.array([3.0, 2, 0.4])
    expected = sum(((a - b) ** 2).sum() for a, b in (means, deviations))
    first, second = (
        with_moments(m, np.diag(s**2), n, rng)
        for m, s, n in zip(means, deviations, (40, 60), strict=True)
    )
    assert both(first, second) == pytest.approx([expected] * 2, rel=1e-9)


def test_one_dimension():
    rng = np.random.default_rng(1)
    first, second = rng.normal(2, 3, (500, 1)), rng.normal(-1, 0.5, (400, 1))
    expected = (first.mean() - second.mean()) ** 2 + (first.std(ddof=1) - second.std(ddof=1)) ** 2
    assert both(first, second) == pytest.approx([expected] * 2, rel=1e-9)


@pytest.mark.parametrize(("num_real", "num_other"), [(300, 200), (300, 9), (12, 8)])
def test_it_agrees_with_a_matrix_square_root(num_real, num_other):
    """Also where a set has fewer images than there are features."""
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(20, 20))
    first = rng.normal(size=(num_real, 20)) @ mixing
    second = 0.5 * rng.normal(size=(num_other, 20)) @ mixing.T + 1
    # The root of a singular product is only known to the root of the rounding.
    assert both(first, second) == pytest.approx([reference(first, second)] * 2, rel=1e-5)


def test_features_far_from_zero_lose_nothing():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(50, 4)), rng.normal(size=(50, 4)) * 2
    near, far = both(first, second), both(first + 1e6, second + 1e6)
    assert far == pytest.approx(near, rel=1e-6)
    assert near[0] == pytest.approx(near[1], rel=1e-9)


def test_equal_sets_are_at_distance_zero():
    features = np.random.default_rng(4).normal(size=(30, 6))
    assert both(features, features[::-1].copy()) == pytest.approx([0, 0], abs=1e-9)


def test_an_image_that_counts_twice_is_an_image_that_is_there_twice():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(15, 7)), rng.normal(size=(9, 7)) + 1
    counts = rng.integers(0, 3, 15), rng.integers(1, 3, 9)
    written_out = frechet_distance(np.repeat(first, counts[0], 0), np.repeat(second, counts[1], 0))
    weighted = weighted_frechet_distance(first, second, *(c.astype(float) for c in counts))
    assert weighted == pytest.approx(written_out, rel=1e-6)


def test_dear_distances_get_fewer_draws():
    assert affordable_draws(3000, 1000, 64, 200) == 200
    assert affordable_draws(50_000, 50_000, 2048, 200) == 20
    assert 20 < affordable_draws(300, 300, 2048, 100_000) < 100_000
