"""The foreground is the query's alone, and correlation is taken there."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.errors import InputError
from likeness.similarity import correlation_mean, foreground, masked_correlation


def blob(rng, channels=2, side=40, start=12, stop=26):
    image = np.zeros((channels, side, side))
    size = stop - start
    image[:, start:stop, start:stop] = rng.uniform(50, 200, (channels, size, size))
    return image


def test_foreground_is_what_is_bright_and_three_pixels_more():
    image = blob(np.random.default_rng(0))
    image[0, 12:26, 12:26] = 0  # bright in one channel is enough
    expected = np.zeros((40, 40), dtype=bool)
    expected[9:29, 9:29] = True
    np.testing.assert_array_equal(foreground(image), expected)
    np.testing.assert_array_equal(foreground(image * 1e-3 - 700.0), expected)


def test_the_level_is_eight_parts_in_a_hundred_of_the_range():
    image = np.zeros((1, 40, 40))
    image[0, 20, 20] = 100
    image[0, 5, 5:35] = 8.1
    image[0, 35, 5:35] = 7.9
    mask = foreground(image)
    assert mask[5, 5:35].all()
    assert not mask[35, 5:35].any()


def test_agrees_with_numpy_over_the_same_pixels():
    rng = np.random.default_rng(1)
    query, reference = blob(rng), rng.uniform(0, 255, (2, 40, 40))
    inside = np.s_[9:29, 9:29]
    expected = [
        np.corrcoef(q[inside].ravel(), x[inside].ravel())[0, 1]
        for q, x in zip(query, reference, strict=True)
    ]
    assert masked_correlation(query, reference) == pytest.approx(np.mean(expected), abs=1e-12)


def test_empty_background_no_longer_makes_strangers_alike():
    """Two unrelated pictures of the same outline: alike as wholes, not within it."""
    rng = np.random.default_rng(2)
    first, second = (blob(rng, start=5, stop=35) for _ in range(2))
    assert correlation_mean(first, second) > 0.7
    first, second = (x[:, 5:35, 5:35] for x in (first, second))
    assert abs(masked_correlation(first, second)) < 0.1


def test_the_mask_comes_from_the_query():
    rng = np.random.default_rng(3)
    query, reference = blob(rng), blob(rng, start=2, stop=38)
    assert masked_correlation(query, reference) != masked_correlation(reference, query)
    changed = reference.copy()
    changed[:, :9] = rng.uniform(0, 255, (2, 9, 40))
    assert masked_correlation(query, changed) == masked_correlation(query, reference)


def test_a_tiny_foreground_is_not_used():
    query = np.zeros((1, 100, 100))
    query[0, 50, 50] = 9.0  # with its margin 49 pixels, half a percent
    assert foreground(query).all()
    rng = np.random.default_rng(4)
    reference = rng.uniform(0, 1, (1, 100, 100))
    expected = correlation_mean(query, reference)
    assert masked_correlation(query, reference) == pytest.approx(expected, abs=1e-12)


def test_constant_channels_are_left_out():
    rng = np.random.default_rng(5)
    query, reference = blob(rng), rng.uniform(0, 255, (2, 40, 40))
    alone = masked_correlation(query[:1], reference[:1])
    query[1] = 3.3
    assert masked_correlation(query, reference) == alone
    assert masked_correlation(query[1:], reference[1:]) is None
    reference[:] = 0.1  # not a sum of powers of two: its mean is rounded
    assert masked_correlation(query, reference) is None


def test_not_finite_is_refused():
    query = np.full((1, 12, 12), np.inf)
    with pytest.raises(InputError, match="finite"):
        masked_correlation(query, query)
