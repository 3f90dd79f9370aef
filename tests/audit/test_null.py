"""With few training people the held-out ones say what chance reaches, half of them."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.audit.conftest import image_set, innocents, small

from likeness import audit
from likeness._release.audit_folder import open_audit
from likeness.datasets import ImageSet
from likeness.scores import FAMILIES

pytestmark = pytest.mark.usefixtures("quick")

FEW, HELD_OUT = range(30), range(1000, 1220)
"""Patients."""


@pytest.fixture(scope="module")
def sets():
    train, test = image_set(FEW), image_set(HELD_OUT, prefix="t")
    copies = train.take(np.arange(0, 20, 2)).astype(int) + 3
    pictures = np.concatenate([copies.clip(0, 255).astype(np.uint8), innocents(300)])
    ids = [f"s{number:03}" for number in range(len(pictures))]
    return train, ImageSet.from_arrays(pictures, image_ids=ids), test


@pytest.fixture(scope="module")
def audited(quick, sets, tmp_path_factory):
    train, synthetic, test = sets
    out = tmp_path_factory.mktemp("few") / "audit"
    return out, audit(
        train, synthetic, test=test, out=out, options=small(planted=20, local_sample=220)
    )


def test_copies_of_few_people_are_found_and_nobody_else(audited):
    _, found = audited
    assert found.verdict.code == "COPIES_FOUND"
    assert {copy.image_id for copy in found.copies} == {f"s{k:03}" for k in range(10)}
    assert {copy.patient_id for copy in found.copies} == {f"p{k}" for k in range(10)}


def test_without_held_out_people_they_are_not(sets):
    """Thirty people cannot show how rare it is; that is why the others are asked."""
    train, synthetic, _ = sets
    found = audit(train, synthetic, options=small(planted=20, local_sample=220))
    assert found.baseline.comparison == "train->train"
    assert found.copies == []


def test_no_person_is_both_the_measure_and_the_innocent(audited):
    out, found = audited
    assert found.baseline.comparison == "test->train"
    assert (found.baseline.num_groups, found.baseline.num_patients) == (110, 110)
    rows = pq.read_table(out / "baseline.parquet").to_pylist()
    measure = {row["patient"] for row in rows if row["in_null"]}
    others = {row["patient"] for row in rows
              if row["comparison"] == "test->train" and not row["in_null"]}  # fmt: skip
    assert len(measure) == len(others) == 110
    assert not measure & others
    assert {row["comparison"] for row in rows if row["in_null"]} == {"test->train"}
    negative = found.self_check.negative
    assert (negative.source, negative.num_images) == ("test", 110)
    assert "30 training people are too few" in found.baseline.reason
    assert "220 held-out images" not in found.baseline.reason
    assert json.loads((out / "findings.json").read_text())["baseline"]["num_images"] == 220


def test_the_share_above_is_counted_among_them(audited):
    """The p-values of the table, counted again from the contrasts of the table beside it."""
    out, _ = audited
    null = [row for row in pq.read_table(out / "baseline.parquet").to_pylist() if row["in_null"]]
    images = pq.read_table(out / "images.parquet").to_pylist()
    checked = 0
    for family in FAMILIES:
        contrasts = [row[f"contrast_{family}"] for row in null]
        contrasts = [value for value in contrasts if value is not None]
        for image in images:
            above = sum(value >= image[f"contrast_{family}"] for value in contrasts)
            share = (1 + above) / (1 + len(contrasts))
            if share > 0.15:  # below, the tail takes over
                assert image[f"p_{family}"] == pytest.approx(share)
                checked += 1
    assert checked > 500


def test_the_gate_takes_the_same(audited):
    out, found = audited
    content = open_audit(out)
    assert len(content.null) == found.baseline.num_images
    assert len(content.control) == 220
    assert not {*content.null.patients} & {*content.control.patients}


def test_enough_training_people_are_the_measure_themselves(quick):
    found = audit(
        image_set(range(110)), innocents(5), test=image_set(HELD_OUT, prefix="t"),
        options=small(planted=20, local_sample=220),
    )  # fmt: skip
    assert found.baseline.comparison == "train->train"
    assert found.self_check.negative.num_images == 220
