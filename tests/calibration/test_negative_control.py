import numpy as np
import pytest

from likeness.calibration.negative_control import negative_control
from likeness.errors import InputError, OptionError


def folds_with(flags, folds=10, size=50):
    """Folds of unremarkable p-values, some with one that is flagged."""
    made = [np.linspace(0.02, 1.0, size) for _ in range(folds)]
    for fold in made[:flags]:
        fold[0] = 1e-9
    return made


@pytest.mark.parametrize(("flags", "passed"), [(0, True), (1, True), (2, True), (3, False)])
def test_three_folds_of_ten_with_flags_are_too_many(flags, passed):
    found = negative_control(folds_with(flags))
    assert found.folds_with_flags == found.num_flagged == flags
    assert found.passed is passed
    assert bool(found.reasons) is not passed
    assert [bool(fold[0]) for fold in found.flagged] == [True] * flags + [False] * (10 - flags)


def test_innocents_pass():
    """Uniform p-values pass in at least 97 of 100 controls, nearly all uncorrected."""
    rng = np.random.default_rng(0)
    results = [negative_control(list(rng.uniform(size=(10, 60)))) for _ in range(300)]
    assert np.mean([r.passed for r in results]) >= 0.97
    assert np.mean([r.inflation == 1.0 for r in results]) >= 0.95


def test_small_p_values_are_multiplied_by_what_was_seen():
    """p three times too small: corrected threefold, and then no more flags than by chance."""
    rng = np.random.default_rng(1)
    found = negative_control(list(rng.uniform(size=(10, 300)) / 3))
    assert found.rate == pytest.approx(0.03, abs=0.01)
    assert found.inflation == found.rate / 0.01
    assert found.passed
    assert "multiplied by" in found.sentence()


def test_a_few_low_values_among_few_images_prove_no_inflation():
    """3 of 100 at or below 0.01 has a lower limit of 0.008."""
    p = np.linspace(0.05, 1.0, 100)
    p[:3] = 0.009
    found = negative_control(list(p.reshape(10, 10)))
    assert (found.num_low, found.rate, found.inflation) == (3, 0.03, 1.0)
    p[:6] = 0.009
    assert negative_control(list(p.reshape(10, 10))).inflation == pytest.approx(6.0)


def test_what_multiplying_cannot_mend_fails():
    rng = np.random.default_rng(2)
    found = negative_control(list(rng.uniform(size=(10, 300)) / 8))
    assert not found.passed
    assert any("does not describe new people" in reason for reason in found.reasons)


def test_the_sentence_can_be_read_aloud():
    assert negative_control(folds_with(1)).sentence() == (
        "Of 500 real images of people who cannot have been copied, 1 were flagged, in 1 of 10 "
        "folds; 1 (0.2%) had a p-value of at most 0.01, where 1% is expected."
    )


def test_the_error_rate_matters():
    fold = np.linspace(0.2, 1.0, 50)
    fold[0] = 0.003
    assert negative_control([fold], q=0.05).folds_with_flags == 0
    assert negative_control([fold], q=0.2).folds_with_flags == 1


def test_faulty_arguments_are_refused():
    with pytest.raises(InputError, match="no fold"):
        negative_control([])
    with pytest.raises(InputError, match="without an image"):
        negative_control([np.ones(3), np.empty(0)])
    with pytest.raises(OptionError, match="q is 2"):
        negative_control([np.ones(3)], q=2)
