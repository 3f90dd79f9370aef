"""Divisions of the patients, and what the bank says under one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.validate.making import made_bank, made_queries, scored

from likeness._validate.bank import ScoreBank
from likeness._validate.intervals import (
    beta_limits,
    mean_of_splits,
    share_of_patients,
    share_of_runs,
)
from likeness._validate.splits import Calibrated, divide, innocent_rows, standing
from likeness.scores.ranking import rank_groups


def test_every_group_is_in_one_part():
    split = divide(101, seed=0, number=3)
    parts = np.stack([split.train, split.test, split.novel])
    assert (parts.sum(axis=0) == 1).all()
    assert parts.sum(axis=1).tolist() == [61, 20, 20]
    again, other = divide(101, seed=0, number=3), divide(101, seed=0, number=4)
    assert np.array_equal(split.train, again.train)
    assert not np.array_equal(split.train, other.train)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_standing_is_what_keep_groups_says(share):
    rng = np.random.default_rng(0)
    table = rng.uniform(-1, 1, (50, 30))
    table[rng.uniform(size=table.shape) < 0.2] = np.nan
    ranking = rank_groups(table, np.zeros(table.shape, dtype=int), depth=12)
    keep = rng.uniform(size=30) < share
    found, kept = standing(ranking, keep), ranking.keep_groups(keep)
    assert np.array_equal(found.group, kept.group[:, 0])
    assert np.array_equal(found.similarity, kept.similarity[:, 0], equal_nan=True)
    assert np.array_equal(found.second, kept.similarity[:, 1], equal_nan=True)
    assert np.array_equal(found.contrast, kept.contrast(), equal_nan=True)


def test_the_null_is_the_training_images_among_the_others():
    """p of the best contrast of a copy, counted by hand over the training rows."""
    bank = made_bank(groups=40, images=2, copies=30, lift=0.05)
    split = divide(40, seed=0, number=0)
    calibrated = Calibrated(bank, split)
    real = bank.real.rankings["plain"]
    train = np.flatnonzero(split.train[bank.real.queries.excluded])
    null = real.rows(train).keep_groups(split.train).contrast()
    copies = bank.parts["noise"]
    rows = np.arange(len(copies.queries))
    judged = calibrated.judge(copies, rows)
    kept = copies.rankings["plain"].keep_groups(split.train)
    pooled = [(1 + (null >= c).sum()) / (1 + len(null)) for c in kept.contrast()]
    expected = np.minimum(1, 4 * np.array(pooled) * calibrated.control.inflation)
    tail = np.sort(null)[int(0.9 * len(null)) :].min()
    body = kept.contrast() < tail
    assert body.sum() > 10
    assert np.allclose(judged.p[body], expected[body])
    assert np.array_equal(judged.group, kept.group[:, 0])


def test_averages_need_two_training_patients():
    groups = np.arange(20, dtype=np.int32)
    members = np.array([[0, 1, -1, -1, -1], [0, 15, -1, -1, -1], [15, 16, 17, -1, -1]])
    queries = made_queries("average", "control", None, members[:, 0], [-1] * 3, [-1] * 3)
    object.__setattr__(queries, "members", members)
    part = scored(queries, np.zeros((3, 20)), 20)
    bank = ScoreBank(groups, groups, {"average": part}, 0, ())
    split = divide(20, seed=0, number=0)
    split.train[:] = groups < 12
    assert innocent_rows(part, bank, split).tolist() == [0]


def test_limits_are_those_of_clopper_and_pearson():
    for found, number in ((0, 20), (7, 20), (20, 20)):
        exact = stats.binomtest(found, number).proportion_ci(method="exact")
        assert beta_limits(found, number) == pytest.approx((exact.low, exact.high))
    low, high = beta_limits(7.5, 20)
    assert beta_limits(7, 20)[0] < low < 7.5 / 20 < high < beta_limits(8, 20)[1]


def test_patients_are_counted_not_copies():
    found, tried = np.array([1.0, 1, 0, 0, 3, 5]), np.array([1.0, 1, 1, 1, 3, 0])
    patients = np.array([0, 0, 1, 1, 2, 3])
    measured = share_of_patients(found, tried, patients)
    assert measured.estimate == pytest.approx(3 / 5)
    assert measured.number == 3
    assert (measured.low, measured.high) == pytest.approx(beta_limits(1.8, 3))
    nothing = share_of_patients(found, np.zeros(6), patients)
    assert np.isnan(nothing.estimate)
    assert (nothing.low, nothing.high) == (0, 1)


def test_runs_and_splits():
    runs = share_of_runs(np.array([True] * 3 + [False] * 17))
    assert (runs.estimate, runs.number) == (0.15, 20)
    values = np.random.default_rng(0).normal(size=50)
    mean = mean_of_splits(values, seed=0)
    error = stats.sem(values)
    assert mean.estimate == pytest.approx(values.mean())
    assert mean.low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert mean.high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
