"""The definition of record agrees with textbook arithmetic, exactly where it claims to."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.reference import correlation as reference

from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.similarity import (
    apply_transform,
    block_correlation,
    block_correlation_mean,
    block_means,
    compose_transforms,
    correlation,
    correlation_mean,
    correlation_per_channel,
    inverse_transform,
    possible_transforms,
)
from likeness.similarity.blocks import BlockGrid
from likeness.types import TRANSFORMS

PAIRS = arrays.arrays(np.uint8, (2, 2, 5, 3))


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_8_bit_is_exact_up_to_the_last_step(pair):
    """r squared, as a fraction of Python integers, is met within four units in the last place."""
    first, second = pair
    if any(all(c.min() == c.max() for c in image) for image in pair):
        with pytest.raises(InputError, match="constant"):
            correlation(first, second)
        return
    square = reference.exact_square(first, second)
    r = correlation(first, second)
    assert abs(Fraction(r) * abs(Fraction(r)) - square) <= 4 * Fraction(1, 2**53) * abs(square)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_against_loops(dtype):
    """All types, many random pairs."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        images = (rng.random((2, 3, 4, 5)) * 200).astype(dtype)
        images[0, 1] = 7
        whole, mean = reference.both(*images)
        assert correlation(*images) == pytest.approx(whole, abs=1e-12)
        assert correlation_mean(*images) == pytest.approx(mean, abs=1e-12)
        per_channel = correlation_per_channel(*images)
        assert per_channel[1] is None
        assert per_channel[0] == pytest.approx(
            np.corrcoef(images[0, 0].ravel(), images[1, 0].ravel())[0, 1], abs=1e-12
        )
        small = [reference.blocks(image, 3) for image in images]
        whole, mean = reference.both(*small)
        assert block_correlation(*images, grid=3) == pytest.approx(whole, abs=1e-12)
        assert block_correlation_mean(*images, grid=3) == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_copy_has_exactly_one(dtype):
    """An image with itself gives 1, and with its negative -1; not 0.9999999999999998."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        image = rng.integers(0, 256, (2, 7, 9)).astype(dtype)
        assert correlation(image, image) == 1.0
        assert correlation_mean(image, image) == 1.0
        assert block_correlation(image, image, grid=4) == 1.0
    byte = rng.integers(0, 256, (2, 7, 9), dtype=np.uint8)
    assert correlation(byte, 255 - byte) == -1.0


def test_offsets_do_not_hurt():
    """Two linear copies at 3,000 with deviation 1, and at 1e6: one-pass float32 gives nonsense."""
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((1, 64, 64))
    first = (3000 + noise).astype(np.float32)
    assert correlation(first, 2 * first) == pytest.approx(1, abs=1e-12)
    second = 1e6 + 3 * noise
    assert correlation(second, noise) == pytest.approx(1, abs=1e-9)
    assert correlation(second, noise) == pytest.approx(reference.pearson(second, noise), abs=1e-12)


def test_constants():
    """Constants raise or give None, whatever the levels of their channels."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (2, 6, 6), dtype=np.uint8)
    levels = np.stack([np.full((6, 6), 3, np.uint8), np.full((6, 6), 200, np.uint8)])
    for function in (correlation, correlation_mean, block_correlation, block_correlation_mean):
        with pytest.raises(InputError, match="constant image has no correlation"):
            function(image, levels)
    assert correlation_per_channel(image, levels) == (None, None)
    half, other = image.copy(), image.copy()
    half[0], other[1] = 1, 1
    assert correlation(half, other) == pytest.approx(reference.pearson(half, other), abs=1e-12)
    with pytest.raises(InputError):
        correlation_mean(half, other)
    tenth = np.full((1, 50, 50), 0.1, np.float32)
    with pytest.raises(InputError):
        correlation(tenth, rng.random((1, 50, 50)).astype(np.float32))


def test_what_cannot_be_compared():
    """Shapes, types and values that are refused."""
    image = np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(ImageMismatchError, match="prepare both"):
        correlation(image, image[:, :3])
    with pytest.raises(ImageMismatchError, match="prepare both"):
        correlation(image, image.astype(np.uint16))
    with pytest.raises(ImageMismatchError, match="real numbers"):
        correlation(image.astype(bool), image.astype(bool))
    with pytest.raises(ImageMismatchError, match="real numbers"):
        correlation(image[0], image[0])
    with pytest.raises(InputError, match="not finite"):
        correlation(np.full((1, 2, 2), np.nan), np.ones((1, 2, 2)))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.integers(2, 9), st.integers(0, 1000))
def test_blocks(height, width, grid, seed):
    """Block means are those of the loops, and block integers are exact multiples of them."""
    image = np.random.default_rng(seed).integers(0, 256, (2, height, width), dtype=np.uint8)
    expected = reference.blocks(image, grid)
    assert block_means(image, grid).shape == expected.shape
    np.testing.assert_allclose(block_means(image, grid), expected, rtol=1e-14)
    np.testing.assert_allclose(block_means(image.astype(np.float32), grid), expected, rtol=1e-14)
    blocks = BlockGrid(height, width, grid)
    integers = blocks.integers(image)
    assert integers.max() <= blocks.maximum(255)
    rows, columns = min(height, grid), min(width, grid)
    for i in range(rows):
        for j in range(columns):
            part = image[
                0,
                reference.edge(i, height, rows) : reference.edge(i + 1, height, rows),
                reference.edge(j, width, columns) : reference.edge(j + 1, width, columns),
            ]
            mean = Fraction(int(part.sum()), part.size)
            assert Fraction(int(integers[0, i, j]), blocks.denominator) == mean


@pytest.mark.parametrize("side", [200, 224, 240, 130])
def test_a_mirrored_picture_has_the_mirrored_blocks(side):
    """Also where blocks differ in size: a mirrored copy must reach r = 1."""
    image = np.random.default_rng(1).integers(0, 256, (1, side, side), dtype=np.uint8)
    for name in TRANSFORMS:
        turned = block_means(apply_transform(image, name))
        np.testing.assert_array_equal(turned, apply_transform(block_means(image), name))


def test_blocks_of_views():
    """A turned view has the blocks of its copy, also in the two-pixels-at-once way."""
    image = np.random.default_rng(0).integers(0, 256, (3, 256, 256), dtype=np.uint8)
    blocks = BlockGrid(256, 256, 64)
    expected = image.astype(np.int64).reshape(3, 64, 4, 64, 4).sum(axis=(2, 4))
    assert (blocks.integers(image) == expected).all()
    for name in TRANSFORMS:
        turned = apply_transform(image, name)
        assert (blocks.integers(turned) == apply_transform(expected, name)).all()
    assert (blocks.integers(np.full((1, 256, 256), 255, np.uint8)) == 4080).all()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    """Each moves every pixel as written, and its inverse brings it back."""
    image = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    turned = apply_transform(image, name)
    assert (turned == reference.turn(image, name)).all()
    assert (apply_transform(turned, inverse_transform(name)) == image).all()
    for second in TRANSFORMS:
        both = compose_transforms(name, second)
        assert (apply_transform(turned, second) == apply_transform(image, both)).all()


def test_rot90_is_numpys():
    """Quarter turns go to the left."""
    image = np.arange(12).reshape(1, 3, 4)
    assert (apply_transform(image, "rot90") == np.rot90(image, axes=(1, 2))).all()
    assert (apply_transform(image, "rot270") == np.rot90(image, 3, axes=(1, 2))).all()


def test_possible_transforms():
    """In the order that decides ties; quarter turns only for squares."""
    assert possible_transforms(TRANSFORMS, 4, 4) == TRANSFORMS
    assert possible_transforms(("rot180", "identity", "rot90"), 4, 5) == ("identity", "rot180")
    with pytest.raises(OptionError, match="no transform 'shear'"):
        apply_transform(np.zeros((1, 2, 2)), "shear")


def test_oracle():
    """The oracle itself knows a worked example: x = 1 2 3 4 5, y = 2 1 4 3 5, r = 0.8."""
    assert math.isclose(reference.pearson([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]), 0.8)
    assert reference.exact_square([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == Fraction(16, 25)
