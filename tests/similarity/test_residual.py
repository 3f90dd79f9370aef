"""The intensity fit is ordinary least squares, channel by channel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from likeness.errors import ImageMismatchError
from likeness.similarity import correlation_mean, high_pass_correlation, intensity_fit


@pytest.fixture
def pair():
    rng = np.random.default_rng(7)
    reference = rng.uniform(0, 255, (3, 20, 22))
    gains, offsets = np.array([0.5, 2.0, 1.5]), np.array([30.0, -4.0, 0.0])
    noise = rng.normal(0, 10, reference.shape)
    return gains[:, None, None] * reference + offsets[:, None, None] + noise, reference


def test_agrees_with_a_polynomial_fit(pair):
    query, reference = pair
    fit = intensity_fit(query, reference)
    left = total = 0.0
    for c in range(3):
        gain, offset = np.polyfit(reference[c].ravel(), query[c].ravel(), 1)
        assert fit.gain[c] == pytest.approx(gain, rel=1e-9)
        assert fit.offset[c] == pytest.approx(offset, abs=1e-8)
        rest = query[c] - gain * reference[c] - offset
        np.testing.assert_allclose(fit.residual[c], rest, atol=1e-8)
        left += (rest**2).sum()
        total += ((query[c] - query[c].mean()) ** 2).sum()
    assert fit.relative_residual == pytest.approx(math.sqrt(left / total), rel=1e-9)
    assert not fit.inverted


def test_one_channel_relates_to_the_correlation(pair):
    query, reference = pair[0][:1], pair[1][:1]
    r = correlation_mean(query, reference)
    expected = math.sqrt(1 - r * r)
    assert intensity_fit(query, reference).relative_residual == pytest.approx(expected, rel=1e-6)


def test_a_brightened_copy_leaves_nothing(pair):
    reference = pair[1]
    fit = intensity_fit(0.25 * reference + 8, reference)
    assert fit.relative_residual < 1e-12
    assert np.abs(fit.residual).max() < 1e-10
    np.testing.assert_allclose(fit.gain, 0.25)
    np.testing.assert_allclose(fit.offset, 8)


def test_inversion_is_named(pair):
    query, reference = pair
    assert intensity_fit(-query, reference).inverted
    query[0] *= -1  # the channel that explains least of the three
    assert not intensity_fit(query, reference).inverted


def test_constant_channels(pair):
    query, reference = pair
    with_two = intensity_fit(query[:2], reference[:2])
    query[2] = 0.1
    fit = intensity_fit(query, reference)
    assert fit.relative_residual == pytest.approx(with_two.relative_residual, rel=1e-12)
    assert abs(fit.gain[2]) < 1e-12
    reference[:] = 0.3
    fit = intensity_fit(query, reference)
    assert fit.gain == (0.0, 0.0, 0.0)
    assert fit.relative_residual == pytest.approx(1.0)
    assert not fit.inverted
    assert intensity_fit(reference, query).relative_residual is None
    with pytest.raises(ImageMismatchError):
        intensity_fit(query, reference[:1])


def gaussian_matrix(length, sd):
    """Blurring as a matrix: reflected edges, cut off at 4 standard deviations."""
    reach = int(4 * sd + 0.5)
    weights = [math.exp(-0.5 * (k / sd) ** 2) for k in range(-reach, reach + 1)]
    matrix = np.zeros((length, length))
    for i in range(length):
        for k, weight in zip(range(-reach, reach + 1), weights, strict=True):
            j = (i + k) % (2 * length)
            matrix[i, j if j < length else 2 * length - 1 - j] += weight / sum(weights)
    return matrix


def test_high_pass_agrees_with_matrices(pair):
    query, reference = (np.kron(image, np.ones((3, 4))) for image in pair)
    rows, columns = query.shape[1:]
    kept = []
    for image in (query, reference):
        parts = [
            gaussian_matrix(rows, rows * part) @ image @ gaussian_matrix(columns, columns * part).T
            for part in (1 / 64, 1 / 16)
        ]
        kept.append(parts[0] - parts[1])
    expected = np.mean(
        [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(*kept, strict=True)]
    )
    assert high_pass_correlation(query, reference) == pytest.approx(expected, abs=1e-9)


def test_high_pass_ignores_large_shapes():
    """A copy under another shading: hardly alike as a whole, alike in its fine structure."""
    rng = np.random.default_rng(9)
    rows, columns = np.mgrid[:128, :128] / 128
    fine = np.kron(rng.normal(0, 10, (32, 32)), np.ones((4, 4)))
    reference = (fine + 100 * rows)[None]
    query = (0.5 * fine + 100 * columns)[None]
    assert correlation_mean(query, reference) < 0.3
    assert high_pass_correlation(query, reference) > 0.8
    assert high_pass_correlation(query, np.full_like(query, 0.1)) is None
