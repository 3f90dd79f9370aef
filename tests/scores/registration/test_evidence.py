"""Single pairs at full size."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scores.registration.making import chests, moved, smooth

from likeness.errors import ImageMismatchError
from likeness.scores.registration import Pose, align
from likeness.similarity.transforms import apply_transform


def test_an_exact_copy_stays_where_it_is():
    image = chests()[3]
    found = align(image, image, Pose(angle=1.0, down=2.0))
    assert found.pose == Pose()
    assert found.overlap.all()
    assert found.correlation == found.correlation_mean == pytest.approx(1.0)
    np.testing.assert_array_equal(found.warped, image)
    np.testing.assert_allclose(found.gain, 1.0)
    np.testing.assert_allclose(found.offset, 0.0, atol=1e-9)


def test_a_shift_by_whole_pixels_is_undone_exactly():
    image = chests()[4]
    found = align(moved(image, shift=(5, -3)), image, Pose(down=-4.0, right=2.0))
    assert (found.pose.angle, found.pose.zoom) == (0.0, 1.0)
    assert (found.pose.down, found.pose.right) == (-5.0, 3.0)
    assert found.correlation == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_array_equal(found.warped[:, found.overlap], image[:, found.overlap])


def test_turned_zoomed_inverted_mirrored():
    image = chests()[7]
    copy = 250 - 0.5 * moved(image[:, :, ::-1], angle=6, zoom=0.95, shift=(4, 2))
    start = Pose(angle=5.0, zoom=1.04, down=-2.0, right=-1.0, transform="flip_h")
    found = align(np.rint(copy).astype(np.uint8), image, start)
    assert found.pose.sign == -1
    assert found.pose.transform == "flip_h"
    assert found.pose.zoom == pytest.approx(1 / 0.95, abs=0.003)
    assert found.pose.angle == pytest.approx(6.0, abs=0.2)  # mirrored, so the turn is undone by +6
    assert found.correlation < -0.98
    assert found.gain[0] == pytest.approx(-2.0, abs=0.1)
    assert found.offset[0] == pytest.approx(500.0, abs=15.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_numbers_against_plain_formulas(dtype):
    rng = np.random.default_rng(2)
    pair = smooth(rng, 1, (2, 80, 100))[0]
    pair = (pair * 200).astype(dtype) if np.dtype(dtype).kind != "f" else pair.astype(dtype)
    query = moved(pair, angle=3, shift=(2, 1))
    found = align(query, pair, Pose(angle=-3.0))
    assert found.warped.dtype == dtype
    assert found.warped.shape == pair.shape
    assert found.overlap.shape == (80, 100)
    shown, other = (x[:, found.overlap].astype(float) for x in (found.warped, pair))
    each = [np.corrcoef(shown[c], other[c])[0, 1] for c in range(2)]
    assert found.correlation_mean == pytest.approx(np.mean(each), abs=1e-12)
    assert found.correlation == pytest.approx(
        np.corrcoef(shown.ravel(), other.ravel())[0, 1], abs=1e-12
    )
    for c in range(2):
        gain, offset = np.polyfit(shown[c], other[c], 1)
        assert found.gain[c] == pytest.approx(gain)
        assert found.offset[c] == pytest.approx(offset, abs=1e-6)
    assert found.correlation_mean > 0.98


def test_noise_at_full_size_does_not_hide_the_pose():
    image = chests()[9]
    turned = moved(image, angle=7)
    noise = np.random.default_rng(3).standard_normal(image.shape) * image.std()
    noisy = np.clip(np.rint(turned + noise), 0, 255).astype(np.uint8)
    found = align(noisy, image, Pose(angle=-6.0, zoom=1.02))
    assert found.pose.angle == pytest.approx(-7.0, abs=0.4)


def test_a_constant_channel_is_left_out():
    pair = (smooth(np.random.default_rng(4), 1, (2, 64, 64))[0] * 255).astype(np.uint8)
    query = moved(pair, shift=(3, 3))
    query[1] = 50
    found = align(query, pair, Pose(down=-2.0, right=-2.0))
    assert (found.pose.down, found.pose.right) == (-3.0, -3.0)
    assert found.correlation_mean == pytest.approx(1.0)
    assert found.gain[1] == 0.0
    assert found.offset[1] == pytest.approx(pair[1][found.overlap].mean())


def test_two_constant_images_have_no_correlation():
    flat = np.full((1, 40, 40), 3, dtype=np.uint8)
    found = align(flat, flat)
    assert np.isnan(found.correlation)
    assert np.isnan(found.correlation_mean)


def test_unlike_images_are_refused():
    image = chests()[0]
    with pytest.raises(ImageMismatchError, match="float32"):
        align(image, image.astype(np.float32))
    with pytest.raises(ImageMismatchError, match="only square"):
        align(image[:, :100], image[:, :100], Pose(transform="rot90"))


def test_a_quarter_turn_of_a_square_image():
    image = chests()[11]
    copy = np.ascontiguousarray(apply_transform(image, "rot90"))
    found = align(copy, image, Pose(transform="rot270"))
    assert found.pose == Pose(transform="rot270")
    assert found.correlation == pytest.approx(1.0)
