"""Images as they are, through the real readers; Pillow, NumPy and nibabel write the sources."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image
from tests.datasets.making import folder_of_pngs, nifti, pixels, png, tree_bytes

from likeness.datasets import ImageSet, PrepareOptions, as_image_set, prepare_images, verify_sources
from likeness.datasets.plain import plan_images
from likeness.datasets.splits import SplitRule
from likeness.datasets.units import run_unit
from likeness.errors import ImageMismatchError, InputError, NoImagesError, OptionError
from likeness.readers import ReadOptions


def prepare(tmp_path, source, **options):
    return prepare_images(source, tmp_path / "out", options=PrepareOptions(**options))


def test_a_folder_of_images(tmp_path):
    source = folder_of_pngs(tmp_path / "source", 7)
    (source / "README").write_text("hello")
    (source / ".DS_Store").write_bytes(b"\0\1")
    made = prepare(tmp_path, source)
    assert made.accounting.summary() == "found 9 files = 7 used + 2 left out (2 other_file)"
    assert made.accounting.num_skipped == 0
    images = made.image_set
    assert images.image_ids[0] == "P0/P0_000.png"
    assert images.patient_names == ("P0", "P1", "P2")
    assert images.record["patient_rule"] == "parent-folder"
    assert images.record["source"] == "source"
    assert images.channels == ("grey",)
    for name, image in zip(images.image_ids, images.read(0, 7), strict=True):
        assert np.array_equal(image[0], np.asarray(Image.open(source / name)))
    assert str(tmp_path) not in (tmp_path / "out/dataset.json").read_text()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_stay_native(tmp_path, dtype):
    array = (pixels(1).astype(np.uint32) * 200 % (np.iinfo(dtype).max + 1)).astype(dtype)
    png(tmp_path / "source" / "a.png", array)
    images = prepare(tmp_path, tmp_path / "source").image_set
    assert images.dtype == dtype
    assert np.array_equal(images.read(0, 1)[0, 0], array)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_volumes_become_slices_with_neighbours(tmp_path, dtype):
    voxels = {}
    for name in ("A_1", "B_2"):
        voxels[name] = (pixels(len(voxels), (5, 6, 4), np.float32) * 100).astype(dtype)
        nifti(tmp_path / "source" / f"{name}.nii.gz", voxels[name])
    images = prepare(tmp_path, tmp_path / "source", patient_id="regex:^(.)").image_set
    assert images.image_ids[:2] == ("A_1.nii.gz#z000", "A_1.nii.gz#z001")
    assert images.patient_names == ("A", "B")
    assert images.neighbours(1) == (0, 2)
    assert images.neighbours(4) == (None, 5)
    assert images.volumes[0] == "A_1.nii.gz"
    assert images.dtype == dtype
    values = {int(v) for v in np.round(images.read(0, 8) * 7).ravel()}
    assert values == {int(v) for v in np.round(np.stack(list(voxels.values())) * 7).ravel()}


@pytest.mark.parametrize("end", ["npy", "npz"])
def test_arrays_become_one_image_per_row(tmp_path, end):
    array = pixels(3, (5, 12, 10, 3))
    path = tmp_path / f"samples.{end}"
    np.save(path, array) if end == "npy" else np.savez(path, array)
    table = tmp_path / "m.csv"
    lines = [f"samples.{end}#{row},P{row % 2}" for row in range(5)]
    table.write_text("\n".join(["image_id,who", *lines]))
    images = prepare(tmp_path, path, patient_id="column:who", manifest=table).image_set
    assert images.channels == ("red", "green", "blue")
    assert images.image_ids[4] == f"samples.{end}#4"
    assert images.patient_ids == ("P0", "P1", "P0", "P1", "P0")
    assert np.array_equal(images.read(0, 5), array.transpose(0, 3, 1, 2))


def test_members_of_an_archive_are_counted_one_by_one(tmp_path):
    folder_of_pngs(tmp_path / "x", 6)
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted((tmp_path / "x").rglob("*.png")):
            content = path.read_bytes()
            if path.name == "P1_001.png":
                content = content[:-30]
            file.writestr(str(path.relative_to(tmp_path / "x")), content)
    made = prepare(tmp_path, archive, max_skipped=0.5)
    assert made.accounting.found == 6
    assert made.accounting.used == 5
    [left] = made.accounting.left_out
    assert left.path == "set.zip#P1/P1_001.png"
    images = made.image_set
    assert images.image_ids[0] == "set.zip#P0/P0_000.png"
    assert images.patient_names == ("P0", "P1", "P2")
    again = prepare_images(archive, tmp_path / "out", options=PrepareOptions(max_skipped=0.5))
    assert again.accounting == made.accounting


def test_odd_names_come_through(tmp_path):
    source = tmp_path / "source"
    names = ["a\nb.png", "q\"uo'te.png", "<script>alert(1)</script>.png", "=cmd.png", "-rf.png"]
    names += [
        os.fsdecode(b"\xff\xfe.png"),
        "é.png",
        "e\u0301.png",
        "x" * 240 + ".png",
        "a#z001.png",
    ]
    for number, name in enumerate(names):
        if "/" in name:
            name = name.replace("/", "\u2215")
        png(source / name, pixels(number))
    (source / "=bad.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    made = prepare(tmp_path, source, max_skipped=0.2)
    assert len(set(made.image_set.image_ids)) == len(names)
    assert made.accounting.found == len(names) + 1
    rows = (tmp_path / "out/left_out.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("'=bad.png,")
    notes = made.image_set.record["notes"]
    assert len([note for note in notes if "Unicode" in note]) == 2
    assert ImageSet.open(tmp_path / "out").fingerprint == made.image_set.fingerprint


def test_mixed_sizes_are_refused_with_a_table(tmp_path):
    source = folder_of_pngs(tmp_path / "source", 3)
    png(source / "wide.png", pixels(9, (12, 20)))
    with pytest.raises(ImageMismatchError) as caught:
        prepare(tmp_path, source)
    message = str(caught.value)
    assert "1 x 12 x 10" in message
    assert "3 files" in message
    assert "1 x 12 x 20" in message
    assert "--resize" in message
    assert not (tmp_path / "out").exists()
    made = prepare(tmp_path, source, size=(6, 5), resampling="box")
    assert made.image_set.image_shape == (1, 6, 5)
    assert made.image_set.record["transforms"] == [
        {"name": "resize", "size": [6, 5], "resampling": "box"}
    ]
    png(source / "deep.png", pixels(9).astype(np.uint16))
    with pytest.raises(ImageMismatchError, match="--intensity-range"):
        prepare_images(source, tmp_path / "out2", options=PrepareOptions(size=(6, 5)))
    options = PrepareOptions(size=(6, 5), intensity_range=(0, 255))
    assert prepare_images(source, tmp_path / "out2", options=options).image_set.dtype == np.uint8


def test_grey_images_stored_as_rgb_join_grey_ones(tmp_path):
    source = tmp_path / "source"
    png(source / "a.png", pixels(1))
    png(source / "b.png", np.repeat(pixels(2)[..., None], 3, axis=2))
    images = prepare(tmp_path, source).image_set
    assert images.image_shape == (1, 12, 10)
    assert np.array_equal(images.read(1, 2)[0, 0], pixels(2))
    assert images.record["transforms"][0]["name"] == "grey"
    png(source / "c.png", pixels(3, (12, 10, 3)))
    with pytest.raises(ImageMismatchError, match=r"'c\.png' is really coloured.*--grey"):
        prepare_images(source, tmp_path / "out2")
    made = prepare_images(
        source, tmp_path / "out3", options=PrepareOptions(grey="collapse", max_skipped=0.5)
    )
    assert [(item.path, item.code) for item in made.accounting.left_out] == [
        ("c.png", "mixed_colour")
    ]
    made = prepare_images(source, tmp_path / "out4", options=PrepareOptions(grey="luma"))
    weights = pixels(3, (12, 10, 3)) @ [0.299, 0.587, 0.114]
    assert np.abs(made.image_set.read(2, 3)[0, 0] - weights).max() <= 0.5 + 1e-9


def test_rgb_sets_stay_rgb(tmp_path):
    png(tmp_path / "source/b.png", np.repeat(pixels(2)[..., None], 3, axis=2))
    images = prepare(tmp_path, tmp_path / "source").image_set
    assert images.channels == ("red", "green", "blue")


def test_the_papers_folders_become_five_channels(tmp_path):
    folders = {"T1": "T1", "T2": "T2", "FLAIR": "flair", "T1CE": "T1ce", "Seg": "seg"}
    for number, (folder, end) in enumerate(folders.items()):
        for case in (7, 8):
            png(tmp_path / f"source/{folder}/{case:03d}{end}.png", pixels(10 * case + number))
    (tmp_path / "source/T2/009T2.png").write_bytes((tmp_path / "source/T2/008T2.png").read_bytes())
    made = prepare(tmp_path, tmp_path / "source", max_skipped=0.2)
    images = made.image_set
    assert images.channels == ("t1", "t2", "flair", "t1ce", "seg")
    assert images.annotation_channels == ("seg",)
    assert images.image_ids == ("007", "008")
    expected = [[pixels(10 * case + number) for number in range(5)] for case in (7, 8)]
    assert np.array_equal(images.read(0, 2), expected)
    assert [(i.path, i.code) for i in made.accounting.left_out] == [
        ("T2/009T2.png", "missing_channel")
    ]


def test_a_damaged_sequence_takes_its_group_along(tmp_path):
    for case in range(3):
        for number, name in enumerate(("ct", "pet")):
            png(tmp_path / f"source/{case}_{name}.png", pixels(10 * case + number))
    damaged = tmp_path / "source/1_pet.png"
    damaged.write_bytes(damaged.read_bytes()[:-25])
    made = prepare(tmp_path, tmp_path / "source", sequences="{id}_{channel}.png", max_skipped=0.5)
    assert made.image_set.image_ids == ("0", "2")
    codes = {item.path: item.code for item in made.accounting.left_out}
    assert codes.keys() == {"1_ct.png", "1_pet.png"}
    assert codes["1_ct.png"] == "incomplete_group"
    assert codes["1_pet.png"] != "incomplete_group"


def test_groups_with_different_numbers_of_slices_are_left_out(tmp_path):
    for case, depth in (("a", 3), ("b", 2), ("c", 4)):
        nifti(tmp_path / f"source/{case}_t1.nii", pixels(1, (4, 5, 3)))
        nifti(tmp_path / f"source/{case}_t2.nii", pixels(2, (4, 5, depth)))
    made = prepare(tmp_path, tmp_path / "source", max_skipped=0.9)
    assert made.image_set.volumes == ("a", "a", "a")
    assert {item.code for item in made.accounting.left_out} == {"sizes_differ", "incomplete_group"}


def test_a_volume_beside_its_packed_self_is_read_for_what_it_is(tmp_path):
    plain, packed = pixels(1, (4, 5, 2)), pixels(2, (4, 5, 2))
    nifti(tmp_path / "source/a.nii", plain)
    nifti(tmp_path / "source/a.nii.gz", packed)
    images = prepare(tmp_path, tmp_path / "source").image_set
    assert images.volumes == ("a.nii", "a.nii", "a.nii.gz", "a.nii.gz")
    assert [block.sum() for block in (images.read(0, 2), images.read(2, 4))] == [
        plain.sum(),
        packed.sum(),
    ]
    assert images.record["notes"] == ["'a.nii' and 'a.nii.gz' are both there"]


def test_names_for_channels(tmp_path):
    np.save(tmp_path / "a.npy", pixels(1, (4, 2, 12, 10)))
    images = prepare(tmp_path, tmp_path / "a.npy", channels=("pet", "ct")).image_set
    assert images.channels == ("pet", "ct")
    with pytest.raises(OptionError, match="have 2 channels"):
        prepare_images(tmp_path / "a.npy", tmp_path / "o2", options=PrepareOptions(channels=("a",)))


def test_a_set_is_not_prepared_again(tmp_path):
    prepare(tmp_path, folder_of_pngs(tmp_path / "source", 2))
    with pytest.raises(InputError, match="image set already"):
        prepare_images(tmp_path / "out", tmp_path / "out2")


def test_options_are_checked():
    for values in (
        {"size": (0, 1)},
        {"grey": "yes"},
        {"resampling": "x"},
        {"intensity_range": (2, 1)},
    ):
        with pytest.raises(OptionError, match="--"):
            PrepareOptions(**values)


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "README").write_text("hello")
    with pytest.raises(NoImagesError, match="1 other_file"):
        prepare(tmp_path, tmp_path / "source")
    (tmp_path / "source" / "a.png").write_text("<html>")
    with pytest.raises(NoImagesError, match=r"found 2 files = 0 used.*'a\.png'"):
        prepare(tmp_path, tmp_path / "source", max_skipped=1.0)


def test_a_split_by_patient(tmp_path):
    source = folder_of_pngs(tmp_path / "source", 12, patients=4)
    made = prepare_images(source, tmp_path / "out", split=SplitRule(test_patients=1, seed=1))
    assert {name: images.num_patients for name, images in made.sets.items()} == {
        "train": 3,
        "test": 1,
    }
    with pytest.raises(InputError, match="several image sets"):
        as_image_set(tmp_path / "out", work=tmp_path / "work")
    with pytest.raises(InputError, match="several image sets"):
        ImageSet.open(tmp_path / "out")
    with pytest.raises(OptionError, match="several"):
        _ = made.image_set


def test_read_options_reach_the_readers(tmp_path):
    voxels = np.ones((4, 5, 2), np.float32)
    voxels[0, 0, 0] = np.nan
    nifti(tmp_path / "source/a.nii", voxels)
    with pytest.raises(NoImagesError, match="non_finite"):
        prepare(tmp_path, tmp_path / "source", max_skipped=1.0)
    made = prepare_images(
        tmp_path / "source", tmp_path / "out2", options=PrepareOptions(read=ReadOptions(nan="zero"))
    )
    assert made.image_set.record["settings"]["read"]["nan"] == "zero"


def test_processes_give_the_same_bytes(tmp_path):
    source = folder_of_pngs(tmp_path / "source", 9)
    (source / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for jobs in (1, 2):
        options = PrepareOptions(jobs=jobs, max_skipped=0.5)
        prepare_images(source, tmp_path / f"out{jobs}", options=options)
    assert tree_bytes(tmp_path / "out1") == tree_bytes(tmp_path / "out2")


class TestAsImageSet:
    def test_sets_and_arrays_are_taken_as_they_are(self, tmp_path):
        made = ImageSet.from_arrays(pixels(0, (3, 1, 4, 5)))
        taken, account = as_image_set(made, work=tmp_path / "w")
        assert taken is made
        assert account.summary() == "found 3 files = 3 used + 0 left out"
        taken, _ = as_image_set(pixels(0, (3, 4, 5)), work=tmp_path / "w")
        assert taken.fingerprint == made.fingerprint
        assert not (tmp_path / "w").exists()

    def test_a_prepared_set_is_opened_with_its_account(self, tmp_path):
        source = folder_of_pngs(tmp_path / "source", 3)
        (source / "README").write_text("x")
        made = prepare(tmp_path, source)
        taken, account = as_image_set(tmp_path / "out", work=tmp_path / "w")
        assert taken.fingerprint == made.image_set.fingerprint
        assert account == made.accounting
        assert as_image_set(made.image_set, work=tmp_path / "w")[1] == made.accounting
        part = made.image_set.subset([0])
        assert as_image_set(part, work=tmp_path / "w")[1].found == 1
        (tmp_path / "out/dataset.json").unlink()
        (tmp_path / "out/progress").mkdir()
        (tmp_path / "out/progress/plan.json").write_text("{}")
        with pytest.raises(InputError, match="not finished"):
            as_image_set(tmp_path / "out", work=tmp_path / "w")

    def test_a_folder_is_prepared_once_and_again_when_it_changes(self, tmp_path):
        source, work = folder_of_pngs(tmp_path / "source", 4), tmp_path / "work"
        first, _ = as_image_set(source, work=work, role="train")
        shard = work / "images/00000.npy"
        written = shard.stat().st_mtime_ns
        again, _ = as_image_set(source, work=work, role="train")
        assert shard.stat().st_mtime_ns == written
        assert again.fingerprint == first.fingerprint
        png(source / "P0/P0_900.png", pixels(99))
        more, account = as_image_set(source, work=work, role="train")
        assert (len(more), account.used) == (5, 5)
        other, _ = as_image_set(
            source, work=work, options=PrepareOptions(patient_id="none"), role="train"
        )
        assert not other.has_patient_ids

    def test_changed_sources_are_found_by_their_bytes(self, tmp_path):
        source = folder_of_pngs(tmp_path / "source", 4)
        images = prepare(tmp_path, source).image_set
        assert verify_sources(images, source) == ()
        path = source / "P1/P1_001.png"
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        content = bytearray(path.read_bytes())
        content[-20] ^= 1
        path.write_bytes(bytes(content))
        os.utime(path, ns=times)
        (source / "P2/P2_002.png").unlink()
        assert verify_sources(images, source) == ("P1/P1_001.png", "P2/P2_002.png")
        with pytest.raises(InputError, match="arrays"):
            verify_sources(ImageSet.from_arrays(pixels(0, (3, 1, 4, 5))), source)


def test_a_file_is_read_once_to_be_hashed_and_decoded(tmp_path, monkeypatch):
    source = folder_of_pngs(tmp_path / "source", 3)
    nifti(source / "P0/P0_004.nii.gz", np.stack([pixels(n, (10, 12)) for n in range(2)], 2))
    plan = plan_images(source, PrepareOptions())
    expected = [run_unit(plan.decoder, unit, 0) for unit in plan.units]
    with monkeypatch.context() as patched:
        patched.setattr("likeness.readers._registry.opened", lambda path: 1 / 0)
        held = [run_unit(plan.decoder, unit, 0) for unit in plan.units]
    monkeypatch.setattr("likeness.datasets.units._HELD_BYTES", 0)  # as if they were too large
    twice = [run_unit(plan.decoder, unit, 0) for unit in plan.units]
    for results in (held, twice):
        assert [result.report for result in results] == [result.report for result in expected]
        assert [[row for _, row in result.images] for result in results] == [
            [row for _, row in result.images] for result in expected
        ]
