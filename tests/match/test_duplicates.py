"""What is there twice, in one set and across two."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.match.pictures import as_set, highest, noisy, patients, picture, r_cat

from likeness import find_duplicates
from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, OptionError


@pytest.fixture(scope="module")
def planted():
    """P1 is P6 (a noisy picture), P3 and P4 share pixels, P8 has one picture twice."""
    images, ids = patients(10, 3)
    images[19] = noisy(images[4], 0.8)[:, ::-1]
    images[12] = images[10]
    images[26] = images[24]
    images[29] = 9
    return as_set(images, ids)


@pytest.fixture(scope="module")
def found(planted):
    return find_duplicates(planted)


def test_people_under_two_ids_are_named(found):
    assert found.summary["patients"]["one_person_ids"] == [["P1", "P6"], ["P3", "P4"]]
    rows = {row["patient_id"]: row for row in found.patients.to_pylist()}
    assert rows["P1"]["person"] == rows["P6"]["person"] != rows["P3"]["person"]
    assert rows["P0"]["person"] is None
    assert rows["P1"]["num_near_patients"] == rows["P3"]["num_near_patients"] == 1
    assert rows["P0"]["num_near_patients"] == 0


def test_pairs_are_listed_once_with_their_evidence(found):
    pairs = found.pairs.to_pylist()
    kinds = [(p["kind"], p["first_id"], p["second_id"], p["same_patient"]) for p in pairs]
    assert kinds == [
        ("equal", "i010", "i012", False),
        ("equal", "i024", "i026", True),
        ("near", "i004", "i019", False),
    ]
    assert pairs[2]["transform"] == "flip_v"
    assert pairs[2]["similarity"] >= 0.995


def test_the_nearest_of_every_image_is_that_of_force(planted, found):
    pixels = planted.read(0, len(planted))
    for i, row in enumerate(found.images.to_pylist()):
        if i == 29:
            assert row["undefined"]
            assert row["correlation"] is row["nearest_id"] is None
            continue
        values = [
            highest(r_cat, pixels[i], pixels[j])
            if planted.patient_ids[j] != planted.patient_ids[i] and j != 29
            else -2.0
            for j in range(len(pixels))
        ]
        assert row["nearest_id"] == planted.image_ids[int(np.argmax(values))]
        assert row["correlation"] == pytest.approx(max(values), abs=1e-12)


def test_counts_add_up(planted, found):
    summary = found.summary
    done = summary["compared"]
    assert done["images"] + done["undefined"] == summary["set"]["images"] == len(planted)
    codes = planted.patient_codes[:29]
    different = sum(codes[i] != codes[j] for i in range(29) for j in range(i))
    assert done["pairs_full_size"] == different
    assert summary["equal"] == {
        "pairs": 2, "images": 4, "pairs_within_patients": 1, "pairs_between_patients": 1,
    }  # fmt: skip
    assert summary["pictures"] == {
        "different": 27, "shown_more_than_once": 3, "most_often": 2, "images_beyond_the_first": 3,
    }  # fmt: skip
    values = found.images.column("correlation").to_pylist()
    defined = [v for v in values if v is not None]
    assert summary["highest_correlation"]["maximum"] == max(defined)
    assert summary["highest_correlation"]["images"] == 29


def test_equal_empty_images_make_nobody_one_person():
    images, ids = patients(3, 2)
    images[1] = images[3] = images[5] = 0
    result = find_duplicates(as_set(images, ids))
    assert result.pairs.num_rows == 0
    assert result.summary["patients"]["one_person"] == 0
    assert result.summary["pictures"]["different"] == 4
    assert not result.found


def test_a_picture_generated_twice_and_a_collapsed_model():
    images = np.stack([picture(p) for p in range(6)] + [noisy(picture(2), 1, n) for n in range(3)])
    images = np.concatenate([images, images[:1], images[:1]])
    result = find_duplicates(as_set(images))
    assert result.summary["pictures"] == {
        "different": 6, "shown_more_than_once": 2, "most_often": 4, "images_beyond_the_first": 5,
    }  # fmt: skip
    assert result.summary["equal"]["pairs"] == 2
    assert result.summary["near"]["pairs"] == 6  # four almost equal ones
    assert result.patients.num_rows == 0
    near = result.images.column("num_near").to_pylist()
    assert near == [0, 0, 3, 0, 0, 0, 3, 3, 3, 0, 0]
    same = find_duplicates(np.repeat(picture(3)[None], 5, axis=0))
    assert same.summary["pictures"]["different"] == 1


def test_test_images_that_are_in_the_training_set():
    train, ids = patients(6, 2)
    test, test_ids = patients(4, 2, first=20)
    test[0] = train[3]  # equal pixels, other id
    test[2] = noisy(train[8], 0.8)  # almost equal, other id
    test_ids[6:] = ["P5", "P5"]  # one patient in both by name
    result = find_duplicates(as_set(test, test_ids, "t"), as_set(train, ids))
    people = result.summary["patients"]
    assert people["shared_ids"] == ["P5"]
    assert people["one_person_ids"] == [["P20", "P1"], ["P21", "P4"]]
    assert [(p["first_id"], p["second_id"]) for p in result.pairs.to_pylist()] == [
        ("t000", "i003"),
        ("t002", "i008"),
    ]
    assert result.summary["pictures"] is None
    assert result.summary["compared"]["pairs_full_size"] == 8 * 12 - 2 * 2
    assert result.found


def test_ties_go_to_the_lower_index_and_the_earlier_transform():
    images, ids = patients(4, 1)
    images[3] = images[1]
    symmetric = images[0] // 2 + images[0][:, ::-1] // 2
    images[0] = images[2] = symmetric
    result = find_duplicates(as_set(images, ids))
    rows = result.images.to_pylist()
    assert [row["nearest_id"] for row in rows] == ["i002", "i003", "i000", "i001"]
    assert {row["transform"] for row in rows} == {"identity"}


def test_the_result_does_not_depend_on_memory_threads_or_engine(planted, found):
    other = find_duplicates(planted, engine="numpy", threads=2, memory_bytes=260 << 20)
    assert other.pairs.equals(found.pairs)
    assert other.images.equals(found.images)
    assert other.patients.equals(found.patients)


def test_files_are_written_private_and_complete(planted, tmp_path):
    out = tmp_path / "out"
    result = find_duplicates(planted, out=out, pairs_shown=2)
    names = {path.name for path in out.iterdir()} - {".lock"}
    assert names == {
        "duplicates-INTERNAL.html", "duplicates.json", "images.parquet", "pairs.parquet",
        "patients.parquet", "settings.json",
    }  # fmt: skip
    for name in names:
        assert (out / name).stat().st_mode & 0o077 == 0, name
    assert json.loads((out / "duplicates.json").read_text()) == result.summary
    assert pq.read_table(out / "pairs.parquet").to_pylist() == result.pairs.to_pylist()
    page = (out / "duplicates-INTERNAL.html").read_text()
    assert page.count("<article") == 2
    assert "2 groups of patients share a picture" in page
    assert "INTERNAL" in page


def test_names_of_patients_are_escaped_on_the_page(tmp_path):
    images, _ = patients(2, 1)
    images[1] = images[0]
    sets = as_set(images, ["<script>alert(1)</script>", "o'Neil \u202e\x1b"])
    find_duplicates(sets, out=tmp_path / "out")
    page = (tmp_path / "out" / "duplicates-INTERNAL.html").read_text()
    assert "<script" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize("limit", [0.0, -1.0, 1.01, float("nan")])
def test_limits_out_of_range_are_refused(limit):
    with pytest.raises(OptionError, match="--near-duplicate"):
        find_duplicates(patients(2, 1)[0], limit=limit)


def test_sets_that_cannot_be_compared_are_refused():
    with pytest.raises(ImageMismatchError, match="64x64"):
        find_duplicates(patients(2, 1)[0], patients(2, 1, side=32)[0])
    named = ImageSet.from_arrays(patients(2, 1)[0], channels=["t1", "t2"])
    other = ImageSet.from_arrays(patients(2, 1)[0], channels=["t2", "t1"])
    with pytest.raises(ImageMismatchError, match="t2, t1"):
        find_duplicates(named, other)
    # names that any picture gets are those of the other set
    assert find_duplicates(named, patients(2, 1)[0]).summary["equal"]["pairs"] == 2


def test_one_image_alone_has_no_neighbour():
    result = find_duplicates(patients(1, 1)[0])
    assert result.summary["highest_correlation"]["images"] == 0
    assert result.summary["pictures"]["different"] == 1
    assert not result.found


def test_an_annotation_channel_is_not_compared():
    images, ids = patients(2, 1)
    images[1, 0] = images[0, 0]
    sets = ImageSet.from_arrays(images, patient_ids=ids, channels=["t1", "seg"])
    result = find_duplicates(sets)
    assert result.summary["compared"]["channels"] == ["t1"]
    assert result.pairs.to_pylist()[0]["correlation"] == 1.0
