from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from likeness.calibration.membership import (
    fewest_leaked,
    membership_test,
    patient_weights,
)
from likeness.errors import InputError, OptionError


@pytest.mark.parametrize(
    ("num_train", "num_test", "alpha", "leaked"),
    [
        (313, 56, 0.05, 18),
        (1195, 56, 0.05, 64),
        (250, 119, 0.05, 8),
        (300, 300, 0.05, 5),
        (313, 56, 0.01, 27),
        (1195, 56, 0.01, 97),
        (3, 1, 0.05, None),
    ],
)
def test_how_many_patients_must_leak(num_train, num_test, alpha, leaked):
    assert fewest_leaked(num_train, num_test, alpha) == leaked


def test_the_design_limit_is_what_the_test_reaches():
    """With that many leaked training patients p is at most 0.05, with one fewer it is not."""
    is_train = np.arange(40) < 25
    needed = fewest_leaked(25, 15, 0.05)
    for leaked in (needed - 1, needed):
        found = membership_test(np.arange(leaked), np.ones(leaked), is_train, permutations=40_000)
        exact = stats.hypergeom.sf(leaked - 1, 40, 25, leaked)
        assert found.p == pytest.approx(exact, rel=0.1)
        assert (exact <= 0.05) == (leaked == needed)


def test_the_p_value_agrees_with_all_relabellings():
    """Six patients, three trained on; two strata, labels permuted within each."""
    nearest = np.array([0, 0, 1, 3, 4, 5, 2])
    contrast = np.array([0.5, 0.4, 0.3, 0.5, 0.1, 0.2, 0.4])
    is_train = np.array([True, False, True, True, False, False])
    strata = np.array([0, 0, 0, 1, 1, 1])
    squared = np.minimum(contrast, 0.5) ** 2
    weight = np.array([squared[nearest == k].sum() for k in range(6)])

    def share(trained):
        return weight[list(trained)].sum() / weight.sum()

    plain = [share(chosen) for chosen in combinations(range(6), 3)]
    within = [
        share(a + b) for a, b in product(combinations(range(3), 2), combinations(range(3, 6), 1))
    ]
    observed = share(np.flatnonzero(is_train))
    for shares, given in ((plain, None), (within, strata)):
        exact = np.mean([s >= observed - 1e-12 for s in shares])
        found = membership_test(nearest, contrast, is_train, strata=given, permutations=20_000)
        assert found.share == pytest.approx(observed)
        assert found.expected == pytest.approx(np.mean(shares))
        assert found.p == pytest.approx(exact, abs=0.015)
        assert found.delta == pytest.approx((observed - found.expected) / (1 - found.expected))


def test_equal_shares_count_as_reached():
    """One image: T is 1 or 0, and half of all relabellings give 1."""
    found = membership_test(np.array([0]), np.array([0.3]), np.array([True, False]))
    assert found.p == pytest.approx(0.5, abs=0.02)
    # Weights that are equal only up to rounding must tie too.
    contrast = np.array([0.1 + 0.2, 0.3])
    found = membership_test(np.array([0, 1]), contrast, np.array([True, False]))
    assert found.p == 1.0


def test_the_size_is_right_for_a_generator_that_copied_nothing():
    """Some patients attract most images whoever was trained on: 5 % at a nominal 5 %."""
    rng = np.random.default_rng(0)
    runs, low = 400, 0
    attraction = rng.exponential(size=80) ** 3
    nearest = rng.choice(80, size=300, p=attraction / attraction.sum())
    contrast = rng.exponential(size=300)
    for run in range(runs):
        is_train = rng.permutation(80) < 64
        found = membership_test(nearest, contrast, is_train, permutations=199, seed=run)
        low += found.p <= 0.05
    assert 0.03 <= low / runs <= 0.08


def test_copies_are_noticed_by_their_weight():
    """10 % copies with a high contrast among images that point anywhere."""
    rng = np.random.default_rng(1)
    is_train = np.arange(80) < 64
    low = weak = 0
    for run in range(40):
        nearest, contrast = rng.integers(80, size=300), rng.exponential(0.05, size=300)
        nearest[:30], contrast[:30] = rng.choice(64, size=30, replace=False), 2.0
        found = membership_test(nearest, contrast, is_train, permutations=999, seed=run)
        equal = membership_test(nearest, np.ones(300), is_train, permutations=999, seed=run)
        low += found.p <= 0.01
        weak += equal.p <= 0.01
        assert found.delta > 0.5
    assert low == 40
    assert weak < 10


def test_held_out_patients_swapped_for_training_ones_are_not_a_finding():
    rng = np.random.default_rng(1)
    is_train = np.arange(80) < 64
    nearest = rng.integers(64, 80, size=50)  # all point to held-out patients
    found = membership_test(nearest, np.ones(50), is_train, permutations=999)
    assert found.p > 0.99
    assert found.share == 0.0
    assert found.delta < 0


def test_one_image_alone_does_not_decide():
    """Weights are capped at their 99.5 % quantile."""
    contrast = np.concatenate([np.full(999, 0.1), [7.0]])
    weights, number = patient_weights(np.arange(1000), contrast, 1000)
    assert number == 1000
    assert weights[-1] == weights[0]
    only, _ = patient_weights(np.arange(1000), np.concatenate([np.zeros(999), [7.0]]), 1000)
    assert only[-1] > 0


def test_the_order_of_images_does_not_matter():
    rng = np.random.default_rng(2)
    nearest, contrast = rng.integers(50, size=400), rng.exponential(size=400)
    is_train = np.arange(50) < 30
    order = rng.permutation(400)
    first = membership_test(nearest, contrast, is_train, permutations=500)
    again = membership_test(nearest[order], contrast[order], is_train, permutations=500)
    assert first == again
    assert first != membership_test(nearest, contrast, is_train, permutations=500, seed=1)


def test_images_without_a_patient_or_contrast_do_not_count():
    is_train = np.array([True, True, False])
    found = membership_test(
        np.array([0, -1, 2, 1]), np.array([0.5, 0.9, np.nan, 0.5]), is_train, permutations=50
    )
    assert found.num_images == 2
    assert found.share == 1.0
    nothing = membership_test(np.array([0, 2]), np.zeros(2), is_train, permutations=50)
    assert (nothing.p, nothing.delta, nothing.share) == (1.0, 0.0, 2 / 3)


def test_thousands_of_patients_need_little_memory():
    import tracemalloc

    rng = np.random.default_rng(3)
    nearest, contrast = rng.integers(6000, size=2000), rng.exponential(size=2000)
    tracemalloc.start()
    found = membership_test(nearest, contrast, np.arange(6000) < 5000, permutations=999)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert found.share_band[0] < found.expected < found.share_band[1]


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="3 of 3 patients"):
        membership_test(np.array([0]), np.ones(1), np.ones(3, bool))
    with pytest.raises(InputError, match="up to 7 of 3"):
        membership_test(np.array([7]), np.ones(1), np.array([True, False, True]))
    with pytest.raises(InputError, match="strata has the shape"):
        membership_test(np.array([0]), np.ones(1), np.arange(2) > 0, strata=np.zeros(3, int))
    with pytest.raises(OptionError, match="permutations is 0"):
        membership_test(np.array([0]), np.ones(1), np.arange(2) > 0, permutations=0)
    with pytest.raises(InputError, match="0 training"):
        fewest_leaked(0, 5, 0.05)
