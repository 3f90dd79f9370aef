import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from likeness.calibration.p_values import p_values
from likeness.calibration.tail import fit_tail
from likeness.errors import InputError, OptionError

values = st.floats(0, 10)


@given(
    arrays(float, st.integers(1, 30), elements=st.integers(0, 12)),
    arrays(float, st.integers(1, 30), elements=st.integers(0, 12)),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_counted_p_values_agree_with_counting(scores, baseline, data):
    groups = data.draw(arrays(np.int64, len(baseline), elements=st.integers(0, 4)))
    result = p_values(scores, baseline, groups=groups)
    largest = max(list(groups).count(g) for g in groups)
    for i, score in enumerate(scores):
        above = sum(b >= score for b in baseline)  # equal counts
        assert result.pooled[i] == (1 + above) / (1 + len(baseline))
        assert result.conservative[i] == (largest + above) / (largest + len(baseline))
    np.testing.assert_array_equal(result.working, result.pooled)  # too few for a tail
    assert not result.extrapolated.any()
    assert result.largest_group == largest
    assert result.num_groups == len(set(groups.tolist()))


@given(arrays(float, st.integers(2, 40), elements=st.floats(-1, 30)), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_working_p_value_does_not_rise_with_the_score(scores, seed):
    baseline = np.random.default_rng(seed).lognormal(size=200)
    scores = np.sort(np.concatenate([scores, baseline]))
    result = p_values(scores, baseline)
    for p in (result.pooled, result.working, result.conservative):
        assert (np.diff(p) <= 0).all()
        assert ((p > 0) & (p <= 1)).all()
    assert (result.conservative >= result.pooled).all()


def test_the_tail_takes_over_at_its_threshold_without_a_jump():
    baseline = np.random.default_rng(0).exponential(size=1000)
    tail = fit_tail(baseline)
    just_above = tail.threshold + 1e-9
    result = p_values(np.array([tail.threshold, just_above, 30.0]), baseline)
    assert result.extrapolated.tolist() == [False, True, True]
    assert result.working[0] == 102 / 1001
    assert result.working[1] == pytest.approx(101 / 1001, rel=1e-6)
    assert result.working[2] < 1e-5 < 1 / 1001 == result.pooled[2]
    assert result.working[2] == tail.p_value(np.array([30.0]))[0]


def test_the_tail_never_contradicts_what_was_counted():
    """Four near-duplicates far out lie above every curve that describes the other 2,996."""
    rng = np.random.default_rng(0)
    baseline = np.concatenate([rng.exponential(0.04, size=2996), np.full(4, 5.0)])
    tail = fit_tail(baseline)
    result = p_values(np.array([4.9]), baseline, tail=tail)
    assert tail.p_value(np.array([4.9]))[0] < 1e-4
    assert result.working[0] == pytest.approx(0.0004555, rel=1e-3)  # Clopper-Pearson, 4 of 3,000


def test_new_people_are_as_often_unusual_as_stated():
    """P(p <= a) is about a for people like those of the baseline; per-patient effects included."""
    rng = np.random.default_rng(1)
    rates = {0.1: [], 0.01: [], 0.001: []}
    for _ in range(40):
        people = rng.exponential(size=800)
        baseline = np.repeat(people[:400], 5) + rng.exponential(size=2000)
        new = people[400:] + rng.exponential(size=400)
        result = p_values(new, baseline, groups=np.repeat(np.arange(400), 5))
        for a, found in rates.items():
            found.append((result.working <= a).mean())
    assert np.mean(rates[0.1]) == pytest.approx(0.1, rel=0.1)
    assert np.mean(rates[0.01]) == pytest.approx(0.01, rel=0.25)
    assert np.mean(rates[0.001]) <= 0.0015


@pytest.mark.parametrize("people", [20, 56])
def test_the_conservative_p_value_is_valid_with_few_people(people):
    """Sizes of 1 to 40, a query drawn from large patients more often, strong dependence."""
    rng = np.random.default_rng(2)
    low = 0
    runs = 1500
    for _ in range(runs):
        sizes = rng.integers(1, 41, size=people + 1)
        chosen = rng.choice(people + 1, p=sizes / sizes.sum())
        means = rng.standard_normal(people + 1)
        groups = np.repeat(np.arange(people + 1), sizes)
        scores = means[groups] + 0.3 * rng.standard_normal(len(groups))
        query = scores[rng.choice(np.flatnonzero(groups == chosen))]
        rest = groups != chosen
        result = p_values(np.array([query]), scores[rest], groups=groups[rest], extrapolate=False)
        low += result.conservative[0] <= 0.1
    assert low / runs <= 0.1 + 2 * np.sqrt(0.09 / runs)


def test_no_score_is_the_p_value_1_and_leaves_the_baseline():
    baseline = np.array([1.0, np.nan, 3.0])
    result = p_values(np.array([np.nan, 2.0]), baseline, groups=np.array([7, 8, 8]))
    assert result.pooled.tolist() == [1.0, 2 / 3]
    assert result.working[0] == result.conservative[0] == 1.0
    assert (result.num_baseline, result.num_groups, result.largest_group) == (2, 2, 1)


def test_inflation_multiplies_the_working_p_value_only():
    baseline = np.random.default_rng(0).exponential(size=300)
    scores = np.array([0.1, 2.0, 9.0])
    plain, inflated = p_values(scores, baseline), p_values(scores, baseline, inflation=2.5)
    np.testing.assert_array_equal(inflated.working, np.minimum(plain.working * 2.5, 1.0))
    np.testing.assert_array_equal(inflated.pooled, plain.pooled)
    np.testing.assert_array_equal(inflated.conservative, plain.conservative)


def test_without_extrapolation_the_working_p_value_is_the_pooled_one():
    baseline = np.random.default_rng(0).exponential(size=300)
    result = p_values(np.array([50.0]), baseline, extrapolate=False)
    assert result.tail is None
    assert result.working[0] == 1 / 301


def test_neither_the_order_of_the_baseline_nor_other_queries_matter():
    rng = np.random.default_rng(0)
    baseline, scores = rng.exponential(size=300), rng.exponential(3.0, size=30)
    groups = np.arange(300) // 2
    order = rng.permutation(300)
    whole = p_values(scores, baseline, groups=groups).working
    np.testing.assert_array_equal(
        whole, p_values(scores, baseline[order], groups=groups[order]).working
    )
    alone = [p_values(scores[i : i + 1], baseline, groups=groups).working[0] for i in range(30)]
    np.testing.assert_array_equal(whole, alone)


def test_no_queries_give_no_p_values():
    assert p_values(np.empty(0), np.arange(300.0)).working.shape == (0,)


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="None of the 1 baseline images"):
        p_values(np.ones(1), np.array([np.nan]))
    with pytest.raises(OptionError, match=r"inflation is 0\.9"):
        p_values(np.ones(1), np.ones(3), inflation=0.9)
    with pytest.raises(InputError, match="3 baseline images"):
        p_values(np.ones(1), np.ones(3), groups=np.zeros(2, int))
