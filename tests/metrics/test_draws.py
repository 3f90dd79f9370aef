"""Who is drawn together, and what an interval is."""

import numpy as np
import pytest

from likeness.metrics.draws import counts_of_images, counts_of_patients, interval
from likeness.metrics.frechet import weighted_frechet_distance


def test_patients_are_drawn_with_all_their_images():
    codes = np.array([0, 1, 1, 2, 0, 1])
    counts = counts_of_patients(codes, 500, np.random.default_rng(0))
    assert (counts[:, 0] == counts[:, 4]).all()
    assert (counts[:, 1] == counts[:, 2]).all()
    assert (counts[:, 1] == counts[:, 5]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()  # three patients in each draw
    assert counts[:, [0, 1, 3]].mean(axis=0) == pytest.approx(1, abs=0.1)


def test_images_are_drawn_singly():
    counts = counts_of_images(40, 300, np.random.default_rng(0))
    assert (counts.sum(axis=1) == 40).all()
    assert (counts > 0).mean() == pytest.approx(1 - 1 / np.e, abs=0.02)


def test_an_interval_is_the_spread_of_the_draws_around_the_value():
    """The draws' own shift, of which the Fréchet distance has much, is taken out."""
    draws = np.arange(1001.0)
    found = interval(10.0, draws)
    assert (found.low, found.high) == pytest.approx((10 - 475, 10 + 475))
    assert found.how == "centred quantiles"
    clipped = interval(10.0, draws, lowest=0, highest=20)
    assert (clipped.low, clipped.high, clipped.draws) == (0, 20, 1001)


def test_few_draws_have_no_outer_quantiles():
    draws = np.random.default_rng(0).normal(size=30)
    found = interval(0.0, draws)
    assert found.how == "normal"
    assert found.high == -found.low == pytest.approx(1.96 * draws.std(ddof=1))
    assert interval(0.0, draws[:5]) is None
    assert interval(0.0, np.full(50, np.nan)) is None


def test_intervals_of_a_mean_cover_it():
    """95 in 100, for images and for patients of several images."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        patients = rng.normal(size=40)
        codes = np.repeat(np.arange(40), 3)
        values = patients[codes] + 0.1 * rng.normal(size=120)
        counts = counts_of_patients(codes, 200, rng)
        found = interval(values.mean(), counts @ values / counts.sum(axis=1))
        hits += found.low <= 0 <= found.high
    assert 180 <= hits <= 199


def test_centred_intervals_hold_the_distance_of_sets_of_that_size():
    """And the usual percentile interval does not: draws are farther apart than the sets."""
    rng = np.random.default_rng(2)
    ones = np.ones(60)

    def sets():
        return rng.normal(size=(60, 16)), rng.normal(size=(60, 16)) + 0.2

    expected = np.mean([weighted_frechet_distance(*sets(), ones, ones) for _ in range(300)])
    held = plain = 0
    for _ in range(40):
        pair = sets()
        counts = [counts_of_images(60, 60, rng) for _ in pair]
        draws = [weighted_frechet_distance(*pair, *each) for each in zip(*counts, strict=True)]
        found = interval(weighted_frechet_distance(*pair, ones, ones), np.array(draws))
        held += found.low <= expected <= found.high
        low, high = np.quantile(draws, (0.025, 0.975))
        plain += low <= expected <= high
    assert held >= 36
    assert plain < held / 2
