"""Every number of the table, computed again from the pixels, slowly."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.compare.conftest import seal

import likeness
from likeness._compare.reading import read_audit
from likeness._compare.rows import estimated_mean, row_of
from likeness._findings import Findings


def slow_highest(queries, references):
    """Highest Pearson correlation of each query, one pair at a time; NaN for constant images."""
    found = []
    for query in queries.reshape(len(queries), -1).astype(np.float64):
        if query.min() == query.max():
            found.append(np.nan)
            continue
        values = []
        for other in references.reshape(len(references), -1).astype(np.float64):
            a, b = query - query.mean(), other - other.mean()
            values.append((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
        found.append(max(values))
    return np.array(found)


@pytest.fixture(scope="module")
def found(audited):
    return likeness.compare_audits([audited.folders["copying"], audited.folders["novel"]])


def test_numbers_equal_those_computed_from_the_pixels(audited, found):
    baseline = slow_highest(audited.test, audited.train)
    for row in found.rows:
        highest = slow_highest(audited.synthetic[row.name], audited.train)
        synthetic = highest[~np.isnan(highest)]
        assert row.undefined == np.isnan(highest).sum()
        assert row.mean.value == pytest.approx(synthetic.mean(), abs=1e-9)
        assert row.baseline.value == pytest.approx(baseline.mean(), abs=1e-9)
        assert row.gap.value == pytest.approx(synthetic.mean() - baseline.mean(), abs=1e-9)
        wins = np.mean([[(s > b) + 0.5 * (s == b) for b in baseline] for s in synthetic])
        assert row.auc.value == pytest.approx(wins, abs=1e-9)
        level = sorted(baseline)[int(np.ceil(0.99 * 60)) - 1]
        assert row.above.value == pytest.approx(np.mean([s > level for s in synthetic]), abs=1e-9)
        with_test = slow_highest(audited.synthetic[row.name], audited.test)
        assert row.with_test.value == pytest.approx(np.nanmean(with_test), abs=1e-9)
        assert row.baseline_of == "test->train"
        assert (row.baseline_images, row.baseline_patients) == (60, 30)
        assert (row.train, row.train_patients, row.test, row.test_patients) == (60, 30, 60, 30)
    copying, novel = found.rows
    assert copying.auc.value > novel.auc.value
    assert copying.above.value >= 10 / 40
    assert novel.auc.low < 0.5 < novel.auc.high


def test_intervals_equal_those_of_a_plain_bootstrap(audited, found):
    baseline = slow_highest(audited.test, audited.train)
    highest = slow_highest(audited.synthetic["copying"], audited.train)
    with_test = slow_highest(audited.synthetic["copying"], audited.test)
    rng = np.random.default_rng(99)
    drawn = {name: [] for name in ("mean", "baseline", "gap", "auc", "with_test")}
    for _ in range(3000):
        rows = rng.choice(40, 40)
        patients = rng.choice(30, 30)
        real = np.concatenate([baseline[[2 * p, 2 * p + 1]] for p in patients])
        drawn["mean"].append(highest[rows].mean())
        drawn["with_test"].append(with_test[rows].mean())
        drawn["baseline"].append(real.mean())
        drawn["gap"].append(highest[rows].mean() - real.mean())
        drawn["auc"].append((highest[rows][:, None] > real[None, :]).mean())
    row = found.rows[0]
    for name, values in drawn.items():
        low, high = np.quantile(values, [0.025, 0.975])
        estimate = getattr(row, name)
        assert estimate.low == pytest.approx(low, abs=0.12 * (high - low)), name
        assert estimate.high == pytest.approx(high, abs=0.12 * (high - low)), name


def test_what_the_audit_stored_is_taken_as_it_is(audited, found):
    for row in found.rows:
        findings = Findings.read(audited.folders[row.name])
        assert row.verdict == findings.verdict.code
        assert row.copies == findings.counts.flagged
        assert row.patients == findings.counts.patients
        assert row.unusual == findings.counts.unusual
        rate = findings.rates.copy_rate
        assert (row.copy_rate.value, row.copy_rate.low) == (rate.estimate, rate.low)
        equal = findings.equal_size
        assert (row.equal_size.train, row.equal_size.test) == (equal.train_mean, equal.test_mean)
        assert row.equal_size.patients == 30
        assert row.equal_size.difference.low == equal.difference.low
        assert row.self_check == ("passed" if findings.self_check.passed else "failed")
        assert row.caught == {x.level: (x.caught, x.planted) for x in findings.self_check.levels}
    assert found.rows[0].copies >= 5
    assert found.rows[0].patients >= 3


def test_contaminated_held_out_images_are_no_baseline(audited, mine):
    folder = mine("contaminated")
    table = pq.read_table(folder / "baseline.parquet")
    sides = np.array(table["comparison"].to_pylist())
    out = np.zeros(len(sides), dtype=bool)
    out[np.flatnonzero(sides == "test->train")[:20]] = True
    place = table.schema.get_field_index("left_out")
    pq.write_table(table.set_column(place, "left_out", pa.array(out)), folder / "baseline.parquet")
    seal(folder)
    (row,) = likeness.compare_audits([folder]).rows
    expected = slow_highest(audited.test[20:], audited.train)
    assert row.baseline.value == pytest.approx(expected.mean(), abs=1e-9)
    assert (row.baseline_images, row.baseline_patients) == (40, 20)


def change_findings(folder, change):
    path = folder / "findings.json"
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content))
    seal(folder)


def test_training_images_are_the_baseline_where_the_audit_says_so(audited, mine):
    folder = mine("among-train")

    def change(content):
        content["baseline"]["yardstick"] = "train->train"
        content["merged_patients"] = [["SECRETPATIENT-train0", "SECRETPATIENT-train1"]]

    change_findings(folder, change)
    (row,) = likeness.compare_audits([folder]).rows
    expected = []
    for k in range(60):
        others = [j for j in range(60) if j // 2 != k // 2]
        expected.append(slow_highest(audited.train[k : k + 1], audited.train[others])[0])
    assert row.baseline_of == "train->train"
    assert row.baseline.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert row.baseline_patients == 29  # two patients are one person


def test_without_a_baseline_there_is_a_mean_and_no_gap(mine, tmp_path):
    folder = mine("none")
    change_findings(folder, lambda content: content["baseline"].update(yardstick=None))
    comparison = likeness.compare_audits([folder])
    (row,) = comparison.rows
    assert row.baseline_of is None
    assert row.gap is row.auc is row.above is row.baseline is None
    assert row.mean.low < row.mean.value < row.mean.high
    assert any("no baseline" in notice for notice in comparison.notices)
    likeness.write_comparison(comparison, tmp_path / "out")
    assert "none" in (tmp_path / "out" / "comparison.html").read_text("utf-8")


def test_the_mean_without_a_baseline_has_the_same_interval_as_with_one(audited):
    audited_one = read_audit(audited.folders["copying"], "copying")
    with_baseline = row_of(audited_one).mean
    alone = estimated_mean(audited_one.synthetic, "copying")
    assert (alone.low, alone.high) == pytest.approx((with_baseline.low, with_baseline.high))


def test_an_image_set_without_contrast_has_no_numbers(audited):
    one = read_audit(audited.folders["novel"], "novel")
    row = row_of(replace(one, synthetic=np.array([]), undefined=40))
    assert row.mean is None
    assert row.auc is None
    assert row.undefined == 40
