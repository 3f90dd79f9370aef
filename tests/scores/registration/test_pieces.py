"""Features, sampling, alignment and the score against slow references."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scores.registration.making import moved, smooth

from likeness.errors import OptionError
from likeness.scores.registration.alignment import Level, improve, standardised
from likeness.scores.registration.features import LENGTH, FeatureMaker
from likeness.scores.registration.options import RegistrationOptions
from likeness.scores.registration.pairs import slope_correlation
from likeness.scores.registration.poses import Pose, pose_to_map
from likeness.scores.registration.warping import Grid, sample
from likeness.similarity.blocks import block_means
from likeness.similarity.transforms import apply_transform
from likeness.types import TRANSFORMS


def whole(images):
    return np.rint(images * 65535).astype(np.uint16)


def cosine(first, second):
    first, second = first.astype(float), second.astype(float)
    return first @ second / np.sqrt(first @ first * (second @ second))


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 40, 64), (2, 12, 12)])
def test_features_are_small_whole_numbers(shape):
    """Every partial sum of a product stays below 2**24, so float32 is exact."""
    images = whole(smooth(np.random.default_rng(1), 3, shape))
    images[0, :] = 0
    images[0, :, 0, 0] = 65535
    maker = FeatureMaker(shape, RegistrationOptions())
    varies = np.ones((3, shape[0]), dtype=bool)
    plain = maker.plain(images, varies).values
    posed = maker.posed(images[0], varies[0]).values
    for values in (plain, posed):
        np.testing.assert_array_equal(values, np.rint(values))
        lengths = np.sqrt((values.astype(np.float64) ** 2).sum(axis=1))
        assert lengths.min() > 0.95 * LENGTH
        assert lengths.max() ** 2 < 2**24
    exact = posed.astype(np.int64) @ plain.astype(np.int64).T
    np.testing.assert_array_equal((posed @ plain.T).astype(np.int64), exact)


def test_the_unmoved_pose_has_the_plain_features():
    images = whole(smooth(np.random.default_rng(2), 1, (2, 64, 64)))
    options = RegistrationOptions()
    maker = FeatureMaker((2, 64, 64), options)
    present = np.array([True, True])
    row = np.flatnonzero((options.poses(64, 64) == (0, 1, 0, 0)).all(axis=1))
    posed = maker.posed(images[0], present).values[row[0]]
    np.testing.assert_array_equal(posed, maker.plain(images, present[None]).values[0])


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_turned_features_are_those_of_the_turned_picture(transform):
    image = whole(smooth(np.random.default_rng(3), 1, (1, 64, 64)))
    maker = FeatureMaker((1, 64, 64), RegistrationOptions())
    present = np.ones((1, 1), dtype=bool)
    turned = np.ascontiguousarray(apply_transform(image, transform))
    found = maker.plain(image, present).turned(transform)
    np.testing.assert_allclose(found, maker.plain(turned, present).values, atol=1.0)


def test_posed_features_are_those_of_the_moved_picture():
    """The best of all poses is the one by which the reference was moved."""
    image = smooth(np.random.default_rng(4), 1, (1, 128, 128))[0]
    options = RegistrationOptions()
    poses = options.poses(128, 128)
    maker = FeatureMaker((1, 64, 64), options)
    query = block_means(image, 64)
    for row in (0, 100, 260, len(poses) - 1):
        angle, zoom, down, right = poses[row]
        there = block_means(moved(image, angle=angle, zoom=zoom, shift=(down, right)), 64)
        scale = [whole((x - x.min()) / np.ptp(x)) for x in (query, there)]
        posed = maker.posed(scale[0], np.array([True])).values
        target = maker.plain(scale[1][None], np.ones((1, 1), bool)).values[0]
        products = posed @ target
        assert products.argmax() == row
        assert cosine(posed[row], target) > 0.9


def test_constant_channels_have_no_features():
    images = whole(smooth(np.random.default_rng(5), 1, (2, 64, 64)))
    images[0, 1] = 0
    features = FeatureMaker((2, 64, 64), RegistrationOptions()).plain(
        images, np.array([[True, False]])
    )
    assert not features.values[0, features.coefficients :].any()
    assert features.values[0, : features.coefficients].any()


def bilinear(picture, row, column):
    rows, columns = picture.shape
    row, column = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
    top, left = int(row), int(column)
    under, aside = min(top + 1, rows - 1), min(left + 1, columns - 1)
    y, x = row - top, column - left
    upper = picture[top, left] * (1 - x) + picture[top, aside] * x
    lower = picture[under, left] * (1 - x) + picture[under, aside] * x
    return upper * (1 - y) + lower * y


def test_sampling_against_one_point_at_a_time():
    rng = np.random.default_rng(6)
    grid = Grid(90, 60, 30, 15)
    pictures = rng.random((2, 2, 30 * 15))
    poses = [Pose(angle=8.0, zoom=1.1, down=7.0, right=-11.0), Pose(angle=-5.0, zoom=0.9)]
    maps = np.stack([pose.as_map() for pose in poses])
    which = np.array([1, 0], dtype=np.int32)
    seen, inside = sample(pictures, grid, which, maps, grid.down, grid.right)
    points = np.stack([grid.down, grid.right], axis=1)
    for k, pose in enumerate(poses):
        for g, (down, right) in enumerate(pose.seen_from(points)):
            row, column = (down + 45) / 3 - 0.5, (right + 30) / 4 - 0.5
            assert inside[k, g] == (abs(down) <= 45 and abs(right) <= 30)
            for c in range(2):
                picture = pictures[which[k], c].reshape(30, 15)
                assert seen[k, c, g] == pytest.approx(bilinear(picture, row, column), abs=1e-12)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (192, 256)])
def test_alignment_finds_the_pose_despite_noise_and_intensity(height, width):
    """Blocks need not be square."""
    rng = np.random.default_rng(7)
    grid = Grid(height, width, 64, 64)
    rows, columns = height // 64, width // 64
    query = smooth(rng, 2, (2, 64, 64)).repeat(rows, axis=2).repeat(columns, axis=3)
    # What the alignment must find is what was done to the query.
    truth = np.array([[4.0, 1.04, 6.0, -5.0], [-3.0, 0.97, -4.0, 3.0]])
    reference = np.stack(
        [
            moved(picture, angle=a, zoom=z, shift=(d, r))
            for picture, (a, z, d, r) in zip(query, truth, strict=True)
        ]
    )
    noisy = query + rng.standard_normal(query.shape) * query.std()
    noisy[0, 0] = 3.0 - 2.0 * noisy[0, 0]
    noisy[0, 1] = 1.0 - noisy[0, 1]
    reduced = [np.stack([block_means(x, 64) for x in part]) for part in (noisy, reference)]
    level = Level.of(reduced[1], grid)
    start = truth + np.array([[2.0, -0.02, -3.0, 3.0], [-2.0, 0.02, 3.0, -3.0]])
    maps, agreement = improve(
        standardised(reduced[0]), np.arange(2, dtype=np.int32), level,
        np.ones((2, 2), dtype=bool), pose_to_map(start), steps=8, minimum_overlap=0.5,
    )  # fmt: skip
    np.testing.assert_allclose(maps, pose_to_map(truth), atol=0.5)
    np.testing.assert_allclose(maps[:, :2], pose_to_map(truth)[:, :2], atol=0.004)
    assert (agreement > 0.9).all()


def test_alignment_never_returns_worse_than_its_start():
    rng = np.random.default_rng(8)
    grid = Grid(32, 32, 32, 32)
    pictures = rng.random((6, 1, 32, 32))
    start = pose_to_map(np.tile([1.0, 1.0, 1.0, 0.0], (6, 1)))
    arguments = (
        standardised(pictures[::-1]), np.arange(6, dtype=np.int32), Level.of(pictures, grid),
        np.ones((6, 1), dtype=bool), start,
    )  # fmt: skip
    _, before = improve(*arguments, steps=0, minimum_overlap=0.7)
    _, after = improve(*arguments, steps=6, minimum_overlap=0.7)
    assert (after >= before).all()
    assert (after > before).any()


def test_slope_correlation_against_loops():
    rng = np.random.default_rng(9)
    first, second = rng.random((2, 3, 2, 7, 5))
    shared = rng.random((3, 7, 5)) < 0.8
    present = np.array([[True, True], [True, False], [True, True]])
    found = slope_correlation(first, second, shared, present)
    for k in range(3):
        each = []
        for c in np.flatnonzero(present[k]):
            a, b = [], []
            for i in range(7):
                for j in range(5):
                    for other in ((i + 1, j), (i, j + 1)):
                        if other[0] < 7 and other[1] < 5 and shared[k, i, j] and shared[k][other]:
                            a.append(first[k, c][other] - first[k, c, i, j])
                            b.append(second[k, c][other] - second[k, c, i, j])
            each.append(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))
        assert found[k] == pytest.approx(np.mean(each), abs=1e-12)


def test_slopes_of_a_flat_picture_correlate_with_nothing():
    rng = np.random.default_rng(10)
    flat, other = np.full((1, 1, 6, 6), 7.0), rng.random((1, 1, 6, 6))
    shared, present = np.ones((1, 6, 6), bool), np.ones((1, 1), bool)
    assert slope_correlation(flat, other, shared, present)[0] == 0.0
    assert slope_correlation(other, other, shared, present)[0] == pytest.approx(1.0)
    assert slope_correlation(other, -other, shared, present)[0] == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"angles": ()}, "angles is empty"),
        ({"angles": (60.0,)}, "-45 to 45"),
        ({"zooms": (3.0,)}, "0.5 to 2"),
        ({"shifts": (0.5,)}, "-0.25 to 0.25"),
        ({"transforms": ("sideways",)}, "sideways"),
        ({"candidates": 1}, "candidates is 1"),
        ({"minimum_overlap": 0.0}, "minimum_overlap"),
    ],
)
def test_options_refuse_nonsense(settings, words):
    with pytest.raises(OptionError, match=words):
        RegistrationOptions(**settings)
