"""What a first user gets wrong: each mistake is met with words that help, and costs nothing."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image
from tests.folders import picture, save

from likeness.cli._run import run

RULE = "regex:(P[0-9]+)_"


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(arguments, code, words, capsys):
    assert run([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    for word in [words] if isinstance(words, str) else words:
        assert word in captured.err
    assert captured.out == ""


@pytest.fixture
def source(tmp_path):
    for patient in range(4):
        for view in range(2):
            save(tmp_path / "train" / f"P{patient}_{view}.png", picture(patient, view))
    return tmp_path / "train"


def test_a_match_never_writes_into_its_sources(source, tmp_path, capsys):
    before = listing(source)
    for out in (source / "m.parquet", source / "below" / "m.parquet"):
        refused(["match", "--queries", source, "--references", source, "--out", out],
                2, "never written to", capsys)  # fmt: skip
    assert listing(source) == before


@pytest.mark.parametrize("below", ["file/audit", "file/a/b"])
def test_a_file_in_the_way_is_no_bug(source, tmp_path, below, capsys):
    (tmp_path / "file").write_text("x")
    out = tmp_path / below
    refused(["prepare", "images", source, "--out", out], 7, "a part of the path is a file", capsys)
    refused(["audit", "--train", source, "--synthetic", __file__, "--out", out],
            7, "a part of the path is a file", capsys)  # fmt: skip


def test_a_name_that_is_too_long_is_no_bug(source, tmp_path, capsys):
    out = tmp_path / ("x" * 300)
    refused(["prepare", "images", source, "--out", out], 3, "File name too long", capsys)
    refused(["inspect", tmp_path / ("x" * 300)], 3, "File name too long", capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to the superuser")
def test_a_folder_that_is_closed_is_no_bug(source, capsys):
    source.chmod(0)
    try:
        refused(["inspect", source], 3, "Permission denied", capsys)
    finally:
        source.chmod(0o700)


def test_config_takes_an_equals_sign_too(tmp_path, capsys):
    refused(["audit", f"--config={tmp_path / 'absent.toml'}"], 2, "absent.toml", capsys)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_behind_stdout_is_exit_code_7(source, likeness_command):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        import subprocess
        import sys

        done = subprocess.run(
            [sys.executable, "-m", "likeness", "inspect", str(source)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 7
    assert "cannot be printed" in done.stderr


@pytest.mark.parametrize("verb", ["prepare", "audit"])
def test_a_rule_that_finds_nobody_is_refused_with_an_example(verb, source, tmp_path, capsys):
    rule = ["--patient-id", "regex:(Q[0-9]+)", "--out", tmp_path / "out"]
    save(tmp_path / "synthetic" / "s.png", picture(9))
    commands = {
        "prepare": ["prepare", "images", source, *rule],
        "audit": ["audit", "--train", source, "--synthetic", tmp_path / "synthetic", *rule],
    }
    refused(commands[verb], 2, ["finds no patient in any of 8 names", "'P0_0.png'"], capsys)


def test_a_table_without_its_column_is_refused(source, tmp_path, capsys):
    (tmp_path / "m.csv").write_text("path,patient\nP0_0.png,A\n")
    command = ["inspect", source, "--manifest", tmp_path / "m.csv"]
    refused(command, 2, "--patient-id column:NAME", capsys)


def test_a_table_with_other_paths_shows_one_of_each(source, tmp_path, capsys):
    (tmp_path / "m.csv").write_text("path,patient\nx/y.png,A\n")
    command = ["prepare", "images", source, "--out", tmp_path / "set", "--patient-id",
               "column:patient", "--manifest", tmp_path / "m.csv"]  # fmt: skip
    refused(command, 2, ["'P0_0.png'", "the table names, for example, 'x/y.png'"], capsys)


def test_inspect_hands_the_rule_on(source, capsys):
    assert run(["inspect", str(source), "--patient-id", RULE]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("next ")
    assert last.endswith(f"--patient-id '{RULE}'")


def test_inspect_says_what_to_do_where_no_rule_fits(source, capsys):
    assert run(["inspect", str(source)]) == 0
    out = capsys.readouterr().out
    assert "patients   not known" in out
    assert "'regex:(P[0-9]+)_'" in out


def test_inspect_names_a_file_that_the_rule_misses(source, capsys):
    save(source / "stranger.png", picture(9))
    assert run(["inspect", str(source), "--patient-id", RULE]) == 0
    assert "nobody from stranger.png" in capsys.readouterr().out


def test_inspect_of_nothing_but_damage_is_exit_code_3(source, capsys):
    for path in source.iterdir():
        path.write_bytes(path.read_bytes()[:600])
    assert run(["inspect", str(source)]) == 3
    captured = capsys.readouterr()
    assert "0 usable images" in captured.err
    assert "likeness audit" not in captured.out, "there is nothing to audit"


def test_one_folder_for_two_sets_is_refused(folders, tmp_path, capsys):
    train, test, synthetic = folders
    for sets in (
        ["--train", train, "--test", train, "--synthetic", synthetic],
        ["--train", train, "--test", test, "--synthetic", train / ".." / "train"],
    ):
        for more in ([], ["--dry-run"]):
            refused(["audit", *sets, "--out", tmp_path / "a", *more], 2, "given twice", capsys)
    assert not (tmp_path / "a").exists()


def test_the_advice_to_allow_more_can_be_followed(folders, tmp_path, capsys):
    train, test, synthetic = folders
    for number in range(4):
        (synthetic / f"half{number}.png").write_bytes((synthetic / "s000.png").read_bytes()[:900])
    command = ["audit", "--train", train, "--test", test, "--synthetic", synthetic,
               "--patient-id", RULE, "--no-self-check", "--out", tmp_path / "audit"]  # fmt: skip
    refused(command, 3, ["4 of 44 files", "more than the 1 %", "left_out.csv"], capsys)
    table = tmp_path / "audit" / "work" / "sets" / "synthetic" / "left_out.csv"
    assert table.read_text().count("truncated") == 4
    assert run([str(word) for word in [*command, "--max-skipped", "10%"]]) == 5
    assert "WARN  Every file used" in capsys.readouterr().out
    assert "half0.png" in (tmp_path / "audit" / "errors.csv").read_text()
    refused([*command, "--max-skipped", "20%"], 2, "max_skipped was 0.1, is 0.2", capsys)


def test_unknown_patients_are_not_counted_as_patients(folders, tmp_path, capsys):
    train, test, synthetic = folders
    assert run(["audit", "--train", str(train), "--test", str(test), "--synthetic",
                str(synthetic), "--no-self-check", "--out", str(tmp_path / "my audit"),
                "--patient-id", "none"]) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert "4 of 110 training images affected; whose they are is not known" in out
    assert "WARN  Patients known" in out
    assert f"cite  likeness cite --audit '{tmp_path / 'my audit'}'" in out


def test_a_dry_run_refuses_what_the_run_would_refuse(folders, tmp_path, capsys):
    train, test, synthetic = folders
    save(train / "P900_0.png", picture(900)[:40])
    command = ["audit", "--train", train, "--test", test, "--synthetic", synthetic, "--out",
               tmp_path / "audit"]  # fmt: skip
    refused([*command, "--dry-run"], 3, "do not fit together", capsys)
    refused(command, 3, "do not fit together", capsys)


def test_a_dry_run_plans_the_searches_that_are_made(folders, tmp_path, capsys):
    train, test, synthetic = folders
    assert run(["audit", "--train", str(train), "--test", str(test), "--synthetic",
                str(synthetic), "--out", str(tmp_path / "audit"), "--dry-run"]) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert "patients not known" in out
    assert "train -> train       12,100 pairs" in out


def test_a_dry_run_of_a_preparation_shows_the_split_and_is_json_on_demand(source, tmp_path, capsys):
    out = tmp_path / "sets"
    command = ["prepare", "images", source, "--out", out, "--test-patients", "1", "--patient-id",
               RULE, "--dry-run"]  # fmt: skip
    assert run([str(word) for word in command]) == 0
    text = capsys.readouterr().out
    assert "train      6 images or volumes, 3 patients" in text
    assert "test       2 images or volumes, 1 patients" in text
    assert run([str(word) for word in [*command, "--json"]]) == 0
    assert json.loads(capsys.readouterr().out)["sets"]["test"]["patients"] == 1
    refused(["prepare", "images", source, "--out", source / "x", "--dry-run"],
            2, "never written to", capsys)  # fmt: skip
    assert not out.exists()


def test_the_array_of_an_npz_can_be_named(tmp_path, capsys):
    images = np.stack([picture(number) for number in range(5)])
    np.savez(tmp_path / "a.npz", samples=images, others=images[:2])
    command = ["prepare", "images", str(tmp_path / "a.npz"), "--out", str(tmp_path / "set")]
    refused(command, 3, "likeness prepare images --array-name", capsys)
    command += ["--array-name", "samples"]
    refused(command, 3, "likeness prepare images --array-layout", capsys)
    assert run([*command, "--array-layout", "nhw"]) == 0, "the refused tries are no obstacle"
    assert "5 images 1 x 64 x 64" in capsys.readouterr().out


def test_what_a_refused_preparation_complained_of_can_be_mended(source, tmp_path, capsys):
    (source / "P9_0.png").write_bytes((source / "P0_0.png").read_bytes()[:900])
    command = ["prepare", "images", source, "--out", tmp_path / "set"]
    refused(command, 3, "1 of 9 files cannot be used", capsys)
    (source / "P9_0.png").unlink()
    assert run([str(word) for word in command]) == 0
    assert run(["prepare", "images", str(source), "--out", str(tmp_path / "fresh")]) == 0
    for name in ("manifest.parquet", "left_out.csv", "SHA256SUMS"):
        again = (tmp_path / "set" / name).read_bytes()
        assert again == (tmp_path / "fresh" / name).read_bytes()


def test_what_reading_did_to_the_pixels_is_said(tmp_path, capsys):
    for number in range(3):
        layers = [picture(number), picture(50), picture(60), picture(70 + number)]
        (tmp_path / "s").mkdir(exist_ok=True)
        Image.fromarray(np.dstack(layers), "RGBA").save(tmp_path / "s" / f"{number}.png")
    for command in (["inspect", "s"], ["prepare", "images", "s", "--out", "set"]):
        paths = [str(tmp_path / word) if word in {"s", "set"} else word for word in command]
        assert run(paths) == 0
        assert "transparent pixels laid on black (3 images)" in capsys.readouterr().out


def test_a_range_may_begin_below_zero(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.linspace(-1, 1, 2 * 64 * 64).reshape(2, 64, 64, 1))
    command = ["prepare", "images", str(tmp_path / "a.npy"), "--out", str(tmp_path / "set")]
    assert run([*command, "--intensity-range", "-1,1"]) == 0
    assert "uint8" in capsys.readouterr().out


def test_help_is_named_for_the_verb_that_was_meant(capsys):
    refused(
        ["prepare", "images", "x", "--uot", "y"], 2, "See: likeness prepare images --help", capsys
    )
    refused(["audti"], 2, "See: likeness --help", capsys)
