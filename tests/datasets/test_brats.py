"""BraTS volumes against a slow reference that follows the text of the rule, voxel by voxel."""

import json
from fractions import Fraction

import nibabel
import numpy as np
import pytest
from tests.datasets.making import nifti

from likeness.datasets import BratsOptions, prepare_brats
from likeness.datasets.splits import SplitRule
from likeness.errors import NoImagesError, OptionError

LABELS = {0: 0, 1: 51, 2: 102, 4: 204}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def head(seed, shape=(20, 24, 6), top=900.0, dtype=np.int16):
    """A bright disc that shrinks from slice to slice."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape[:2])
    radius = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2)
    voxels = np.zeros(shape)
    for index in range(shape[2]):
        inside = radius < 9 - 1.5 * index
        voxels[:, :, index] = inside * rng.uniform(0.2, 1.0, shape[:2]) * top
    return voxels.astype(dtype)


def labels(seed, shape=(20, 24, 6), values=(0, 0, 1, 2, 4)):
    return np.random.default_rng(seed).choice(values, shape).astype(np.uint8)


def patient(root, name, seed, names=("t1", "t2", "flair", "t1ce", "seg"), affine=LPS, **changes):
    made = {}
    for number, channel in enumerate(names):
        voxels = labels(seed) if channel == "seg" else head(seed + number)
        made[channel] = changes.get(channel, voxels)
        nifti(root / name / f"{name}_{channel}.nii.gz", made[channel], affine)
    return made


def reference(volumes, names, *, size, threshold=50, share="0.15", quantile=0.999):
    """Slices as the text says, for files stored in LPS order: rows are j, columns are i."""
    scaled = {}
    for name in names:
        voxels = volumes[name].astype(float)
        if name == "seg":
            scaled[name] = np.vectorize(LABELS.get)(voxels)
            continue
        ordered = np.sort(voxels.ravel())
        place = quantile * (len(ordered) - 1)
        low = int(place)
        top = ordered[low] + (place - low) * (
            ordered[min(low + 1, len(ordered) - 1)] - ordered[low]
        )
        scaled[name] = np.clip(np.round(voxels * 255 / top), 0, 255)
    kept = []
    images = [name for name in names if name != "seg"]
    width, height, depth = volumes[names[0]].shape
    for k in range(depth):
        bright = 0
        for i in range(width):
            for j in range(height):
                bright += (
                    Fraction(sum(int(scaled[n][i, j, k]) for n in images), len(images)) > threshold
                )
        if bright < Fraction(share) * width * height:
            continue
        image = np.zeros((len(names), size, size), np.uint8)
        top, left = (size - height) // 2, (size - width) // 2
        for c, name in enumerate(names):
            for i in range(width):
                for j in range(height):
                    image[c, top + j, left + i] = scaled[name][i, j, k]
        kept.append((k, image))
    return kept


@pytest.mark.parametrize("names", [("t1", "t2", "flair", "t1ce", "seg"), ("flair", "t1")])
def test_slices_are_those_of_the_rule(tmp_path, names):
    volumes = patient(tmp_path / "source", "BraTS20_Training_001", 5)
    options = BratsOptions(size=32, channels=names)
    made = prepare_brats(tmp_path / "source", tmp_path / "out", options=options)
    images = made.image_set
    expected = reference(volumes, names, size=32)
    assert 0 < len(expected) < 6
    assert images.slice_indices.tolist() == [k for k, _ in expected]
    assert np.array_equal(images.read(0, len(images)), np.stack([image for _, image in expected]))
    assert images.channels == names
    assert images.image_ids[0] == "BraTS20_Training_001/BraTS20_Training_001#z000"
    assert images.patient_names == ("BraTS20_Training_001",)
    assert made.tallies == {"slices": 6, "slices_below_foreground": 6 - len(expected)}
    assert images.record["annotation_channels"] == ["seg"] * ("seg" in names)
    unused = 5 - len(names)
    assert made.accounting.used == len(names)
    assert len(made.accounting.left_out) == unused
    assert made.accounting.num_skipped == 0


def test_smaller_slices_are_means_of_blocks_and_labels_stay_labels(tmp_path):
    names = ("t1", "flair", "seg")
    volumes = patient(tmp_path / "source", "BraTS20_Training_001", 5)
    options = BratsOptions(size=32, channels=names, resize=8, resampling="box")
    made = prepare_brats(tmp_path / "source", tmp_path / "out", options=options).image_set
    expected = reference(volumes, names, size=32)
    assert made.image_shape == (3, 8, 8)
    for found, (_, whole) in zip(made.read(0, len(made)), expected, strict=True):
        for c, name in enumerate(names):
            for y in range(8):
                for x in range(8):
                    block = whole[c, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].astype(float)
                    if name == "seg":
                        assert found[c, y, x] in block
                    else:
                        assert abs(found[c, y, x] - block.mean()) <= 1
    assert made.record["transforms"][-1] == {"name": "resize", "size": 8, "resampling": "box"}
    whole_set = prepare_brats(
        tmp_path / "source", tmp_path / "whole", options=BratsOptions(size=32, channels=names)
    ).image_set
    assert whole_set.record["transforms"][-1]["name"] == "pad_to"


def test_the_orientation_of_the_file_does_not_matter(tmp_path):
    volumes = patient(tmp_path / "a", "P-1", 5)
    for name, voxels in volumes.items():
        image = nibabel.Nifti1Image(voxels, LPS)
        turned = image.as_reoriented([[1, -1], [0, 1], [2, -1]])
        (tmp_path / "b" / "P-1").mkdir(parents=True, exist_ok=True)
        nibabel.save(turned, tmp_path / "b" / "P-1" / f"P-1_{name}.nii")
    options = BratsOptions(size=32)
    first = prepare_brats(tmp_path / "a", tmp_path / "out1", options=options).image_set
    second = prepare_brats(tmp_path / "b", tmp_path / "out2", options=options).image_set
    assert np.array_equal(first.read(0, len(first)), second.read(0, len(second)))


def test_exactly_15_percent_is_enough(tmp_path):
    voxels = np.zeros((10, 10, 3), np.uint8)
    voxels.reshape(100, 3)[:15, 0] = 51
    voxels.reshape(100, 3)[:14, 1] = 51
    voxels.reshape(100, 3)[:15, 2] = 50
    voxels[0, 0, :] = 255
    nifti(tmp_path / "source/a_flair.nii", voxels)
    nifti(tmp_path / "source/a_t1.nii", voxels)
    options = BratsOptions(channels=("flair", "t1"), scaling="none", size=10)
    images = prepare_brats(tmp_path / "source", tmp_path / "out", options=options).image_set
    assert images.slice_indices.tolist() == [0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0]),
        ({"foreground_channel": "t1"}, [1]),
        ({"min_foreground": 0.05}, [0, 1]),
        ({"foreground_threshold": 110}, []),
        ({"foreground_threshold": 110, "foreground_channel": "t1"}, [1]),
    ],
)
def test_each_option_of_the_rule_takes_effect(tmp_path, options, expected):
    flair, t1 = np.zeros((2, 10, 10, 2), np.uint8)
    flair[:2, :, 0] = 200
    t1[:2, :, 1] = 200
    t1[3, :, 0] = 20
    flair[:1, :, 1] = 100
    nifti(tmp_path / "source/a_flair.nii", flair)
    nifti(tmp_path / "source/a_t1.nii", t1)
    given = BratsOptions(channels=("flair", "t1"), scaling="none", size=10, **options)
    if not expected:
        with pytest.raises(NoImagesError, match=r"below_foreground.*highest intensity is 200"):
            prepare_brats(tmp_path / "source", tmp_path / "out", options=given)
        return
    # 20 of 100 pixels at 200 in one channel are a mean of 100; 10 in both add up to 150.
    images = prepare_brats(tmp_path / "source", tmp_path / "out", options=given).image_set
    if options.get("min_foreground") is None and not options:
        expected = [0, 1]
    assert images.slice_indices.tolist() == expected


def test_scaling_before_or_after(tmp_path):
    patient(tmp_path / "source", "P-1", 5)
    counts = {}
    for scaling, judged in (("quantile", "scaled"), ("quantile", "raw"), ("maximum", "scaled")):
        options = BratsOptions(
            size=32, scaling=scaling, foreground_on=judged, foreground_threshold=150
        )
        out = tmp_path / f"{scaling}-{judged}"
        images = prepare_brats(tmp_path / "source", out, options=options).image_set
        counts[scaling, judged] = len(images)
        assert images.record["settings"]["scaling"] == scaling
    assert counts["quantile", "raw"] > counts["quantile", "scaled"]
    options = BratsOptions(size=32, scaling="none", max_skipped=1.0)
    with pytest.raises(NoImagesError, match="not_8_bit"):
        prepare_brats(tmp_path / "source", tmp_path / "none", options=options)


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 1, 2, 4)])
def test_the_enhancing_tumour_is_3_or_4(tmp_path, values):
    patient(tmp_path / "source", "P-1", 5, seg=labels(1, values=values))
    images = prepare_brats(
        tmp_path / "source", tmp_path / "out", options=BratsOptions(size=32)
    ).image_set
    assert set(np.unique(images.read(0, len(images))[:, 4]).tolist()) == {0, 51, 102, 204}


def test_strange_labels_are_refused_unless_named(tmp_path):
    patient(tmp_path / "source", "P-1", 5, seg=labels(1, values=(0, 1, 2, 3, 4)))
    patient(tmp_path / "source", "P-2", 6)
    options = BratsOptions(size=32, max_skipped=1.0)
    made = prepare_brats(tmp_path / "source", tmp_path / "out", options=options)
    codes = {item.path: item.code for item in made.accounting.left_out}
    assert codes["P-1/P-1_seg.nii.gz"] == "unknown_label"
    assert codes["P-1/P-1_t1.nii.gz"] == "incomplete_group"
    assert made.image_set.patient_names == ("P-2",)
    options = BratsOptions(size=32, labels={1: 10, 2: 20, 3: 30, 4: 40})
    images = prepare_brats(tmp_path / "source", tmp_path / "out2", options=options).image_set
    assert set(np.unique(images.read(0, len(images))[:, 4]).tolist()) == {0, 10, 20, 30, 40}


def test_missing_files_are_handled_as_asked(tmp_path):
    source = tmp_path / "source"
    patient(source, "P-1", 5)
    patient(source, "P-2", 6, names=("t1", "t2", "flair", "t1ce"))
    patient(source, "P-3", 7, names=("t1", "flair", "t1ce", "seg"))
    made = prepare_brats(source, tmp_path / "a", options=BratsOptions(size=32, max_skipped=1.0))
    assert made.image_set.patient_names == ("P-1", "P-2")
    assert {item.code for item in made.accounting.left_out} == {"missing_channel"}
    images = made.image_set.subset(made.image_set.patient_codes == 1)
    assert not images.read(0, len(images))[:, 4].any()
    import pyarrow.parquet as pq

    notes = pq.read_table(tmp_path / "a/manifest.parquet")["notes"].to_pylist()
    assert notes[-1] == ["axes LPS", "seg is missing"]
    options = BratsOptions(
        size=32, missing_sequence="zero", missing_annotation="skip", max_skipped=1.0
    )
    made = prepare_brats(source, tmp_path / "b", options=options)
    assert made.image_set.patient_names == ("P-1", "P-3")
    images = made.image_set.subset(made.image_set.patient_codes == 1)
    assert not images.read(0, len(images))[:, 1].any()
    with pytest.raises(OptionError, match=r"have flair, seg, t1, t1ce"):
        prepare_brats(source, tmp_path / "c", options=BratsOptions(channels=("t1", "pet")))


def test_without_any_annotation_there_is_no_such_channel(tmp_path):
    patient(tmp_path / "source", "P-1", 5, names=("t1", "t2", "flair", "t1ce"))
    images = prepare_brats(
        tmp_path / "source", tmp_path / "out", options=BratsOptions(size=32)
    ).image_set
    assert images.channels == ("t1", "t2", "flair", "t1ce")
    assert "no annotation" in images.record["notes"][0]


def test_sequences_must_lie_at_the_same_place(tmp_path):
    patient(tmp_path / "source", "P-1", 5)
    patient(tmp_path / "source", "P-2", 6)
    patient(tmp_path / "source", "P-3", 6, t2=head(3, (20, 24, 5)))
    moved = LPS.copy()
    moved[0, 3] = 5
    nifti(tmp_path / "source/P-2/P-2_t2.nii.gz", head(3), moved)
    made = prepare_brats(
        tmp_path / "source", tmp_path / "out", options=BratsOptions(size=32, max_skipped=1.0)
    )
    assert made.image_set.patient_names == ("P-1",)
    codes = {item.path: item.code for item in made.accounting.left_out}
    assert codes["P-2/P-2_t2.nii.gz"] == codes["P-3/P-3_t2.nii.gz"] == "geometry_differs"


def test_larger_slices_lose_empty_margins_only(tmp_path):
    patient(tmp_path / "source", "P-1", 5, names=("t1", "flair"))
    options = BratsOptions(size=19, channels=("t1", "flair"))
    images = prepare_brats(tmp_path / "source", tmp_path / "out", options=options).image_set
    full = BratsOptions(size=32, channels=("t1", "flair"))
    whole = prepare_brats(tmp_path / "source", tmp_path / "out2", options=full).image_set
    assert images.image_shape == (2, 19, 19)
    assert images.read(0, len(images)).sum() == whole.read(0, len(whole)).sum()
    options = BratsOptions(size=10, channels=("t1", "flair"), max_skipped=1.0)
    with pytest.raises(NoImagesError, match=r"larger_than_size.*24 x 20.*--size"):
        prepare_brats(tmp_path / "source", tmp_path / "out3", options=options)


def test_negative_and_empty_volumes(tmp_path):
    negative = head(1) - 100
    patient(tmp_path / "source", "P-1", 5, t1=negative, t2=np.zeros((20, 24, 6), np.int16))
    images = prepare_brats(
        tmp_path / "source", tmp_path / "out", options=BratsOptions(size=32)
    ).image_set
    read = images.read(0, len(images))
    assert not read[:, 1].any()
    assert read[:, 0].min() == 0
    import pyarrow.parquet as pq

    [notes] = set(map(tuple, pq.read_table(tmp_path / "out/manifest.parquet")["notes"].to_pylist()))
    assert notes == ("axes LPS", "t1: negative intensities became 0", "t2: no intensity above zero")


def test_a_split_and_its_record(tmp_path):
    for number in range(4):
        patient(
            tmp_path / "source", f"BraTS20_Training_{number:03d}", number, names=("t1", "flair")
        )
    options = BratsOptions(size=32, channels=("t1", "flair"))
    made = prepare_brats(
        tmp_path / "source", tmp_path / "out", options=options, split=SplitRule(test_patients=1)
    )
    assert made.sets["train"].num_patients == 3
    assert made.accounting.summary() == "found 8 files = 8 used + 0 left out"
    assert made.tallies["slices"] == 24
    record = json.loads((tmp_path / "out/train/dataset.json").read_text())
    assert [step["name"] for step in record["transforms"]] == [
        "rescale_intensity", "relabel", "axial_slices", "keep_foreground", "pad_to",
    ]  # fmt: skip
    assert record["settings"]["min_foreground"] == 0.15


@pytest.mark.parametrize(
    "values",
    [
        {"size": 0},
        {"resize": 0},
        {"resampling": "x"},
        {"quantile": 0.0},
        {"min_foreground": 1.5},
        {"scaling": "log"},
        {"foreground_on": "x"},
        {"missing_sequence": "x"},
        {"missing_annotation": "x"},
        {"labels": {1: 256}},
        {"channels": ("t1",), "foreground_channel": "flair"},
    ],
)
def test_options_are_checked(values):
    with pytest.raises(OptionError, match="--"):
        BratsOptions(**values)
