"""Rows derived from images: stored with the set, found again, made anew where they do not fit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.making import plan_of, raw, tree_bytes

from likeness.datasets import ImageSet, _shared_arrays, layout, verify
from likeness.datasets.building import build
from likeness.datasets.derived import SharedArrays, Step, derived_rows
from likeness.errors import DamagedSetError

SETTINGS = {"version": 1, "levels": [1, 2]}


def sums(images):
    """Two fields of different shape and number type."""
    wide = images.astype(np.int64)
    return {"sum": wide.sum(axis=(1, 2, 3)), "rows": wide.sum(axis=3).astype(np.float32)}


class Counting:
    def __init__(self):
        self.images = 0

    def __call__(self, images):
        self.images += len(images)
        return sums(images)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(layout, "MAX_SHARD_IMAGES", 4)


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        raw(tmp_path / "source" / f"{'ab'[number % 2]}{number}.raw", images=3, seed=number)
    build(tmp_path / "set", plan_of(tmp_path / "source"))
    return tmp_path / "set"


def everything(images):
    return images.read(0, len(images))


def check(found, images):
    expected = sums(everything(images))
    assert found.keys() == expected.keys()
    for field, rows in found.items():
        assert len(rows) == len(images)
        assert rows.row_shape == expected[field].shape[1:]
        assert rows.dtype == expected[field].dtype
        for start, stop in [(0, len(images)), (1, len(images)), (2, 2), (0, 1)]:
            assert np.array_equal(rows.read(start, stop), expected[field][start:stop])
        order = np.random.default_rng(0).integers(0, len(images), 9)
        assert np.array_equal(rows.take(order), expected[field][order])
        for start, stop in [(-1, 2), (0, len(images) + 1), (2, 1)]:
            with pytest.raises(IndexError):
                rows.read(start, stop)


def test_rows_are_made_once_and_found_again(folder):
    before = tree_bytes(folder)
    make = Counting()
    check(derived_rows(ImageSet.open(folder), "sums", SETTINGS, make), ImageSet.open(folder))
    assert make.images == 1 + 15  # one to see what is made
    check(derived_rows(ImageSet.open(folder), "sums", SETTINGS, make), ImageSet.open(folder))
    assert make.images == 17
    after = tree_bytes(folder)
    assert {name: after[name] for name in before} == before
    [own] = (folder / "derived").iterdir()
    assert sorted(path.name for path in own.iterdir() if path.suffix == ".npy") == [
        f"{field}-{number:05d}.npy" for field in ("rows", "sum") for number in range(4)
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in own.rglob("*"))
    whole = np.concatenate([np.load(own / f"sum-{number:05d}.npy") for number in range(4)])
    assert np.array_equal(whole, sums(everything(ImageSet.open(folder)))["sum"])


def test_other_settings_have_other_files(folder):
    images = ImageSet.open(folder)
    derived_rows(images, "sums", SETTINGS, sums)
    make = Counting()
    derived_rows(images, "sums", {**SETTINGS, "version": 2}, make)
    assert make.images == 16
    assert len(list((folder / "derived").iterdir())) == 2


def test_a_subset_reads_through_the_rows_of_the_whole(folder):
    images = ImageSet.open(folder)
    derived_rows(images, "sums", SETTINGS, sums)
    make = Counting()
    part = images.subset([9, 2, 3, 14]).subset([3, 0, 1])
    check(derived_rows(part, "sums", SETTINGS, make), part)
    assert make.images == 1


def test_selected_channels_are_what_is_seen(tmp_path):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 255, (5, 3, 8, 9)).astype(np.uint8)
    images = ImageSet.from_arrays(pixels, channels=["a", "b", "c"])
    for chosen in (["c", "a"], ["b"], ["a", "b", "c"], ["c", "b", "a"]):
        part = images.select_channels(chosen).subset([4, 0, 2])
        check(derived_rows(part, "sums", SETTINGS, sums), part)
    on_disk = multichannel(tmp_path, pixels)
    for chosen in (["c", "a"], ["b"], ["a", "b", "c"]):
        part = on_disk.select_channels(chosen).subset([4, 0, 2])
        check(derived_rows(part, "sums", SETTINGS, sums), part)
    assert len(list((on_disk.path / "derived").iterdir())) == 3


def multichannel(tmp_path, pixels):
    from likeness.datasets import PrepareOptions, prepare_images
    from likeness.readers import ReadOptions

    np.save(tmp_path / "pixels.npy", pixels)
    options = PrepareOptions(channels=("a", "b", "c"), read=ReadOptions(array_layout="nchw"))
    return prepare_images(tmp_path / "pixels.npy", tmp_path / "three", options=options).image_set


class Wrapped:
    """A source that shows a part of a set, as parts of a search do."""

    def __init__(self, whole, rows):
        self.whole, self.rows = whole, rows
        self.image_shape, self.dtype = whole.image_shape, whole.dtype

    def __len__(self):
        return len(self.whole) if self.rows is None else len(self.rows)

    def read(self, start, stop):
        rows = np.arange(len(self.whole)) if self.rows is None else self.rows
        return self.whole.take(rows[start:stop])


class Telling(Wrapped):
    def derived_from(self):
        return self.whole, self.rows

    def take(self, rows):
        return self.whole.take(rows if self.rows is None else self.rows[rows])


def test_wrappers_hand_on_what_they_wrap(folder):
    images = ImageSet.open(folder)
    derived_rows(images, "sums", SETTINGS, sums)
    for wrapped in (
        Telling(images, None),
        Telling(images, np.array([3, 1, 8])),
        Telling(Telling(images.subset([5, 7, 1, 0]), np.array([2, 0, 1])), np.array([1, 2])),
    ):
        make = Counting()
        check(derived_rows(wrapped, "sums", SETTINGS, make), wrapped)
        assert make.images == 1
    silent, make = Wrapped(images, np.array([3, 1, 8])), Counting()
    check(derived_rows(silent, "sums", SETTINGS, make), silent)
    check(derived_rows(silent, "sums", SETTINGS, make), silent)
    assert make.images == 1 + 3  # as long as the source lives they are kept


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_arrays_are_derived_in_memory_or_in_a_temporary_folder(tmp_path, in_memory):
    pixels = np.random.default_rng(2).integers(0, 9, (20, 1, 3, 5)).astype(np.int16)
    images = ImageSet.from_arrays(pixels)
    given = {"work": tmp_path, "keep_in_memory_bytes": in_memory}
    found = derived_rows(images, "sums", SETTINGS, sums, **given)
    check(found, images)
    assert len(list(tmp_path.iterdir())) == (in_memory == 0)
    make = Counting()
    part = images.subset([3, 2])
    check(derived_rows(part, "sums", SETTINGS, make, **given), part)
    assert make.images == 0
    del found, images, part
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["flip", "short", "gone", "json", "foreign"])
def test_what_is_damaged_or_foreign_is_made_anew(folder, kind):
    images = ImageSet.open(folder)
    derived_rows(images, "sums", SETTINGS, sums)
    [own] = (folder / "derived").iterdir()
    good = tree_bytes(own)
    victim = own / "rows-00001.npy"
    if kind == "flip":
        content = bytearray(victim.read_bytes())
        content[-2] ^= 1
        victim.write_bytes(content)
    elif kind == "short":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif kind == "gone":
        victim.unlink()
    elif kind == "json":
        (own / "00001.json").write_text("{")
    else:
        (own / "00001.json").write_bytes((own / "00000.json").read_bytes())
    make = Counting()
    check(derived_rows(images, "sums", SETTINGS, make), images)
    assert make.images == 1 + 4
    assert {n: b for n, b in tree_bytes(own).items() if not n.endswith(".lock")} == {
        n: b for n, b in good.items() if not n.endswith(".lock")
    }


def test_images_that_are_not_those_of_the_record_stop_the_work(folder):
    images = ImageSet.open(folder)
    shard = folder / "images/00002.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DamagedSetError, match="changed since"):
        derived_rows(images, "sums", SETTINGS, sums)
    with pytest.raises(DamagedSetError, match="checksum does not fit"):
        derived_rows(ImageSet.open(folder), "sums", SETTINGS, sums)


def test_a_recipe_that_changes_its_mind_is_an_error(folder):
    def fickle(images):
        return {"sum": images.sum(axis=(1, 2, 3)).astype("i8" if len(images) == 1 else "f8")}

    with pytest.raises(ValueError, match="expected"):
        derived_rows(ImageSet.open(folder), "fickle", SETTINGS, fickle)
    with pytest.raises(ValueError, match="lower-case"):
        derived_rows(ImageSet.open(folder), "../x", SETTINGS, sums)


def test_a_folder_that_cannot_be_written_is_left_alone(folder, tmp_path, monkeypatch):
    images = ImageSet.open(folder)
    derived_rows(images.subset([0]), "sums", SETTINGS, sums)
    [own] = (folder / "derived").iterdir()
    (own / "00001.json").unlink()
    before = tree_bytes(folder)
    real = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & os.O_CREAT and str(path).startswith(str(folder)):
            raise PermissionError(13, "injected")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)  # the tests may run as root, whom no mode stops
    make = Counting()
    check(derived_rows(images, "sums", SETTINGS, make), images)
    assert make.images == 2 + 15  # nowhere to keep it: all of it, in memory
    make = Counting()
    check(derived_rows(images, "sums", SETTINGS, make, work=tmp_path / "work"), images)
    assert make.images == 1 + 4  # three shards are there
    make = Counting()
    check(
        derived_rows(ImageSet.open(folder), "sums", SETTINGS, make, work=tmp_path / "work"), images
    )
    assert make.images == 1
    assert tree_bytes(folder) == before


KILLER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.datasets.test_derived import SETTINGS, sums
from likeness.datasets import ImageSet
from likeness.datasets.derived import SharedArrays, Step, derived_rows
left = int(sys.argv[3])
rename = Path.replace
def replace(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(self, target)
Path.replace = replace
derived_rows(ImageSet.open(sys.argv[2]), "sums", SETTINGS, sums)
"""


def test_a_kill_leaves_whole_shards(folder):
    root = str(Path(__file__).parents[2])
    for renames, made in [(0, 0), (2, 0), (3, 1), (10, 3)]:
        command = [sys.executable, "-c", KILLER, root, str(folder), str(renames)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        make = Counting()
        images = ImageSet.open(folder)
        check(derived_rows(images, "sums", SETTINGS, make), images)
        assert make.images == 1 + 15 - 4 * made
        [own] = (folder / "derived").iterdir()
        assert not list(own.glob("*.partial"))
        for path in own.iterdir():
            path.unlink()


def test_several_at_once_do_no_harm(folder):
    images = ImageSet.open(folder)
    makers, found = [Counting() for _ in range(6)], [None] * 6
    gate = threading.Barrier(6)

    def work(number):
        gate.wait()
        found[number] = derived_rows(ImageSet.open(folder), "sums", SETTINGS, makers[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in found:
        check(rows, images)
    assert sum(make.images for make in makers) == 6 + 15  # each shard by one of them


def test_what_is_written_says_what_it_was_made_of(folder):
    images = ImageSet.open(folder)
    derived_rows(images, "sums", SETTINGS, sums)
    [own] = (folder / "derived").iterdir()
    content = json.loads((own / "00003.json").read_bytes())
    assert content["made_of"] == "images/00003.npy"
    assert content["made_of_sha256"] == images.record["files"]["images/00003.npy"]["sha256"]
    assert content["settings"] == {"settings": SETTINGS, "channels": None}
    assert content["num_rows"] == 3


def doubled(rows):
    """Derived from the field "sum" of `sums`."""
    return {"doubled": 2 * rows}


class Centred:
    """Sums less their mean over the whole set, which is a shared array."""

    def __init__(self, offset=0.0):
        self.learned = self.images = 0
        self.shared = SharedArrays(self.learn)
        self.offset = offset

    def learn(self, rows):
        self.learned += 1
        return {"mean": sums(rows.read(0, len(rows)))["sum"].mean(axis=0) + self.offset}

    def __call__(self, images):
        self.images += len(images)
        return {"centred": sums(images)["sum"] - self.shared.arrays["mean"]}

    def of(self, images, **given):
        return derived_rows(images, "centred", SETTINGS, self, shared=self.shared, **given)


def centred(images, whole):
    return sums(everything(images))["sum"] - sums(everything(whole))["sum"].mean(axis=0)


def test_rows_are_derived_from_derived_rows(folder):
    step = Step("sums", SETTINGS, sums, "sum")
    images = ImageSet.open(folder)
    for part in (images, images.subset([7, 2, 11]), ImageSet.from_arrays(everything(images))):
        found = derived_rows(part, "doubled", {}, doubled, through=step)["doubled"]
        assert np.array_equal(found.read(0, len(part)), 2 * sums(everything(part))["sum"])
    names = {path.name.rpartition("-")[0] for path in (folder / "derived").iterdir()}
    assert names == {"sums", "doubled"}

    def never(rows):
        assert len(rows) == 1  # to see what is made
        return doubled(rows)

    derived_rows(ImageSet.open(folder), "doubled", {}, never, through=step)
    assert verify(folder).ok


def test_rows_between_that_came_out_otherwise_have_others_made_of_them(folder):
    """As another machine may make them; what was derived from the first ones fits no more."""
    images = ImageSet.open(folder)
    derived_rows(images, "doubled", {}, doubled, through=Step("sums", SETTINGS, sums, "sum"))
    [between] = folder.glob("derived/sums-*")
    shutil.rmtree(between)

    def one_more(pixels):
        return {name: rows + 1 for name, rows in sums(pixels).items()}

    step = Step("sums", SETTINGS, one_more, "sum")
    found = derived_rows(ImageSet.open(folder), "doubled", {}, doubled, through=step)["doubled"]
    assert np.array_equal(found.read(0, 15), 2 * (sums(everything(images))["sum"] + 1))
    assert verify(folder).ok


def test_a_disk_that_keeps_nothing_ends_the_search_for_shared_arrays(folder, monkeypatch):
    monkeypatch.setattr(_shared_arrays, "write_arrays", lambda *_: None)
    images = ImageSet.open(folder)
    one = Centred()
    found = one.of(images)["centred"]  # in memory, then
    assert np.array_equal(found.read(0, 15), centred(images, images))


def test_shared_arrays_are_learned_once_from_all_images(folder):
    images = ImageSet.open(folder)
    first, second = Centred(), Centred(offset=5.0)
    part = images.subset([3, 9])
    found = first.of(part)["centred"]
    assert np.array_equal(found.read(0, 2), centred(part, images))
    again = second.of(ImageSet.open(folder))["centred"]
    assert np.array_equal(again.read(0, 15), centred(images, images))
    assert (first.learned, first.images) == (1, 1 + 15)
    assert (second.learned, second.images) == (0, 1)
    assert verify(folder).ok
    arrays = ImageSet.from_arrays(everything(images))
    third, fourth = Centred(), Centred(offset=5.0)
    for one in (third, fourth):
        assert np.array_equal(one.of(arrays)["centred"].read(0, 15), centred(images, images))
    assert (third.learned, fourth.learned) == (1, 0)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_rows_made_with_other_shared_arrays_are_made_again(folder, damage):
    Centred().of(ImageSet.open(folder))
    [path] = folder.glob("derived/*/shared.npz")
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        half = len(content) // 2
        path.write_bytes(content[:half] + (b"" if damage == "cut" else b"?" + content[half + 1 :]))
        [problem] = verify(folder).problems
        assert "shared.npz' was changed" in problem
    other = Centred(offset=5.0)
    images = ImageSet.open(folder)
    found = other.of(images)["centred"].read(0, 15)
    assert np.array_equal(found, centred(images, images) - 5.0)
    assert (other.learned, other.images) == (1, 1 + 15)
    assert verify(folder).ok
