import numpy as np
import pytest

from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, NoImagesError, OptionError


def some(count=5, channels=2, dtype=np.uint8):
    rng = np.random.default_rng(0)
    return rng.integers(0, 200, (count, channels, 4, 3)).astype(dtype)


def test_reads_give_the_pixels_as_fresh_arrays():
    images = some()
    made = ImageSet.from_arrays(images)
    assert len(made) == 5
    assert made.image_shape == (2, 4, 3)
    read = made.read(1, 4)
    assert np.array_equal(read, images[1:4])
    read[:] = 0
    assert np.array_equal(made.read(1, 4), images[1:4])
    taken = made.take([4, 0, 4])
    assert np.array_equal(taken, images[[4, 0, 4]])
    assert taken.flags.writeable
    assert made.read(2, 2).shape == (0, 2, 4, 3)
    assert made.take([]).shape == (0, 2, 4, 3)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 6), (3, 2)])
def test_reads_out_of_range_are_errors(start, stop):
    with pytest.raises(IndexError):
        ImageSet.from_arrays(some()).read(start, stop)


@pytest.mark.parametrize("indices", [[-1], [5], [[0]], [0.5], [True, False]])
def test_indices_out_of_range_are_errors(indices):
    with pytest.raises(IndexError):
        ImageSet.from_arrays(some()).take(indices)


def test_patients_are_numbered_in_order_of_appearance():
    made = ImageSet.from_arrays(some(), patient_ids=["b", "a", "b", None, "c"])
    assert made.patient_names == ("b", "a", "image-00003", "c")
    assert made.patient_codes.tolist() == [0, 1, 0, 2, 3]
    assert made.patient_codes.dtype == np.int32
    assert made.num_patients == 4
    assert made.has_patient_ids


def test_an_image_without_patient_never_joins_a_patient_of_that_name():
    made = ImageSet.from_arrays(
        some(3), image_ids=["x", "x (image)", "y"], patient_ids=[None, None, "x"]
    )
    assert made.num_patients == 3
    assert len(set(made.patient_names)) == 3
    assert not ImageSet.from_arrays(some()).has_patient_ids


def test_parts_of_parts_and_of_channels_agree_with_numpy():
    images = some(6, 4)
    ids = [f"i{n}" for n in range(6)]
    made = ImageSet.from_arrays(images, image_ids=ids, channels=["a", "b", "c", "d"])
    part = made.subset([5, 1, 3]).select_channels(["d", "b"]).subset([2, 0]).select_channels(["b"])
    assert part.image_ids == ("i3", "i5")
    assert part.channels == ("b",)
    assert part.image_shape == (1, 4, 3)
    assert np.array_equal(part.read(0, 2), images[[3, 5]][:, [1]])
    assert np.array_equal(part.take([1]), images[[5]][:, [1]])
    assert made.subset(np.arange(6) % 2 == 0).image_ids == ("i0", "i2", "i4")


def test_equal_images_have_equal_hashes_and_no_others():
    images = some(4, 1)
    images[3] = images[1]
    hashes = ImageSet.from_arrays(images).pixel_hashes
    assert hashes[3] == hashes[1]
    assert len(set(hashes)) == 3
    wide = ImageSet.from_arrays(images.astype(np.int16)).pixel_hashes
    assert not set(wide) & set(hashes)
    turned = ImageSet.from_arrays(images.reshape(4, 1, 3, 4)).pixel_hashes
    assert not set(turned) & set(hashes)
    big = images.astype(">u2")
    assert (
        ImageSet.from_arrays(big).pixel_hashes
        == ImageSet.from_arrays(images.astype("<u2")).pixel_hashes
    )


def test_fingerprints_change_with_everything():
    images = some(3)
    base = ImageSet.from_arrays(images)
    assert base.fingerprint == ImageSet.from_arrays(images.copy()).fingerprint
    other = images.copy()
    other[1, 1, 2, 2] += 1
    variants = [
        ImageSet.from_arrays(other),
        ImageSet.from_arrays(images, image_ids=["a", "b", "c"]),
        ImageSet.from_arrays(images, patient_ids=["a", None, None]),
        ImageSet.from_arrays(images, channels=["a", "b"]),
        ImageSet.from_arrays(images, volumes=["v", None, None]),
        ImageSet.from_arrays(images, slice_indices=[1, -1, -1]),
        ImageSet.from_arrays(images, classes=["v", None, None]),
        base.subset([0, 1]),
        base.subset([1, 0, 2]),
        base.select_channels(["channel_0"]),
    ]
    prints = [base.fingerprint, *(variant.fingerprint for variant in variants)]
    assert len(set(prints)) == len(prints)


def test_neighbours_are_the_adjacent_slices_of_the_same_volume():
    made = ImageSet.from_arrays(
        some(6), volumes=["v", "v", "w", "v", None, "w"], slice_indices=[4, 3, 4, 6, -1, 5]
    )
    assert made.neighbours(0) == (1, None)
    assert made.neighbours(1) == (None, 0)
    assert made.neighbours(2) == (None, 5)
    assert made.neighbours(3) == (None, None)
    assert made.neighbours(4) == (None, None)
    assert made.subset([5, 2]).neighbours(0) == (1, None)


def test_wrong_arrays_are_refused_with_advice():
    with pytest.raises(ImageMismatchError, match=r"images\[:, None\]"):
        ImageSet.from_arrays(np.zeros((3, 4, 5)))
    with pytest.raises(ImageMismatchError, match="complex"):
        ImageSet.from_arrays(np.zeros((3, 1, 4, 5), complex))
    with pytest.raises(NoImagesError):
        ImageSet.from_arrays(np.zeros((0, 1, 4, 5)))
    with pytest.raises(OptionError, match="'a' occurs more than once"):
        ImageSet.from_arrays(some(2), image_ids=["a", "a"])
    with pytest.raises(OptionError, match="patient_ids has 1 entries for 2"):
        ImageSet.from_arrays(some(2), patient_ids=["a"])
    with pytest.raises(OptionError, match="channels"):
        ImageSet.from_arrays(some(2), channels=["a", "a"])
    with pytest.raises(OptionError, match="slice_indices"):
        ImageSet.from_arrays(some(2), slice_indices=[1])
    with pytest.raises(OptionError, match="cannot be chosen"):
        ImageSet.from_arrays(some(2)).select_channels(["nope"])


def test_channels_last_are_refused_with_the_way_out():
    from likeness.datasets import ImageSet
    from likeness.errors import ImageMismatchError

    with pytest.raises(ImageMismatchError, match=r"transpose\(0, 3, 1, 2\)"):
        ImageSet.from_arrays(np.zeros((5, 32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([np.zeros((1, 8, 8)), np.zeros((1, 8, 9))], "train: the images differ in shape"),
        (None, "train is 'NoneType'"),
        ({"a": 1}, "train is 'dict'"),
        (np.where(np.arange(128).reshape(2, 1, 8, 8) == 70, np.nan, 1.0), "1 of 2 images hold NaN"),
    ],
)
def test_what_is_no_array_of_images_is_named(given, words, tmp_path):
    from likeness.datasets import as_image_set
    from likeness.errors import InputError

    with pytest.raises(InputError, match=words):
        as_image_set(given, work=tmp_path, role="train")
