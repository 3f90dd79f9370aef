import numpy as np
import pytest

from likeness.calibration.memorization import difference, memorization
from likeness.errors import InputError


def slow_auc(synthetic, held_out):
    total = 0.0
    for one in synthetic:
        for other in held_out:
            total += 1.0 if one > other else 0.5 if one == other else 0.0
    return total / (len(synthetic) * len(held_out))


def test_numbers_equal_their_definitions():
    rng = np.random.default_rng(3)
    synthetic = np.round(rng.uniform(0.5, 1, 40), 2)  # rounded, so that there are ties
    held_out = np.round(rng.uniform(0.4, 0.95, 130), 2)
    found, draws = memorization(synthetic, held_out, np.arange(130) // 2)
    assert found.auc.value == pytest.approx(slow_auc(synthetic, held_out), abs=1e-12)
    assert found.mean.value == pytest.approx(sum(synthetic) / 40)
    assert found.gap.value == pytest.approx(sum(synthetic) / 40 - sum(held_out) / 130)
    level = sorted(held_out)[int(np.ceil(0.99 * 130)) - 1]
    assert found.above.value == pytest.approx(sum(s > level for s in synthetic) / 40)
    assert found.held_out_patients == 65
    assert found.auc.low < found.auc.value < found.auc.high
    assert draws.auc.shape == (2000,)


def test_new_patients_give_one_half_and_copies_give_one():
    rng = np.random.default_rng(0)
    held_out = rng.normal(0.8, 0.05, 400)
    patients = np.arange(400)
    new, _ = memorization(rng.normal(0.8, 0.05, 300), held_out, patients)
    assert new.auc.low < 0.5 < new.auc.high
    copies, _ = memorization(rng.normal(0.999, 0.0001, 300), held_out, patients)
    assert copies.auc.value == 1.0
    assert copies.above.value == 1.0


def test_intervals_of_patients_are_wider_than_those_of_images():
    rng = np.random.default_rng(1)
    of_patient = rng.normal(0.8, 0.05, 20)
    held_out = np.repeat(of_patient, 15) + rng.normal(0, 0.002, 300)
    synthetic = rng.normal(0.8, 0.05, 2000)
    by_patient, _ = memorization(synthetic, held_out, np.repeat(np.arange(20), 15))
    by_image, _ = memorization(synthetic, held_out, np.arange(300))
    width = by_patient.baseline.high - by_patient.baseline.low
    assert width > 2 * (by_image.baseline.high - by_image.baseline.low)


def test_interval_of_the_gap_covers_the_truth():
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        patients = np.repeat(np.arange(60), 3)
        held_out = rng.normal(0.7, 0.05, 60)[patients] + rng.normal(0, 0.01, 180)
        synthetic = rng.normal(0.75, 0.05, 100)
        found, _ = memorization(synthetic, held_out, patients)
        covered += found.gap.low <= 0.05 <= found.gap.high
    assert covered >= 34  # of 40, at 95 %: fewer than 34 are seen once in 700 times


def test_a_difference_beside_the_same_patients_is_paired():
    rng = np.random.default_rng(5)
    patients = np.repeat(np.arange(12), 20)
    held_out = rng.normal(0.7, 0.05, 12)[patients] + rng.normal(0, 0.005, 240)
    first = memorization(rng.normal(0.72, 0.03, 500), held_out, patients, name="first")
    second = memorization(rng.normal(0.71, 0.03, 500), held_out, patients, name="second")
    found = difference(*first, *second)
    assert found.value == pytest.approx(first[0].auc.value - second[0].auc.value)
    apart = np.hypot(first[0].auc.high - first[0].auc.low, second[0].auc.high - second[0].auc.low)
    assert found.high - found.low < apart  # what the patients share cancels


@pytest.mark.parametrize("synthetic", [[], [0.5, np.nan]])
def test_lists_without_numbers_are_refused(synthetic):
    with pytest.raises(InputError, match="synthetic images"):
        memorization(np.asarray(synthetic), np.array([0.1, 0.2]), np.array([0, 1]))


def test_each_name_has_draws_of_its_own_and_the_patients_are_shared():
    rng = np.random.default_rng(2)
    lists = rng.uniform(0.5, 1, 60), rng.uniform(0.4, 0.9, 60), np.arange(60) // 2
    first, again, other = (memorization(*lists, name=name)[1] for name in ("a", "a", "b"))
    assert (first.mean == again.mean).all()
    assert (first.mean != other.mean).any()
    assert (first.baseline == other.baseline).all()
