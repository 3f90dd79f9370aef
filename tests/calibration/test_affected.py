import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from likeness.calibration.affected import (
    affected_patients,
    chao_lower_estimate,
    density_rank,
    local_density,
    simes_by_patient,
)
from likeness.calibration.multiplicity import adjusted
from likeness.errors import InputError


def test_patients_are_listed_with_their_images():
    patient = np.array([4, 2, 2, 4, 4, 7, -1, 2])
    flagged = np.array([1, 1, 1, 1, 0, 1, 0, 1], dtype=bool)
    p = np.array([1e-3, 1e-6, 1e-5, 1e-4, 0.5, 1e-3, 1.0, 1e-6])
    score = np.array([0.9, 0.91, 0.95, 0.8, 0.99, np.nan, np.nan, 0.93])
    found = affected_patients(patient, flagged, p, score, num_patients=9)
    assert found.patient.tolist() == [2, 4, 7]
    assert found.num_flagged.tolist() == [3, 2, 1]
    assert found.best_image.tolist() == [7, 3, 5]  # equal p: the higher score
    assert found.best_score[:2].tolist() == [0.95, 0.9]
    assert np.isnan(found.best_score[2])
    assert found.p.tolist() == pytest.approx([1.5e-6, 3e-4, 1e-3])
    all_nine = np.ones(9)
    all_nine[[2, 4, 7]] = [1.5e-6, 3e-4, 1e-3]
    np.testing.assert_allclose(found.adjusted_p, adjusted(all_nine)[[2, 4, 7]])
    assert (found.num_once, found.num_twice) == (1, 1)
    assert found.at_least == 3.0
    assert found.next_is_new == 1 / 8
    assert len(found) == 3


@given(
    arrays(np.int64, st.integers(0, 25), elements=st.integers(-1, 4)),
    st.integers(0, 1000),
)
@settings(deadline=None)
def test_simes_by_the_definition(patient, seed):
    p = np.random.default_rng(seed).uniform(size=len(patient))
    found = simes_by_patient(patient, p, 5)
    for k in range(5):
        own = sorted(p[patient == k])
        expected = min((len(own) * value / (j + 1) for j, value in enumerate(own)), default=1.0)
        assert found[k] == pytest.approx(expected)


def test_chaos_estimate_is_a_lower_limit_of_those_that_leak():
    """200 leaking patients, unequally often; 150 flagged images do not show them all."""
    assert chao_lower_estimate(10, 4, 1) == 13.0
    rng = np.random.default_rng(0)
    weights = rng.exponential(size=200)
    estimates, seen = [], []
    for _ in range(100):
        patient = rng.choice(200, size=150, p=weights / weights.sum())
        found = affected_patients(
            patient, np.ones(150, bool), np.zeros(150), np.ones(150), num_patients=1000
        )
        seen.append(len(found))
        estimates.append(found.at_least)
    assert np.mean(seen) < 90
    assert np.mean(seen) * 1.3 < np.mean(estimates) < 200


def test_the_chance_of_a_new_patient():
    """Good's estimate agrees with what the next image really does, on average."""
    rng = np.random.default_rng(1)
    estimated, happened = [], []
    for _ in range(400):
        patient = rng.integers(100, size=81)
        found = affected_patients(
            patient[:80], np.ones(80, bool), np.zeros(80), np.ones(80), num_patients=100
        )
        estimated.append(found.next_is_new)
        happened.append(patient[80] not in patient[:80])
    assert np.mean(estimated) == pytest.approx(np.mean(happened), abs=0.06)


def test_no_more_patients_than_there_are():
    found = affected_patients(
        np.arange(20), np.ones(20, bool), np.zeros(20), np.ones(20), num_patients=25
    )
    assert found.at_least == 25.0  # the formula alone gives 210


def test_no_flags_no_patients():
    found = affected_patients(
        np.array([1]), np.zeros(1, bool), np.ones(1), np.ones(1), num_patients=3
    )
    assert len(found) == 0
    assert (found.at_least, found.next_is_new) == (0.0, 0.0)
    nobody = np.empty(0)
    empty = affected_patients(
        nobody.astype(int), nobody.astype(bool), nobody, nobody, num_patients=3
    )
    assert empty.next_is_new == 0.0


def test_density_by_comparing_all_pairs():
    rng = np.random.default_rng(2)
    own = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5])
    r = rng.uniform(-0.5, 0.95, size=(9, 9))
    r = np.maximum(r, r.T)
    groups = np.array([[k for k in range(6) if k != mine] for mine in own])
    table = np.array([[r[i, own == k].max() for k in row] for i, row in enumerate(groups)])
    order = np.argsort(-table, axis=1)[:, :3]
    found = local_density(
        np.take_along_axis(table, order, axis=1),
        np.take_along_axis(groups, order, axis=1),
        own,
        num_patients=7,
        neighbours=3,
    )
    for k in range(6):
        others = [r[np.ix_(own == k, own == other)].max() for other in range(6) if other != k]
        assert found[k] == pytest.approx(np.arctanh(sorted(others)[-3:]).mean())
    assert np.isnan(found[6])
    rank = density_rank(found)
    assert rank[6] == 7
    assert found[rank == 1] == np.nanmin(found)
    assert sorted(rank.tolist()) == list(range(1, 8))


def test_absent_neighbours_are_left_out():
    similarity = np.array([[0.5, np.nan], [0.5, np.nan]])
    group = np.array([[1, -1], [0, -1]])
    found = local_density(similarity, group, np.array([0, 1]), num_patients=2)
    assert found.tolist() == pytest.approx([np.arctanh(0.5)] * 2)


def test_faulty_arguments_are_refused():
    one = np.ones(1)
    with pytest.raises(InputError, match="from 0 to 2"):
        affected_patients(np.array([-1]), one.astype(bool), one, one, num_patients=3)
    with pytest.raises(InputError, match="from 0 to 2"):
        affected_patients(np.array([3]), one.astype(bool), one, one, num_patients=3)
    with pytest.raises(InputError, match="one entry per image"):
        affected_patients(np.array([1, 2]), one.astype(bool), one, one, num_patients=3)
    with pytest.raises(InputError, match="neighbours is 0"):
        local_density(np.ones((1, 1)), np.ones((1, 1)), np.zeros(1), num_patients=2, neighbours=0)
