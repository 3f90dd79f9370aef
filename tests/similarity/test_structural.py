"""Structural similarity follows Wang 2004, window by window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from likeness.datasets.phantoms import add_noise, chest_image
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.similarity import structural_similarity


def slow(first, second, span):
    """Equation 13 of the paper for every 11 x 11 window, in plain loops."""
    weights = [
        [math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)]
        for i in range(11)
    ]
    total = sum(map(sum, weights))
    w = np.array(weights) / total
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    channels = []
    for a, b in zip(first.astype(float), second.astype(float), strict=True):
        values = []
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                x, y = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
                mx, my = (w * x).sum(), (w * y).sum()
                vx, vy = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum()
                cov = (w * (x - mx) * (y - my)).sum()
                values.append(
                    (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
                )
        channels.append(sum(values) / len(values))
    return sum(channels) / len(channels)


@pytest.mark.parametrize(
    ("dtype", "span", "shape"),
    [("uint8", None, (2, 14, 17)), ("float64", 300.0, (1, 11, 11)), ("int16", None, (1, 12, 20))],
)
def test_agrees_with_the_formula(dtype, span, shape):
    rng = np.random.default_rng(8)
    a = rng.integers(0, 256, shape).astype(dtype)
    b = (0.7 * a + 0.3 * rng.integers(0, 256, shape)).astype(dtype)
    expected = slow(a, b, span or {"uint8": 255.0, "int16": 65535.0}[dtype])
    assert structural_similarity(a, b, data_range=span) == pytest.approx(expected, abs=1e-12)


def test_one_for_equal_images_and_falling_with_noise():
    image = chest_image(1, 0, size=(64, 64))[None]
    values = [
        structural_similarity(image, add_noise(image, level, seed=1)) for level in (0, 0.1, 0.5, 2)
    ]
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5


def test_symmetric_and_negative_for_an_inverted_picture():
    rng = np.random.default_rng(2)
    a = rng.integers(0, 256, (1, 20, 20)).astype(np.uint8)
    b = rng.integers(0, 256, (1, 20, 20)).astype(np.uint8)
    assert structural_similarity(a, b) == structural_similarity(b, a)
    assert structural_similarity(a, 255 - a) < -0.5


def test_a_registered_float_takes_the_range_of_the_other():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 256, (1, 20, 20)).astype(np.uint8)
    b = rng.uniform(0, 255, (1, 20, 20))
    expected = structural_similarity(a.astype(float), b, data_range=255)
    assert structural_similarity(b, a) == structural_similarity(a, b) == expected
    assert expected != structural_similarity(a, b, data_range=1000)


def test_what_has_no_value_is_refused():
    a = np.zeros((1, 20, 20))
    with pytest.raises(OptionError, match="data_range"):
        structural_similarity(a, a)
    with pytest.raises(OptionError, match="positive"):
        structural_similarity(a, a, data_range=0)
    with pytest.raises(ImageMismatchError, match="11 x 11"):
        structural_similarity(a[:, :10], a[:, :10], data_range=1)
    with pytest.raises(ImageMismatchError, match="shape"):
        structural_similarity(a, a[:, :15], data_range=1)
    with pytest.raises(ImageMismatchError, match="real numbers"):
        structural_similarity(a[0], a[0], data_range=1)
    b = a.copy()
    b[0, 3, 3] = np.nan
    with pytest.raises(InputError, match="finite"):
        structural_similarity(a, b, data_range=1)
