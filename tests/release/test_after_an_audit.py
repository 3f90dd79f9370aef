"""A real audit, then its release: the scores are repeated to the last digit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.folders import picture, save

from likeness import AuditOptions, ReleasePolicy, audit, release_images, verify_release
from likeness._release.audit_folder import open_audit
from likeness._release.gate_scores import Null


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    for patient in range(40):
        for view in range(3):
            save(root / "train" / f"P{patient:03}_{view}.png", picture(patient, view))
    for patient in range(12):
        save(root / "test" / f"P{100 + patient}_0.png", picture(100 + patient))
    for number in range(24):
        save(root / "synthetic" / f"s{number:03}.png", picture(1000 + number))
    save(root / "synthetic" / "t0.png", np.ascontiguousarray(np.rot90(picture(5, 1))))
    options = AuditOptions(patient_id="regex:(P[0-9]+)_", self_check=False)
    audit(root / "train", root / "synthetic", root / "test", out=root / "audit", options=options)
    return root


def test_the_p_values_follow_from_the_tables(finished):
    content = open_audit(finished / "audit")
    null = Null.of(content.null, content.findings.merged_patients, 1.0)
    assert np.array_equal(null.p_value(content.images.contrast), content.images.p_value)


def test_the_copy_stays_and_the_rest_scores_as_before(finished):
    policy = ReleasePolicy(self_check=False, min_baseline_images=100, conclusive=False)
    result = release_images(finished / "audit", finished / "out", policy=policy)
    assert result.outcome == "RELEASED", result.reasons
    assert 0 < result.num_released <= 24
    assert verify_release(finished / "out").ok
    rows = (finished / "audit" / "withheld.csv").read_text()
    assert "t0.png," in rows


def test_without_the_self_check_the_usual_policy_shows_nothing(finished):
    result = release_images(finished / "audit", check=True)
    assert result.outcome == "NOT_PROVEN"
    assert any("self-check" in reason for reason in result.reasons)
    assert any("120 real images" in reason for reason in result.reasons)
