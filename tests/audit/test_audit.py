"""One audit of small made-up sets, looked at from all sides: what it finds and what it writes."""

from __future__ import annotations

import csv
import hashlib
import json
import stat

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.audit.conftest import small

import likeness
from likeness._audit.folder import CHECKED
from likeness.scores import FAMILIES

pytestmark = pytest.mark.usefixtures("quick")

FILES = {
    "COMPLETE",
    "CITATION.md",
    "SHA256SUMS",
    "baseline.parquet",
    "errors.csv",
    "findings.json",
    "images.parquet",
    "matches.parquet",
    "patients.parquet",
    "report-INTERNAL.html",
    "second_stage.parquet",
    "settings.toml",
    "summary.html",
}
PER_FAMILY = [
    f"{name}_{f}" for f in FAMILIES for name in ("similarity", "contrast", "p", "patient")
]
IMAGE_COLUMNS = [
    *("image_id", "correlation", "correlation_identity", "correlation_mean"),
    *("match_id", "patient_id", "transform"),
    *PER_FAMILY,
    *("angle", "zoom", "shift_down", "shift_right", "sign"),
    *("family", "p_value", "p_conservative", "extrapolated", "q_value"),
    *("flagged", "unusual", "undefined"),
]


@pytest.fixture(scope="module")
def synthetic(innocent, planted):
    return np.concatenate([innocent[:60], planted[0], innocent[60:]])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, quick, train, test, synthetic):
    out = tmp_path_factory.mktemp("finished") / "audit"
    findings = likeness.audit(train, synthetic, test, out=out, options=small(evidence=6))
    return findings, out


def test_every_planted_copy_is_found_with_its_image_and_its_orientation(finished, train, planted):
    findings, _ = finished
    _, rows, transforms = planted
    assert findings.verdict.code == "COPIES_FOUND"
    assert len(findings.copies) == 5
    by_match = {copy.match_id: copy for copy in findings.copies}
    for row, transform in zip(rows, transforms, strict=True):
        copy = by_match[train.image_ids[row]]
        assert copy.transform == transform
        assert copy.patient_id == train.patient_ids[row]
        assert copy.second_patient_id != copy.patient_id
        assert copy.contrast == pytest.approx(
            np.arctanh(min(copy.similarity, 1 - 1e-7)) - np.arctanh(copy.second_similarity)
        )
    words = {by_match[train.image_ids[row]].alteration for row in rows[3:]}
    assert words == {"mirrored left to right", "turned by a quarter to the right"}


def test_correlations_of_copies_are_those_of_the_two_images(finished, train, planted):
    """Compared with numpy.corrcoef of the very pixels."""
    findings, _ = finished
    copies, rows, _ = planted
    exact = next(c for c in findings.copies if c.match_id == train.image_ids[rows[0]])
    assert exact.correlation == 1.0
    noisy = next(c for c in findings.copies if c.match_id == train.image_ids[rows[1]])
    first, second = copies[1].astype(float), train.take([rows[1]])[0].astype(float)
    assert noisy.correlation == pytest.approx(
        np.corrcoef(first.ravel(), second.ravel())[0, 1], abs=1e-12
    )
    channels = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    assert noisy.correlation_per_channel == pytest.approx(channels, abs=1e-12)
    assert noisy.correlation_mean == pytest.approx(np.mean(channels), abs=1e-12)


def test_counts_add_up_and_expected_stands_beside_found(finished):
    findings, _ = finished
    counts = findings.counts
    assert (counts.synthetic, counts.train, counts.test) == (105, 220, 120)
    assert (counts.train_patients, counts.test_patients) == (110, 60)
    assert counts.flagged == len(findings.copies) == 5
    assert counts.expected == pytest.approx(0.05 * 5)
    assert counts.unusual >= counts.flagged
    assert counts.patients == len(findings.patients) == len({c.patient_id for c in findings.copies})
    assert sum(leak.num_copies for leak in findings.patients) == counts.flagged
    assert counts.pairs == 105 * 220
    assert (findings.rates.num_audited, findings.rates.copy_rate.estimate) == (105, 5 / 105)
    assert findings.affected.seen == counts.patients


def test_the_baseline_are_training_images_and_the_yardstick_is_held_out(finished):
    findings, _ = finished
    baseline = findings.baseline
    assert baseline.comparison == "train->train"
    assert (baseline.num_images, baseline.num_patients, baseline.num_groups) == (220, 110, 110)
    assert [row.family for row in baseline.families] == list(FAMILIES)
    assert [row.num_images for row in baseline.families] == [220, 220, 110, 110]
    assert [row.most_per_group for row in baseline.families] == [2, 2, 1, 1]
    assert baseline.yardstick == "test->train"
    assert (baseline.fdr_copy, baseline.fdr_gate) == (0.05, 0.20)


def test_all_outputs_are_there_private_and_follow_their_schema(finished):
    findings, out = finished
    assert {path.name for path in out.iterdir() if path.is_file()} - {".lock"} == FILES
    for name in FILES - {"summary.html", "COMPLETE", "CITATION.md"}:
        assert stat.S_IMODE((out / name).stat().st_mode) & 0o077 == 0, name
    for path in (out / "evidence").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
    content = json.loads((out / "findings.json").read_text())
    jsonschema.validate(content, likeness.findings_schema())
    assert likeness.Findings.read(out) == findings
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "counts": {}}, likeness.findings_schema())


def test_the_checksums_are_those_of_the_files(finished):
    _, out = finished
    lines = (out / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    assert set(sums) == set(CHECKED)
    for name, digest in sums.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest, name


def test_the_tables_agree_with_the_findings(finished):
    findings, out = finished
    table = pq.read_table(out / "images.parquet")
    assert table.column_names == IMAGE_COLUMNS
    images = table.to_pylist()
    assert len(images) == findings.counts.synthetic
    flagged = {row["image_id"] for row in images if row["flagged"]}
    assert flagged == {copy.image_id for copy in findings.copies}
    assert sum(row["unusual"] for row in images) == findings.counts.unusual
    assert all(row["unusual"] or not row["flagged"] for row in images)
    assert all((row["q_value"] <= 0.05) == row["flagged"] for row in images)
    by_id = {row["image_id"]: row for row in images}
    for copy in findings.copies:
        row = by_id[copy.image_id]
        for name in ("match_id", "patient_id", "transform", "family", "p_value", "q_value"):
            assert row[name] == getattr(copy, name)
        assert row[f"contrast_{copy.family}"] == copy.contrast
    matches = pq.read_table(out / "matches.parquet").to_pylist()
    best = {row["query_id"]: row for row in matches if row["rank"] == 1}
    assert {key: row["correlation"] for key, row in best.items()} == {
        row["image_id"]: row["correlation"] for row in images
    }
    patients = pq.read_table(out / "patients.parquet").to_pylist()
    assert [row["patient_id"] for row in patients] == [p.patient_id for p in findings.patients]
    with (out / "errors.csv").open() as stream:
        assert list(csv.DictReader(stream)) == []


def test_the_baseline_table_has_a_row_for_every_image_that_was_compared(finished):
    _, out = finished
    rows = pq.read_table(out / "baseline.parquet").to_pylist()
    numbers = {}
    for row in rows:
        numbers[row["comparison"]] = numbers.get(row["comparison"], 0) + 1
    assert numbers == {"test->train": 120, "train->train": 220, "synthetic->test": 105}
    among = [row for row in rows if row["comparison"] == "train->train"]
    assert sum(row["contrast_plain"] is not None for row in among) == 220
    for family in ("registered", "tiles"):
        assert sum(row[f"contrast_{family}"] is not None for row in among) == 110
    assert not any(row["left_out"] for row in rows)


def test_the_evidence_lies_on_the_training_image(finished):
    findings, out = finished
    pairs = json.loads((out / "evidence" / "pairs.json").read_text())
    arrays = np.load(out / "evidence" / "pairs.npz", allow_pickle=False)
    assert len(pairs) == 6
    copies = findings.copies
    assert [pair["image_id"] for pair in pairs[: len(copies)]] == [c.image_id for c in copies]
    assert [pair["p_value"] for pair in pairs[:5]] == sorted(pair["p_value"] for pair in pairs[:5])
    for row, pair in enumerate(pairs):
        shown, train = (arrays[name][row].astype(float) for name in ("synthetic", "train"))
        if pair["family"] == "registered":
            continue
        r = np.corrcoef(shown.ravel(), train.ravel())[0, 1]
        assert r == pytest.approx(pair["correlation"], abs=1e-12)
        for channel in range(2):  # the residual of a least squares line, in parts of the range
            line = np.polynomial.Polynomial.fit(train[channel].ravel(), shown[channel].ravel(), 1)
            left = shown[channel] - line(train[channel])
            assert arrays["residual"][row][channel] == pytest.approx(
                left / np.ptp(shown[channel]), abs=1e-5
            )
    assert arrays["residual"].dtype == np.float32


def test_the_closer_look_is_at_the_nearest_images_of_the_shown_pairs(finished):
    _, out = finished
    pairs = json.loads((out / "evidence" / "pairs.json").read_text())
    rows = pq.read_table(out / "second_stage.parquet").to_pylist()
    matches = pq.read_table(out / "matches.parquet").to_pylist()
    for pair in pairs:
        own = [row for row in rows if row["image_id"] == pair["image_id"]]
        (match,) = [row for row in own if row["is_match"]]
        assert (match["reference_id"], match["rank"]) == (pair["match_id"], 1)
        assert (match["rank_second"], len(own)) == (
            pair["structural_rank"],
            pair["structural_candidates"],
        )
        nearest = {row["reference_id"] for row in matches if row["query_id"] == pair["image_id"]}
        assert {row["reference_id"] for row in own} <= nearest | {pair["match_id"]}
        order = sorted(own, key=lambda row: -row["structural_similarity"])
        assert [row["rank_second"] for row in order] == list(range(1, len(own) + 1))


def test_the_terminal_shows_the_verdict_and_the_numbers_of_the_self_check(finished):
    findings, _ = finished
    text = str(findings)
    assert "COPIES FOUND" in text
    assert "5 of 105 synthetic images are copies" in text
    assert "L0: 28 of 28 planted copies caught" in text
    assert "5 of 110 training patients affected" in text


def test_what_was_and_was_not_looked_for_is_listed(finished):
    findings, _ = finished
    rows = {row.risk: row for row in findings.coverage}
    assert rows["Regurgitation of training images"].executed
    assert rows["Regurgitation of training images"].result.startswith("5 of 105 images")
    assert rows["Membership inference"].executed
    for risk in ("Attribute inference", "Model inversion", "Exfiltration of the training data"):
        assert not rows[risk].executed
        assert "says nothing" in rows[risk].result


def test_the_literature_stands_beside_and_decides_nothing(finished):
    findings, _ = finished
    rows = {row.name: row for row in findings.panel}
    identity = findings.distributions[0].mean_correlation_identity
    assert rows["mean highest correlation, train"].value == pytest.approx(identity)
    assert {"C_T", "Dar's rule", "authenticity", "d1/d2 < 1/3, by patient"} <= set(rows)
    assert all(row.meaning and row.source for row in findings.panel)
