import numpy as np
import pytest

from likeness.calibration.resampling import compare_scores
from likeness.errors import InputError, OptionError


def test_the_three_effects_by_counting_pairs():
    synthetic = np.array([0.9, 0.5, 0.7, np.nan])
    real = np.array([0.5, 0.8, 0.2, 0.1, np.nan])
    found = compare_scores(synthetic, real, threshold=0.6, draws=20)
    pairs = [(a > b) + 0.5 * (a == b) for a in synthetic[:3] for b in real[:4]]
    assert found.auc.value == pytest.approx(np.mean(pairs))
    assert found.excess.value == pytest.approx((2 / 3 - 1 / 4) / (1 - 1 / 4))
    assert found.difference.value == pytest.approx(
        np.arctanh(synthetic[:3]).mean() - np.arctanh(real[:4]).mean()
    )
    assert (found.num_synthetic, found.num_real, found.num_patients) == (3, 4, 4)


def test_intervals_agree_with_a_plain_bootstrap():
    rng = np.random.default_rng(0)
    synthetic = rng.uniform(0.3, 0.9, size=60)
    groups = np.repeat(np.arange(15), 6)
    real = (rng.uniform(0.2, 0.7, size=15)[groups] + rng.uniform(0, 0.1, size=90)).clip(0, 0.95)
    found = compare_scores(synthetic, real, groups=groups, threshold=0.6, seed=3)
    plain = []
    for _ in range(2000):
        s = rng.choice(synthetic, size=60)
        r = np.concatenate([real[groups == k] for k in rng.integers(15, size=15)])
        usual = (r > 0.6).mean()
        plain.append(
            [
                ((s > 0.6).mean() - usual) / (1 - usual),
                (s[:, None] > r[None, :]).mean(),
                np.arctanh(s).mean() - np.arctanh(r).mean(),
            ]
        )
    low, high = np.quantile(plain, [0.025, 0.975], axis=0)
    for number, effect in enumerate((found.excess, found.auc, found.difference)):
        width = high[number] - low[number]
        assert effect.low == pytest.approx(low[number], abs=0.1 * width)
        assert effect.high == pytest.approx(high[number], abs=0.1 * width)


def test_patients_are_the_unit_of_the_real_side():
    """Twenty equal images of each patient tell no more than one of each."""
    rng = np.random.default_rng(1)
    synthetic, people = rng.uniform(0.2, 0.8, size=500), rng.uniform(0.2, 0.8, size=20)
    one = compare_scores(synthetic, people, threshold=0.6)
    many = compare_scores(
        synthetic, np.repeat(people, 20), groups=np.repeat(np.arange(20), 20), threshold=0.6
    )
    wrong = compare_scores(synthetic, np.repeat(people, 20), threshold=0.6)
    assert many.auc.value == one.auc.value
    width = one.auc.high - one.auc.low
    assert many.auc.high - many.auc.low == pytest.approx(width, rel=0.1)
    assert wrong.auc.high - wrong.auc.low < 0.5 * width


def test_the_auc_interval_covers_one_half():
    """Equal distributions with strong patient effects: 0.5 is inside in about 95 % of cases."""
    rng = np.random.default_rng(2)
    runs, inside = 80, 0
    for run in range(runs):
        effect = rng.standard_normal(60)
        groups = np.repeat(np.arange(60), 8)
        real = np.tanh(effect[groups] + 0.5 * rng.standard_normal(480))
        synthetic = np.tanh(np.sqrt(1.25) * rng.standard_normal(200))
        auc = compare_scores(synthetic, real, groups=groups, threshold=0.9, draws=200, seed=run).auc
        inside += auc.low <= 0.5 <= auc.high
    assert inside / runs >= 0.88


def test_equal_seeds_give_equal_results_in_any_order_of_the_real_images():
    rng = np.random.default_rng(4)
    synthetic, real = rng.uniform(size=50), rng.uniform(size=40)
    first = compare_scores(synthetic, real, threshold=0.5, draws=50)
    assert first == compare_scores(synthetic[::-1], real, threshold=0.5, draws=50)
    assert first != compare_scores(synthetic, real, threshold=0.5, draws=50, seed=1)
    other = compare_scores(synthetic, real, threshold=0.7, draws=50)
    assert other.excess != first.excess
    assert other.auc == first.auc


def test_nothing_can_exceed_when_all_real_images_do():
    found = compare_scores(np.array([0.9]), np.array([0.8, 0.7]), threshold=0.1, draws=5)
    assert found.excess.value == found.excess.low == found.excess.high == 0.0


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="0 synthetic and 1 real"):
        compare_scores(np.array([np.nan]), np.ones(1) / 2, threshold=0.5)
    with pytest.raises(OptionError, match="draws is 0"):
        compare_scores(np.ones(1) / 2, np.ones(1) / 2, threshold=0.5, draws=0)
