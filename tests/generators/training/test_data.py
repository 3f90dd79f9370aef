"""What belongs to the images of a run: their description, classes and alterations."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.datasets import ImageSet
from likeness.errors import ManifestError, OptionError
from likeness.generators.training.augmentation import AUGMENTATIONS, Augmentation
from likeness.generators.training.data import describe_images
from likeness.generators.training.labels import Labels, read_labels


def pixels(count=5):
    """Three smooth grey channels and a square of label 51."""
    row, column = np.mgrid[:32, :32]
    images = np.zeros((count, 4, 32, 32), np.uint8)
    for place in range(count):
        for channel in range(3):
            images[place, channel] = 40 + 3 * column + 2 * row + 5 * channel + place
    images[:, 3, 8:20, 10:14] = 51
    return images


def annotated():
    plain = ImageSet.from_arrays(pixels(), channels=("a", "b", "c", "seg"))
    return ImageSet(
        plain.stored.store, plain._table, plain.channels, record={"annotation_channels": ["seg"]}
    )


def test_the_levels_of_annotations_are_described():
    found = describe_images(annotated())
    assert found["count"] == 5
    assert found["channels"] == ["a", "b", "c", "seg"]
    assert found["annotation_levels"] == {"seg": [0, 51]}
    assert found["fingerprint"] == annotated().fingerprint


@pytest.fixture(scope="module")
def monai():
    return pytest.importorskip("monai")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_alterations_depend_on_seed_step_and_place_alone(monai, name):
    altering, images = Augmentation([name], [3]), pixels()
    whole = altering.alter(images, 1, 7)
    parts = [altering.alter(images[:2], 1, 7), altering.alter(images[2:], 1, 7, 2)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, images)
    others = [altering.alter(images, 1, step) for step in range(8, 12)]
    assert any(not np.array_equal(whole, other) for other in others)
    assert set(np.unique(whole[:, 3])) <= {0, 51}
    assert whole.dtype == np.uint8


def test_what_each_alteration_does(monai):
    image = pixels(1)
    flipped = [Augmentation(["flip"]).alter(image, 0, step) for step in range(40)]
    mirrored = [np.array_equal(one, image[..., ::-1]) for one in flipped]
    assert all(m or np.array_equal(one, image) for m, one in zip(mirrored, flipped, strict=True))
    assert 10 < sum(mirrored) < 30
    grey = Augmentation(["intensity"], [3]).alter(image, 0, 0)
    np.testing.assert_array_equal(grey[:, 3], image[:, 3])
    order = np.argsort(image[0, :3].ravel(), kind="stable")
    assert (np.diff(grey[0, :3].ravel()[order].astype(int)) >= 0).all()
    for name in ("rotation", "elastic"):
        turned = Augmentation([name], [3]).alter(image, 0, 0)
        middle = (slice(None), slice(0, 3), slice(10, 22), slice(10, 22))
        difference = np.abs(turned[middle].astype(int) - image[middle])
        assert 0 < difference.max() < 15  # at most about three pixels on a slope of 3 to 4


def test_unknown_alterations_are_refused():
    with pytest.raises(OptionError, match="no augmentation 'turn', only flip"):
        Augmentation(["turn"])


def test_labels_come_from_a_table(tmp_path):
    images = ImageSet.from_arrays(pixels(3), image_ids=("x", "y", "z"))
    table = tmp_path / "labels.csv"
    table.write_text("image_id,label\nz,ill\ny,well\nx,ill\nother,well\n")
    found = read_labels(table, images)
    assert found.names == ("ill", "well")
    assert found.codes.tolist() == [0, 1, 0]
    table.write_text("image_id,label\nz,ill\ny,\nx,ill\n")
    with pytest.raises(ManifestError, match="1 of 3 images have no class, for example 'y'"):
        read_labels(table, images)
    table.write_text("image_id,label\nz,ill\nz,well\n")
    with pytest.raises(ManifestError, match="'z' twice"):
        read_labels(table, images)
    table.write_text("name,label\n")
    with pytest.raises(ManifestError, match="expected image_id and label"):
        read_labels(table, images)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_labels(tmp_path / "none.csv", images)


def test_classes_of_the_set_are_taken():
    images = ImageSet.from_arrays(pixels(2), classes=("b", "a"))
    found = Labels.of(images.classes, images)
    assert (found.names, found.codes.tolist()) == (("a", "b"), [1, 0])
