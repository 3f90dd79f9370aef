"""Building, resuming, refusing, verifying, with a decoder of raw bytes and no image format."""

import errno
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.datasets.making import decode_raw, plan_of, raw, tree_bytes

from likeness._files import folder_lock, sha256_of_file
from likeness._pace import Pace
from likeness.datasets import (
    ImageSet,
    building,
    checkpoints,
    describing,
    layout,
    prepare_images,
    verify,
)
from likeness.datasets.accounting import LeftOut
from likeness.datasets.building import build
from likeness.datasets.checkpoints import load_checkpoint
from likeness.datasets.options import RunOptions
from likeness.datasets.output_folder import check_out
from likeness.datasets.source_accounts import read_accounting
from likeness.datasets.units import Unit
from likeness.errors import (
    DamagedSetError,
    FormatVersionError,
    ImageMismatchError,
    InputError,
    LockedError,
    NoImagesError,
    OptionError,
    OutputError,
    SourceChangedError,
    TooManySkippedError,
    UnreadableImageError,
)


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    for number in range(5):
        raw(root / f"{'ab'[number % 2]}{number}.raw", images=1 + number % 3, seed=number)
    return root


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(layout, "MAX_SHARD_IMAGES", 2)


LOOSE = RunOptions(max_skipped=1.0)


def test_a_set_on_disk_holds_what_the_decoder_gave(source, tmp_path, small_shards):
    plan = plan_of(source)
    expected = [image for unit in plan.units for image in decode_raw(unit)]
    made = build(tmp_path / "out", plan)
    images = made.image_set
    assert made.accounting.summary() == "found 5 files = 5 used + 0 left out"
    assert images.image_ids == tuple(image.image_id for image in expected)
    assert images.patient_ids == tuple(image.patient_id for image in expected)
    pixels = np.stack([image.pixels for image in expected])
    assert np.array_equal(images.read(0, len(images)), pixels)
    assert np.array_equal(images.read(1, 6), pixels[1:6])
    order = [7, 0, 3, 3, 8]
    assert np.array_equal(images.take(order), pixels[order])
    in_memory = ImageSet.from_arrays(
        pixels, image_ids=images.image_ids, patient_ids=images.patient_ids, channels=["grey"]
    )
    assert images.fingerprint == in_memory.fingerprint
    assert images.subset([4, 2]).fingerprint == in_memory.subset([4, 2]).fingerprint
    assert len(list((tmp_path / "out/images").iterdir())) == 5
    assert images.record["format_version"] == 1
    assert images.record["intensity"]["mean"] == pytest.approx(pixels.mean())
    rows = pq.read_table(tmp_path / "out/manifest.parquet").to_pylist()
    assert [(row["shard"], row["row"]) for row in rows] == [(n // 2, n % 2) for n in range(9)]
    assert [row["maximum"] for row in rows] == pixels.max(axis=(1, 2, 3)).tolist()
    for row, image in zip(rows, pixels, strict=True):
        assert np.array_equal(
            np.load(tmp_path / f"out/images/{row['shard']:05d}.npy")[row["row"]], image
        )


def test_only_the_owner_can_read_a_set(source, tmp_path):
    build(tmp_path / "out", plan_of(source))
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_checksums_are_those_of_the_standard_tool(source, tmp_path):
    build(tmp_path / "out", plan_of(source))
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tmp_path / "out",
        check=True,
        capture_output=True,
    )


def test_verify_finds_every_changed_byte(tmp_path, small_shards):
    raw(tmp_path / "source" / "a0.raw", images=3)
    out = tmp_path / "out"
    build(out, plan_of(tmp_path / "source"))
    assert verify(out).ok
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"]
    # All bytes of the small files; in the larger ones every 7th, by the same code path.
    for path in files:
        content = path.read_bytes()
        for index in range(0, len(content), 1 if len(content) < 1000 else 7):
            changed = bytearray(content)
            changed[index] ^= 1
            path.write_bytes(bytes(changed))
            try:
                assert not verify(out).ok, (path, index)
            except InputError:
                assert path.name == "dataset.json"
        path.write_bytes(content)
    assert verify(out).ok


def test_verify_finds_missing_and_extra_files(source, tmp_path):
    out = tmp_path / "out"
    build(out, plan_of(source))
    (out / "images" / "more.npy").write_bytes(b"")
    (out / "empty").mkdir()
    (out / "left_out.csv").unlink()
    assert verify(out).problems == (
        "'left_out.csv' is missing",
        "'empty/' does not belong to the set",
        "'images/more.npy' does not belong to the set",
    )


@pytest.mark.parametrize("name", ["images/00000.npy", "manifest.parquet", "left_out.csv"])
def test_opening_notices_sizes(source, tmp_path, name):
    out = tmp_path / "out"
    build(out, plan_of(source))
    path = out / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedSetError, match="bytes; the record says"):
        ImageSet.open(out)
    path.unlink()
    with pytest.raises(DamagedSetError, match="missing"):
        ImageSet.open(out)


def test_a_shard_that_shrinks_under_an_open_set_is_an_error(source, tmp_path):
    images = build(tmp_path / "out", plan_of(source)).image_set
    shard = tmp_path / "out/images/00000.npy"
    shard.write_bytes(shard.read_bytes()[:-3])
    for start, stop in [(0, len(images)), (0, 1)]:  # also rows that are still there
        with pytest.raises(DamagedSetError, match="changed since the image set was opened"):
            images.read(start, stop)
    shard.unlink()
    with pytest.raises(DamagedSetError, match="gone"):
        images.take([0])


def test_other_versions_are_refused(source, tmp_path):
    out = tmp_path / "out"
    build(out, plan_of(source))
    record = out / "dataset.json"
    record.write_text(record.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(FormatVersionError, match="version 2"):
        ImageSet.open(out)
    with pytest.raises(InputError, match=r"'dataset\.json' is missing"):
        ImageSet.open(source)


KILLER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.datasets.making import plan_of
from likeness.datasets import layout
from likeness.datasets.building import build
from likeness.datasets.options import RunOptions
layout.MAX_SHARD_IMAGES = 2
left = int(sys.argv[4])
rename = Path.replace
def replace(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(self, target)
Path.replace = replace
run = RunOptions(max_skipped=1.0)
build(Path(sys.argv[3]), plan_of(Path(sys.argv[2])), run=run)
"""


def run_and_kill(source, out, renames):
    arguments = [sys.executable, "-c", KILLER, str(Path(__file__).parents[2]), source, out, renames]
    return subprocess.run(list(map(str, arguments)), check=False).returncode


def test_a_killed_run_is_resumed_with_the_same_bytes(tmp_path, small_shards):
    source = tmp_path / "source"
    raw(source / "a.raw", images=3, seed=1)
    (source / "b.raw").write_bytes(b"bad")
    raw(source / "c.raw", images=2, seed=2)
    plan = plan_of(source)
    build(tmp_path / "whole", plan, run=LOOSE)
    expected = tree_bytes(tmp_path / "whole")
    for renames in (0, 1, 2, 4, 6, 8, 10):
        out = tmp_path / f"killed{renames}"
        assert run_and_kill(source, out, renames) == -9
        with pytest.raises(InputError, match=r"not finished|no image set"):
            ImageSet.open(out)
        build(out, plan, run=LOOSE)
        assert tree_bytes(out) == expected
        assert verify(out).ok


def test_finished_shards_are_not_decoded_again(source, tmp_path, small_shards):
    out = tmp_path / "out"
    plan = plan_of(source)
    expected = build(tmp_path / "whole", plan).image_set.fingerprint

    def stop_at_fourth(unit):
        if unit == plan.units[3]:
            raise KeyboardInterrupt
        yield from decode_raw(unit)

    with pytest.raises(KeyboardInterrupt):
        build(out, plan_of(source, units=plan.units, decoder=stop_at_fourth))
    decoded = []

    def remember(unit):
        decoded.append(unit.key)
        yield from decode_raw(unit)

    made = build(out, plan_of(source, units=plan.units, decoder=remember))
    assert decoded == [unit.key for unit in plan.units[2:]]
    assert made.image_set.fingerprint == expected
    assert tree_bytes(out) == tree_bytes(tmp_path / "whole")


def test_a_shard_under_way_is_gone_on_with(source, tmp_path, monkeypatch):
    monkeypatch.setattr(Pace, "LEAST_SECONDS", 0)
    monkeypatch.setattr(Pace, "COST", 0)
    monkeypatch.setattr(layout, "MAX_SHARD_IMAGES", 5)
    plan = plan_of(source)
    build(tmp_path / "whole", plan)
    expected = tree_bytes(tmp_path / "whole")
    for stop, spoil in [(1, False), (3, False), (4, False), (4, True)]:
        out, decoded = tmp_path / f"out{stop}{spoil}", []

        def decode(unit, stop=stop, decoded=decoded, plan=plan):
            if unit == plan.units[stop] and len(decoded) == stop:
                raise KeyboardInterrupt
            decoded.append(unit.key)
            yield from decode_raw(unit)

        with pytest.raises(KeyboardInterrupt):
            build(out, plan_of(source, units=plan.units, decoder=decode))
        if spoil:
            growing = out / "progress/growing.npy"
            content = bytearray(growing.read_bytes())
            content[-1] ^= 1
            growing.write_bytes(content)
        decoded.append("again")
        build(out, plan_of(source, units=plan.units, decoder=decode))
        # The first shard ends in the middle of the third file; damage costs what came after it.
        start = 2 if spoil else stop
        again = decoded[decoded.index("again") + 1 :]
        assert again == [unit.key for unit in plan.units[start:]]
        assert tree_bytes(out) == expected


@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_kill_while_a_shard_takes_its_place_costs_nothing(
    source, tmp_path, monkeypatch, moment, number
):
    monkeypatch.setattr(Pace, "LEAST_SECONDS", 0)
    monkeypatch.setattr(Pace, "COST", 0)
    monkeypatch.setattr(layout, "MAX_SHARD_IMAGES", 5)
    plan = plan_of(source)
    build(tmp_path / "whole", plan)
    assert len(ImageSet.open(tmp_path / "whole").record["shard_rows"]) == 2
    out, decoded, finished = tmp_path / "out", [], []
    real = Path.replace

    def killed(self, target):
        if Path(target).parent.name == "images":
            finished.append(target)
            if len(finished) == number + 1 and moment == "before the rename":
                raise KeyboardInterrupt
        real(self, target)
        if len(finished) == number + 1 and Path(target).parent.name == "images":
            raise KeyboardInterrupt

    def decode(unit):
        decoded.append(unit.key)
        yield from decode_raw(unit)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        build(out, plan_of(source, units=plan.units, decoder=decode))
    monkeypatch.setattr(Path, "replace", real)
    under_way = decoded[-1]
    decoded.clear()
    build(out, plan_of(source, units=plan.units, decoder=decode))
    # The unit whose image filled the shard was not marked as finished. The last shard ends after
    # all units, so that nothing is left to decode.
    keys = [unit.key for unit in plan.units]
    assert decoded == ([] if number == 1 else keys[keys.index(under_way) :])
    assert tree_bytes(out) == tree_bytes(tmp_path / "whole")


def test_finished_shards_are_read_again_only_if_touched_or_after_a_day(
    source, tmp_path, small_shards, monkeypatch
):
    out, plan = tmp_path / "out", plan_of(source)

    def stop_at_last(unit):
        if unit == plan.units[-1]:
            raise KeyboardInterrupt
        yield from decode_raw(unit)

    with pytest.raises(KeyboardInterrupt):
        build(out, plan_of(source, units=plan.units, decoder=stop_at_last))
    shards = sorted((out / "images").glob("*.npy"))
    assert len(shards) > 1
    read = []

    def remember(path):
        read.append(path)
        return sha256_of_file(path)

    monkeypatch.setattr(checkpoints, "sha256_of_file", remember)
    assert len(load_checkpoint(out).shard_rows) == len(shards)
    assert read == []
    shards[1].write_bytes(shards[1].read_bytes())
    assert len(load_checkpoint(out).shard_rows) == len(shards)
    assert read == [shards[1]]
    read.clear()
    a_day_later = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: a_day_later)
    assert len(load_checkpoint(out).shard_rows) == len(shards)
    assert sorted(read) == shards


def test_headers_are_read_once(tmp_path, monkeypatch):
    from tests.datasets.making import folder_of_pngs, pixels, png

    source = folder_of_pngs(tmp_path / "source", 6)
    described = []

    def describe(path, options):
        described.append(path.name)
        return real(path, options)

    real = describing.describe
    monkeypatch.setattr(describing, "describe", describe)
    monkeypatch.setattr(building, "decode_in_order", lambda *args, **kwargs: iter([1 / 0]))
    with pytest.raises(ZeroDivisionError):
        prepare_images(source, tmp_path / "out")
    assert len(described) == 6
    png(source / "P1/P1_001.png", pixels(50))
    described.clear()
    monkeypatch.undo()
    monkeypatch.setattr(describing, "describe", describe)
    with pytest.raises(SourceChangedError):
        prepare_images(source, tmp_path / "out")
    assert described == ["P1_001.png"]
    prepare_images(source, tmp_path / "other")
    assert len(described) == 7


def test_a_damaged_shard_of_an_unfinished_set_is_made_again(source, tmp_path, small_shards):
    out, plan = tmp_path / "out", plan_of(source)

    def stop_at_last(unit):
        if unit == plan.units[-1]:
            raise KeyboardInterrupt
        yield from decode_raw(unit)

    with pytest.raises(KeyboardInterrupt):
        build(out, plan_of(source, units=plan.units, decoder=stop_at_last))
    shard = out / "images/00001.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    build(out, plan)
    build(tmp_path / "whole", plan)
    assert tree_bytes(out) == tree_bytes(tmp_path / "whole")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_full_disk_leaves_nothing_half_and_the_run_goes_on_later(
    source, tmp_path, small_shards, monkeypatch, code
):
    plan = plan_of(source)
    build(tmp_path / "whole", plan)
    expected = tree_bytes(tmp_path / "whole")
    real = os.fsync
    out = tmp_path / "out"
    for failing in range(12):
        calls = iter(range(100))

        def fail(descriptor, calls=calls, failing=failing):
            if next(calls) == failing:
                raise OSError(code, "injected")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OutputError, match="Cannot write"):
            build(out, plan)
        monkeypatch.setattr(os, "fsync", real)
        assert not list(out.rglob("*.partial"))
        assert not (out / "dataset.json").exists()
        if failing % 3 == 2:
            shutil.rmtree(out)
    build(out, plan)
    assert tree_bytes(out) == expected


def test_a_real_limit_on_the_size_of_files(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    raw(source / "a.raw", images=2000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OutputError, match="larger than this system allows"):
            build(out, plan_of(source))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(out.rglob("*.partial"))
    assert len(build(out, plan_of(source)).image_set) == 2000


def test_the_same_again_changes_nothing(source, tmp_path):
    out = tmp_path / "out"
    build(out, plan_of(source))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"}

    def never(unit):
        raise AssertionError

    again = build(out, plan_of(source, decoder=never))
    assert {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"
    } == before
    assert again.accounting == read_accounting(out)


def test_other_settings_are_refused_with_the_difference(source, tmp_path):
    out = tmp_path / "out"
    build(out, plan_of(source))
    other = plan_of(source, settings={"kind": "raw", "threshold": 4})
    with pytest.raises(OptionError, match=r"threshold was 3 and is now 4.*--overwrite"):
        build(out, other)
    build(out, other, run=RunOptions(overwrite=True))
    assert ImageSet.open(out).record["settings"]["threshold"] == 4
    assert verify(out).ok


def test_a_set_that_keeps_what_audits_found_may_be_prepared_again(source, tmp_path):
    out = tmp_path / "out"
    build(out, plan_of(source))
    kept = out / layout.BASELINES / "scores" / "1.npz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"scores")
    build(out, plan_of(source))
    assert kept.read_bytes() == b"scores"
    other = plan_of(source, settings={"kind": "raw", "threshold": 4})
    build(out, other, run=RunOptions(overwrite=True))
    assert not kept.exists()
    assert verify(out).ok


def test_changed_sources_are_refused_by_name(source, tmp_path):
    out = tmp_path / "out"
    build(out, plan_of(source))
    raw(source / "b1.raw", images=4)
    with pytest.raises(SourceChangedError, match=r"1 files, for example 'b1\.raw'"):
        build(out, plan_of(source))
    made = build(out, plan_of(source), run=RunOptions(overwrite=True))
    assert len(made.image_set) == 11
    (source / "b1.raw").unlink()
    with pytest.raises(SourceChangedError, match=r"b1\.raw"):
        build(out, plan_of(source))


def test_a_source_that_changes_during_the_run_stops_it(source, tmp_path):
    plan = plan_of(source)
    raw(source / "b3.raw", images=4)
    with pytest.raises(SourceChangedError, match=r"'b3\.raw' was changed"):
        build(tmp_path / "out", plan)
    (source / "a0.raw").unlink()
    with pytest.raises(SourceChangedError, match=r"'a0\.raw' is gone"):
        build(tmp_path / "out2", plan)


@pytest.mark.parametrize("overwrite", [True, False])
def test_foreign_files_are_never_touched(source, tmp_path, overwrite):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.partial").write_text("mine")
    with pytest.raises(OptionError, match=r"thesis\.partial.*--overwrite"):
        build(out, plan_of(source), run=RunOptions(overwrite=overwrite))
    assert [path.name for path in out.iterdir()] == ["thesis.partial"]
    (out / "file").write_text("")
    with pytest.raises(OptionError, match="is a file"):
        build(out / "file", plan_of(source))


def test_sources_and_results_never_lie_inside_each_other(source, tmp_path):
    for out in (source, source / "out", tmp_path):
        with pytest.raises(OptionError, match="one inside the other"):
            check_out(source, out)
    check_out(source, tmp_path / "out")
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(OptionError, match="one inside the other"):
        check_out(source, tmp_path / "link" / "out")


def test_a_second_run_in_the_same_folder_is_refused(source, tmp_path):
    out = tmp_path / "out"
    with folder_lock(out), pytest.raises(LockedError, match="in use"):
        build(out, plan_of(source))
    assert sorted(path.name for path in out.iterdir()) == [".lock"]
    build(out, plan_of(source))


def test_bad_files_are_left_out_completely_and_accounted_for(source, tmp_path):
    (source / "bad.raw").write_bytes(b"bad")
    raw(source / "c.raw", images=3)
    content = bytearray((source / "c.raw").read_bytes())
    content[12] = ord("!")
    (source / "c.raw").write_bytes(bytes(content))
    plan = plan_of(source, left_out=(LeftOut("README", "find", "other_file", "no image", 3),))
    with pytest.raises(TooManySkippedError, match="2 of 7 files"):
        build(tmp_path / "out", plan)
    with pytest.raises(UnreadableImageError, match=r"bad\.raw.*it says so"):
        build(tmp_path / "strict", plan, run=RunOptions(strict=True))
    made = build(tmp_path / "out", plan, run=LOOSE)
    assert made.accounting.summary() == (
        "found 8 files = 5 used + 3 left out (1 damaged, 1 other_file, 1 truncated)"
    )
    assert len(made.image_set) == 9
    assert not [name for name in made.image_set.image_ids if name.startswith("c")]
    assert read_accounting(tmp_path / "out") == made.accounting
    assert all(len(item.sha256) == 64 for item in made.accounting.left_out if item.stage == "read")
    lines = (tmp_path / "out/left_out.csv").read_text().splitlines()
    assert len(lines) == 4
    with pytest.raises(UnreadableImageError):
        build(tmp_path / "out", plan, run=RunOptions(strict=True, max_skipped=1.0))


def test_no_usable_image_is_an_error(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "bad.raw").write_bytes(b"bad")
    with pytest.raises(NoImagesError, match=r"0 used.*1 damaged.*it says so"):
        build(tmp_path / "out", plan_of(tmp_path / "source"), run=LOOSE)


def test_images_that_differ_stop_the_run(source, tmp_path):
    def decode(unit):
        for image in decode_raw(unit):
            if unit.key == "b3.raw":
                object.__setattr__(image, "pixels", image.pixels.astype(np.int16))
            yield image

    with pytest.raises(ImageMismatchError, match=r"b3\.raw#0.*int16"):
        build(tmp_path / "out", plan_of(source, decoder=decode))


def test_streamed_units_give_the_same_set(source, tmp_path, small_shards):
    (source / "bad.raw").write_bytes(b"bad")
    raw(source / "c.raw", images=3)
    (source / "c.raw").write_bytes((source / "c.raw").read_bytes()[:12] + b"!.....")
    plan = plan_of(source)
    streamed = [Unit(unit.files, unit.key, unit.patient_id, streamed=True) for unit in plan.units]
    build(tmp_path / "held", plan, run=LOOSE)
    build(tmp_path / "streamed", plan_of(source, units=streamed), run=LOOSE)
    assert tree_bytes(tmp_path / "held") == tree_bytes(tmp_path / "streamed")


def test_processes_change_nothing_and_survive_a_crash(source, tmp_path, small_shards):
    (source / "bad.raw").write_bytes(b"bad")
    plan = plan_of(source)
    build(tmp_path / "one", plan, run=LOOSE)
    build(tmp_path / "two", plan, run=RunOptions(jobs=2, max_skipped=1.0))
    assert tree_bytes(tmp_path / "one") == tree_bytes(tmp_path / "two")
    (source / "b2die.raw").write_bytes(b"die")
    made = build(tmp_path / "three", plan_of(source), run=RunOptions(jobs=2, max_skipped=1.0))
    assert {(item.path, item.code) for item in made.accounting.left_out} == {
        ("bad.raw", "damaged"),
        ("b2die.raw", "decoder_crashed"),
    }
    assert made.image_set.fingerprint == ImageSet.open(tmp_path / "one").fingerprint


@settings(max_examples=25, deadline=None)
@given(
    good=st.sets(st.integers(0, 30), min_size=1, max_size=8),
    bad=st.sets(st.integers(0, 30), max_size=8),
    jumble=st.randoms(use_true_random=False),
)
def test_bad_files_never_change_the_others(good, bad, jumble, tmp_path_factory):
    """Adding and removing bad files changes no id, no pixel and no order of the good ones."""
    root = tmp_path_factory.mktemp("case")
    for number in good:
        raw(root / "clean" / f"f{number:02d}a.raw", images=1 + number % 3, seed=number)
    shutil.copytree(root / "clean", root / "dirty")
    for number in bad:
        content = jumble.choice([b"bad", b"badbadbad", b"!23456"])
        (root / "dirty" / f"f{number:02d}{jumble.choice('-z')}.raw").write_bytes(content)
    os.mkfifo(root / "dirty" / "pipe")
    clean = build(root / "out1", plan_of(root / "clean"))
    dirty = build(root / "out2", plan_of(root / "dirty"), run=LOOSE)
    assert clean.image_set.fingerprint == dirty.image_set.fingerprint
    account = dirty.accounting
    assert account.found == len(good) + len(bad) + 1 == account.used + len(account.left_out)
    assert account.used == len(good)


def test_run_options_are_checked():
    with pytest.raises(OptionError, match="--jobs"):
        RunOptions(jobs=0)
    with pytest.raises(OptionError, match="--max-skipped"):
        RunOptions(max_skipped=2)
    assert building.Prepared.__doc__
