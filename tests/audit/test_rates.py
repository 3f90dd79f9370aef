"""Rates, and the literature's measures, from the right numbers."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.conftest import image_set, innocents, small

import likeness

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def audited(quick, tmp_path_factory):
    train, test = image_set(range(60), 1), image_set([*range(1000, 1030), 7], 1, prefix="t")
    synthetic = np.concatenate([innocents(30), train.take(range(6))])
    out = tmp_path_factory.mktemp("rates") / "audit"
    options = small(self_check=False, evidence=0, local_sample=60)
    return likeness.audit(train, synthetic, test, out=out, options=options), out


@pytest.fixture(scope="module")
def columns(audited):
    """Dihedral similarities: synthetic, usable held-out images; and r_cat as they are."""
    import pyarrow.parquet as pq

    images = pq.read_table(audited[1] / "images.parquet").to_pydict()
    rows = pq.read_table(audited[1] / "baseline.parquet").to_pylist()
    held_out = [row for row in rows if row["comparison"] == "test->train" and not row["left_out"]]
    assert len(held_out) == 30
    among = [row for row in rows if row["comparison"] == "train->train"]
    return {
        "synthetic": np.array(images["similarity_dihedral"]),
        "real": np.array([row["similarity_dihedral"] for row in held_out]),
        "identity": np.array(images["correlation_identity"]),
        "plain": np.array(images["similarity_plain"]),
        "match": images["patient_plain"],  # one image per person
        "reached": {row["patient"]: row["similarity_plain"] for row in among},
        "real_identity": np.array([row["correlation_identity"] for row in held_out]),
    }


def test_the_effects_are_those_of_the_definitions(audited, columns):
    rates = audited[0].rates
    synthetic, real = columns["synthetic"], columns["real"]
    threshold = np.quantile(real, 0.99)
    usual = (real > threshold).mean()
    excess = ((synthetic > threshold).mean() - usual) / (1 - usual)
    assert rates.excess_rate.estimate == pytest.approx(excess)
    wins = np.sign(synthetic[:, None] - real[None]).mean()
    assert rates.auc.estimate == pytest.approx(0.5 + 0.5 * wins)
    z = [np.arctanh(np.minimum(values, 1 - 1e-7)).mean() for values in (synthetic, real)]
    assert rates.mean_difference.estimate == pytest.approx(z[0] - z[1])
    for interval in (rates.excess_rate, rates.auc, rates.mean_difference, rates.copy_rate):
        assert interval.low <= interval.estimate <= interval.high
    assert (rates.num_audited, rates.num_in_set, rates.unseen_in_set) == (36, 36, 0)


def test_the_panel_is_computed_from_the_right_images(audited, columns):
    rows = {row.name: row for row in audited[0].panel}
    identity, real = columns["identity"], columns["real_identity"]
    assert rows["mean highest correlation, train"].value == pytest.approx(identity.mean())
    dar = (identity > np.quantile(real, 0.95)).mean()
    assert rows["Dar's rule"].value == pytest.approx(dar)
    farther = (identity[:, None] < real[None]).sum() + 0.5 * (identity[:, None] == real).sum()
    n, t = len(identity), len(real)
    z = (farther - n * t / 2) / np.sqrt(n * t * (n + t + 1) / 12)
    assert rows["C_T"].value == pytest.approx(z)
    reached = columns["reached"]
    authentic = [r < reached[m] for r, m in zip(columns["plain"], columns["match"], strict=True)]
    assert rows["authenticity"].value == pytest.approx(np.mean(authentic))
    assert not any(authentic[30:]), "a copy is nearer to its image than any other person is"


def test_without_held_out_images_training_images_are_the_real_side():
    train = image_set(range(30), 1)
    options = small(self_check=False, evidence=0, local_sample=30)
    findings = likeness.audit(train, innocents(10), options=options)
    assert findings.rates.auc is not None
    assert {row.name for row in findings.panel}.isdisjoint({"C_T", "Dar's rule"})
    too_few = likeness.audit(image_set(range(12), 1), innocents(10), options=options)
    assert too_few.rates.auc is None
    assert too_few.rates.copy_rate.high > 0.2
