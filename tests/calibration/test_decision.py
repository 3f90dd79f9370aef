"""Flags become a verdict only where chance does not explain them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from likeness.calibration import calibrate, decide
from likeness.calibration.decision import FEWEST_SYNTHETIC, chance_of_at_least


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
    decision = decide(scores, threshold, baseline, num_patients=400)
    assert decision.code == "COPIES_FOUND"
    assert decision.flagged.nonzero()[0].tolist() == [17]
    assert decision.certain.nonzero()[0].tolist() == [17]


def test_a_near_duplicate_below_the_highest_baseline_image_is_not_certain(threshold, baseline):
    scores = innocent(1000)
    scores[17] = 0.9960
    odd = np.append(baseline, 0.9999)
    assert not decide(scores, threshold, odd, num_patients=400).certain.any()


def test_many_flags_are_a_finding_without_any_near_duplicate(baseline, threshold):
    scores = innocent(1000)
    scores[:60] = 0.95
    decision = decide(scores, threshold, baseline, num_patients=400)
    assert decision.code == "COPIES_FOUND"
    assert int(decision.flagged.sum()) == 60
    assert not decision.certain.any()
    assert decision.expected == pytest.approx(10.0)


def test_as_many_flags_as_chance_gives_are_not_a_finding(baseline, threshold):
    scores = innocent(1000)
    scores[:10] = 0.95
    decision = decide(scores, threshold, baseline, num_patients=400)
    assert decision.code == "INCONCLUSIVE"
    assert "chance" in decision.reasons[0]


def test_no_flag_and_enough_images_is_no_copy_detected(baseline, threshold):
    enough = decide(innocent(FEWEST_SYNTHETIC), threshold, baseline, num_patients=400)
    assert enough.code == "NO_COPY_DETECTED"
    few = decide(innocent(FEWEST_SYNTHETIC - 1), threshold, baseline, num_patients=400)
    assert few.code == "INCONCLUSIVE"
    assert "too few" in few.reasons[0]


def test_without_a_baseline_nothing_can_be_said():
    decision = decide(
        innocent(1000), None, np.empty(0), num_patients=0, why_no_baseline="No real images."
    )
    assert decision.code == "INCONCLUSIVE"
    assert decision.reasons == ("No real images.",)
    assert not decision.flagged.any()


def test_an_image_without_a_score_is_neither_flagged_nor_counted(baseline, threshold):
    scores = np.append(innocent(400), [math.nan, 0.999])
    decision = decide(scores, threshold, baseline, num_patients=400)
    assert decision.flagged.tolist()[-2:] == [False, True]
    assert decision.expected == pytest.approx(4.01)


def test_images_without_a_score_do_not_count_towards_enough(baseline, threshold):
    scores = np.append(innocent(FEWEST_SYNTHETIC - 1), [math.nan] * 50)
    decision = decide(scores, threshold, baseline, num_patients=400)
    assert decision.code == "INCONCLUSIVE"
    assert f"{FEWEST_SYNTHETIC - 1} synthetic images are too few" in decision.reasons[0]


def test_few_people_behind_the_threshold_make_many_flags_possible(baseline, threshold):
    """The same 60 flags: a finding with 400 people, none with 10."""
    scores = innocent(1000)
    scores[:60] = 0.95
    few = decide(scores, threshold, baseline, num_patients=10)
    assert few.code == "INCONCLUSIVE"
    assert "10 patients" in few.reasons[0]


def test_where_the_people_are_not_known_only_near_duplicates_make_a_finding(baseline, threshold):
    scores = innocent(1000)
    scores[:60] = 0.95
    unknown = decide(scores, threshold, baseline, num_patients=None)
    assert unknown.code == "INCONCLUSIVE"
    assert "--patient-id" in unknown.reasons[0]
    scores[60] = 0.9990
    assert decide(scores, threshold, baseline, num_patients=None).code == "COPIES_FOUND"


def test_the_chance_is_that_of_a_simulation_with_one_value_per_patient():
    """Draw K values, take the threshold, draw new images, count: no formula is used."""
    rng = np.random.default_rng(11)
    patients, images, rounds = 50, 80, 20_000
    highest = np.sort(rng.uniform(size=(rounds, patients)), axis=1)[:, -2]  # a = floor(0.05 * 51)
    flags = (rng.uniform(size=(rounds, images)) > highest[:, None]).sum(axis=1)
    for number in (1, 3, 6, 10):
        expected = chance_of_at_least(number, images, rate=0.05, num_patients=patients)
        assert (flags >= number).mean() == pytest.approx(expected, abs=0.012)


def test_with_very_many_people_the_chance_is_the_binomial_tail():
    """Compared with the sum over all counts below, term by term."""
    below = sum(math.comb(50, k) * 0.04**k * 0.96 ** (50 - k) for k in range(3))
    many = chance_of_at_least(3, 50, rate=0.04, num_patients=10**7)
    assert many == pytest.approx(1 - below, rel=1e-3)


def test_a_tiny_chance_keeps_its_digits():
    """Against the beta-binomial tail summed in exact fractions."""
    flags, images, patients = 38, 148, 137

    def rising(x, n):
        return math.prod(range(x, x + n))

    exact = sum(
        Fraction(math.comb(images, k) * rising(1, k) * rising(patients, images - k))
        / rising(1 + patients, images)
        for k in range(flags, images + 1)
    )
    found = chance_of_at_least(flags, images, rate=0.01, num_patients=patients)
    assert found == pytest.approx(float(exact), rel=1e-9)
    assert found < 1e-11


def test_a_threshold_below_the_whole_baseline_explains_any_number_of_flags():
    assert chance_of_at_least(50, 50, rate=1.0, num_patients=30) == 1.0
    assert chance_of_at_least(0, 50, rate=0.01, num_patients=30) == 1.0


def test_no_chance_is_written_as_zero(baseline, threshold):
    scores = np.full(20_000, 0.95)
    decision = decide(scores, threshold, baseline, num_patients=5000)
    assert "less than 1e-99" in decision.reasons[0]


def test_a_score_equal_to_the_threshold_is_not_flagged(baseline, threshold):
    scores = np.full(400, threshold.value)
    assert not decide(scores, threshold, baseline, num_patients=400).flagged.any()
