"""What a validation writes: numbers only, the same bytes for the same seed."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from tests.folders import picture, save
from tests.validate.making import SlowScorer, people

import likeness
from likeness._files import folder_lock
from likeness._validate import ValidationOptions, validate
from likeness._validate.charts import Dot, Line, dot_chart, line_chart
from likeness._validate.wording import CAPTIONS
from likeness.cli._run import run
from likeness.datasets import ImageSet, PrepareOptions
from likeness.errors import LockedError, OptionError

OPTIONS = ValidationOptions(
    per_kind=6, controls=20, splits=2, null_splits=3, membership_splits=3, permutations=99,
    grid=16, threads=1, synthetic=40,
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("validation")
    return validate(people(), out, options=OPTIONS, make_scorer=SlowScorer), out


def test_the_files_hold_no_name_and_no_picture(written):
    out = written[1]
    names = {path.name for path in out.iterdir()}
    assert names >= {"validation.json", "validation.html", "table.csv", "sensitivity.csv",
                     "membership.csv", "rules.csv", "work"}  # fmt: skip
    for path in out.glob("*.*"):
        text = path.read_text()
        assert "SECRET" not in text, path.name
        assert str(out) not in text
    page = (out / "validation.html").read_text()
    assert "<img" not in page
    assert "data:" not in page


def test_the_page_stands_alone(written):
    page = (written[1] / "validation.html").read_text()
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert page.count("<dt>What to do</dt>") == len(CAPTIONS)
    for caption in CAPTIONS.values():
        assert all(caption[part] for part in ("shown", "good", "bad", "action"))
    assert page.count("<svg") == 5
    for level in ("L0", "L1", "L2", "L3", "L4"):
        assert f">{level}<" in page


def test_the_numbers_agree_between_the_files(written):
    validation, out = written
    content = json.loads((out / "validation.json").read_text())
    with (out / "table.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [row["name"] for row in table] == [row.name for row in validation.rows]
    for row, line in zip(content["rows"], table, strict=True):
        assert row["reached"] is (line["reached"] == "True" if line["reached"] else None)
    assert content["settings"]["seed"] == 0
    assert content["set"]["num_patients"] == 24
    assert content["format"] == "likeness-validation"


def test_equal_seeds_give_equal_tables(written, tmp_path):
    out = written[1]
    validate(people(), tmp_path, options=OPTIONS, make_scorer=SlowScorer)
    for name in ("table.csv", "sensitivity.csv", "membership.csv", "rules.csv"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_a_folder_in_use_is_refused(tmp_path):
    with folder_lock(tmp_path), pytest.raises(LockedError):
        validate(people(), tmp_path, options=OPTIONS, make_scorer=SlowScorer)


def test_charts_show_estimates_intervals_and_goals():
    drawing = dot_chart(
        [Dot("a < b", 0.5, 0.4, 0.6, goal_low=0.9), Dot("none", float("nan"), 0, 1)], title="t"
    )
    assert "a &lt; b" in drawing
    assert drawing.count('class="dot"') == 1
    assert drawing.count('class="goal"') == 1
    assert "not defined" in drawing
    curve = line_chart(
        [Line("x", np.array([0.001, 0.1]), np.array([0.2, 0.8]))], title="t", x_label="share",
        logarithmic=True,
    )  # fmt: skip
    points = re.search(r'points="([^"]+)"', curve)[1].split()
    first, last = (tuple(map(float, point.split(","))) for point in points)
    assert first[0] < last[0]
    assert first[1] > last[1]  # higher is further up


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for patient in range(16):
        for view in range(2):
            save(folder / "in" / f"P{patient:03}_{view}.png", picture(patient, view))
    options = PrepareOptions(patient_id="regex:(P[0-9]+)_")
    likeness.prepare_images(folder / "in", folder / "set", options=options)
    return folder / "set"


def test_dry_run_says_what_would_be_compared_and_writes_nothing(prepared, tmp_path, capsys):
    out = tmp_path / "v"
    assert run(["validate", "--images", str(prepared), "--out", str(out), "--dry-run"]) == 0
    assert "16 patients" in capsys.readouterr().out
    arguments = ["validate", "--images", str(prepared), "--out", str(out), "--dry-run", "--json"]
    assert run(arguments) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["patients"] == 16
    assert content["pairs"] == sum(content["queries"].values()) * content["references"]
    assert not out.exists()


def test_the_command_carries_out_the_protocol(prepared, tmp_path, capsys):
    out = tmp_path / "v"
    arguments = ["validate", "--images", str(prepared), "--out", str(out), "--per-kind", "2",
                 "--controls", "4", "--splits", "2", "--null-splits", "2", "--threads", "1",
                 "--membership-splits", "2", "--synthetic", "20", "--quiet"]  # fmt: skip
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "goals were reached" in shown
    assert "validation.html" in shown
    assert (out / "validation.html").is_file()
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["set"]["num_patients"] == 16


def test_wrong_use_is_told(prepared, tmp_path, capsys):
    inside = prepared / "v"
    assert run(["validate", "--images", str(prepared), "--out", str(inside)]) == 2
    assert "inside the image set" in capsys.readouterr().err
    out = str(tmp_path / "v")
    assert run(["validate", "--images", str(prepared), "--out", out, "--per-kind", "0"]) == 2
    assert "--per-kind is 0" in capsys.readouterr().err
    assert run(["validate", "--images", str(tmp_path / "absent"), "--out", out]) == 3


def test_out_inside_the_set_is_refused_by_the_library_too(prepared):
    with pytest.raises(OptionError, match="inside the image set"):
        validate(ImageSet.open(prepared), prepared / "v", options=OPTIONS)
