import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.calibration.bounds import (
    clopper_pearson,
    copy_rate_bound,
    hypergeometric_bound,
    lower_limit,
    sensitivity_low,
    upper_bound,
)
from likeness.errors import InputError, OptionError


def binomial_cdf(k, m, share):
    return sum(math.comb(m, i) * share**i * (1 - share) ** (m - i) for i in range(k + 1))


@pytest.mark.parametrize(
    ("m", "percent"), [(300, 1.0), (1000, 0.30), (5000, 0.06)], ids=["300", "1000", "5000"]
)
def test_the_rule_of_three(m, percent):
    assert 100 * upper_bound(0, m, 0.05) == pytest.approx(percent, rel=0.01)
    assert upper_bound(0, m, 0.05) == pytest.approx(1 - 0.05 ** (1 / m))


@given(st.integers(1, 60), st.data(), st.sampled_from([0.05, 0.025, 0.2]))
@settings(deadline=None)
def test_the_limits_are_where_the_binomial_tail_is_alpha(m, data, alpha):
    k = data.draw(st.integers(0, m))
    upper, lower = upper_bound(k, m, alpha), lower_limit(k, m, alpha)
    assert 0 <= lower <= k / m <= upper <= 1
    if k < m:
        assert binomial_cdf(k, m, upper) == pytest.approx(alpha, rel=1e-6)
    if k:
        assert 1 - binomial_cdf(k - 1, m, lower) == pytest.approx(alpha, rel=1e-6)
    interval = clopper_pearson(k, m, 1 - 2 * alpha)
    assert (interval.low, interval.high) == pytest.approx((lower, upper))


def test_the_worked_example_of_the_copy_rate():
    """1,000 images, none flagged, 200 of 200 planted copies caught: fewer than 4 in 1,000."""
    bound = copy_rate_bound(0, 1000, 200, 200)
    assert bound.sensitivity == pytest.approx(0.9817, abs=5e-5)
    assert bound.sensitivity == sensitivity_low(200, 200) == pytest.approx(0.025 ** (1 / 200))
    assert bound.rate == pytest.approx(0.00375, abs=5e-6)
    assert bound.sentence() == (
        "Fewer than 4 in 1,000 images are copies of this kind, with 95% confidence; the audit "
        "finds at least 98.2% of them."
    )


def test_the_bound_covers_the_true_rate():
    """Copies at 0.5 %, sensitivity 0.9: the rate is below the bound in 95 % of audits or more."""
    rng = np.random.default_rng(0)
    runs = 2000
    covered = sum(
        copy_rate_bound(rng.binomial(1000, 0.0045), 1000, rng.binomial(200, 0.9), 200).rate >= 0.005
        for _ in range(runs)
    )
    assert covered / runs >= 0.95


def test_blind_audits_bound_nothing():
    bound = copy_rate_bound(0, 1000, 0, 200)
    assert (bound.rate, bound.sensitivity) == (1.0, 0.0)
    assert "too rarely" in bound.sentence()


@pytest.mark.parametrize(
    ("images", "words"),
    [(20, "Fewer than 18 in 100 "), (10_000_000, "Fewer than 1 in 1,000,000 ")],
)
def test_rates_are_rounded_up_to_something_that_can_be_pictured(images, words):
    assert copy_rate_bound(0, images, 200, 200).sentence().startswith(words)


@pytest.mark.parametrize(("audited", "most"), [(1000, 28), (5000, 4)])
def test_copies_left_in_a_set_of_10_000(audited, most):
    assert hypergeometric_bound(10_000, audited, 0).most == most


@given(st.integers(1, 30), st.data())
@settings(deadline=None, max_examples=60)
def test_the_hypergeometric_bound_by_trying_all_numbers(total, data):
    audited = data.draw(st.integers(1, total))
    found = data.draw(st.integers(0, audited))
    possible = [
        copies
        for copies in range(found, total - audited + found + 1)
        if 20
        * sum(
            math.comb(copies, i) * math.comb(total - copies, audited - i) for i in range(found + 1)
        )
        >= math.comb(total, audited)  # whole numbers: 1/20 is no float
    ]
    bound = hypergeometric_bound(total, audited, found)
    assert bound.most == max(possible)
    assert bound.unseen == max(possible) - found


def test_where_the_probability_is_the_limit_itself_the_larger_number_stands():
    assert 20 * math.comb(6, 2) == math.comb(25, 2)  # 19 copies, none among 2 of 25
    assert hypergeometric_bound(25, 2, 0).most == 19


def test_a_whole_set_leaves_nothing_open():
    bound = hypergeometric_bound(50, 50, 3)
    assert (bound.most, bound.unseen) == (3, 0)
    assert bound.sentence() == "All 50 images were audited; 3 were recognised as copies."
    assert "at most 28" in hypergeometric_bound(10_000, 1000, 0).sentence()


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="5 of 4 images"):
        upper_bound(5, 4, 0.05)
    with pytest.raises(InputError, match="0 of 0 images"):
        clopper_pearson(0, 0)
    with pytest.raises(OptionError, match="alpha is 1"):
        lower_limit(1, 4, 1.0)
    with pytest.raises(OptionError, match="confidence is 0"):
        clopper_pearson(1, 4, 0)
    with pytest.raises(InputError, match="20 of 10 images audited"):
        hypergeometric_bound(10, 20, 0)
