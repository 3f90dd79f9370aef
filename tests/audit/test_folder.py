"""When an output folder may be used, and that its small files are right."""

from __future__ import annotations

import csv
import json
import tomllib

import pytest

from likeness._audit.folder import (
    COMPLETE,
    SETTINGS,
    check_folder,
    claim_folder,
    read_settings,
    to_toml,
    write_errors,
)
from likeness.errors import OptionError

SETTINGS_A = {"seed": 0, "fdr": 0.05, "strata": None, "train": "a/b", "flips": True}


def claim(out, inputs=(), settings=SETTINGS_A, *, overwrite=False, fresh=False):
    check_folder(out, inputs, settings, overwrite=overwrite)
    out.mkdir(exist_ok=True)
    claim_folder(out, settings, fresh=fresh)


def test_the_same_settings_resume_and_keep_what_was_done(tmp_path):
    out = tmp_path / "audit"
    claim(out)
    (out / "work").mkdir()
    (out / "work" / "state").write_text("x")
    (out / "findings.json").write_text("{}")
    (out / COMPLETE).write_text("run")
    claim(out)
    assert (out / "work" / "state").exists()
    assert (out / "findings.json").exists()
    assert not (out / COMPLETE).exists(), "until it is finished again it is not complete"


def test_other_settings_are_refused_with_the_difference_and_the_way_out(tmp_path):
    claim(tmp_path / "audit")
    (tmp_path / "audit" / "findings.json").write_text("{}")
    other = {**SETTINGS_A, "seed": 1}
    with pytest.raises(OptionError, match=r"seed was 0, is 1.*--overwrite"):
        claim(tmp_path / "audit", settings=other)
    (tmp_path / "audit" / "findings.json").write_text("{}")
    claim(tmp_path / "audit", settings=other, overwrite=True)
    assert not (tmp_path / "audit" / "findings.json").exists()
    assert read_settings(tmp_path / "audit")["seed"] == 1


def test_a_foreign_folder_is_never_written(tmp_path):
    (tmp_path / "holiday.jpg").write_text("x")
    with pytest.raises(OptionError, match=r"holiday\.jpg"):
        claim(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_the_output_never_lies_in_an_input(tmp_path):
    train = tmp_path / "train"
    train.mkdir()
    with pytest.raises(OptionError, match="inside the input"):
        claim(train / "audit", inputs=[train])
    with pytest.raises(OptionError, match="inside the input"):
        claim(train, inputs=[train])
    assert list(train.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "audit").write_text("x")
    with pytest.raises(OptionError, match="is a file"):
        claim(tmp_path / "audit")


def test_fresh_forgets_the_work(tmp_path):
    claim(tmp_path / "audit")
    (tmp_path / "audit" / "work").mkdir()
    claim(tmp_path / "audit", fresh=True)
    assert not (tmp_path / "audit" / "work").exists()


@pytest.mark.parametrize("name", ['a"b', "tab\there", "ümlaut", "new\nline", "back\\slash"])
def test_settings_survive_toml(name):
    settings = {**SETTINGS_A, "train": name, "channels": ["t1", name]}
    back = tomllib.loads(to_toml(settings))
    assert back == json.loads(json.dumps({k: v for k, v in settings.items() if v is not None}))


def test_a_spoilt_settings_file_is_not_taken_for_the_same_settings(tmp_path):
    claim(tmp_path / "audit")
    (tmp_path / "audit" / SETTINGS).write_text("seed = [")
    (tmp_path / "audit" / "findings.json").write_text("{}")
    with pytest.raises(OptionError, match="other settings"):
        claim(tmp_path / "audit")


def test_errors_csv_runs_nothing_in_a_spreadsheet(tmp_path):
    row = {"set": "train", "path": "=cmd|' /C calc'!A0.png", "code": "truncated", "bytes": 12}
    write_errors(tmp_path, [row])
    with (tmp_path / "errors.csv").open() as stream:
        (back,) = csv.DictReader(stream)
    assert back["path"] == "'" + row["path"]
    assert back["bytes"] == "12"
    assert back["sha256"] == ""


def test_a_mistyped_command_leaves_nothing_in_the_way(tmp_path):
    claim(tmp_path / "audit", settings={**SETTINGS_A, "train": "mistyped"})
    claim(tmp_path / "audit")
    assert read_settings(tmp_path / "audit")["train"] == "a/b"
    made = tmp_path / "audit" / "work" / "sets" / "train"
    made.mkdir(parents=True)
    (made / "dataset.json").write_text("{}")
    with pytest.raises(OptionError, match="train was 'a/b', is 'other'"):
        claim(tmp_path / "audit", settings={**SETTINGS_A, "train": "other"})


def test_before_there_is_a_result_more_files_may_be_left_out(tmp_path):
    stopped = {**SETTINGS_A, "max_skipped": 0.01, "strict": True}
    allowed = {**SETTINGS_A, "max_skipped": 0.5, "strict": False}
    claim(tmp_path / "audit", settings=stopped)
    claim(tmp_path / "audit", settings=allowed)
    assert read_settings(tmp_path / "audit")["max_skipped"] == 0.5
    (tmp_path / "audit" / "findings.json").write_text("{}")
    with pytest.raises(OptionError, match=r"max_skipped was 0\.5, is 0\.01"):
        claim(tmp_path / "audit", settings=stopped)
