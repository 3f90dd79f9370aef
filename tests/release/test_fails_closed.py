"""Whatever goes wrong, nothing comes out, and the reason is said in words."""

from __future__ import annotations

import errno
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.release.making import CANARY, make_audit, plain_rescorer, save, seal

import likeness._files as files
from likeness import ReleasePolicy, release_images
from likeness._findings import Check, SelfCheck
from likeness._release import release_log
from likeness.errors import InputError, LockedError, OutputError


def release(made, **more):
    out = made.root / "out"
    given = {"rescore": made.rescore, **more}
    try:
        return release_images(made.folder, out, **given)
    finally:
        leftovers = [path.name for path in made.root.iterdir() if path.name.startswith(".")]
        assert not leftovers


def refused(made, words, **more):
    result = release(made, **more)
    assert result.outcome == "NOT_PROVEN", result
    assert result.exit_code == 4
    assert any(words in reason for reason in result.reasons), result.reasons
    assert not (made.root / "out").exists()
    check = release_images(made.folder, check=True, **{**more, "rescore": None})
    assert check.reasons == result.reasons


def flip_a_bit(path, place=-40):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "name", ["findings.json", "images.parquet", "baseline.parquet", "settings.toml", "errors.csv"]
)
def test_a_changed_file_of_the_audit(mine, name):
    flip_a_bit(mine.folder / name, place=-4)
    refused(mine, f"'{name}' was changed since the audit")


def test_truncated_findings(mine):
    path = mine.folder / "findings.json"
    path.write_bytes(path.read_bytes()[:500])
    refused(mine, "'findings.json' was changed since the audit")


def test_truncated_findings_with_fitting_checksums_are_no_findings(mine):
    path = mine.folder / "findings.json"
    path.write_bytes(path.read_bytes()[:500])
    seal(mine.folder)
    with pytest.raises(InputError, match="not a findings file"):
        release(mine)
    assert not (mine.root / "out").exists()


def test_an_audit_without_checksums(mine):
    (mine.folder / "SHA256SUMS").unlink()
    refused(mine, "has no 'SHA256SUMS'")


@pytest.mark.parametrize("line", ["nonsense", "0" * 64 + "  ../findings.json"])
def test_checksums_that_are_none(mine, line):
    path = mine.folder / "SHA256SUMS"
    path.write_text(path.read_text() + line + "\n")
    refused(mine, "is not a checksum and a name")


def test_an_unfinished_audit(mine):
    (mine.folder / "COMPLETE").unlink()
    refused(mine, "was not finished")


def test_complete_of_another_run(mine):
    (mine.folder / "COMPLETE").write_text("other\n")
    refused(mine, "different runs")


def test_a_missing_table(mine):
    (mine.folder / "images.parquet").unlink()
    refused(mine, "'images.parquet' of the audit cannot be read")


def test_a_table_of_an_older_version(mine):
    path = mine.folder / "images.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["contrast_tiles"]), path)
    seal(mine.folder)
    refused(mine, "no column 'contrast_tiles'")


@pytest.mark.parametrize("role", ["synthetic", "train", "test"])
def test_a_changed_pixel_in_a_set(mine, role):
    (shard,) = (mine.folder / "work/sets" / role / "images").iterdir()
    flip_a_bit(shard)
    refused(mine, f"The {role} set was changed since the audit")


@pytest.mark.parametrize("role", ["synthetic", "train"])
def test_a_changed_source_file(mine, role):
    path = sorted((mine.root / role).iterdir())[3]
    save(path, np.zeros((32, 32), np.uint8))
    refused(mine, f"1 source files of the {role} set changed since the audit")


def test_a_training_image_that_was_added_since(mine):
    save(mine.root / "train" / "P999_new_0.png", np.eye(32, dtype=np.uint8))
    refused(mine, "1 files were added to the training folder")


def test_another_set_in_the_place_of_the_audited_one(mine, tmp_path):
    other = make_audit(tmp_path / "other", patients=70, innocent=12, copied=(), test_patients=0)
    place = mine.folder / "work" / "sets" / "synthetic"
    place.rename(tmp_path / "gone")
    (other.folder / "work" / "sets" / "synthetic").rename(place)
    refused(mine, "is not the one that was audited")


def test_a_set_that_is_gone(mine, tmp_path):
    (mine.folder / "work" / "sets" / "synthetic").rename(tmp_path / "gone")
    refused(mine, "The synthetic set of the audit is not where it was")


@pytest.mark.parametrize("name", ["model.pt", "deep/net.CKPT", "weights.safetensors", "old.pkl"])
def test_a_checkpoint_among_the_images(mine, name):
    path = mine.root / "synthetic" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"PK\x03\x04 weights")
    refused(mine, "weights of a model")


def test_a_checkpoint_that_the_audit_left_out(mine):
    path = mine.folder / "errors.csv"
    path.write_text(path.read_text() + "synthetic,gan/model.pth,find,other_file,no image,9,\n")
    seal(mine.folder)
    refused(mine, "weights of a model")


def test_a_checkpoint_offered_as_the_set(mine):
    path = mine.folder / "settings.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("synthetic")]
    path.write_text("\n".join([*lines, 'synthetic = "generator.ckpt"']) + "\n")
    seal(mine.folder)
    refused(mine, "weights of a model")


def with_sets(findings, role, **changes):
    sets = [replace(row, **changes) if row.role == role else row for row in findings.sets]
    return replace(findings, sets=sets)


def negative(findings):
    return replace(findings.self_check.negative, passed=False)


CHANGES = {
    "self-check failed": (
        lambda f: replace(f, self_check=replace(f.self_check, passed=False, reason="3 flagged.")),
        "The self-check of the audit failed: 3 flagged.",
    ),
    "self-check not run": (
        lambda f: replace(f, self_check=SelfCheck(False, False, False, False, None, [], "off")),
        "ran no self-check: off",
    ),
    "no baseline": (
        lambda f: replace(f, baseline=replace(f.baseline, comparison=None, reason="one patient")),
        "no baseline, so nothing could be judged: one patient",
    ),
    "small baseline": (
        lambda f: replace(f, baseline=replace(f.baseline, num_images=199)),
        "has 199 real images; the policy asks for 200",
    ),
    "unreadable training file": (
        lambda f: with_sets(f, "train", num_skipped=1),
        "1 training files could not be read",
    ),
    "account": (
        lambda f: with_sets(f, "synthetic", num_found=63),
        "The account of the synthetic files does not add up",
    ),
    "flagged": (
        lambda f: replace(f, counts=replace(f.counts, flagged=1)),
        "speak of 1 flagged images, the tables of 2",
    ),
    "train": (
        lambda f: replace(f, counts=replace(f.counts, train=209)),
        "speak of 209 training images, the tables of 210",
    ),
    "incomplete search": (lambda f: replace(f, checks=[]), "every pair of images was compared"),
    "failed check": (
        lambda f: replace(f, checks=[*f.checks, Check("Engine", "FAIL", "sums differ", "Stop.")]),
        "A check of the audit failed: Engine: sums differ. Stop.",
    ),
    "uncompared channels": (
        lambda f: replace(f, provenance=replace(f.provenance, settings={"channels": "t1"})),
        "The channels grey are in the synthetic set but were not compared",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_audit_that_shows_nothing(mine, name):
    change, words = CHANGES[name]
    refused(mine.write_findings(change(mine.findings)), words)


def test_unknown_patients(tmp_path):
    made = make_audit(tmp_path, innocent=5, copied=(), test_patients=0)
    for path in (tmp_path / "train").iterdir():
        path.unlink()
    from tests.release.making import picture

    from likeness.datasets import PrepareOptions, prepare_images

    for number in range(210):
        save(tmp_path / "train" / f"x{number}.png", picture(number))
    options = PrepareOptions(patient_id="none", overwrite=True)
    place = made.folder / "work" / "sets" / "train"
    train = prepare_images(tmp_path / "train", place, options=options).image_set
    findings = with_sets(made.findings, "train", fingerprint=train.fingerprint, num_patients=0)
    changed = replace(made.write_findings(findings), train=train)
    refused(changed, "The patients of 210 of 210 training images")


def test_a_patient_in_train_and_test(tmp_path):
    made = make_audit(tmp_path, innocent=5, copied=(), test_patients=2)
    from tests.release.making import RULE, picture

    from likeness.datasets import PrepareOptions, prepare_images

    save(tmp_path / "test" / "P003_other_0.png", picture(777))
    place = made.folder / "work" / "sets" / "test"
    options = PrepareOptions(patient_id=RULE, sequences=None, overwrite=True)
    test = prepare_images(tmp_path / "test", place, options=options).image_set
    findings = with_sets(made.findings, "test", fingerprint=test.fingerprint)
    changed = made.write_findings(findings)
    refused(changed, "1 patients are in the training and in the test set")
    lenient = release(changed, policy=ReleasePolicy(patient_disjoint=False))
    assert lenient.outcome == "RELEASED"


def test_a_review_of_another_set(mine, tmp_path):
    row = {"image_id": "s000.png", "decision": "not a copy"}
    content = {"format_name": "likeness review", "format_version": 1, "decisions": [row]}
    (tmp_path / "review.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"does not know, the first is 's000\.png'"):
        release(mine, review=tmp_path / "review.json")
    assert not (mine.root / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a review"),
        ('{"format_name": "likeness review", "format_version": 2}', "format_version 2"),
        ('{"format_name": "likeness review", "format_version": 1, "decisions": 3}', "lists"),
        (
            '{"format_name": "likeness review", "format_version": 1, "decisions": '
            '[{"image_id": "a", "decision": "ok"}]}',
            "is 'ok'; expected one of",
        ),
        (
            '{"format_name": "likeness review", "format_version": 1, '
            '"approved_by": ["a\\u001b[0m"]}',
            "printable",
        ),
    ],
)
def test_a_review_that_is_none(mine, tmp_path, text, words):
    (tmp_path / "review.json").write_text(text)
    with pytest.raises(InputError, match=words):
        release(mine, review=tmp_path / "review.json")
    assert not (mine.root / "out").exists()


def test_a_trail_that_was_changed(mine):
    release_log.append(mine.folder, {"decision": "BLOCKED"})
    path = mine.folder / release_log.NAME
    path.write_text(path.read_text().replace("BLOCKED", "CLEARED"))
    with pytest.raises(InputError, match="Line 1 of"):
        release(mine)
    assert not (mine.root / "out").exists()


def test_another_run_is_at_work(mine):
    with files.folder_lock(mine.folder), pytest.raises(LockedError):
        release(mine)
    assert not (mine.root / "out").exists()


class Full:
    """The n-th write fails, as on a full disk."""

    def __init__(self, number):
        self.left = number

    def __call__(self, descriptor):
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_at_any_write(tmp_path, monkeypatch):
    """Every file is flushed once, and its folder once; each of these fails once."""
    made = make_audit(tmp_path, innocent=3, copied=(), test_patients=0)
    number = 0
    while not (made.root / "out").exists():
        number += 1
        with monkeypatch.context() as patched:
            patched.setattr(files.os, "fsync", Full(number))
            if number < 23:  # 3 images, record, page, limits, description, sums, 2 tables, trail
                with pytest.raises(OutputError, match="disk is full"):
                    release(made)
                assert not (made.root / "out").exists()
            else:  # the flush after the rename takes nothing back
                assert release(made).outcome == "RELEASED"
    assert number == 23


def test_a_fault_between_writing_and_the_name(mine, monkeypatch):
    def rename(self, target):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.rename", rename)
        with pytest.raises(OutputError, match="read-only"):
            release(mine)
    assert not (mine.root / "out").exists()
    assert [line["decision"] for line in release_log.read(mine.folder)] == [
        "RELEASED",
        "NOT_WRITTEN",
    ]


@pytest.mark.parametrize("blow", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_a_stop_at_the_last_step(mine, monkeypatch, blow):
    def publish(folder, out):
        raise blow

    with monkeypatch.context() as patched:
        patched.setattr("likeness._release.run.publish", publish)
        with pytest.raises(blow):
            release(mine)
    assert not (mine.root / "out").exists()


def test_a_kill_at_the_last_step_leaves_no_release_and_does_not_stop_the_next(mine, tmp_path):
    """SIGKILL: nothing can be tidied up; the name must not be there and the lock must be free."""
    import subprocess
    import sys

    code = f"""
import os, signal
from pathlib import Path
import likeness._release.run as run
from likeness.datasets import ImageSet
from tests.release.making import plain_rescorer
run.publish = lambda folder, out: os.kill(os.getpid(), signal.SIGKILL)
folder = Path({str(mine.folder)!r})
train = ImageSet.open(folder / "work/sets/train")
run.release_images(folder, {str(mine.root / "out")!r}, rescore=plain_rescorer(train))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -9
    assert not (mine.root / "out").exists()
    (left,) = mine.root.glob(".out.*.staging")
    left.rename(tmp_path / "left")
    assert release(mine).outcome == "RELEASED"


def test_a_pixel_that_changes_on_its_way_to_the_disk(mine, monkeypatch):
    import likeness._release.staging as staging

    def encode(pixels, kind, count=[0]):  # noqa: B006 - the count is the point
        count[0] += 1
        changed = pixels.copy()
        changed[0, 0, 0] ^= count[0] == 30
        return original(changed, kind)

    original = staging.encode
    monkeypatch.setattr(staging, "encode", encode)
    result = release(mine)
    assert result.outcome == "NOT_PROVEN"
    assert "does not have the pixels that were audited" in result.reasons[0]
    assert not (mine.root / "out").exists()


def test_a_file_that_cannot_be_read_back(mine, monkeypatch):
    import likeness._release.staging as staging

    original = staging.encode
    monkeypatch.setattr(staging, "encode", lambda pixels, kind: original(pixels, kind)[:-20])
    result = release(mine)
    assert result.outcome == "NOT_PROVEN"
    assert "cannot be read back" in result.reasons[0]
    assert not (mine.root / "out").exists()


def test_a_repetition_that_does_not_agree(mine):
    plain = plain_rescorer(mine.train)

    def score(images):
        found = plain(images)
        return replace(
            found, similarity={**found.similarity, "tiles": found.similarity["tiles"] * np.nan}
        )

    refused_result = release(mine, rescore=score)
    assert refused_result.outcome == "NOT_PROVEN"
    assert not (mine.root / "out").exists()
    assert release_log.read(mine.folder)[-1]["decision"] == "NOT_PROVEN"


def test_a_withheld_image_among_the_released_ones(mine, monkeypatch):
    """If the choice of rows were wrong, the judgement of the files would notice."""
    import likeness._release.run as run

    original = run.write_images

    def write(folder, synthetic, rows, layout, **more):
        copy = synthetic.image_ids.index("t000.png")
        return original(folder, synthetic, np.append(rows[:-1], copy), layout, **more)

    monkeypatch.setattr(run, "write_images", write)
    result = release(mine)
    assert result.outcome == "NOT_PROVEN"
    assert "would be withheld" in result.reasons[0]
    assert not (mine.root / "out").exists()


def test_a_stray_file_in_the_staging_folder(mine, monkeypatch):
    import likeness._release.run as run

    original = run.write_images

    def write(folder, *given, **more):
        staged = original(folder, *given, **more)
        (folder / "images" / "secret.png").write_bytes(b"x")
        return staged

    monkeypatch.setattr(run, "write_images", write)
    result = release(mine)
    assert result.outcome == "NOT_PROVEN"
    assert not (mine.root / "out").exists()


def test_a_fault_while_scoring(mine):
    def score(images):
        msg = f"{CANARY} memory"
        raise MemoryError(msg)

    with pytest.raises(MemoryError):
        release(mine, rescore=score)
    assert not (mine.root / "out").exists()
