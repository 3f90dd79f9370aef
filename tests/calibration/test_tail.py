import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from likeness.calibration.tail import fit_tail
from likeness.errors import InputError, OptionError

DISTRIBUTIONS = {
    "exponential": stats.expon(),
    "half-normal": stats.halfnorm(),
    "lognormal": stats.lognorm(0.7),
    "pareto 0.1": stats.genpareto(0.1),
    "pareto 0.2": stats.genpareto(0.2),
    "weibull": stats.weibull_min(0.7),
}


def predictive(scores, share, at):
    """The average over curves, summed over shapes and over a fine and wide grid of scales."""
    ordered = np.sort(scores)
    number = int(share * len(scores))
    excess = ordered[-number:] - ordered[-number - 1]
    log_weights, survivals = [], []
    for shape in np.arange(11) / 20:
        for scale in excess.mean() * np.exp(np.linspace(-3, 2, 1501)):
            relative = 1 + shape * excess / scale
            log_likelihood = -number * np.log(scale) - (
                excess.sum() / scale if shape == 0 else (1 + 1 / shape) * np.log(relative).sum()
            )
            log_weights.append(log_likelihood - 5 * shape)
            beyond = (at - ordered[-number - 1]) / scale
            survivals.append(
                np.exp(-beyond) if shape == 0 else (1 + shape * beyond) ** (-1 / shape)
            )
    weights = np.exp(np.array(log_weights) - max(log_weights))
    return (number + 1) / (len(scores) + 1) * np.average(survivals, weights=weights)


def test_the_tail_is_the_average_over_all_curves():
    scores = np.random.default_rng(3).exponential(size=400)
    tail = fit_tail(scores)
    for x in (4.0, 6.0, 9.0):
        expected = predictive(scores, 0.1, x)
        assert tail.p_value(np.array([x]))[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_of_new_values_no_more_than_about_a_have_a_p_value_of_at_most_a(name):
    """3,000 independent baseline values: the mean of P(p <= a) over baselines is at most 1.5 a."""
    distribution = DISTRIBUTIONS[name]
    rng = np.random.default_rng(11)
    for a in (1e-3, 1e-4):
        rates = []
        for _ in range(25):
            tail = fit_tail(distribution.isf(rng.uniform(size=3000)))
            rates.append(distribution.sf(tail.score_at(a)))
        assert np.mean(rates) <= 1.5 * a


def test_the_price_of_caution_is_small():
    """For an exponential tail the score for p = 1e-4 is at most 1.25 times the true one."""
    rng = np.random.default_rng(5)
    scores = [fit_tail(rng.exponential(size=3000)).score_at(1e-4) for _ in range(15)]
    assert 1.0 <= np.median(scores) / stats.expon.isf(1e-4) <= 1.25


def test_patients_of_many_images_make_the_tail_more_careful():
    rng = np.random.default_rng(2)
    scores = rng.exponential(size=1000)
    alone = fit_tail(scores)
    together = fit_tail(scores, groups=np.argsort(np.argsort(-scores)) // 5)
    assert (alone.num_groups, together.num_groups) == (100, 20)
    assert together.score_at(1e-5) > 1.2 * alone.score_at(1e-5)


def test_clustered_patients_keep_small_baselines_valid():
    """400 images of about 70 patients with a within-patient correlation of 0.6."""
    rng = np.random.default_rng(8)
    rates = []
    for _ in range(60):
        sizes = np.minimum(rng.geometric(0.15, 400), 30)
        groups = np.repeat(np.arange(400), sizes)[:400]
        z = np.sqrt(0.6) * rng.standard_normal(400)[groups]
        z += np.sqrt(0.4) * rng.standard_normal(400)
        tail = fit_tail(stats.expon.isf(stats.norm.sf(z)), groups=groups)
        if tail is not None:
            rates.append(stats.expon.sf(tail.score_at(1e-4)))
    assert len(rates) > 50
    assert np.mean(rates) <= 1.5e-4


def test_too_few_exceedances_are_not_extrapolated():
    scores = np.arange(99.0)
    assert fit_tail(scores) is None
    assert fit_tail(np.arange(100.0)) is not None
    assert fit_tail(np.arange(100.0), groups=np.arange(100) // 2) is None  # 5 patients beyond
    assert fit_tail(np.ones(1000)) is None  # nothing is beyond the threshold
    assert fit_tail(np.arange(40.0), share=0.25) is not None


def test_what_is_recorded():
    scores = np.random.default_rng(1).permutation(np.arange(1000.0))
    tail = fit_tail(scores)
    assert tail.threshold == 899.0
    assert tail.num_exceedances == 100
    assert tail.share == 101 / 1001
    assert 0.0 <= tail.shape <= 0.5
    assert tail.scale > 0.0
    assert tail.weights.sum() == pytest.approx(1.0)
    assert (tail.shapes >= 0.0).all()  # never a tail that ends


@given(
    st.lists(st.floats(0, 50), min_size=2, max_size=40),
    st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_p_falls_with_the_score_and_is_never_0(points, seed):
    tail = fit_tail(np.random.default_rng(seed).lognormal(size=150))
    points = np.sort(np.array([*points, 1e300]))
    p = tail.p_value(points)
    assert (np.diff(p) <= 1e-15).all()
    assert (p > 0).all()
    assert (p <= tail.share).all()
    assert tail.p_value(np.array([tail.threshold]))[0] == pytest.approx(tail.share)


def test_order_scale_and_missing_values_do_not_matter():
    rng = np.random.default_rng(4)
    scores = rng.exponential(size=500)
    shuffled = np.concatenate([rng.permutation(scores), [np.nan, np.nan]])
    tail, again = fit_tail(scores), fit_tail(shuffled)
    at = np.linspace(0, 12, 50)
    np.testing.assert_array_equal(tail.p_value(at), again.p_value(at))
    wider = fit_tail(1000.0 * scores)
    np.testing.assert_allclose(wider.p_value(1000.0 * at), tail.p_value(at), rtol=1e-9)


def test_many_scores_at_once_are_as_one_at_a_time():
    tail = fit_tail(np.random.default_rng(4).exponential(size=500))
    at = np.linspace(0, 12, 9001)
    together = tail.p_value(at)
    for index in (0, 17, 4095, 4096, 9000):
        assert together[index] == tail.p_value(at[index : index + 1])[0]


def test_score_at_inverts_p_value():
    tail = fit_tail(np.random.default_rng(4).exponential(size=500))
    for p in (0.05, 1e-3, 1e-9):
        assert tail.p_value(np.array([tail.score_at(p)]))[0] == pytest.approx(p, rel=1e-9)
    with pytest.raises(OptionError, match=r"p is 0\.5"):
        tail.score_at(0.5)


def test_faulty_arguments_are_refused():
    with pytest.raises(OptionError, match="share is 1"):
        fit_tail(np.arange(100.0), share=1.0)
    with pytest.raises(InputError, match="100 baseline images"):
        fit_tail(np.arange(100.0), groups=np.arange(99))
