import numpy as np
import pytest
from scipy import stats

from likeness.calibration.panel import (
    authenticity,
    data_copying_test,
    distance,
    mean_highest_correlation,
    nearest_ratio,
    neighbourhood_ratio,
    quantile_rule,
)
from likeness.errors import InputError


def p_of_patients(row):
    return float(row.detail.split(", ")[1].split(" ")[0])


def test_the_distance_is_that_of_standardised_images():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 50))
    a, b = (v - v.mean() for v in (a, b))
    a, b = (v / np.linalg.norm(v) for v in (a, b))
    assert distance(np.array([a @ b]))[0] == pytest.approx(np.linalg.norm(a - b))
    assert distance(np.array([1.0 + 1e-16]))[0] == 0.0


def test_mean_highest_correlation():
    row = mean_highest_correlation(np.array([0.5, np.nan, 0.7]))
    assert row.value == pytest.approx(0.6)
    assert row.detail == "2 synthetic images"
    assert mean_highest_correlation(np.array([np.nan])).value is None
    assert "test image" in mean_highest_correlation(np.ones(1), against="test").meaning


def test_the_copying_statistic_agrees_with_scipy():
    rng = np.random.default_rng(1)
    synthetic, test = rng.uniform(0.3, 0.9, size=40), rng.uniform(0.2, 0.9, size=30)
    row = data_copying_test(synthetic, test)
    reference = stats.mannwhitneyu(
        distance(synthetic), distance(test), alternative="less", use_continuity=False
    )
    assert stats.norm.cdf(row.value) == pytest.approx(reference.pvalue)


def test_copying_is_far_below_0_and_the_sides_are_not_mixed_up():
    close, far = np.linspace(0.8, 0.9, 50), np.linspace(0.2, 0.3, 50)
    assert data_copying_test(close, far).value < -5
    assert p_of_patients(data_copying_test(close, far)) < 0.01
    assert data_copying_test(far, close).value > 5
    assert p_of_patients(data_copying_test(far, close)) > 0.99


def test_slices_of_patients_raise_false_alarms_unless_patients_are_the_unit():
    """30 and 20 patients of 20 dependent slices each, from one distribution."""
    rng = np.random.default_rng(2)
    own = patients = 0
    runs = 150
    for run in range(runs):
        groups = np.repeat(np.arange(50), 20)
        r = np.tanh(rng.standard_normal(50)[groups] + 0.5 * rng.standard_normal(1000))
        row = data_copying_test(
            r[:600],
            r[600:],
            synthetic_groups=groups[:600],
            test_groups=groups[600:],
            permutations=199,
            seed=run,
        )
        own += stats.norm.cdf(row.value) <= 0.05
        patients += p_of_patients(row) <= 0.05
    assert own / runs > 0.2
    assert patients / runs <= 0.1


def test_single_synthetic_images_against_patients_of_many_do_not_raise_false_alarms():
    rng = np.random.default_rng(3)
    low = 0
    runs = 120
    for run in range(runs):
        groups = np.repeat(np.arange(30), 20)
        test = np.tanh(rng.standard_normal(30)[groups] + 0.5 * rng.standard_normal(600))
        synthetic = np.tanh(np.sqrt(1.25) * rng.standard_normal(400))
        row = data_copying_test(synthetic, test, test_groups=groups, permutations=199, seed=run)
        low += p_of_patients(row) <= 0.05
    assert low / runs <= 0.09


def test_authenticity_by_the_definition():
    """Farther from the training image than that one is from its own nearest."""
    row = authenticity(np.array([0.5, 0.9, 0.7, np.nan]), np.array([0.8, 0.8, 0.7, 0.1]))
    assert row.value == pytest.approx(1 / 3)


def test_the_ratio_of_a_third():
    # d = 0.2, 0.6, 0.61 for r = 0.98, 0.82, 0.81395
    first = np.array([0.98, 0.98, np.nan])
    second = np.array([1 - 0.59**2 / 2, 1 - 0.61**2 / 2, 0.5])
    assert nearest_ratio(first, second, by="image").value == 0.5
    assert nearest_ratio(first, second, by="patient").name == "d1/d2 < 1/3, by patient"


def test_the_ratio_to_the_neighbourhood():
    rng = np.random.default_rng(4)
    similarity = -np.sort(-rng.uniform(0.2, 0.6, size=(20, 60)), axis=1)
    similarity[:5, 0] = 0.99
    d = np.sqrt(2 * (1 - similarity[:, :50]))
    expected = np.mean([row[0] / (0.5 * row.mean()) < 1 for row in d])
    row = neighbourhood_ratio(similarity)
    assert row.value == expected == 0.25
    assert "50 neighbours" in row.detail
    assert "20 neighbours" in neighbourhood_ratio(similarity[:, :20]).detail
    assert neighbourhood_ratio(similarity[:, :1]).value is None
    similarity[0, 10] = np.nan
    assert neighbourhood_ratio(similarity).detail.startswith("19 synthetic")


def test_dars_rule_with_its_direction_mended_flags_5_percent_of_new_images():
    rng = np.random.default_rng(5)
    rates = [quantile_rule(rng.uniform(size=300), rng.uniform(size=400)).value for _ in range(60)]
    assert np.mean(rates) == pytest.approx(0.05, abs=0.01)
    assert quantile_rule(np.full(10, 0.99), rng.uniform(0, 0.9, size=50)).value == 1.0


def test_without_held_out_images_there_is_no_value():
    for row in (
        quantile_rule(np.ones(3), np.empty(0)),
        data_copying_test(np.ones(3), np.empty(0)),
        authenticity(np.array([np.nan]), np.ones(1)),
        nearest_ratio(np.array([np.nan]), np.ones(1), by="image"),
    ):
        assert row.value is None
        assert row.source


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="permutations is 0"):
        data_copying_test(np.ones(2), np.ones(2), permutations=0)
    with pytest.raises(InputError, match="2 test images"):
        data_copying_test(np.ones(2), np.ones(2), test_groups=np.zeros(3, int))
