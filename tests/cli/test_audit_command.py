"""`likeness audit` as a user meets it: folders in, words and an exit code out."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
from tests.cli.conftest import RULE, SHORT

from likeness.cli._run import run


def audit(folders, out, *more):
    train, test, synthetic = folders
    return run(
        ["audit", "--train", str(train), "--test", str(test), "--synthetic", str(synthetic),
         "--out", str(out), "--patient-id", RULE, *SHORT, *more]
    )  # fmt: skip


def test_copies_are_found_and_the_end_says_what_to_do_next(folders, tmp_path, capsys):
    assert audit(folders, tmp_path / "audit") == 0
    out = capsys.readouterr().out
    assert "COPIES FOUND" in out
    assert "4 of 40 synthetic images are copies (of these at most 0.2 by mistake" in out
    assert "4 of 110 training patients affected; most: P0" in out
    assert "train      110 images of 110 patients; files: 110 found = 110 used + 0 left out" in out
    assert "baseline   110 training images against other people's (110 people)" in out
    assert "L1: 9 of 9 planted copies caught" in out
    assert "of 110 real images of other people flagged" in out
    assert "report-INTERNAL.html (training images inside: do not share)" in out
    assert "next  " in out
    findings = json.loads((tmp_path / "audit" / "findings.json").read_text())
    found = {copy["image_id"]: copy for copy in findings["copies"]}
    assert len(found) == 4
    for patient in range(4):
        (name,) = [key for key in found if key.startswith(f"t{patient}")]
        assert found[name]["patient_id"] == f"P{patient:03}"


def test_json_is_one_object_on_stdout_and_progress_goes_to_stderr(folders, tmp_path, capsys):
    assert audit(folders, tmp_path / "audit", "--json", "--no-self-check") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["verdict"]["code"] == "COPIES_FOUND"


def test_fail_on_copies_is_exit_code_1(folders, tmp_path, capsys):
    assert audit(folders, tmp_path / "audit", "--fail-on", "copies", "--no-self-check") == 1


def test_no_verdict_is_exit_code_4_with_the_reason(folders, tmp_path, capsys):
    for copy in folders[2].glob("t*.png"):
        copy.unlink()
    assert audit(folders, tmp_path / "audit", "--no-self-check") == 4
    captured = capsys.readouterr()
    assert "INCONCLUSIVE" in captured.out
    assert "The self-check was not run" in captured.out
    assert "36 synthetic images are too few" in captured.out
    assert "exit code 4" in captured.err


def test_copies_without_a_self_check_stand_with_a_word_about_it(folders, tmp_path, capsys):
    assert audit(folders, tmp_path / "audit", "--no-self-check", "--fdr", "0.1") == 0
    out = capsys.readouterr().out
    assert "COPIES FOUND" in out
    assert "self-check not run" in out
    assert "(of these at most 0.4 by mistake" in out


def test_without_a_test_set_the_set_level_is_not_available(folders, tmp_path, capsys):
    train, _, synthetic = folders
    words = ["--train", train, "--synthetic", synthetic, "--out", tmp_path / "audit", *SHORT]
    assert run(["audit", *map(str, words), "--patient-id", RULE]) == 0
    out = capsys.readouterr().out
    assert "set level  not available: there is no test set" in out
    assert "WARN  Test set: none given; the verdict speaks of copies only" in out


def test_a_damaged_file_is_listed_and_gives_exit_code_5(folders, tmp_path, capsys):
    (folders[2] / "broken.png").write_bytes((folders[2] / "s000.png").read_bytes()[:200])
    assert audit(folders, tmp_path / "audit", "--no-self-check", "--max-skipped", "5%") == 5
    assert "41 found = 40 used + 1 left out" in capsys.readouterr().out
    errors = (tmp_path / "audit" / "errors.csv").read_text().splitlines()
    assert len(errors) == 2
    assert errors[1].startswith("synthetic,broken.png,")


def test_too_many_damaged_files_stop_with_exit_code_3_and_name_one(folders, tmp_path, capsys):
    for number in range(10):
        (folders[0] / f"P200_{number}.png").write_bytes(b"<html>not an image</html>")
    assert audit(folders, tmp_path / "audit") == 3
    captured = capsys.readouterr().err
    assert "10 of 120 files" in captured
    assert "P200_0.png" in captured


def test_dry_run_writes_nothing_and_forecasts(folders, tmp_path, capsys):
    assert audit(folders, tmp_path / "audit", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "nothing was written" in out
    assert "110 patients by rule regex" in out
    assert "synthetic -> train   4,400 pairs" in out
    assert "train -> train       12,100 pairs" in out
    assert not (tmp_path / "audit").exists()


def test_a_changed_byte_in_a_prepared_set_stops_the_audit(folders, tmp_path, capsys):
    train, test, synthetic = folders
    prepared = tmp_path / "set"
    assert run(["prepare", "images", str(train), "--out", str(prepared), "--patient-id", RULE]) == 0
    shard = next(prepared.rglob("*.npy"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert audit((prepared, test, synthetic), tmp_path / "audit") == 3
    assert shard.name in capsys.readouterr().err


def test_settings_of_an_audit_can_be_used_again(folders, tmp_path, capsys):
    assert audit(folders, tmp_path / "first", "--fdr", "0.1", "--no-flips", "--no-self-check") == 0
    again, settings = tmp_path / "again", tmp_path / "first" / "settings.toml"
    assert run(["audit", "--config", str(settings), "--out", str(again)]) == 0
    first = json.loads((tmp_path / "first" / "findings.json").read_text())
    second = json.loads((again / "findings.json").read_text())
    assert second["provenance"]["settings"] == first["provenance"]["settings"]
    assert second["copies"] == first["copies"]


def test_other_settings_in_the_same_folder_are_refused_with_the_difference(
    folders, tmp_path, capsys
):
    audit(folders, tmp_path / "audit", "--no-self-check")
    assert audit(folders, tmp_path / "audit", "--no-self-check", "--seed", "5") == 2
    assert "seed was 0, is 5" in capsys.readouterr().err
    changed = ("--no-self-check", "--seed", "5", "--overwrite")
    assert audit(folders, tmp_path / "audit", *changed) == 0


def test_report_renders_again_without_the_images(audited):
    before = (audited / "report-INTERNAL.html").read_bytes()
    (audited / "report-INTERNAL.html").unlink()
    shutil.rmtree(audited / "work")
    assert run(["report", "--audit", str(audited)]) == 0
    assert (audited / "report-INTERNAL.html").read_bytes() == before


def test_an_audit_that_was_begun_again_and_not_finished_is_neither_shown_nor_cited(audited, capsys):
    """Its findings may be old and its tables new."""
    (audited / "COMPLETE").unlink()
    for verb in ("report", "cite"):
        assert run([verb, "--audit", str(audited)]) == 3
        assert "was not finished" in capsys.readouterr().err


def test_cite_prints_the_methods_with_the_numbers_of_the_run(audited, capsys):
    assert run(["cite", "--audit", str(audited)]) == 0
    out = capsys.readouterr().out
    assert "Each of 40 synthetic images was compared with each of 110 training images" in out
    assert "false discovery rate of 0.05: 4 images" in out
    assert "L0 9 of 9; L1 9 of 9; L2 9 of 9" in out
    assert "999 permutations, 110 training and 40 held-out patients" in out
    assert "015022" in out


def test_the_summary_holds_no_name(audited, tmp_path_factory):
    summary = (audited / "summary.html").read_text()
    for word in ("P001", "t1.png", "s000", str(tmp_path_factory.getbasetemp()), "P0"):
        assert word not in summary


def test_match_writes_the_table(folders, tmp_path, capsys):
    train, _, synthetic = folders
    out = tmp_path / "matches.parquet"
    code = run(
        ["match", "--queries", str(synthetic), "--references", str(train), "--top-k", "3",
         "--out", str(out)]
    )  # fmt: skip
    assert code == 0
    rows = pq.read_table(out).to_pylist()
    best = {row["query_id"]: row for row in rows if row["rank"] == 1}
    assert len(best) == 40
    exact = next(row for key, row in best.items() if key.startswith("t0"))
    assert (exact["correlation"], exact["transform"]) == (1.0, "identity")


def test_a_killed_audit_goes_on_and_ends_with_the_same_numbers(folders, tmp_path, likeness_command):
    """Killed at several moments; the last run, uninterrupted, must equal one that never was."""
    train, test, synthetic = folders
    arguments = ["audit", "--train", train, "--test", test, "--synthetic", synthetic,
                 "--patient-id", RULE, "--local-sample", "30", "--no-self-check"]  # fmt: skip
    out = tmp_path / "killed"
    for seconds in (1.2, 2.2):
        with subprocess.Popen(
            [sys.executable, "-m", "likeness", *map(str, arguments), "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
    assert likeness_command(*arguments, "--out", out).returncode == 0
    assert likeness_command(*arguments, "--out", tmp_path / "whole").returncode == 0
    for name in ("matches.parquet", "images.parquet", "baseline.parquet", "patients.parquet"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not list(out.rglob("*.partial"))


def test_ctrl_c_says_how_to_go_on(folders, tmp_path):
    train, test, synthetic = folders
    with subprocess.Popen(
        [sys.executable, "-m", "likeness", "audit", "--train", train, "--test", test,
         "--synthetic", synthetic, "--out", tmp_path / "audit"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background jobs, these tests perhaps among them, ignore the interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 30
        while not (tmp_path / "audit" / "settings.toml").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on where this one stopped" in errors
    assert "Traceback" not in errors


def test_nothing_is_written_into_the_inputs(folders, tmp_path, capsys):
    """Not even by the self-check."""
    before = {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}
    audit(folders, tmp_path / "audit")
    after = {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}
    assert before == after
