from __future__ import annotations

import csv
import json
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.compare.conftest import PICTURE, SECRET, people, seal

import likeness
from likeness._compare.differences import differing
from likeness._compare.reading import read_audit
from likeness._findings import Findings
from likeness.cli._run import run
from likeness.errors import ImageMismatchError, InputError, MissingExtraError, OptionError


def both(audited):
    return list(audited.folders.values())


def test_only_what_differs_is_listed(audited):
    found = likeness.compare_audits(both(audited))
    assert set(found.differences) == {"synthetic set"}
    same = [read_audit(audited.folders["novel"], name) for name in ("a", "b")]
    assert differing(same) == {}


def test_files_are_complete_and_name_no_patient(audited, tmp_path):
    found = likeness.compare_audits(both(audited), names=["first", "second"])
    paths = likeness.write_comparison(found, tmp_path / "out")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {path.name for path in paths} == {
        "comparison.json", "comparison.csv", "comparison.html", "comparison.png", "comparison.pdf",
    }  # fmt: skip
    for path in paths:
        content = path.read_bytes()
        assert SECRET.encode() not in content
        assert PICTURE.encode() not in content
        assert str(audited.folders["novel"].parent).encode() not in content
    told = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    assert [one["name"] for one in told["audits"]] == ["first", "second"]
    assert told["audits"][0]["auc"]["value"] == found.rows[0].auc.value


def test_the_table_as_csv_has_every_number_in_a_column(audited, tmp_path):
    found = likeness.compare_audits(both(audited), names=["=first", "second"])
    likeness.write_comparison(found, tmp_path, figure=False)
    with (tmp_path / "comparison.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["name"] for line in lines] == ["'=first", "second"]  # no formula
    for line, row in zip(lines, found.rows, strict=True):
        for name in ("mean", "baseline", "gap", "above", "auc", "with_test", "copy_rate"):
            estimate = getattr(row, name)
            assert float(line[name]) == estimate.value
            assert float(line[f"{name}_low"]) == estimate.low
            assert float(line[f"{name}_high"]) == estimate.high
        assert float(line["equal_size_difference_high"]) == row.equal_size.difference.high
        assert int(line["caught_L0"]) == row.caught["L0"][0]
        assert int(line["copies"]) == row.copies


def test_the_page_loads_nothing_and_holds_the_table_and_the_drawings(audited, tmp_path):
    found = likeness.compare_audits(both(audited))
    likeness.write_comparison(found, tmp_path, figure=False)
    page = (tmp_path / "comparison.html").read_text("utf-8")
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert page.count("<svg") == 6  # three drawings, wide and narrow
    for row in found.rows:
        assert f"{row.auc.value:.3f}" in page
        assert f"{row.gap.low:.4f} to {row.gap.high:.4f}" in page


def test_the_same_comparison_gives_the_same_bytes(audited, tmp_path):
    first = likeness.write_comparison(likeness.compare_audits(both(audited)), tmp_path / "a")
    second = likeness.write_comparison(likeness.compare_audits(both(audited)), tmp_path / "b")
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


def test_a_figure_of_an_earlier_comparison_does_not_stay(audited, tmp_path):
    found = likeness.compare_audits(both(audited))
    likeness.write_comparison(found, tmp_path)
    paths = likeness.write_comparison(found, tmp_path, figure=False)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    assert len(paths) == 3


def test_names_in_the_page_are_escaped(audited, tmp_path):
    found = likeness.compare_audits(
        [audited.folders["novel"]], names=["<script>alert(1)</script> $x$ \u202e"]
    )
    likeness.write_comparison(found, tmp_path)
    page = (tmp_path / "comparison.html").read_text("utf-8")
    assert "<script>" not in page
    assert "\u202e" not in page


def test_one_audit_is_enough_and_none_is_not(audited):
    comparison = likeness.compare_audits([audited.folders["novel"]])
    assert len(comparison.rows) == 1
    assert comparison.differences == {}
    with pytest.raises(OptionError, match="at least one"):
        likeness.compare_audits([])


def test_folders_of_one_name_are_told_apart_by_what_lies_above(audited, tmp_path):
    for name, folder in audited.folders.items():
        shutil.copytree(folder, tmp_path / name / "audit")
    found = likeness.compare_audits([tmp_path / name / "audit" for name in audited.folders])
    assert [row.name for row in found.rows] == ["copying/audit", "novel/audit"]


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", " "], ["a", "b", "c"]])
def test_names_must_fit(audited, names):
    with pytest.raises(OptionError, match="2 different --name"):
        likeness.compare_audits(both(audited), names=names)


def test_an_audit_twice_is_refused_also_as_a_copy(audited, mine):
    folder = audited.folders["novel"]
    with pytest.raises(InputError, match="given twice"):
        likeness.compare_audits([folder, folder])
    with pytest.raises(InputError, match="the same audit"):
        likeness.compare_audits([folder, mine("copy")])


@pytest.mark.parametrize("name", ["findings.json", "images.parquet", "baseline.parquet"])
def test_changed_files_are_refused(mine, name):
    folder = mine("changed")
    with (folder / name).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(InputError, match=f"{name}' was changed"):
        likeness.compare_audits([folder])
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        likeness.compare_audits([folder])


def test_unfinished_audits_are_refused(audited, mine, tmp_path):
    folder = mine("unfinished")
    (folder / "COMPLETE").write_text("another\n")
    with pytest.raises(InputError, match="different runs"):
        likeness.compare_audits([folder])
    (folder / "COMPLETE").unlink()
    with pytest.raises(InputError, match="was not finished"):
        likeness.compare_audits([audited.folders["copying"], folder])
    with pytest.raises(InputError, match="no audit"):
        likeness.compare_audits([tmp_path / "absent"])
    other = mine("without-sums")
    (other / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match="no 'SHA256SUMS'"):
        likeness.compare_audits([other])


def test_tables_without_the_column_are_refused(mine):
    folder = mine("old")
    table = pq.read_table(folder / "images.parquet").drop_columns(["correlation_identity"])
    pq.write_table(table, folder / "images.parquet")
    seal(folder)
    with pytest.raises(InputError, match="lacks correlation_identity"):
        likeness.compare_audits([folder])


def test_unlike_images_are_refused_unless_asked_for(audited, tmp_path):
    small = likeness.ImageSet.from_arrays(
        audited.train[:, :, ::2, ::2].copy(), patient_ids=[f"P{k}" for k in range(60)]
    )
    likeness.audit(
        small,
        likeness.ImageSet.from_arrays(people(40, 3)[:, :, ::2, ::2].copy()),
        out=tmp_path / "small",
        options=likeness.AuditOptions(self_check=False, evidence=1),
    )
    given = [audited.folders["novel"], tmp_path / "small"]
    with pytest.raises(ImageMismatchError, match="1 x 32 x 32, 1 x 16 x 16"):
        likeness.compare_audits(given)
    found = likeness.compare_audits(given, different=True)
    row = found.rows[1]
    assert row.baseline_of == "train->train"
    assert row.with_test is None
    assert row.test_patients is None
    assert row.caught == {}
    assert row.self_check == "not run"
    assert found.differences["test set"][1] == "none"
    assert found.differences["train patients"] == ["30", "60"]
    told = " ".join(found.notices)
    assert "unlike images" in told
    assert "30 to 60 patients" in told
    assert "self-check was not run in small" in told
    likeness.write_comparison(found, tmp_path / "out")


def test_other_channels_compared_are_refused(audited, mine):
    folder = mine("channels")
    path = folder / "findings.json"
    content = json.loads(path.read_text("utf-8"))
    content["provenance"]["settings"]["channels"] = ["another"]
    content["provenance"]["run_id"] = "0000"
    path.write_text(json.dumps(content))
    (folder / "COMPLETE").write_text("0000\n")
    seal(folder)
    with pytest.raises(ImageMismatchError, match=r"channels compared: .*another"):
        likeness.compare_audits([audited.folders["novel"], folder])


def test_nothing_is_written_into_an_audit(audited, tmp_path):
    folder = audited.folders["novel"]
    before = sorted(folder.iterdir())
    found = likeness.compare_audits([folder])
    for out in (folder, folder / "work" / "comparison"):
        with pytest.raises(OptionError, match="lies in the audit"):
            likeness.write_comparison(found, out)
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="is a file"):
        likeness.write_comparison(found, tmp_path / "file")
    assert sorted(folder.iterdir()) == before


def test_without_matplotlib_nothing_is_written_unless_no_figure_is_wanted(
    audited, tmp_path, monkeypatch
):
    found = likeness.compare_audits([audited.folders["novel"]])
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"--no-figure.*likeness\[metrics\]"):
        likeness.write_comparison(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(likeness.write_comparison(found, tmp_path / "out", figure=False)) == 3


def test_command(audited, tmp_path, capsys):
    folders = [str(one) for one in both(audited)]
    out = tmp_path / "out"
    assert run(["compare", *folders, "--name", "first", "--name", "second", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    lines = {line[:24].strip(): line for line in shown.splitlines()}
    row = likeness.compare_audits(folders, names=["first", "second"]).rows[0]
    assert f"{row.auc.value:.3f} ({row.auc.low:.3f} to {row.auc.high:.3f})" in lines["AUC"]
    assert "next       open" in shown
    assert (out / "comparison.pdf").is_file()
    assert run(["compare", folders[0], "--no-figure", "--json", "--out", str(tmp_path / "b")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["audits"][0]["name"] == "copying"
    assert not (tmp_path / "b" / "comparison.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "match"),
    [
        (["{novel}", "{absent}", "--out", "{out}"], 3, "absent"),
        (["{novel}", "--out", "{novel}/x"], 2, "lies in the audit"),
        (["--out", "{out}"], 2, "at least one"),
        (["{novel}", "--name", "a", "--name", "b", "--out", "{out}"], 2, "1 different --name"),
    ],
)
def test_mistakes_end_the_command(audited, tmp_path, capsys, arguments, code, match):
    known = {"novel": audited.folders["novel"], "absent": tmp_path / "absent",
             "out": tmp_path / "out"}  # fmt: skip
    assert run(["compare", *(one.format(**known) for one in arguments)]) == code
    assert match in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_means_are_those_of_the_audit(audited):
    """The bootstrap starts from what the audit itself printed."""
    for row in likeness.compare_audits(both(audited)).rows:
        printed = {
            one.comparison: one.mean_correlation_identity
            for one in Findings.read(audited.folders[row.name]).distributions
        }
        assert np.isclose(row.mean.value, printed["synthetic->train"], atol=1e-12)
        assert np.isclose(row.with_test.value, printed["synthetic->test"], atol=1e-12)
