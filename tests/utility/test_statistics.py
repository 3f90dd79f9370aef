"""Dice, AUC and intervals, against sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.utility.statistics import (
    area_under_curve,
    class_measures,
    interval,
    mean_dice,
    patient_weights,
    pooled_share,
)


def test_dice_is_of_patients_and_those_without_annotation_are_left_out():
    both, said, true = np.array([3, 0, 5]), np.array([4, 7, 5]), np.array([6, 0, 5])
    weights = np.array([[1.0, 1, 1], [2, 1, 1], [0, 3, 0]])
    found = mean_dice(both, said, true, weights)
    assert found[0] == pytest.approx((6 / 10 + 1) / 2)
    assert found[1] == pytest.approx((2 * 6 / 10 + 1) / 3)
    assert np.isnan(found[2])


def test_a_share_is_of_all_pixels_together():
    weights = np.array([[1.0, 1], [0, 2]])
    assert pooled_share(np.array([1, 3]), np.array([10, 4]), weights) == pytest.approx(
        [4 / 14, 3 / 4]
    )


def test_the_area_is_the_share_of_pairs_in_order_with_repeated_images():
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 6, 40) / 6  # with ties
    positive = rng.random(40) < 0.4
    weights = rng.integers(0, 4, (3, 40)).astype(float)
    for row, found in zip(weights, area_under_curve(scores, positive, weights), strict=True):
        repeated = np.repeat(np.arange(40), row.astype(int))
        up = [scores[k] for k in repeated if positive[k]]
        down = [scores[k] for k in repeated if not positive[k]]
        pairs = [(a > b) + 0.5 * (a == b) for a in up for b in down]
        assert found == pytest.approx(np.mean(pairs))


def test_without_one_kind_the_area_is_not_defined():
    found = area_under_curve(np.array([0.1, 0.2]), np.array([True, True]), np.ones((1, 2)))
    assert np.isnan(found).all()


def test_three_classes_are_counted_by_patient():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    truth, patients = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1])
    found = class_measures(probabilities, truth, patients, np.array([[1.0, 1], [2, 1]]))
    assert found["accuracy"] == pytest.approx([3 / 4, 5 / 6])
    assert found["balanced_accuracy"] == pytest.approx([(1 + 1 / 2 + 1) / 3, (1 + 2 / 3 + 1) / 3])
    assert found["auc"][0] == pytest.approx(1.0)


def test_each_draw_has_as_many_patients_as_there_are():
    weights = patient_weights(7, 50)
    assert weights.shape == (51, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()


def test_intervals_cover_the_mean_of_all_patients():
    rng = np.random.default_rng(8)
    covered = 0
    for number in range(400):
        # Per-patient Dice of a Beta(4, 2), mean 2/3; patients differ in size, which must not count.
        dice, size = rng.beta(4, 2, 40), rng.integers(2_000, 200_000, 40)
        both = np.round(dice * size).astype(int)
        draws = mean_dice(both, size, size, patient_weights(40, 300, seed=number))
        low, high = interval(draws[1:])
        covered += low <= 2 / 3 <= high
    # 95 % less a little for 40 patients; three standard deviations of 400 trials are 3.3 %.
    assert 0.90 <= covered / 400 <= 0.98
