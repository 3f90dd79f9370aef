"""Transforms move what they should, leave labels whole, and can be differentiated twice."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from tests.generators.stylegan3.golden import torch

from likeness.errors import OptionError
from likeness.generators.stylegan3 import resampling
from likeness.generators.stylegan3.adaptive import Strength
from likeness.generators.stylegan3.augmentation import augment
from likeness.generators.stylegan3.transforms import EVERYTHING, MEDICAL, Transforms


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth(count=6, channels=2, size=32):
    """Images without fine detail, that resampling leaves nearly as they are."""
    steps = torch.linspace(-1, 1, size, dtype=torch.float64)
    x, y = steps, steps[:, None]
    return torch.stack(
        [
            torch.stack([torch.sin(2 * x + k) * torch.cos(1.5 * y - n) for k in range(channels)])
            for n in range(count)
        ]
    )


def bump(size=64):
    """A blob right of and above the middle."""
    steps = (torch.arange(size, dtype=torch.float64) + 0.5) / size - 0.5
    x, y = steps, steps[:, None]
    return torch.exp(-((x - 0.2) ** 2 + (y + 0.1) ** 2) / 0.01)[None, None]


def centre_of(image):
    """Right and down of the middle, in widths."""
    size = image.shape[-1]
    steps = (torch.arange(size, dtype=torch.float64) + 0.5) / size - 0.5
    weight = image[0, 0].clamp(min=0)
    total = weight.sum()
    return float((weight.sum(0) * steps).sum() / total), float(
        (weight.sum(1) * steps).sum() / total
    )


def test_nothing_happens_with_probability_zero():
    images = smooth()
    assert torch.equal(augment(images, 0.0, EVERYTHING), images)
    assert torch.equal(augment(images, 1.0, Transforms()), images)


def test_images_to_which_nothing_happens_are_untouched():
    images = torch.randn(200, 1, 8, 8)
    out = augment(images, 0.3, Transforms(shift=0.2), random=source())
    same = (out == images).flatten(1).all(1)
    assert 0.6 < float(same.double().mean()) < 0.82  # 0.7, and shifts by zero are resampled


def test_the_medical_set_makes_no_impossible_anatomy():
    assert not any([MEDICAL.flip, MEDICAL.quarter_turns, MEDICAL.inversion])
    assert MEDICAL.rotation <= 15
    assert MEDICAL.shift <= 0.1
    out = augment(bump(32).repeat(60, 1, 1, 1), 1.0, random=source())
    places = [centre_of(image[None] - image.min()) for image in out]
    # Still right of the middle: no flip, no half turn.
    assert all(right > 0 for right, _ in places)


def test_places_to_read():
    """A shift of what is read by 0.1 to the right moves contents as far to the left."""
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    matrix = resampling.moving_matrix(one, zero, zero, one, one / 5, zero)
    moved = resampling.resampled(bump(), matrix)
    assert centre_of(moved) == pytest.approx((0.2 - 0.1, -0.1), abs=0.002)


def test_shifts_by_whole_pixels_equal_rolled_images():
    images = torch.zeros(40, 1, 32, 32, dtype=torch.float64)
    images[..., 12:20, 12:20] = smooth(1, 1, 8)
    out = augment(images, 1.0, Transforms(shift=0.125), annotations=[0], random=source())
    seen = set()
    for before, after in zip(images, out, strict=True):
        fits = [
            (down, right)
            for down in range(-4, 5)
            for right in range(-4, 5)
            if torch.equal(before.roll((down, right), (1, 2)), after)
        ]
        assert len(fits) == 1
        seen |= set(fits)
    assert len(seen) > 20


def test_flips_and_quarter_turns_are_exact_for_labels():
    images = torch.randint(0, 4, (60, 1, 9, 9), generator=source(1)).double()
    kinds = Transforms(flip=True, quarter_turns=True)
    out = augment(images, 1.0, kinds, annotations=[0], random=source())
    seen = []
    for before, after in zip(images, out, strict=True):
        versions = [torch.rot90(x, k, (1, 2)) for x in (before, before.flip(2)) for k in range(4)]
        fits = [k for k, version in enumerate(versions) if torch.equal(version, after)]
        assert len(fits) == 1
        seen += fits
    assert set(seen) == set(range(8))


@pytest.mark.parametrize(
    "kinds",
    [Transforms(rotation=30), Transforms(scale=0.2), Transforms(stretch=0.2, fine_shift=0.05)],
)
def test_labels_and_images_move_together(kinds):
    """A label channel that says where the image is bright still does."""
    image = bump().repeat(20, 1, 1, 1)
    both = torch.cat([image, (image > 0.5).double() * 3], 1)
    out = augment(both, 1.0, kinds, annotations=[1], random=source())
    assert not torch.allclose(out, both)
    assert set(out[:, 1].unique().tolist()) == {0.0, 3.0}
    differs = (out[:, 0] > 0.5) != (out[:, 1] > 0)
    assert float(differs.double().mean()) < 0.003


def test_intensities_of_labels_stay():
    images = smooth(20, 3)
    kinds = Transforms(brightness=0.2, contrast=0.5, inversion=True)
    out = augment(images, 1.0, kinds, annotations=[1], random=source())
    assert torch.equal(out[:, 1], images[:, 1])
    assert not torch.isclose(out[:, 0], images[:, 0]).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_any_number_of_channels(channels):
    images = smooth(4, channels)
    out = augment(images, 1.0, EVERYTHING, random=source())
    assert out.shape == images.shape
    assert bool(out.isfinite().all())


def test_brightness_contrast_and_inversion_as_defined():
    images = smooth(300, 2)
    added = augment(images, 1.0, Transforms(brightness=0.2), random=source()) - images
    offsets = added.mean((1, 2, 3))
    torch.testing.assert_close(added, offsets[:, None, None, None].expand_as(added))
    assert float(offsets.std()) == pytest.approx(0.2, rel=0.15)
    factors = augment(images, 1.0, Transforms(contrast=0.5), random=source()) / images
    logs = factors.log2().flatten(1)
    assert float((logs - logs[:, :1]).abs().max()) < 1e-9
    assert float(logs[:, 0].std()) == pytest.approx(0.5, rel=0.15)
    turned = augment(images, 1.0, Transforms(inversion=True), random=source())
    means, before = turned.mean(1), images.mean(1)
    is_turned = torch.isclose(means, -before).flatten(1).all(1)
    assert 0.4 < float(is_turned.double().mean()) < 0.6
    torch.testing.assert_close(turned[:, 0] - turned[:, 1], images[:, 0] - images[:, 1])


def test_resampling_without_movement_keeps_smooth_images():
    images = smooth()
    identity = torch.eye(3, dtype=torch.float64).expand(6, 3, 3)
    out = resampling.resampled(images, identity)
    inner = (slice(None), slice(None), slice(6, -6), slice(6, -6))
    torch.testing.assert_close(out[inner], images[inner], rtol=0, atol=5e-3)
    flat = resampling.resampled(torch.ones(6, 1, 8, 8, dtype=torch.float64), identity)
    torch.testing.assert_close(flat, torch.ones_like(flat), rtol=0, atol=0.02)


def test_the_same_source_gives_the_same_images():
    images = smooth()
    first, again = (augment(images, 0.7, EVERYTHING, random=source(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, augment(images, 0.7, EVERYTHING, random=source(6)))


@pytest.mark.parametrize("kinds", [MEDICAL, EVERYTHING])
def test_first_and_second_derivatives(kinds):
    images = torch.randn(2, 2, 4, 4, dtype=torch.float64, generator=source(2)).requires_grad_()

    def apply(x):
        return augment(x, 0.9, kinds, annotations=[1], random=source(3)).square()

    assert torch.autograd.gradcheck(apply, (images,))
    assert torch.autograd.gradgradcheck(apply, (images,))


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_sampling_agrees_with_torch_s_own_derivatives(mode):
    images = torch.randn(2, 3, 5, 5, dtype=torch.float64).requires_grad_()
    places = torch.rand(2, 4, 4, 2, dtype=torch.float64) * 3 - 1.5
    weights = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    ours = resampling.Sampled.apply(images, places, mode)
    theirs = resampling.sample(images, places, mode)
    assert torch.equal(ours, theirs)
    (found,), (expected,) = (
        torch.autograd.grad((y * weights).sum(), images) for y in (ours, theirs)
    )
    torch.testing.assert_close(found, expected)


def test_strength_follows_the_verdicts():
    strength = Strength()
    for _ in range(4):
        strength.observe(8, 16)  # mean sign 0.5
    assert strength.adjust() == 0  # not below
    for expected in (64, 128):
        for _ in range(4):
            strength.observe(16, 16)
        assert strength.adjust() == pytest.approx(expected / 500_000)
    strength.observe(-16, 16)
    assert strength.adjust() == pytest.approx(112 / 500_000)
    assert strength.adjust() == pytest.approx(112 / 500_000)  # nothing was seen
    again = Strength(**asdict(strength))
    assert again == strength


def test_strength_is_capped():
    strength = Strength(images=100)
    for _ in range(20):
        strength.observe(16, 16)
        strength.adjust()
    assert strength.p == 0.8
    with pytest.raises(OptionError, match="cap"):
        Strength(p=0.9)


def test_a_mean_sign_at_the_target_changes_nothing():
    strength = Strength(p=0.3)
    strength.observe(3, 5)  # mean sign 0.6
    assert strength.adjust() == 0.3


@pytest.mark.parametrize(
    ("shape", "p", "labels", "word"),
    [
        ((1, 1, 8, 8), 1.5, [], "probability"),
        ((1, 1, 8, 6), 0.5, [], "square"),
        ((1, 2, 8, 8), 0.5, [2], "channels"),
    ],
)
def test_what_cannot_be(shape, p, labels, word):
    with pytest.raises(OptionError, match=word):
        augment(torch.zeros(shape), p, MEDICAL, annotations=labels)


def test_only_labels():
    images = torch.randint(0, 4, (4, 2, 8, 8)).double()
    out = augment(images, 1.0, replace(EVERYTHING, fine_shift=0), annotations=[0, 1])
    assert set(out.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}
