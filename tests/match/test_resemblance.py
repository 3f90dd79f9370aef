"""What resembles one patient: ranks, yardstick and words, against force."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from tests.match.pictures import as_set, highest, noisy, patients, picture, r_cat, r_ch

from likeness import find_resemblance
from likeness._match import wording
from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError


def build_world():
    train, ids = patients(12, 3)
    test, test_ids = patients(9, 3, first=100)
    synthetic = np.stack(
        [picture(200 + n) for n in range(8)]
        + [noisy(train[7], 5)[:, ::-1], noisy(train[6], 9), train[31], np.full_like(train[0], 5)]
    )
    return as_set(train, ids), as_set(test, test_ids, "t"), as_set(synthetic, None, "s")


@pytest.fixture(scope="module")
def world():
    return build_world()


@pytest.fixture(scope="module")
def found(world):
    train, test, synthetic = world
    return find_resemblance(synthetic, train, ["P2", "P0"], test=test)


@functools.cache
def all_pairs():
    """(n, m) highest r of every synthetic image with every training image; built once."""
    train, _, synthetic = build_world()
    pixels = train.read(0, len(train))
    images = synthetic.read(0, len(synthetic) - 1)
    return np.array([[highest(r_cat, image, other) for other in pixels] for image in images])


def force(world, name):
    """Per synthetic image: best r and row of the patient, rank among patients, best other r."""
    train, rows = world[0], []
    for values in all_pairs():
        best = {p: values[[q == p for q in train.patient_ids]].max() for p in train.patient_names}
        mine = [i for i, p in enumerate(train.patient_ids) if p == name]
        rows.append(
            (
                best[name],
                mine[int(np.argmax(values[mine]))],
                1 + sum(r > best[name] for r in best.values()),
                max(r for p, r in best.items() if p != name),
            )
        )
    return rows


@pytest.mark.parametrize("name", ["P2", "P0"])
def test_every_image_is_held_against_the_patient(world, found, name):
    train, _, synthetic = world
    expected = dict(zip(synthetic.image_ids, force(world, name), strict=False))
    rows = [row for row in found.table.to_pylist() if row["patient_id"] == name]
    assert {row["query_id"] for row in rows} == set(synthetic.image_ids)
    values = [row["correlation"] for row in rows if row["correlation"] is not None]
    assert values == sorted(values, reverse=True)
    for row in rows:
        if row["query_id"] == "s011":
            assert row["correlation"] is row["patient_rank"] is row["reference_id"] is None
            continue
        r, match, rank, other = expected[row["query_id"]]
        assert row["correlation"] == pytest.approx(r, abs=1e-12)
        assert row["reference_id"] == train.image_ids[match]
        assert row["patient_rank"] == (rank if rank <= 8 else None)
        assert row["is_nearest"] == (rank == 1)
        assert row["next_correlation"] == pytest.approx(other, abs=1e-12)
        image = synthetic.take([synthetic.image_ids.index(row["query_id"])])[0]
        assert row["correlation_mean"] <= highest(r_ch, image, train.take([match])[0]) + 1e-12


def test_the_yardstick_is_what_other_people_reach(world, found):
    _, test, synthetic = world
    pixels = synthetic.read(0, len(synthetic) - 1)
    reached = {}
    for row, image in enumerate(test.read(0, len(test))):
        name = test.patient_ids[row]
        best = max(highest(r_cat, image, other) for other in pixels)
        reached[name] = max(best, reached.get(name, -1))
    for record in found.summary["patients"]:
        mine = max(r for r, *_ in force(world, record["patient_id"]))
        assert record["highest_correlation"] == pytest.approx(mine, abs=1e-12)
        above = sum(r >= mine for r in reached.values())
        assert record["yardstick_at_least"] == above
        assert record["p_value"] == (1 + above) / (1 + 9)
    copied, _ = found.summary["patients"]
    assert copied["yardstick_at_least"] == 0


def test_counts_of_the_nearest_add_up(world, found):
    nearest = {
        name: sum(rank == 1 for _, _, rank, _ in force(world, name))
        for name in world[0].patient_names
    }
    assert sum(nearest.values()) == 11  # one image has no contrast
    copied, other = found.summary["patients"]
    assert (copied["nearest_of"], other["nearest_of"]) == (nearest["P2"], nearest["P0"])
    assert copied["nearest_expected"] == pytest.approx(11 * 3 / 36)
    assert found.summary["nearest_of"]["maximum"] == max(nearest.values())


def test_words_say_what_was_found(found):
    copied, other = found.summary["patients"]
    text = " ".join(wording.sentences(found.summary, copied))
    assert "All 12 synthetic images were compared with all 3 training images" in text
    assert "1 image without contrast could not be compared" in text
    assert "this patient is the nearest of 12 patients" in text
    assert "Of 9 people who were not used for training, none comes as close" in text
    assert "the least that so few people allow" in text
    assert copied["image_id"] == "s008"
    assert copied["transform"] == "flip_v"
    assert "but" in " ".join(wording.sentences(found.summary, other))


def test_equal_pixels_are_counted(world):
    train, _, synthetic = world
    result = find_resemblance(synthetic, train, ["P10"])
    (record,) = result.summary["patients"]
    assert record["equal_pixels"] == 1
    assert record["p_value"] is None
    text = " ".join(wording.sentences(result.summary, record))
    assert "the very pixels" in text
    assert "Of the 11 other training patients" in text
    assert "no measure of chance" in text


def test_the_page_names_no_other_patient(world, tmp_path):
    train, test, synthetic = world
    find_resemblance(synthetic, train, ["P2", "P10"], test=test, out=tmp_path / "a", pairs_shown=4)
    page = (tmp_path / "a" / "patient-01-INTERNAL.html").read_text()
    assert page.count("<article") == 4
    assert "patient P2" in page
    for name in (*train.patient_names, *test.patient_names):
        assert name == "P2" or f"patient {name}<" not in page
        assert name == "P2" or f">{name}<" not in page
    summary = json.loads((tmp_path / "a" / "resemblance.json").read_text())
    assert [record["page"] for record in summary["patients"]] == [
        "patient-01-INTERNAL.html",
        "patient-02-INTERNAL.html",
    ]
    for path in (tmp_path / "a").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_unknown_patients_are_refused_with_a_hint(world, tmp_path):
    train, _, synthetic = world
    out = tmp_path / "a"
    with pytest.raises(OptionError, match=r"'P22'.*12 patients.*Did you mean 'P2'"):
        find_resemblance(synthetic, train, ["P22"], out=out)
    with pytest.raises(OptionError, match="0 patients"):
        find_resemblance(synthetic, train, [])
    # a mistyped id does not hold the folder
    find_resemblance(synthetic, train, ["P2"], out=out)
    with pytest.raises(OptionError, match="other settings: patients was"):
        find_resemblance(synthetic, train, ["P3"], out=out)
    find_resemblance(synthetic, train, ["P3"], out=out, overwrite=True)


def test_references_without_patients_or_of_another_shape_are_refused(world):
    train, _, synthetic = world
    pixels = train.read(0, 5)
    with pytest.raises(InputError, match="--patient-id"):
        find_resemblance(synthetic, pixels, ["image-00000"])
    with pytest.raises(ImageMismatchError, match="cannot be compared"):
        find_resemblance(pixels[:, :, ::2], train, ["P2"])


def test_a_patient_whose_images_have_no_contrast():
    train, ids = patients(3, 2)
    train[2:4] = 9
    result = find_resemblance(np.stack([picture(7), picture(8)]), as_set(train, ids), ["P1"])
    (record,) = result.summary["patients"]
    assert record["highest_correlation"] is record["image_id"] is None
    assert record["compared"] == 0
    assert "None could be compared" in " ".join(wording.sentences(result.summary, record))


def test_images_without_a_patient_are_nobody(world):
    _, _, synthetic = world
    train, ids = patients(3, 2)
    sets = ImageSet.from_arrays(train, patient_ids=[*ids[:4], None, None])
    result = find_resemblance(synthetic, sets, ["P0"])
    assert result.summary["compared"]["patients"] == 2
    assert result.summary["patients"][0]["yardstick_patients"] == 1
    with pytest.raises(OptionError, match="no image of this patient"):
        find_resemblance(synthetic, sets, ["image-00004"])
