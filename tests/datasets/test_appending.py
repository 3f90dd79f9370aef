"""Adding images to a finished set: what is there stays, what is known is passed over."""

import json
import shutil

import numpy as np
import pytest
from tests.datasets.making import folder_of_pngs, killed_at, pixels, png, tree_bytes

from likeness._files import folder_lock
from likeness.datasets import (
    ImageSet,
    PrepareOptions,
    SplitRule,
    _pages,
    layout,
    plain,
    prepare_images,
    verify,
    verify_sources,
)
from likeness.datasets.appending import append, plan_addition
from likeness.datasets.derived import derived_rows
from likeness.datasets.forgetting import forget
from likeness.datasets.options import RunOptions
from likeness.datasets.source_accounts import read_accounting
from likeness.errors import (
    ImageMismatchError,
    InputError,
    LockedError,
    OptionError,
    SourceChangedError,
    SplitOverlapError,
    TooManySkippedError,
    UnreadableImageError,
)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(layout, "MAX_SHARD_IMAGES", 4)


@pytest.fixture
def source(tmp_path):
    return folder_of_pngs(tmp_path / "source", 10)


@pytest.fixture
def folder(source, tmp_path):
    prepare_images(source, tmp_path / "set")
    return tmp_path / "set"


def more(root, count=5, patient="P9", first=100, shape=(12, 10)):
    for number in range(first, first + count):
        png(root / patient / f"{patient}_{number}.png", pixels(number, shape))
    return root


def content(folder):
    """Pixels and facts by image id."""
    images = ImageSet.open(folder)
    return {
        name: (who, images.take([row])[0].tobytes())
        for row, (name, who) in enumerate(zip(images.image_ids, images.patient_ids, strict=True))
    }


def test_a_set_and_more_hold_what_a_set_of_all_holds(source, folder, tmp_path):
    before = tree_bytes(folder)
    old = ImageSet.open(folder)
    new = more(tmp_path / "new")
    added = append(folder, new)
    assert (added.num_images, added.num_patients, added.num_known_files) == (5, 1, 0)
    assert verify(folder).ok
    shutil.copytree(new, source, dirs_exist_ok=True)
    prepare_images(source, tmp_path / "all")
    assert content(folder) == content(tmp_path / "all")
    both, whole = ImageSet.open(folder), ImageSet.open(tmp_path / "all")
    for key in ("counts", "num_images", "num_patients", "dtype", "image_shape", "settings"):
        assert both.record[key] == whole.record[key], key
    assert both.record["intensity"] == pytest.approx(whole.record["intensity"])
    assert both.image_ids[:10] == old.image_ids
    assert both.fingerprint != old.fingerprint
    after = tree_bytes(folder)
    for name in ("images/00000.npy", "images/00001.npy", "images/00002.npy"):
        assert after[name] == before[name]
    assert np.array_equal(old.read(0, 10), both.read(0, 10))  # the opened set goes on
    [addition] = both.record["additions"]
    assert (addition["source"], addition["images"]) == ("new", 5)
    assert read_accounting(folder).summary() == "found 15 files = 15 used + 0 left out"
    assert verify_sources(both, source) == ()


def test_the_same_folder_again_is_passed_over_also_when_it_has_grown(source, folder):
    before = tree_bytes(folder)
    added = append(folder, source)
    assert (added.num_images, added.num_known_files) == (0, 10)
    assert tree_bytes(folder) == before
    more(source)
    assert plan_addition(folder, source)[1] == 10
    added = append(folder, source)
    assert (added.num_images, added.num_known_files) == (5, 10)
    assert append(folder, source).num_images == 0
    assert len(ImageSet.open(folder)) == 15
    assert verify(folder).ok


def test_additions_add_up(folder, tmp_path):
    for number in range(3):
        append(folder, more(tmp_path / f"new{number}", 3, f"P{number + 5}", 100 * number))
    images = ImageSet.open(folder)
    assert len(images) == 19
    assert images.record["shard_rows"] == [4, 4, 2, 3, 3, 3]
    assert len(images.record["additions"]) == 3
    assert verify(folder).ok


def test_derived_rows_are_made_of_what_is_new(folder, tmp_path):
    seen = []

    def make(images):
        seen.append(len(images))
        return {"sum": images.sum(axis=(1, 2, 3))}

    derived_rows(ImageSet.open(folder), "sum", {}, make)
    append(folder, more(tmp_path / "new"))
    seen.clear()
    rows = derived_rows(ImageSet.open(folder), "sum", {}, make)["sum"]
    assert sum(seen) == 1 + 5
    images = ImageSet.open(folder)
    assert np.array_equal(rows.read(0, 15), images.read(0, 15).sum(axis=(1, 2, 3)))
    assert verify(folder).ok


def test_what_does_not_fit_is_refused_and_nothing_changes(folder, tmp_path):
    before = tree_bytes(folder)
    with pytest.raises(ImageMismatchError, match=r"\(1, 8, 8, 'uint8'\)"):
        append(folder, more(tmp_path / "small", shape=(8, 8)))
    with pytest.raises(ImageMismatchError, match=r"red, green, blue.*grey"):
        append(folder, more(tmp_path / "rgb", shape=(12, 10, 3)))
    png(tmp_path / "clash/P0/P0_000.png", pixels(77))
    with pytest.raises(InputError, match=r"'P0/P0_000\.png'.*other content.*Rename"):
        append(folder, tmp_path / "clash")
    (tmp_path / "bad/P7").mkdir(parents=True)
    whole = png(tmp_path / "bad/P7/P7_1.png", pixels(5)).read_bytes()
    (tmp_path / "bad/P7/P7_2.png").write_bytes(whole[:60])
    with pytest.raises(TooManySkippedError, match="1 of 2 files"):
        append(folder, tmp_path / "bad")
    with pytest.raises(UnreadableImageError):
        append(folder, tmp_path / "bad", run=RunOptions(strict=True))
    with pytest.raises(OptionError, match="one inside the other"):
        append(folder, tmp_path)
    with pytest.raises(InputError, match="no image set"):
        append(tmp_path / "nothing", tmp_path / "bad")
    assert not (tmp_path / "nothing").exists()
    kept = {name: c for name, c in tree_bytes(folder).items() if not name.startswith("next/")}
    assert kept == before
    result = verify(folder)
    assert result.ok
    assert "not finished" in result.notes[0]
    added = append(folder, tmp_path / "bad", run=RunOptions(max_skipped=1.0))
    assert added.accounting.summary() == "found 2 files = 1 used + 1 left out (1 truncated)"
    assert (
        read_accounting(folder).summary() == "found 12 files = 11 used + 1 left out (1 truncated)"
    )
    assert verify(folder).notes == ()


def test_a_file_that_was_left_out_and_is_mended_counts_once(source, tmp_path):
    victim = source / "P0/P0_003.png"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:60])
    prepare_images(source, tmp_path / "set", options=PrepareOptions(max_skipped=1.0))
    victim.write_bytes(whole)
    added = append(tmp_path / "set", source)
    assert (added.num_images, added.num_known_files) == (1, 9)
    assert read_accounting(tmp_path / "set").summary() == "found 10 files = 10 used + 0 left out"
    assert verify(tmp_path / "set").ok


def test_the_rule_that_was_found_is_kept(source, tmp_path):
    options = PrepareOptions(patient_id="regex:_0*([0-9]+)")
    prepare_images(source, tmp_path / "set", options=options)
    append(tmp_path / "set", more(tmp_path / "new"))
    assert ImageSet.open(tmp_path / "set").patient_ids[10:] == ("100", "101", "102", "103", "104")


def test_a_table_of_patients_is_asked_for(source, tmp_path):
    table = tmp_path / "who.csv"
    table.write_text("path,who\n" + "".join(f"P{n % 3}_{n:03d}.png,x{n}\n" for n in range(10)))
    options = PrepareOptions(patient_id="column:who", manifest=table)
    prepare_images(source, tmp_path / "set", options=options)
    new = more(tmp_path / "new", 1)
    with pytest.raises(OptionError, match="--manifest FILE"):
        append(tmp_path / "set", new)
    (tmp_path / "more.csv").write_text("path,who\nP9_100.png,y\n")
    append(tmp_path / "set", new, manifest=tmp_path / "more.csv")
    assert ImageSet.open(tmp_path / "set").patient_ids[-1] == "y"


def test_a_part_of_a_split_stays_apart_from_the_others(source, tmp_path):
    prepare_images(source, tmp_path / "sets", split=SplitRule(test_patients=1))
    train, test = tmp_path / "sets/train", tmp_path / "sets/test"
    [held_out] = ImageSet.open(test).patient_names
    with pytest.raises(SplitOverlapError, match=f"{held_out!r} is in 'test'"):
        append(train, more(tmp_path / "wrong", 2, held_out))
    assert len(ImageSet.open(train)) + len(ImageSet.open(test)) == 10
    append(train, more(tmp_path / "right", 2, "P8"))
    parts = json.loads((tmp_path / "sets/split.json").read_text())["sets"]
    assert "P8" in parts["train"]["patients"]
    assert parts["train"]["fingerprint"] == ImageSet.open(train).fingerprint
    with pytest.raises(SplitOverlapError):
        append(test, more(tmp_path / "other", 1, "P8", 500))


def test_the_first_preparation_says_that_the_set_has_grown(source, folder, tmp_path):
    append(folder, more(tmp_path / "new"))
    with pytest.raises(SourceChangedError, match="Images were added to it since"):
        prepare_images(source, folder)


@pytest.mark.timeout(120)
def test_a_kill_leaves_the_old_set_or_the_new_one(tmp_path):
    folder = tmp_path / "set"
    prepare_images(folder_of_pngs(tmp_path / "source", 3, patients=2), folder)
    new = more(tmp_path / "new", 5)
    shutil.copytree(folder, tmp_path / "expected")
    old = content(folder)
    append(tmp_path / "expected", new)
    expected = tree_bytes(tmp_path / "expected")
    whole = content(tmp_path / "expected")
    found, step, died = set(), 0, True
    while died:
        killed = tmp_path / f"killed{step}"
        shutil.copytree(folder, killed)
        died = killed_at(step, lambda killed=killed: append(killed, new))
        now = content(killed)
        assert now in (old, whole)
        assert verify(killed).problems == ()
        found.add(len(now))
        append(killed, new)
        assert tree_bytes(killed) == expected
        shutil.rmtree(killed)
        step += 1
    assert found == {3, 8}
    assert step > 30


def test_work_that_was_done_is_not_done_again(folder, tmp_path, monkeypatch):
    new = more(tmp_path / "new", 9)
    step = 0
    while not (folder / "next/progress/00001.json").is_file():  # two shards, one image is left
        assert killed_at(step, lambda: append(folder, new))
        step += 1
    decoded = []

    def pages_of(file, options):
        decoded.append(file.name)
        return _pages.pages_of(file, options)

    monkeypatch.setattr(plain, "pages_of", pages_of)
    append(folder, new)
    # The account of the file whose image filled the shard came after it.
    assert decoded == ["P9_107.png", "P9_108.png"]
    assert len(ImageSet.open(folder)) == 19


def test_two_at_once_are_refused(folder, tmp_path):
    new = more(tmp_path / "new")
    with folder_lock(folder), pytest.raises(LockedError):
        append(folder, new)
    with folder_lock(folder), pytest.raises(LockedError):
        forget(folder, ["P0"])
