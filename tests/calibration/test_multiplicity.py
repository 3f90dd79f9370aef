import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from likeness.calibration.multiplicity import (
    adjusted,
    benjamini_hochberg,
    combine_families,
    flagged_alone,
)
from likeness.errors import InputError, OptionError

probability = st.integers(0, 64).map(lambda k: k / 64)  # exact in binary: no rounding at the limit


def by_the_book(p, q):
    """Largest k with p_(k) <= k q / m; reject the k smallest."""
    m = len(p)
    ordered = sorted(p)
    k = max((k for k in range(1, m + 1) if ordered[k - 1] <= k * q / m), default=0)
    return [k > 0 and value <= ordered[k - 1] for value in p]


@given(arrays(float, st.integers(1, 16), elements=probability), st.sampled_from([0.0625, 0.25]))
def test_benjamini_hochberg_agrees_with_the_book(p, q):
    np.testing.assert_array_equal(benjamini_hochberg(p, q), by_the_book(p, q))


def test_benjamini_and_hochbergs_own_example():
    """Fifteen p-values, q = 0.05: four are rejected (1995, section 4.1)."""
    p = "0.0001 0.0004 0.0019 0.0095 0.0201 0.0278 0.0298 0.0344 0.0459 0.3240 0.4262 0.5719"
    p = np.array([float(value) for value in (p + " 0.6528 0.7590 1.0000").split()])
    assert benjamini_hochberg(p, 0.05).tolist() == [True] * 4 + [False] * 11


@given(arrays(float, st.integers(0, 20), elements=st.floats(0, 1)), st.randoms())
def test_adjusted_values_say_when_each_image_is_flagged(p, random):
    values = adjusted(p)
    assert ((values >= p) & (values <= 1)).all()
    for q in (0.05, 0.2):
        np.testing.assert_array_equal(values <= q, benjamini_hochberg(p, q))
    order = list(range(len(p)))
    random.shuffle(order)
    np.testing.assert_array_equal(adjusted(p[order]), values[order])


def test_the_false_discovery_proportion_is_held():
    rng = np.random.default_rng(0)
    shares, any_flag = [], []
    for _ in range(400):
        p = rng.uniform(size=500)
        any_flag.append(benjamini_hochberg(p, 0.05).any())
        p[:50] *= 1e-4
        flags = benjamini_hochberg(p, 0.05)
        shares.append(flags[50:].sum() / max(flags.sum(), 1))
    assert np.mean(shares) <= 0.05
    assert np.mean(any_flag) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_families_are_paid_for():
    combined, best = combine_families(np.array([[0.01, 0.004], [0.7, 0.9], [0.2, 0.2]]))
    assert combined.tolist() == [0.008, 1.0, 0.4]
    assert best.tolist() == [1, 0, 0]


def test_flagged_alone_is_the_first_step_of_benjamini_hochberg():
    p = np.array([4e-5, 5e-5, 6e-5])
    assert flagged_alone(p, 1000, 0.05).tolist() == [True, True, False]
    for value in p:
        others = np.ones(999)
        alone = benjamini_hochberg(np.concatenate([[value], others]), 0.05)[0]
        assert alone == flagged_alone(np.array([value]), 1000, 0.05)[0]


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="1 dimension"):
        adjusted(np.array([0.1, np.nan]))
    with pytest.raises(InputError, match="from 0 to 1"):
        benjamini_hochberg(np.array([1.1]), 0.05)
    with pytest.raises(OptionError, match="q is 0"):
        benjamini_hochberg(np.array([1.0]), 0.0)
    with pytest.raises(InputError, match="no family"):
        combine_families(np.empty((3, 0)))
    with pytest.raises(InputError, match="2 dimension"):
        combine_families(np.ones(3))
    with pytest.raises(InputError, match="at least 1"):
        flagged_alone(np.ones(3), 0, 0.05)
