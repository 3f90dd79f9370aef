from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.calibration.equal_size import (
    expected_maximum,
    matched_share,
    probability_of_maximum,
    without_marked,
)
from likeness.errors import InputError

row = st.lists(st.integers(-8, 8).map(lambda k: k / 10), min_size=1, max_size=8)


def subsets(values, size):
    return [max(chosen) for chosen in combinations(values, size)]


def falling(values):
    return np.sort(np.array(values))[::-1][None, :]


@given(row, st.data())
@settings(deadline=None)
def test_the_mean_maximum_over_all_subsets(values, data):
    size = data.draw(st.integers(1, len(values)))
    result = expected_maximum(falling(values), size)
    assert result.value[0] == pytest.approx(np.mean(subsets(values, size)), abs=1e-12)
    assert result.missing[0] == result.error[0] == 0.0


@given(row, st.data())
@settings(deadline=None)
def test_the_probability_of_the_maximum_over_all_subsets(values, data):
    size = data.draw(st.integers(1, len(values)))
    threshold = data.draw(st.sampled_from([*values, -1.0, 0.95]))
    expected = np.mean([m >= threshold for m in subsets(values, size)])
    found = probability_of_maximum(falling(values), np.array([threshold]), size)
    assert found[0] == pytest.approx(expected, abs=1e-12)


@given(row, st.data())
@settings(deadline=None)
def test_a_cut_list_errs_upwards_and_by_no_more_than_it_says(values, data):
    size = data.draw(st.integers(1, len(values)))
    length = data.draw(st.integers(1, len(values)))
    exact = np.mean(subsets(values, size))
    result = expected_maximum(falling(values)[:, :length], size, total=len(values))
    assert result.value[0] >= exact - 1e-12
    assert result.value[0] - result.error[0] <= exact + 1e-12


def test_gaps_in_a_cut_list_are_patients_that_are_not_known():
    """Dropping columns leaves NaN at the end; the patients beyond are still there."""
    values = np.array([[0.9, 0.8, 0.7, np.nan], [0.9, 0.8, np.nan, np.nan]])
    result = expected_maximum(values, 5, total=50)
    assert result.missing[0] == pytest.approx(without_marked(50, np.array(3), 5))
    assert result.missing[1] == pytest.approx(without_marked(50, np.array(2), 5))
    complete = expected_maximum(values, 2)
    assert complete.value.tolist() == pytest.approx([(2 * 0.9 + 0.8) / 3, 0.9])
    assert complete.missing.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("total", "size", "length"), [(1195, 56, 288), (313, 56, 71)])
def test_the_length_of_list_that_suffices(total, size, length):
    """The published lengths leave a millionth of the weight at most."""
    values = np.linspace(0.9, 0.1, total)[None, :]
    cut = expected_maximum(values[:, :length], size, total=total)
    assert cut.missing[0] <= 1.05e-6
    assert cut.value[0] == pytest.approx(expected_maximum(values, size).value[0], abs=2e-6)


def test_large_numbers_do_not_overflow():
    values = np.linspace(0.99, 0.0, 100_000)[None, :]
    result = expected_maximum(values, 50_000)
    assert 0.98 < result.value[0] <= 0.99
    assert expected_maximum(values, 1).value[0] == pytest.approx(values.mean(), abs=1e-9)
    assert expected_maximum(values, 100_000).value[0] == pytest.approx(0.99)


@given(row, row)
@settings(deadline=None)
def test_the_matched_share_over_all_subsets(train, test):
    small, large = sorted([train, test], key=len)
    wins = []
    for highest in subsets(large, len(small)):
        a, b = (highest, max(small)) if large is train else (max(small), highest)
        wins.append(1.0 if a > b else 0.5 if a == b else 0.0)
    found = matched_share(falling(train), falling(test))
    assert found[0] == pytest.approx(np.mean(wins), abs=1e-12)


def test_the_matched_share_is_a_half_for_exchangeable_patients():
    """The plain maximum falls on the larger side in 9 of 10 cases; the matched share does not."""
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(4000, 100))
    train, test = (-np.sort(-part, axis=1) for part in (values[:, :90], values[:, 90:]))
    assert (train[:, 0] > test[:, 0]).mean() > 0.85
    assert matched_share(train, test).mean() == pytest.approx(0.5, abs=0.02)
    assert matched_share(test, train).mean() == pytest.approx(0.5, abs=0.02)
    cut = matched_share(train[:, :64], test, num_train=90)
    np.testing.assert_allclose(cut, matched_share(train, test), atol=1e-9)


def test_images_without_a_value_have_no_result():
    values = np.array([[0.5, 0.4], [np.nan, np.nan]])
    assert np.isnan(expected_maximum(values, 1).value).tolist() == [False, True]
    assert np.isnan(expected_maximum(values, 1, total=9).value).tolist() == [False, True]
    assert np.isnan(probability_of_maximum(values, np.zeros(2), 1)).tolist() == [False, True]
    assert np.isnan(matched_share(values, values[::-1])).tolist() == [True, True]


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="must fall"):
        expected_maximum(np.array([[0.1, 0.2]]), 1)
    with pytest.raises(InputError, match="NaN at the end"):
        expected_maximum(np.array([[np.nan, 0.2]]), 1)
    with pytest.raises(InputError, match="only 1 patients"):
        expected_maximum(np.array([[0.3, 0.2]]), 1, total=1)
    with pytest.raises(InputError, match="subset of 0"):
        expected_maximum(np.array([[0.3, 0.2]]), 0)
