"""Authenticity against its definition, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from tests.match.pictures import as_set, highest, noisy, patients, picture, r_cat

from likeness import measure_authenticity


def by_force(synthetic, train, ids):
    """(n,) nearest training image, and r, r of it with others of other patients, with others."""
    rows = []
    for image in synthetic:
        values = [highest(r_cat, image, other) for other in train]
        match = int(np.argmax(values))
        among = [highest(r_cat, train[match], other) for other in train]
        others = [r for j, r in enumerate(among) if ids[j] != ids[match]]
        rest = [r for j, r in enumerate(among) if j != match]
        rows.append((match, values[match], max(others), max(rest)))
    return rows


def test_both_sides_are_those_of_force():
    train, ids = patients(6, 3)
    synthetic = np.stack(
        [noisy(train[4], 30), noisy(train[4], 6)[:, :, ::-1], picture(50), picture(51), train[11]]
    )
    result = measure_authenticity(synthetic, as_set(train, ids))
    expected = by_force(synthetic, train, ids)
    for row, (match, r, others, rest) in zip(result.images.to_pylist(), expected, strict=True):
        assert row["match_id"] == f"i{match:03}"
        assert row["correlation"] == pytest.approx(r, abs=1e-12)
        assert row["correlation_of_match_others"] == pytest.approx(others, abs=1e-12)
        assert row["correlation_of_match"] == pytest.approx(rest, abs=1e-12)
        assert row["authentic_others"] == (r < others)
        assert row["authentic"] == (r < rest)
    left_out = result.summary["own_patient_left_out"]
    assert left_out["authentic"] == sum(r < others for _, r, others, _ in expected)
    assert left_out["share"] == left_out["authentic"] / 5
    assert result.summary["all_other_images"]["authentic"] == sum(r < s for *_, r, _, s in expected)


def test_a_copy_passes_as_authentic_unless_the_own_patient_is_left_out():
    train, ids = patients(5, 1)
    # neighbouring slices: nearly the same picture
    train = np.stack([noisy(image, 2, n) for image in train for n in range(4)])
    ids = [name for name in ids for _ in range(4)]
    copies = np.stack([noisy(train[4 * p], 8, 9) for p in range(5)])
    summary = measure_authenticity(copies, as_set(train, ids)).summary
    assert summary["all_other_images"]["share"] == 1.0
    assert summary["own_patient_left_out"]["share"] == 0.0


def test_equal_training_images_are_each_others_nearest():
    train, ids = patients(4, 1)
    train[1] = train[2] = train[3]
    result = measure_authenticity(train[3:], as_set(train, ids))
    (row,) = result.images.to_pylist()
    assert row["match_id"] == "i001"
    assert row["correlation_of_match"] == row["correlation_of_match_others"] == 1.0
    assert row["authentic"] is False


def test_images_without_contrast_and_lone_training_images_are_not_defined():
    train, ids = patients(1, 1)
    synthetic = np.stack([picture(7), np.full_like(train[0], 3)])
    result = measure_authenticity(synthetic, as_set(train, ids))
    assert [row["authentic"] for row in result.images.to_pylist()] == [None, None]
    assert result.summary["own_patient_left_out"] == {"share": None, "authentic": 0, "images": 0}
    assert result.summary["undefined"] == 1


def test_without_patients_both_forms_agree():
    train, _ = patients(6, 2)
    result = measure_authenticity(np.stack([picture(50), noisy(train[3], 4)]), as_set(train))
    for row in result.images.to_pylist():
        assert row["correlation_of_match"] == row["correlation_of_match_others"]
    assert result.summary["patients"] == 0
