"""Every kind does what its name says, in the image's own number type and range."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from likeness.alterations import ALTERATIONS, LEVELS, MANDATORY_LEVELS, kinds_of
from likeness.alterations.geometry import bend, resize_and_back, rotate, shift, zoom
from likeness.alterations.intensity import change_gain
from likeness.errors import OptionError

BY_NAME = {kind.name: kind for kind in ALTERATIONS}
DTYPES = (np.uint8, np.uint16, np.float32)


def picture(seed=0, side=64, channels=2, dtype=np.uint8):
    """A smooth blob away from the border, on a dark ground, with some texture."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    made = []
    for _ in range(channels):
        centre = rng.uniform(-0.1, 0.1, 2)
        blob = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / 0.02)
        texture = gaussian_filter(rng.normal(size=(side, side)), 2)
        made.append(np.clip(blob * (180 + 200 * texture), 0, 255))
    scale = 100 if dtype == np.uint16 else 1
    return (np.stack(made) * scale).astype(dtype)


def altered(name, image, strength=None, seed=0, donor=None):
    kind = BY_NAME[name]
    if donor is None and kind.needs != "none":
        donor = picture(99, image.shape[1], len(image), image.dtype)
    return kind.apply(image, np.random.default_rng(seed), donor, strength=strength)


def centroid(channel):
    rows, columns = np.indices(channel.shape)
    weight = channel.astype(float)
    return np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()


def correlation(a, b):
    return np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ALTERATIONS, ids=lambda kind: kind.name)
def test_shape_type_and_range_stay_and_the_seed_decides(kind, dtype):
    image, other = picture(dtype=dtype), picture(1, dtype=dtype)
    if not kind.applies_to(image.shape, dtype):
        with pytest.raises(OptionError, match="does not apply"):
            altered(kind.name, image)
        return
    before, donor = image.copy(), None if kind.needs == "none" else other
    first = altered(kind.name, image, seed=5, donor=donor)
    again = altered(kind.name, image, seed=5, donor=donor)
    assert first.shape == image.shape
    assert first.dtype == dtype
    assert first.flags.c_contiguous
    assert np.array_equal(first, again)
    assert np.array_equal(image, before)
    assert not np.shares_memory(first, image)
    if dtype != np.uint8:
        assert first.max() <= max(image.max(), other.max())
        assert first.min() >= min(image.min(), other.min())


def test_the_levels_are_those_of_the_protocol():
    names = {level: {k.name for k in ALTERATIONS if k.level == level} for level in LEVELS}
    assert names == {
        "L0": {"identity", "requantised", "jpeg", "resized", "gain_offset", "gamma"},
        "L1": {"noise", "blur", "blend"},
        "L2": {"flip_h", "flip_v", "rot90", "rot180", "rot270", "shift", "rotation"},
        "L3": {"rotation_7", "zoom", "shift_16", "elastic_3", "blur_4", "blend_70"},
        "L4": {"half", "quarter_region"},
        "L5": {"noise_2", "rotation_12", "zoom_110", "elastic_6", "blend_50", "blur_8",
               "inverted", "lesion", "between_slices", "other_image"},
    }  # fmt: skip
    assert MANDATORY_LEVELS == ("L0", "L1", "L2")


def test_kinds_that_do_not_fit_are_left_out():
    assert "jpeg" not in {k.name for k in kinds_of("L0", (1, 8, 8), np.float32)}
    assert "requantised" not in {k.name for k in kinds_of("L0", (1, 8, 8), np.uint8)}
    wide = {k.name for k in kinds_of("L2", (1, 8, 9), np.uint8)}
    assert {"rot90", "rot270"}.isdisjoint(wide)
    assert "rot180" in wide
    with pytest.raises(OptionError, match="no level 'L9'"):
        kinds_of("L9", (1, 8, 8), np.uint8)


def test_mirrored_and_turned():
    image = picture()
    assert np.array_equal(altered("identity", image), image)
    assert np.array_equal(altered("flip_h", image), image[:, :, ::-1])
    assert np.array_equal(altered("flip_v", image), image[:, ::-1])
    for quarters in (1, 2, 3):
        expected = np.rot90(image, quarters, axes=(1, 2))
        assert np.array_equal(altered(f"rot{90 * quarters}", image), expected)


@pytest.mark.parametrize("side", [64, 256])
@pytest.mark.parametrize(("name", "pixels"), [("shift", (0, 8)), ("shift_16", (8, 16))])
def test_a_shift_moves_by_its_strength_whatever_the_size(name, pixels, side):
    image = picture(channels=1, side=side, dtype=np.float32)
    for strength, expected in zip((0.0, 1.0), pixels, strict=True):
        moved = altered(name, image, strength=strength, seed=3)
        distance = np.linalg.norm(centroid(moved[0]) - centroid(image[0]))
        assert distance == pytest.approx(expected * side / 256, abs=0.02 * side / 64)


def test_whole_pixel_shifts_are_those_of_an_array():
    image = picture(channels=1).astype(float)
    moved = shift(image, 3, -2)
    assert np.allclose(moved[:, 3:, :-2], image[:, :-3, 2:])
    assert np.all(moved[:, :3] == image.min())


def test_rotation_is_counterclockwise_about_the_centre():
    image = picture(channels=1).astype(float)
    assert np.allclose(rotate(image, 90), np.rot90(image, axes=(1, 2)))
    turned = rotate(image, 20)
    assert correlation(turned, image) < correlation(rotate(turned, -20), image) > 0.99


@pytest.mark.parametrize(("name", "low", "high"), [("rotation", 0, 3), ("rotation_7", 3, 7)])
def test_rotations_keep_to_their_range(name, low, high):
    """The angle that undoes it best is the strength, in one of the two directions."""
    image = picture(channels=1, side=128, dtype=np.float32)
    for strength, angle in ((0.0, low), (1.0, high)):
        turned = altered(name, image, strength=strength).astype(float)
        tried = np.arange(-9.0, 9.1, 0.5)
        scores = [correlation(rotate(turned, -angle), image) for angle in tried]
        assert abs(tried[int(np.argmax(scores))]) == pytest.approx(angle, abs=0.5)


def test_zoom_enlarges_about_the_centre():
    image = picture(channels=1, side=128).astype(float)
    weight = image.sum()
    assert zoom(image, 1.05).sum() / weight == pytest.approx(1.05**2, rel=0.01)
    assert zoom(image, 0.95).sum() / weight == pytest.approx(0.95**2, rel=0.01)
    small = altered("zoom", image.astype(np.float32), strength=0.0)
    assert small.sum() / weight == pytest.approx(0.95**2, rel=0.01)


def test_bending_has_its_length():
    """Displacements are read off two ramps, on which a shift is a difference of values."""
    side = 128
    ramps = np.indices((side, side)).astype(float)
    bent = bend(ramps, 1.5, side / 256, np.random.default_rng(0))
    inside = (slice(None), slice(12, -12), slice(12, -12))
    moved = (bent - ramps)[inside]
    length = np.sqrt((moved**2).sum(axis=0).mean())
    assert length == pytest.approx(1.5, rel=0.25)
    assert np.abs(np.diff(moved, axis=1)).max() < 0.5  # smooth


def test_resized_and_back_is_almost_the_same():
    image = picture(side=64).astype(float)
    back = resize_and_back(image, 0.875)
    assert back.shape == image.shape
    assert 0.99 < correlation(back, image) < 1.0


def test_noise_is_relative_to_each_channel():
    image = np.stack([picture(channels=1)[0] * 1.0, picture(1, channels=1)[0] * 0.1])
    image[:, 0, :2] = -1e5, 1e5  # two pixels that give the noise room at both ends
    for name, strength, expected in (("noise", 0.0, 0.1), ("noise", 1.0, 1.0), ("noise_2", 0, 2)):
        noise = altered(name, image, strength=strength) - image
        ratio = noise[:, 1:].std(axis=(1, 2)) / image.std(axis=(1, 2))
        assert ratio == pytest.approx(expected, rel=0.05)


def test_blur_is_a_gaussian_of_its_width():
    image = np.zeros((1, 64, 64), np.float32)
    image[0, 32, 32] = 1.0
    for name, sd in (("blur", 2.0), ("blur_4", 4.0), ("blur_8", 8.0)):
        blurred = altered(name, image, strength=1.0)[0]
        rows = np.arange(64) - 32
        measured = np.sqrt((blurred.sum(axis=1) * rows**2).sum() / blurred.sum())
        assert measured == pytest.approx(sd * 64 / 256, rel=0.1)


def test_gain_and_offset_cut_nothing_off():
    rng = np.random.default_rng(0)
    image = picture().astype(float)
    zero, top = np.zeros((2, 1, 1)), np.full((2, 1, 1), 255.0)
    for gain in (0.5, 1.0, 1.5):
        changed = change_gain(image, zero, top, gain, rng)
        assert changed.min() >= -1e-9
        assert changed.max() <= 255 + 1e-9
        for old, new in zip(image, changed, strict=True):
            assert correlation(old, new) == pytest.approx(1.0)
    assert not np.allclose(changed[0] - image[0], changed[1] - image[1])


def test_gamma_is_a_power_of_the_share_of_the_range():
    image = picture()
    for strength, exponent in ((0.0, 0.6), (1.0, 1.6)):
        expected = np.rint(255 * (image / 255.0) ** exponent)
        assert np.array_equal(altered("gamma", image, strength=strength), expected)


def test_requantising_leaves_256_levels():
    image = picture(dtype=np.uint16, side=128)
    changed = altered("requantised", image)
    assert max(len(np.unique(channel)) for channel in changed) <= 256
    steps = np.ptp(image.astype(float), axis=(1, 2)) / 255
    gap = np.abs(changed.astype(float) - image).max(axis=(1, 2))
    assert (gap <= steps / 2 + 1).all()


def test_jpeg_is_lossy_and_close():
    image = picture(side=128)
    worst, best = (altered("jpeg", image, strength=s) for s in (1.0, 0.0))
    errors = [np.abs(x.astype(float) - image).mean() for x in (best, worst)]
    assert 0 < errors[0] < errors[1] < 10


def test_mixtures():
    image, donor = picture(dtype=np.float32), picture(1, dtype=np.float32)
    for name, strength, share in (
        ("blend", 1.0, 0.9), ("blend_70", 1.0, 0.7), ("blend_70", 0.0, 0.9), ("blend_50", 0.3, 0.5),
        ("between_slices", None, 0.5), ("other_image", None, 0.0),
    ):  # fmt: skip
        mixed = altered(name, image, strength=strength, donor=donor)
        assert np.allclose(mixed, share * image + (1 - share) * donor, atol=1e-3)
    assert np.allclose(altered("blend", image, strength=0.0, donor=donor), image, atol=1e-3)


@pytest.mark.parametrize(("name", "part"), [("half", 0.5), ("quarter_region", 0.25)])
def test_parts_lie_at_their_own_place(name, part):
    image, donor = np.full((1, 64, 64), 10, np.uint8), np.full((1, 64, 64), 200, np.uint8)
    masks = set()
    for seed in range(8):
        mixed = altered(name, image, seed=seed, donor=donor)
        assert set(np.unique(mixed)) == {10, 200}
        assert (mixed == 10).mean() == pytest.approx(part)
        masks.add((mixed == 10).tobytes())
    assert len(masks) > 1


def test_a_lesion_is_a_disc_of_32_pixels_at_256():
    image, donor = np.full((1, 256, 256), 10, np.uint8), np.full((1, 256, 256), 200, np.uint8)
    area = (altered("lesion", image, strength=0.5, donor=donor) == 10).sum()
    assert area == pytest.approx(np.pi * 16**2, rel=0.05)


def test_inverted_is_the_negative():
    image = picture()
    assert np.array_equal(altered("inverted", image), 255 - image)


def test_the_second_image_is_checked():
    image = picture()
    rng = np.random.default_rng(0)
    with pytest.raises(OptionError, match=r"takes a second image \(donor\); none was given"):
        BY_NAME["blend"].apply(image, rng)
    with pytest.raises(OptionError, match="takes no second image"):
        BY_NAME["blur"].apply(image, rng, image)
    with pytest.raises(OptionError, match="expected"):
        BY_NAME["blend"].apply(image, rng, image[:, :32])
