"""Flags become a verdict only where chance does not explain them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from likeness.calibration import Threshold, calibrate, decide
from likeness.calibration.decision import FEWEST_SYNTHETIC


@pytest.fixture
def baseline():
    return np.linspace(0.5, 0.9, 1000)


@pytest.fixture
def threshold(baseline):
    return calibrate(baseline, false_flag_rate=0.01)


def innocent(count):
    return np.linspace(0.4, 0.88, count)


def test_one_near_duplicate_among_a_thousand_is_found(baseline, threshold):
    scores = innocent(1000)
    scores[17] = 0.9990
    decision = decide(scores, threshold, baseline)
    assert decision.code == "COPIES_FOUND"
    assert decision.flagged.nonzero()[0].tolist() == [17]
    assert decision.certain.nonzero()[0].tolist() == [17]


def test_a_near_duplicate_below_the_highest_baseline_image_is_not_certain(threshold, baseline):
    scores = innocent(1000)
    scores[17] = 0.9960
    odd = np.append(baseline, 0.9999)
    assert not decide(scores, threshold, odd).certain.any()


def test_many_flags_are_a_finding_without_any_near_duplicate(baseline, threshold):
    scores = innocent(1000)
    scores[:60] = 0.95
    decision = decide(scores, threshold, baseline)
    assert decision.code == "COPIES_FOUND"
    assert int(decision.flagged.sum()) == 60
    assert not decision.certain.any()
    assert decision.expected == pytest.approx(10.0)


def test_as_many_flags_as_chance_gives_are_not_a_finding(baseline, threshold):
    scores = innocent(1000)
    scores[:10] = 0.95
    decision = decide(scores, threshold, baseline)
    assert decision.code == "INCONCLUSIVE"
    assert "chance" in decision.reasons[0]


def test_no_flag_and_enough_images_is_no_copy_detected(baseline, threshold):
    assert decide(innocent(FEWEST_SYNTHETIC), threshold, baseline).code == "NO_COPY_DETECTED"
    few = decide(innocent(FEWEST_SYNTHETIC - 1), threshold, baseline)
    assert few.code == "INCONCLUSIVE"
    assert "too few" in few.reasons[0]


def test_without_a_baseline_nothing_can_be_said():
    decision = decide(innocent(1000), None, np.empty(0), why_no_baseline="No real images.")
    assert decision.code == "INCONCLUSIVE"
    assert decision.reasons == ("No real images.",)
    assert not decision.flagged.any()


def test_an_image_without_a_score_is_neither_flagged_nor_counted(baseline, threshold):
    scores = np.append(innocent(400), [math.nan, 0.999])
    decision = decide(scores, threshold, baseline)
    assert decision.flagged.tolist()[-2:] == [False, True]
    assert decision.expected == pytest.approx(4.01)


def test_the_probability_is_the_binomial_tail(baseline):
    """Compared with the sum over all counts below, term by term."""
    scores = innocent(50)
    scores[:3] = 0.99
    decision = decide(scores, Threshold(0.95, 0.04, 1000), baseline)
    below = sum(math.comb(50, k) * 0.04**k * 0.96 ** (50 - k) for k in range(3))
    assert decision.chance == pytest.approx(1 - below, rel=1e-9)


def test_a_score_equal_to_the_threshold_is_not_flagged(baseline, threshold):
    scores = np.full(400, threshold.value)
    assert not decide(scores, threshold, baseline).flagged.any()
