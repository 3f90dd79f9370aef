"""`likeness release` as a user meets it: words, files and exit codes."""

from __future__ import annotations

import json

import pytest
from tests.release.making import make_audit, plain_rescorer

import likeness._release.run as run_module
from likeness.cli._run import run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_audit(tmp_path_factory.mktemp("made"), innocent=40, test_patients=2)


@pytest.fixture
def audit(made, tmp_path, monkeypatch):
    import shutil

    from tests.release.making import seal

    monkeypatch.setattr(run_module, "rescorer", lambda audit, sets: plain_rescorer(sets.train))
    shutil.copytree(made.folder, tmp_path / "audit")
    seal(tmp_path / "audit")
    return tmp_path / "audit"


def release(*words):
    return run(["release", *map(str, words)])


def test_a_set_is_released_and_verified(audit, tmp_path, capsys):
    assert release("--audit", audit, "--out", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "RELEASED" in out
    assert "40 of 42 images come out; withheld:" in out
    assert "2  listed by the audit as a copy of a training image" in out
    assert f"next  likeness release --verify {tmp_path / 'out'}" in out
    assert release("--verify", tmp_path / "out") == 0
    assert "40 images" in capsys.readouterr().out
    (tmp_path / "out" / "LIMITS.md").write_text("none")
    assert release("--verify", tmp_path / "out") == 1
    assert "'LIMITS.md' was changed" in capsys.readouterr().out


def test_json_is_one_object(audit, tmp_path, capsys):
    assert release("--audit", audit, "--out", tmp_path / "out", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["outcome"], content["released"]) == ("RELEASED", 40)
    record = json.loads((tmp_path / "out" / "release_record.json").read_text())
    assert content["record_sha256"] == record["record_sha256"]
    assert release("--verify", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_check_decides_only(audit, tmp_path, capsys):
    before = sorted(audit.iterdir())
    assert release("--audit", audit, "--check") == 0
    assert "WOULD BE RELEASED" in capsys.readouterr().out
    assert sorted(audit.iterdir()) == before


def test_blocked_is_exit_code_1(audit, tmp_path, capsys):
    (tmp_path / "policy.toml").write_text("[set]\nmax_copy_rate = 0.01\n")
    words = ("--audit", audit, "--out", tmp_path / "out", "--policy", tmp_path / "policy.toml")
    assert release(*words) == 1
    captured = capsys.readouterr()
    assert "BLOCKED" in captured.out
    assert "2 of 42 images are copies" in captured.out
    assert "exit code 1" in captured.err
    assert not (tmp_path / "out").exists()
    assert release("--audit", audit, "--check", "--policy", tmp_path / "policy.toml") == 1


def test_nothing_to_show_is_exit_code_4(audit, tmp_path, capsys):
    (audit / "images.parquet").write_bytes(b"x")
    assert release("--audit", audit, "--out", tmp_path / "out") == 4
    captured = capsys.readouterr()
    assert "NOTHING CAN BE SHOWN" in captured.out
    assert "'images.parquet' was changed since the audit" in captured.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "--audit is missing"),
        (["--audit", "audit"], 2, "--out is missing"),
        (["--audit", "audit", "--out", "audit/out"], 2, "lies inside"),
        (["--audit", "nothing", "--out", "out"], 3, "There is no audit"),
        (["--audit", "audit", "--out", "audit"], 2, "exists already"),
        (["--audit", "audit", "--out", "out", "--format", "jpeg"], 2, "jpeg"),
        (["--audit", "audit", "--out", "out", "--policy", "policy.toml"], 2, "Did you mean 'fdr'"),
        (["--audit", "audit", "--out", "out", "--policy", "none.toml"], 3, "cannot be read"),
        (["--audit", "audit", "--out", "out", "--review", "none.json"], 3, "cannot be read"),
        (["--verify", "audit", "--out", "out"], 2, "stands alone"),
        (["--verify", "nothing"], 3, "There is no release"),
    ],
)
def test_wrong_usage_is_explained(audit, tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.toml").write_text("[image]\nfdrr = 0.1\n")
    assert release(*words) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_exit_code_7(audit, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert release("--audit", audit, "--out", tmp_path / "file" / "out") == 7
    assert "Cannot write" in capsys.readouterr().err
