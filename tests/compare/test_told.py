"""Notices, differences, lines and drawings, from rows that are made up."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness._compare import Comparison, Row
from likeness._compare.charts import Line, Mark, interval_chart
from likeness._compare.differences import differing
from likeness._compare.figure import draw_comparison
from likeness._compare.notices import notices_of
from likeness._compare.page import comparison_page
from likeness._compare.reading import read_audit
from likeness._compare.wording import lines_of
from likeness.calibration.memorization import Estimate


def row(name="a", **changes):
    values = {
        "name": name, "run_id": "r", "verdict": "COPIES_FOUND", "synthetic": 100, "undefined": 0,
        "train": 60, "train_patients": 30, "test": 60, "test_patients": 30, "copies": 3,
        "copy_rate": Estimate(0.03, 0.01, 0.08), "patients": 2, "unusual": 4,
        "mean": Estimate(0.9, 0.88, 0.92), "baseline_of": "test->train", "baseline_images": 60,
        "baseline_patients": 30, "baseline": Estimate(0.8, 0.79, 0.81),
        "gap": Estimate(0.1, 0.07, 0.12), "above": Estimate(0.2, 0.1, 0.3),
        "auc": Estimate(0.8123, 0.7, 0.9), "with_test": None, "equal_size": None,
        "self_check": "passed", "caught": {"L0": (20, 20)},
    }  # fmt: skip
    return Row(**{**values, **changes})


def comparison(rows, differences=None):
    rng = np.random.default_rng(0)
    lists = tuple(
        (
            np.sort(rng.uniform(0.7, 1, 100)) if one.mean else np.empty(0),
            np.sort(rng.uniform(0.6, 0.9, 60)) if one.baseline else np.empty(0),
        )
        for one in rows
    )
    differences = differences or {}
    folders = tuple(Path(one.name) for one in rows)
    return Comparison(tuple(rows), differences, notices_of(rows, differences), lists, folders)


@pytest.mark.parametrize(
    ("rows", "differences", "told"),
    [
        ([row(), row("b")], {}, None),
        ([row(), row("b", train_patients=90)], {"train set": ["x", "y"]}, "30 to 90 patients"),
        ([row(), row("b", train_patients=None)], {"train set": ["x", "y"]},
         "30 to 60 patients or images"),
        ([row(), row("b")], {"train set": ["x", "y"]}, "The training sets differ. Do not compare"),
        ([row(), row("b", synthetic=200)], {}, "Compare the shares, not the counts"),
        ([row(), row("b")], {"setting fdr": ["0.05", "0.1"]}, "different rules (fdr)"),
        ([row(), row("b")], {"setting seed": ["0", "1"]}, None),
        ([row(), row("b")], {"baseline": ["test->train", "train->train"]}, "different kinds"),
        ([row(), row("b")], {"test set": ["x", "y"]}, "different zero points"),
        ([row(), row("b")], {"image shape": ["1 x 2 x 2", "1 x 3 x 3"]}, "1 x 2 x 2, 1 x 3 x 3"),
        ([row(baseline_patients=19)], {}, "of a is of 19 people: too few"),
        ([row(baseline_patients=20)], {}, None),
        ([row(baseline_of=None, baseline_patients=0)], {}, "a has no baseline"),
        ([row(self_check="failed"), row("b", self_check="not run")], {}, "was not run in b"),
        ([row(undefined=1)], {}, "1 synthetic image without contrast"),
    ],
)  # fmt: skip
def test_each_limit_is_told_where_it_holds(rows, differences, told):
    notices = notices_of(rows, differences)
    if told is None:
        assert notices == ()
    else:
        assert told in " ".join(notices)


def test_rules_and_paths_that_may_name_patients_are_not_shown(audited):
    one = read_audit(audited.folders["novel"], "a")

    def with_rule(rule, path):
        sets = [replace(s, patient_rule=rule) for s in one.findings.sets]
        settings = {**one.settings, "train": path, "patient_id": rule, "closer_look": path}
        return replace(one, findings=replace(one.findings, sets=sets), settings=settings)

    audits = [with_rule("regex:(JONES)_", 1), with_rule("regex:(SMITH)_", 2), with_rule("cxr", 3)]
    found = differing(audits)
    assert found == {
        "train patients told by": ["regex 1", "regex 2", "cxr"],
        "test patients told by": ["regex 1", "regex 2", "cxr"],
        "setting closer_look": ["1", "2", "3"],
    }


def test_many_audits_stand_in_several_tables_in_a_terminal():
    rows = [row(f"audit {k}", auc=Estimate(k / 10, 0, 1)) for k in range(7)]
    lines = lines_of(comparison(rows, {"engine": ["x", *["y"] * 6]}))
    assert max(map(len, lines)) <= 120
    assert sum(line.startswith("verdict") for line in lines) == 3
    values = [
        v for line in lines if line.startswith("AUC") for v in re.findall(r"(0\.\d00) \(", line)
    ]
    assert values == [f"0.{k}00" for k in range(7)]
    assert any("engine: x | y" in line for line in lines)


def test_a_row_without_numbers_is_shown(tmp_path):
    empty = dict.fromkeys(("mean", "baseline", "gap", "above", "auc", "copy_rate"))
    rows = [row("nothing", baseline_of=None, baseline_patients=0, **empty)]
    for some in ([*rows], [*rows, row("b")]):
        found = comparison(some)
        assert any(line.split()[:2] == ["gap", "-"] for line in lines_of(found))
        assert "nothing" in comparison_page(found)
        draw_comparison(found, tmp_path / "a.png", tmp_path / "a.pdf")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("width", [1040, 340])
def test_marks_lie_where_the_axis_says(width):
    marks = [Mark("s-a", "one", Estimate(0.25, 0.0, 1.0)), Mark("s-b", "two", Estimate(0.75, 0, 1))]
    drawing = interval_chart([Line("a", marks)], title="t", ends=(0, 1), width=width)
    ticks = {
        float(words): float(x)
        for x, words in re.findall(
            r'class="tick-label" text-anchor="middle" x="([\d.]+)"[^>]*>([\d.]+)<', drawing
        )
    }
    places = [float(x) for x in re.findall(r'<circle class="dot" cx="([\d.]+)"', drawing)]
    spans = re.findall(r'class="range" x1="([\d.]+)" x2="([\d.]+)"', drawing)
    for place, value in zip(places, (0.25, 0.75), strict=True):
        assert place == pytest.approx(ticks[0.0] + value * (ticks[1.0] - ticks[0.0]), abs=0.2)
    assert [tuple(map(float, span)) for span in spans] == [(ticks[0.0], ticks[1.0])] * 2
    assert max(float(x) for x in re.findall(r'\bx="([\d.]+)"', drawing)) < width


def test_a_chart_of_equal_numbers_has_an_axis():
    one = Estimate(1.0, 1.0, 1.0)
    drawing = interval_chart([Line("a", [Mark("k", "w", one)]), Line("b", [])], title="t")
    assert "nan" not in drawing
    assert "not known" in drawing
