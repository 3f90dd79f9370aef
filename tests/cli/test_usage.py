"""Mistakes get one line that helps and the right exit code; never a traceback."""

from __future__ import annotations

import stat
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.folders import picture, save

from likeness._files import folder_lock
from likeness.cli import _run
from likeness.cli._commands import VERBS
from likeness.cli._console import Lines, printable
from likeness.cli._options import bytes_from, names_from, readable_bytes, share_from
from likeness.cli._run import run
from likeness.datasets import ImageSet
from likeness.datasets.phantoms import write_brats
from likeness.errors import OptionError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audi"], 'Did you mean "audit"'),
        (["audit", "--train", "x", "--synthetic", "y", "--out", "z", "--jbs", "2"],
         "Did you mean --jobs"),
        (["audit", "--train", "x"], "requires an argument"),
        (["audit", "--train", "x", "--synthetic", "y", "--out", "z", "--seed", "x"], "--seed"),
        (["audit", "--fdr", "2", "--train", "x", "--synthetic", "y", "--out", "z"],
         "--fdr is 2"),
        (["audit", "--false-flag-rate", "0.01", "--train", "x", "--synthetic", "y", "--out", "z"],
         "--false-flag-rate"),
        (["audit", "--permutations", "99", "--train", "x", "--synthetic", "y", "--out", "z"],
         "--permutations is 99"),
        (["audit", "--strata", "site", "--train", "x", "--synthetic", "y", "--out", "z"],
         "--strata"),
        (["audit", "--memory", "lots", "--train", "x", "--synthetic", "y", "--out", "z"],
         "give a size such as 2GB"),
        (["audit", "--config"], "--config needs a TOML file"),
        (["audit", "--config", "absent.toml"], "absent.toml"),
        (["match", "--queries", "a", "--references", "b", "--out", "m.csv"], ".parquet"),
        (["prepare", "brats"], "SOURCE"),
        (["prepare", "images", "x", "--out", "y", "--resize", "big"], "--resize"),
        (["prepare", "cxr", "x", "--out", "y", "--test-patients", "many"], "--test-patients"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2_with_a_hint(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_help_of_every_verb_has_examples(verb, capsys):
    assert run([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"likeness {verb}" in out
    assert "Examples:" in out


def test_no_arguments_show_the_help(capsys):
    assert run([]) == 0
    assert "likeness demo" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "--train", "absent", "--synthetic", "absent", "--out", "audit"],
        ["audit", "--train", "absent", "--synthetic", "absent", "--out", "audit", "--dry-run"],
        ["inspect", "absent"],
        ["verify", "absent"],
        ["report", "--audit", "absent"],
        ["cite", "--audit", "absent"],
        ["prepare", "images", "absent", "--out", "set"],
        ["prepare", "brats", "absent", "--out", "set"],
        ["prepare", "cxr", "absent", "--out", "set"],
        ["match", "--queries", "absent", "--references", "absent", "--out", "m.parquet"],
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_a_path_that_is_not_there_is_exit_code_3_and_named(
    arguments, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 3
    captured = capsys.readouterr()
    assert "absent" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "--train", "empty", "--synthetic", "absent", "--out", "audit"],
        ["inspect", "empty"],
        ["prepare", "images", "empty", "--out", "set"],
        ["prepare", "brats", "empty", "--out", "set"],
        ["prepare", "cxr", "empty", "--out", "set"],
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_an_empty_folder_is_exit_code_3(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert run(arguments) == 3
    assert "empty" in capsys.readouterr().err


def test_a_locked_folder_is_exit_code_6(folders, tmp_path, capsys):
    train, test, synthetic = folders
    arguments = ["audit", "--train", train, "--test", test, "--synthetic", synthetic,
                 "--out", tmp_path / "audit"]  # fmt: skip
    with folder_lock(tmp_path / "audit"):
        assert run([str(word) for word in arguments]) == 6
    assert "in use by another run" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_exit_code_7(folders, tmp_path, capsys, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    train, test, synthetic = folders
    monkeypatch.setattr("likeness._files.os.fsync", full)
    code = run(["audit", "--train", str(train), "--test", str(test), "--synthetic",
                str(synthetic), "--out", str(tmp_path / "audit")])  # fmt: skip
    assert code == 7
    assert "the disk is full" in capsys.readouterr().err


def test_a_bug_is_exit_code_70_with_its_details_in_a_file(monkeypatch, capsys):
    def broken(_arguments):
        raise ZeroDivisionError

    class App:
        def __call__(self, arguments):
            return broken(arguments)

    monkeypatch.setattr(_run, "build_app", App)
    assert run(["doctor"]) == 70
    errors = capsys.readouterr().err
    assert "ZeroDivisionError" in errors
    assert "Traceback" not in errors
    path = next(word for word in errors.split() if "likeness-crash-" in word)
    assert "Traceback" in Path(path).read_text(encoding="utf-8")
    Path(path).unlink()


def test_prepare_verify_and_a_changed_byte(tmp_path, capsys):
    for patient in range(4):
        save(tmp_path / "in" / f"P{patient}_0.png", picture(patient))
    out = tmp_path / "set"
    arguments = ["prepare", "images", str(tmp_path / "in"), "--out", str(out), "--patient-id",
                 "regex:(P[0-9]+)_"]  # fmt: skip
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "found 4 files = 4 used + 0 left out" in shown
    assert "4 images 1 x 64 x 64 uint8, 4 patients" in shown
    assert run(["verify", str(out)]) == 0
    shard = next(out.rglob("*.npy"))
    content = bytearray(shard.read_bytes())
    content[-7] ^= 1
    shard.write_bytes(content)
    assert run(["verify", str(out)]) == 3
    assert shard.name in capsys.readouterr().out


def test_held_out_patients_without_an_image_are_said(tmp_path, capsys):
    """One of five patients is empty; whenever it is held out, and only then, this is said."""
    source = tmp_path / "brats"
    write_brats(source, seed=0, patients=5, size=48, num_slices=4)
    for path in source.glob("BraTS20_Training_001/*.nii.gz"):
        image = nibabel.load(path)
        empty = nibabel.Nifti1Image(np.asanyarray(image.dataobj) * 0, image.affine)
        nibabel.save(empty, path)
    said = []
    for seed in range(8):
        out = tmp_path / f"sets{seed}"
        arguments = ["prepare", "brats", str(source), "--out", str(out), "--test-patients", "2"]
        assert run([*arguments, "--seed", str(seed)]) == 0
        note = "1 of them has no image that passes the rules" in capsys.readouterr().out
        said.append(note)
        assert note == (ImageSet.open(out / "test").num_patients == 1)
    assert len(set(said)) == 2


def test_prepare_dry_run_writes_nothing(tmp_path, capsys):
    save(tmp_path / "in" / "a.png", picture(1))
    code = run(["prepare", "images", str(tmp_path / "in"), "--out", str(tmp_path / "set"),
                "--dry-run"])  # fmt: skip
    assert code == 0
    assert not (tmp_path / "set").exists()
    assert "nothing was written" in capsys.readouterr().out


def test_hostile_names_reach_the_terminal_harmless_and_the_report_escaped(tmp_path, capsys):
    evil = "<script>alert(1)</script>\x1b[31m"
    for number in range(120):
        save(tmp_path / "train" / f"p{number}" / f"a{number}.png", picture(number))
    save(tmp_path / "synthetic" / f"=cmd {evil.replace('/', '')}.png", picture(3))
    code = run(["audit", "--train", str(tmp_path / "train"), "--synthetic",
                str(tmp_path / "synthetic"), "--patient-id", "parent-folder", "--out",
                str(tmp_path / "audit"), "--no-self-check", "--evidence", "3"])  # fmt: skip
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert "\x1b" not in captured.out + captured.err
    page = (tmp_path / "audit" / "report-INTERNAL.html").read_text()
    assert "<script" not in page
    assert "\x1b" not in page


def test_sizes_shares_and_names_are_read_as_people_write_them():
    assert bytes_from("2GiB", "--memory") == 2 << 30
    assert bytes_from("1.5 GB", "--memory") == 1_500_000_000
    assert share_from("1%", "--max-skipped") == share_from("0.01", "--max-skipped") == 0.01
    assert names_from("t1, flair,") == ("t1", "flair")
    assert readable_bytes(1_234_567) == "1.2 MB"
    with pytest.raises(OptionError, match="--max-skipped"):
        share_from("120%", "--max-skipped")


def test_control_characters_become_visible():
    assert printable("a\x1b[2Jb\r") == "a\\x1b[2Jb\\r"
    assert printable("scan\udcff.png") == "scan\\udcff.png"


def test_progress_as_lines_says_the_work_left(capsys, monkeypatch):
    clock = iter(np.arange(0.0, 1000.0, 5.0))
    monkeypatch.setattr("likeness.cli._console.time.monotonic", lambda: next(clock))
    with Lines().task("read", 10) as task:
        for _ in range(10):
            task.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("read")
    assert "45 s left" in lines[0]


def test_what_an_audit_writes_is_for_its_owner_only(folders, tmp_path, capsys):
    train, test, synthetic = folders
    run(["audit", "--train", str(train), "--test", str(test), "--synthetic", str(synthetic),
         "--out", str(tmp_path / "audit"), "--no-self-check"])  # fmt: skip
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
