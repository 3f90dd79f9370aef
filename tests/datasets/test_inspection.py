import json

import numpy as np
import pytest
from tests.datasets.making import folder_of_pngs, nifti, pixels, png, tree_bytes

from likeness.datasets import PrepareOptions, inspect_path, layout, prepare_images
from likeness.datasets.splits import SplitRule
from likeness.errors import NoImagesError


def test_a_folder_of_images(tmp_path):
    source = folder_of_pngs(tmp_path / "my images", 6)
    png(source / "P1/P1_copy.png", pixels(4))
    (source / "P1/P1_bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (source / "notes.txt").write_text("x")
    before = tree_bytes(source)
    found = inspect_path(source)
    assert tree_bytes(source) == before
    assert found.layout == "images"
    assert found.accounting.found == 9
    assert found.accounting.used == 7
    assert found.formats == {"png": 7}
    assert [(k.shape, k.dtype, k.num_files) for k in found.kinds] == [((1, 12, 10), "uint8", 7)]
    every = np.stack([pixels(n) for n in (0, 1, 2, 3, 4, 5, 4)])
    assert (found.minimum, found.maximum) == (every.min(), every.max())
    assert found.mean == pytest.approx(every.mean())
    assert found.duplicates == (("P1/P1_004.png", "P1/P1_copy.png"),)
    assert (found.patient_rule, found.num_patients) == ("parent-folder", 3)
    assert len(found.patient_examples) == 3
    assert found.disk_bytes == 7 * 120
    assert found.suggestion.startswith("likeness audit --train '")
    json.dumps(found.to_dict(), allow_nan=False)


def test_headers_only_decodes_nothing(tmp_path):
    found = inspect_path(folder_of_pngs(tmp_path / "source", 3), decode=False)
    assert found.minimum is None
    assert found.num_images == 3
    assert found.duplicates == ()


def test_what_does_not_fit_is_met_with_the_right_flags(tmp_path):
    png(tmp_path / "s/a.png", pixels(1))
    png(tmp_path / "s/b.png", pixels(2, (5, 5, 3)))
    assert " --resize 256 --grey collapse" in inspect_path(tmp_path / "s").suggestion


def test_volumes_in_the_layout_of_brats(tmp_path):
    for case in ("BraTS20_Training_001", "BraTS20_Training_002"):
        for name in ("t1", "flair"):
            nifti(tmp_path / f"s/{case}/{case}_{name}.nii.gz", pixels(1, (6, 7, 4)))
    found = inspect_path(tmp_path / "s")
    assert found.layout == "brats"
    assert found.channels == ("t1", "flair")
    assert found.num_images == 8
    assert found.num_patients == 2
    assert found.disk_bytes == 8 * 2 * 256 * 256
    assert found.duplicates == (tuple(sorted(
        f"{c}/{c}_{n}.nii.gz" for c in ("BraTS20_Training_001", "BraTS20_Training_002")
        for n in ("t1", "flair")
    )),)  # fmt: skip
    assert found.suggestion.endswith("--channels t1,flair")
    assert "prepare brats" in found.suggestion


def test_names_of_chest_xrays(tmp_path):
    png(tmp_path / "s/NORMAL/IM-0001-0001.png", pixels(1))
    png(tmp_path / "s/PNEUMONIA/person1_virus_1.png", pixels(2, (20, 20)))
    found = inspect_path(tmp_path / "s")
    assert found.layout == "cxr"
    assert "prepare cxr" in found.suggestion


def test_sets_and_splits_are_recognised(tmp_path):
    source = folder_of_pngs(tmp_path / "s", 6)
    prepare_images(source, tmp_path / "set")
    found = inspect_path(tmp_path / "set")
    assert (found.layout, found.num_images, found.num_patients) == ("image set", 6, 3)
    prepare_images(source, tmp_path / "split", split=SplitRule(test_patients=1))
    found = inspect_path(tmp_path / "split")
    assert found.layout == "split"
    assert f"--test {tmp_path}/split/test" in found.suggestion


def test_nothing_there(tmp_path):
    with pytest.raises(NoImagesError):
        inspect_path(tmp_path)


def test_names_that_look_alike_and_images_without_variance_are_said(tmp_path):
    png(tmp_path / "s/caf\u00e9.png", pixels(1))
    png(tmp_path / "s/cafe\u0301.png", pixels(2))
    png(tmp_path / "s/flat.png", np.full((12, 10), 7, np.uint8))
    notes = inspect_path(tmp_path / "s").notes
    assert any("'caf\\xe9.png'" in note and "'cafe\\u0301.png'" in note for note in notes)
    assert any("all pixels equal" in note and "(1 images)" in note for note in notes)


def test_files_that_cannot_be_decoded_are_not_counted_as_images(tmp_path):
    source = folder_of_pngs(tmp_path / "s", 4)
    path = source / "P0/P0_000.png"
    path.write_bytes(path.read_bytes()[:-40])
    found = inspect_path(source)
    assert (found.num_images, found.accounting.used) == (3, 3)


def test_sizes_that_differ_are_brought_to_that_of_most(tmp_path):
    source = folder_of_pngs(tmp_path / "s", 4)
    png(source / "odd.png", pixels(9, (5, 5)))
    assert " --resize 12x10 " in inspect_path(source).suggestion


def test_a_rule_sees_the_same_names_as_the_preparation(tmp_path):
    for patient in (1, 2):
        for channel in ("t1", "flair"):
            png(tmp_path / f"s/P{patient}_{channel}.png", pixels(patient))
    rule = "regex:(P[0-9])_"
    assert inspect_path(tmp_path / "s", patient_id=rule).num_patients == 2
    options = PrepareOptions(patient_id=rule)
    made = prepare_images(tmp_path / "s", tmp_path / "out", options=options).image_set
    assert made.patient_ids == ("P1", "P2")


def test_a_set_that_does_not_say_where_its_patients_come_from(tmp_path):
    prepare_images(
        folder_of_pngs(tmp_path / "s", 6),
        tmp_path / "set",
        options=PrepareOptions(patient_id="parent-folder"),
    )
    path = tmp_path / "set" / "dataset.json"
    record = json.loads(path.read_text())
    del record["patients"], record["notes"]
    path.write_bytes(layout.record_bytes(layout.sealed(record)))
    found = inspect_path(tmp_path / "set")
    assert (found.patient_rule, found.patient_coverage) == ("as recorded", 1.0)
    assert found.num_patients == 3
