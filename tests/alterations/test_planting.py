"""Copies spread over the kinds of a level; innocents that copy nobody."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.alterations.test_kinds import BY_NAME, centroid, picture

from likeness.alterations import CONTROLS, LEVELS, kinds_of, negative_controls, plant_level
from likeness.errors import OptionError


def stack(count, start=0, **options):
    return np.stack([picture(start + k, **options) for k in range(count)])


@pytest.mark.parametrize("level", LEVELS)
def test_the_kinds_take_turns(level):
    images = stack(23)
    planted = plant_level(images, level, np.random.default_rng(0), stack(23, 50))
    kinds = {kind.name for kind in kinds_of(level, images.shape, images.dtype)}
    counts = Counter(planted.kinds)
    assert set(counts) == kinds
    assert max(counts.values()) - min(counts.values()) <= 1
    assert planted.images.shape == images.shape
    assert planted.images.dtype == images.dtype
    assert len(planted) == 23


def test_copy_i_comes_from_source_i_and_donor_i():
    images, donors = stack(6, dtype=np.float32), stack(6, 50, dtype=np.float32)
    planted = plant_level(images, "L4", np.random.default_rng(0), donors)
    for copy, image, donor in zip(planted.images, images, donors, strict=True):
        of_image, of_donor = copy == image, copy == donor
        assert (of_image | of_donor).all()
        assert of_image.any()


def test_both_ends_of_the_range_are_planted_first():
    images = np.stack([picture(0, side=256, channels=1, dtype=np.float32)] * 14)
    planted = plant_level(images, "L2", np.random.default_rng(0))
    moved = [
        np.linalg.norm(centroid(copy[0]) - centroid(images[0, 0]))
        for copy, kind in zip(planted.images, planted.kinds, strict=True)
        if kind == "shift"
    ]
    assert moved == pytest.approx([8, 0], abs=0.05)


def test_the_generator_decides():
    images = stack(6)
    first, same, other = (
        plant_level(images, "L2", np.random.default_rng(seed)).images for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_donors_are_asked_for_where_they_are_needed():
    images = stack(4)
    rng = np.random.default_rng(0)
    with pytest.raises(OptionError, match="needs donors"):
        plant_level(images, "L1", rng)
    with pytest.raises(OptionError, match="expected \\(4, 2, 64, 64\\)"):
        plant_level(images, "L1", rng, stack(3))
    assert len(plant_level(images, "L0", rng)) == 4


def test_controls_take_turns_and_keep_the_type():
    novel, training = stack(13), stack(9, 100)
    made = negative_controls(novel, np.random.default_rng(0), training=training)
    again = negative_controls(novel, np.random.default_rng(0), training=training)
    assert [*dict.fromkeys(made.kinds)] == [control.name for control in CONTROLS]
    assert made.images.dtype == np.uint8
    assert np.array_equal(made.images, again.images)
    by_kind = dict(zip(made.kinds[:6], made.images, strict=False))
    mean = training.mean(axis=0)
    assert np.array_equal(by_kind["novel"], novel[0])
    assert np.allclose(by_kind["shrunk_70"], 0.7 * novel[3] + 0.3 * mean, atol=0.51)
    assert np.allclose(by_kind["shrunk_40"], 0.4 * novel[4] + 0.6 * mean, atol=0.51)


def test_an_average_is_one_of_two_to_five():
    control = next(c for c in CONTROLS if c.name == "average")
    rng = np.random.default_rng(0)
    image, others = picture(0), stack(3, 10)
    assert np.array_equal(control.apply(image, rng, others), np.rint(others.mean(axis=0)))
    for count in (1, 6):
        with pytest.raises(OptionError, match="takes 2 to 5"):
            control.apply(image, rng, stack(count))
    with pytest.raises(OptionError, match="at least 5"):
        negative_controls(stack(2), rng, training=stack(4))


def test_a_kind_without_strength_ignores_it():
    image = picture()
    rng = np.random.default_rng(0)
    assert np.array_equal(BY_NAME["identity"].apply(image, rng, strength=1.0), image)
