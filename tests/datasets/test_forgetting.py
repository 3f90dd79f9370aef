"""Removing patients: nothing of theirs stays in the folder, all of the others does."""

import hashlib
import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from tests.datasets.making import folder_of_pngs, killed_at, pixels, png, tree_bytes

from likeness.datasets import (
    ImageSet,
    PrepareOptions,
    SplitRule,
    forgetting,
    layout,
    prepare_images,
    verify,
    verify_sources,
)
from likeness.datasets.appending import append
from likeness.datasets.changes import overwrite
from likeness.datasets.derived import SharedArrays, derived_rows
from likeness.datasets.forgetting import forget
from likeness.datasets.source_accounts import read_accounting, read_source_rows
from likeness.errors import DamagedSetError, InputError, OptionError, SourceChangedError


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(layout, "MAX_SHARD_IMAGES", 4)
    monkeypatch.setattr(forgetting, "_today", lambda: "2031-05-07")


@pytest.fixture
def source(tmp_path):
    return folder_of_pngs(tmp_path / "source", 14, patients=5, prefix="Pat")


@pytest.fixture
def folder(source, tmp_path):
    prepare_images(source, tmp_path / "set")
    derived_rows(ImageSet.open(tmp_path / "set"), "sum", {}, sums)
    return tmp_path / "set"


def sums(images):
    return {"sum": images.astype(np.int64).sum(axis=(1, 2, 3)), "copy": images}


def pixels_of(folder, patient):
    images = ImageSet.open(folder)
    rows = [row for row, who in enumerate(images.patient_ids) if who == patient]
    return [image.tobytes() for image in images.take(rows)]


def content(folder):
    images = ImageSet.open(folder)
    return {
        name: (who, images.take([row])[0].tobytes())
        for row, (name, who) in enumerate(zip(images.image_ids, images.patient_ids, strict=True))
    }


def everything_in(folder):
    """All bytes of all files, and the cells of all tables."""
    import pyarrow.parquet as pq

    whole = b"".join(
        path.read_bytes() + str(path).encode() for path in folder.rglob("*") if path.is_file()
    )
    for path in folder.rglob("*.parquet"):
        whole += repr(pq.read_table(path).to_pylist()).encode()
    return whole


def test_nothing_of_the_patient_is_left(source, folder):
    theirs = pixels_of(folder, "Pat1")
    whole = everything_in(folder)
    assert theirs
    assert all(image in whole for image in theirs)  # what is looked for can be found
    assert b"Pat1" in whole
    old = content(folder)
    done = forget(folder, ["Pat1"])
    assert (done.num_images, done.num_files, done.num_shards) == (3, 3, 2)
    assert (done.num_derived, done.remaining_images) == (6, 11)
    left = everything_in(folder)
    assert b"Pat1" not in left
    assert not any(image in left for image in theirs)
    assert content(folder) == {name: entry for name, entry in old.items() if entry[0] != "Pat1"}
    assert verify(folder).ok
    account = read_accounting(folder)
    assert account.summary() == ("found 14 files = 11 used + 3 left out (3 removed_on_request)")
    assert account.num_skipped == 0
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in source.glob("Pat1/*")}
    assert {item.sha256 for item in account.left_out} == hashes
    assert {item.reason for item in account.left_out} == {"removed on request on 2031-05-07"}
    record = ImageSet.open(folder).record
    assert record["removals"] == [{"date": "2031-05-07", "patients": 1, "images": 3, "files": 3}]
    assert record["num_patients"] == 4
    assert verify_sources(ImageSet.open(folder), source) == ()


def test_shards_of_others_and_their_derived_rows_stay(folder):
    before = tree_bytes(folder)
    forget(folder, ["Pat4"])  # in the last shards alone
    after = tree_bytes(folder)
    shards = [name for name in before if name.startswith("images/")]
    changed = {name for name in shards if before[name] != after[name]}
    assert 0 < len(changed) < len(shards)
    numbers = {name[-9:-4] for name in changed}
    for name in before:
        if name.startswith("derived/") and not name.endswith(".lock"):
            if any(number in name for number in numbers):
                assert name not in after
            else:
                assert after[name] == before[name]
    seen = []

    def make(images):
        seen.append(len(images))
        return sums(images)

    images = ImageSet.open(folder)
    rows = derived_rows(images, "sum", {}, make)["sum"]
    rewritten = sum(images.record["shard_rows"][int(number)] for number in numbers)
    assert sum(seen) == 1 + rewritten
    assert np.array_equal(rows.read(0, len(images)), sums(images.read(0, len(images)))["sum"])
    assert verify(folder).ok


def test_what_was_learned_from_all_images_goes_with_any_of_them(folder):
    shared = SharedArrays(lambda rows: {"mean": rows.read(0, len(rows)).mean(axis=0)})

    def make(images):
        return {"rest": images - shared.arrays["mean"]}

    images = ImageSet.open(folder)
    derived_rows(images, "rest", {}, make, shared=shared)
    [kind] = (folder / "derived").glob("rest-*")
    before = [path for path in kind.iterdir() if not path.name.startswith(".")]
    forecast = forget(folder, ["Pat4"], dry_run=True)
    done = forget(folder, ["Pat4"])
    assert [path for path in kind.iterdir() if not path.name.startswith(".")] == []
    assert forecast.num_derived == done.num_derived >= len(before) > 4
    images = ImageSet.open(folder)
    rest = derived_rows(images, "rest", {}, make, shared=shared)["rest"].read(0, len(images))
    pixels = images.read(0, len(images))
    assert np.array_equal(rest, pixels - pixels.mean(axis=0))
    assert verify(folder).ok


def test_what_tells_nothing_about_anybody_outlasts_a_removal(folder):
    learned = []

    def learn(rows):
        learned.append(len(rows))
        return {"size": np.array(rows.row_shape)}

    def rows_of(images):
        shared = SharedArrays(learn, personal=False)
        made = []

        def make(pixels):
            made.append(len(pixels))
            return {"sum": pixels.sum(axis=(1, 2, 3)) + shared.arrays["size"].sum()}

        return derived_rows(images, "sized", {}, make, shared=shared)["sum"], made

    rows_of(ImageSet.open(folder))
    [settled] = (folder / "derived").glob("sized-*/settled.npz")
    before = settled.read_bytes()
    forget(folder, ["Pat0"])
    assert settled.read_bytes() == before
    images = ImageSet.open(folder)
    found, made = rows_of(images)
    assert 1 < sum(made) < len(images)
    pixels = images.read(0, len(images))
    expected = pixels.sum(axis=(1, 2, 3)) + sum(images.image_shape)
    assert np.array_equal(found.read(0, len(images)), expected)
    assert len(learned) == 1
    assert verify(folder).ok
    settled.write_bytes(before[:-1] + b"?")
    assert "settled.npz' was changed" in verify(folder).problems[0]


def test_a_shard_of_which_nothing_is_left_keeps_its_place(tmp_path):
    for number in range(10):
        who = "PA" if number < 6 else "PB"
        png(tmp_path / f"source/{who}1/{who}1_{number}.png", pixels(number))
    prepare_images(tmp_path / "source", tmp_path / "set")
    old = content(tmp_path / "set")
    forget(tmp_path / "set", ["PA1"])
    images = ImageSet.open(tmp_path / "set")
    assert images.record["shard_rows"] == [0, 2, 2]
    assert content(tmp_path / "set") == {n: entry for n, entry in old.items() if entry[0] == "PB1"}
    assert len(derived_rows(images, "sum", {}, sums)["sum"]) == 4
    assert verify(tmp_path / "set").ok
    for number in range(3):
        png(tmp_path / f"new/PC1/PC1_{number}.png", pixels(50 + number))
    append(tmp_path / "set", tmp_path / "new")
    assert len(ImageSet.open(tmp_path / "set")) == 7
    forget(tmp_path / "set", ["PC1"])
    assert verify(tmp_path / "set").ok


def test_opened_sets_notice(folder):
    images = ImageSet.open(folder)
    fingerprint = images.fingerprint
    rows = derived_rows(images, "sum", {}, sums)["sum"]
    forget(folder, ["Pat0"])  # in the first shard
    with pytest.raises(DamagedSetError, match="changed since"):
        images.read(0, 1)
    with pytest.raises(DamagedSetError, match="gone since"):
        rows.read(0, 1)
    images.read(12, 14)
    assert ImageSet.open(folder).fingerprint != fingerprint
    assert (
        ImageSet.open(folder).fingerprint
        == images.subset(
            [row for row, who in enumerate(images.patient_ids) if who != "Pat0"]
        ).fingerprint
    )


def test_an_unknown_patient_changes_nothing(folder):
    before = tree_bytes(folder)
    with pytest.raises(OptionError, match=r"1 of 2 patients are not in .* 'Pat77'.*Nothing was"):
        forget(folder, ["Pat1", "Pat77"])
    with pytest.raises(OptionError, match="No removal"):
        forget(folder, [])
    with pytest.raises(OptionError, match="Delete the folder"):
        forget(folder, [f"Pat{number}" for number in range(5)])
    with pytest.raises(InputError, match="no image set"):
        forget(folder / "images", ["Pat1"])
    assert tree_bytes(folder) == before


def test_a_dry_run_says_what_would_go(folder):
    before = tree_bytes(folder)
    told = forget(folder, ["Pat1", "Pat3"], dry_run=True)
    assert tree_bytes(folder) == before
    assert forget(folder, ["Pat1", "Pat3"]) == told


def test_who_was_removed_stays_out(source, folder, tmp_path):
    forget(folder, ["Pat1"])
    known = append(folder, source)
    assert (known.num_images, known.num_known_files) == (0, 11)
    assert [item.code for item in known.accounting.left_out] == ["removed_on_request"] * 3
    for number, path in enumerate(sorted(source.glob("Pat1/*"))):
        png(tmp_path / "new/Q1/x.png", pixels(99)).rename(tmp_path / f"new/Q1/Q1_y{number}.png")
        shutil.copy(path, tmp_path / f"new/Q1/Q1_{number}.png")  # under another name
    added = append(folder, tmp_path / "new")
    assert (added.num_images, len(added.accounting.left_out)) == (3, 3)
    with pytest.raises(SourceChangedError, match="would bring them back"):
        prepare_images(source, folder)
    assert verify(folder).ok


def test_files_that_gave_nothing_lose_their_names_too(source, tmp_path):
    broken = source / "Pat1/Pat1_bad.png"
    broken.write_bytes(png(tmp_path / "x.png", pixels(3)).read_bytes()[:70])
    (source / "Pat2/Pat2_bad.png").write_bytes(broken.read_bytes())
    prepare_images(source, tmp_path / "set", options=PrepareOptions(max_skipped=1.0))
    before = read_accounting(tmp_path / "set")
    forget(tmp_path / "set", ["Pat1"])
    after = read_accounting(tmp_path / "set")
    assert (after.found, after.used) == (before.found, before.used - 3)
    assert b"Pat1" not in everything_in(tmp_path / "set")
    assert [item.path for item in after.left_out if item.code == "truncated"] == [
        "Pat2/Pat2_bad.png",
        f"removed-{before.left_out[0].sha256[:12]}",
    ]
    assert verify(tmp_path / "set").ok


def test_members_of_archives_and_rows_of_arrays(tmp_path):
    (tmp_path / "source").mkdir()
    with zipfile.ZipFile(tmp_path / "source/all.zip", "w") as archive:
        for number in range(6):
            one = png(tmp_path / "one.png", pixels(number))
            archive.write(one, f"Pat{number // 2}/scan{number}.png")
    with zipfile.ZipFile(tmp_path / "source/sole.zip", "w") as archive:
        archive.write(png(tmp_path / "one.png", pixels(40)), "Pat0/scan8.png")
        archive.write(png(tmp_path / "one.png", pixels(41)), "Pat0/scan9.png")
    options = PrepareOptions(patient_id="regex:(Pat[0-9]+)/")
    prepare_images(tmp_path / "source", tmp_path / "set", options=options)
    done = forget(tmp_path / "set", ["Pat0"])
    assert (done.num_images, done.num_files) == (4, 4)
    assert read_accounting(tmp_path / "set").summary() == (
        "found 8 files = 4 used + 4 left out (4 removed_on_request)"
    )
    rows = {row.path: row for row in read_source_rows(tmp_path / "set") if row.status == "used"}
    assert set(rows) == {"all.zip"}
    assert rows["all.zip"].reason == "partly removed on request on 2031-05-07"
    shutil.copytree(tmp_path / "source", tmp_path / "again")
    (tmp_path / "again/all.zip").rename(tmp_path / "again/other.zip")
    assert append(tmp_path / "set", tmp_path / "again").num_images == 0
    table = tmp_path / "who.csv"
    many = np.stack([pixels(number, (24, 20)) for number in range(12)])
    np.save(tmp_path / "many.npy", many)
    ids = prepare_images(tmp_path / "many.npy", tmp_path / "trial").image_set.image_ids
    table.write_text("image_id,who\n" + "".join(f"{n},W{k % 2}\n" for k, n in enumerate(ids)))
    options = PrepareOptions(patient_id="column:who", manifest=table)
    prepare_images(tmp_path / "many.npy", tmp_path / "array", options=options)
    done = forget(tmp_path / "array", ["W1"])
    assert (done.num_images, done.num_files, done.remaining_images) == (6, 0, 6)
    assert read_accounting(tmp_path / "array").summary() == "found 1 file = 1 used + 0 left out"
    assert verify(tmp_path / "array").ok


def test_the_records_of_a_split_forget_too(source, tmp_path):
    (source / "Pat1/Pat1_bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    options = PrepareOptions(max_skipped=1.0)
    prepare_images(source, tmp_path / "sets", options=options, split=SplitRule(test_patients=1))
    train = tmp_path / "sets/train"
    side = train if "Pat1" in ImageSet.open(train).patient_ids else tmp_path / "sets/test"
    if side != train:
        append(side, png(tmp_path / "new/Pat8/Pat8_1.png", pixels(9)).parents[1])
    forget(side, ["Pat1"])
    assert b"Pat1" not in everything_in(tmp_path / "sets")
    part = json.loads((tmp_path / "sets/split.json").read_text())["sets"][side.name]
    assert part["fingerprint"] == ImageSet.open(side).fingerprint
    assert part["num_patients"] == ImageSet.open(side).num_patients


def test_a_second_name_of_a_shard_is_left_alone_and_told(folder, tmp_path):
    backup = tmp_path / "backup.npy"
    os.link(folder / "images/00000.npy", backup)
    before = backup.read_bytes()
    done = forget(folder, ["Pat0"])
    assert done.linked == ("images/00000.npy",)
    assert backup.read_bytes() == before
    assert verify(folder).ok


def test_the_old_pixels_are_overwritten_where_they_lie(folder):
    theirs = pixels_of(folder, "Pat0")
    others = pixels_of(folder, "Pat1")[:1]
    with (folder / "images/00000.npy").open("rb") as held:  # keeps the old file's content alive
        forget(folder, ["Pat0"])
        old = held.read()
    assert not any(image in old for image in theirs)
    assert others[0] in old
    assert overwrite(folder / "gone") is False


@pytest.mark.timeout(180)
def test_a_kill_never_leaves_the_pixels_under_a_record_that_denies_them(tmp_path):
    folder = tmp_path / "set"
    prepare_images(folder_of_pngs(tmp_path / "source", 9, patients=5, prefix="Pat"), folder)
    derived_rows(ImageSet.open(folder), "sum", {}, sums)
    theirs = [*pixels_of(folder, "Pat1"), *pixels_of(folder, "Pat4")]
    old = content(folder)
    shutil.copytree(folder, tmp_path / "expected")
    forget(tmp_path / "expected", ["Pat1", "Pat4"])
    expected = tree_bytes(tmp_path / "expected")
    seen, step, died = set(), 0, True
    while died:
        killed = tmp_path / f"killed{step}"
        shutil.copytree(folder, killed)
        died = killed_at(step, lambda killed=killed: forget(killed, ["Pat1", "Pat4"]))
        if layout.is_being_erased(killed):
            seen.add("closed")
            for refused in (content, lambda path: forget(path, ["Pat1"], dry_run=True)):
                with pytest.raises(InputError, match="Run `likeness forget"):
                    refused(killed)
            forget(killed, [] if step % 2 else ["Pat4", "Pat1"])
        elif content(killed) == old:
            seen.add("old")
            forget(killed, ["Pat4", "Pat1"])
        else:
            seen.add("new")
            whole = everything_in(killed)
            assert not any(image in whole for image in theirs)
            with pytest.raises(OptionError, match="Nothing was removed"):
                forget(killed, ["Pat1"])
        assert tree_bytes(killed) == expected
        assert verify(killed).problems == ()
        shutil.rmtree(killed)
        step += 1
    assert seen == {"old", "closed", "new"}
    assert step > 30
