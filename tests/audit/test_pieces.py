"""The parts of an audit that need no search: samples, duplicates, the yardstick."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness._audit.assemble import verdict_from
from likeness._audit.checks import _duplicates_rows, obstacles_to_clearance
from likeness._audit.comparisons import Highest, sample_of_patients
from likeness._audit.duplicates import (
    Contamination,
    contamination_of_test,
    contamination_of_train,
    exact_across,
    exact_within,
    near_duplicates,
)
from likeness._audit.inputs import Inputs, intensity_checks, recognised
from likeness._audit.methods import orientations, seen_alterations
from likeness._audit.options import AuditOptions
from likeness._audit.yardstick import Candidate, baseline_checks, choose_yardstick
from likeness._findings import Counts, DuplicatePair
from likeness.calibration import calibrate, decide
from likeness.datasets import Accounting, ImageSet
from likeness.datasets.accounting import LeftOut
from likeness.errors import OptionError
from likeness.similarity import possible_transforms
from likeness.types import TRANSFORMS


def highest_of(scores, comparison="test->train", patients=None, ids=None, match=None):
    scores = np.asarray(scores, dtype=np.float64)
    n = len(scores)
    return Highest(
        comparison,
        tuple(ids or (f"image{i}" for i in range(n))),
        tuple(patients or (f"p{i}" for i in range(n))),
        scores,
        scores,
        scores,
        scores,
        np.zeros(n, dtype=np.int64) if match is None else np.asarray(match),
        np.zeros(n, dtype=np.int8),
        np.isnan(scores),
        5,
        n * 5,
    )


def candidate(scores, spoilt=(), comparison="test->train", name="the test set", patients=None):
    images = np.zeros(len(scores), dtype=bool)
    images[list(spoilt)] = True
    return Candidate(highest_of(scores, comparison, patients), Contamination(images), name)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=200), st.integers(1, 80))
def test_a_sample_is_fair_to_patients(codes, size):
    """No patient gives two images more than another patient that still has images to give."""
    codes = np.array(codes, dtype=np.int32)
    chosen = sample_of_patients(codes, size, seed=3)
    assert len(set(chosen.tolist())) == len(chosen) == min(size, len(codes))
    assert (np.sort(chosen) == chosen).all()
    taken = {p: int((codes[chosen] == p).sum()) for p in set(codes.tolist())}
    left = {p: int((codes == p).sum()) - taken[p] for p in taken}
    most = max(taken.values())
    assert all(taken[p] >= most - 1 for p in taken if left[p] > 0)


def test_a_sample_depends_on_the_seed_and_on_nothing_else():
    codes = np.repeat(np.arange(10, dtype=np.int32), 30)
    first = sample_of_patients(codes, 50, seed=0)
    assert (first == sample_of_patients(codes, 50, seed=0)).all()
    assert (first != sample_of_patients(codes, 50, seed=1)).any()


def images_of(values, patients, prefix="i"):
    pixels = np.stack([np.arange(16, dtype=np.uint8).reshape(1, 4, 4) + v for v in values])
    return ImageSet.from_arrays(
        pixels, image_ids=[f"{prefix}{k}" for k in range(len(values))], patient_ids=patients
    )


def test_exact_duplicates_are_found_within_and_across():
    train = images_of([1, 2, 1, 1], ["a", "b", "c", "a"])
    test = images_of([9, 2], ["x", "y"], prefix="t")
    within = exact_within(train, "train")
    assert [(p.first_id, p.second_id) for p in within] == [("i0", "i2"), ("i0", "i3")]
    (across,) = exact_across(test, "test", train, "train")
    assert (across.first_id, across.second_id, across.second_patient) == ("t1", "i1", "b")


def test_a_pair_of_training_images_is_listed_once_though_found_twice():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    found = highest_of(
        [0.999, 0.999, 0.5], "train->train", ["a", "b", "c"], train.image_ids, match=[1, 0, 0]
    )
    (pair,) = near_duplicates(found, train, "train", train, 0.995)
    assert {pair.first_id, pair.second_id} == {"i0", "i1"}


def test_test_images_leave_for_each_of_the_three_reasons():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    test = images_of([2, 50, 60, 70], ["w", "x", "b", "y"], prefix="t")
    scores = [1.0, 0.996, 0.5, 0.5]  # equal pixels, almost equal, patient in train, innocent
    found = highest_of(scores, patients=["w", "x", "b", "y"], ids=test.image_ids)
    spoilt = contamination_of_test(test, train, found, 0.995)
    assert spoilt.images.tolist() == [True, True, True, False]
    assert spoilt.shared_patients == ("b",)
    assert spoilt.share == 0.75


def test_the_other_images_of_a_person_found_in_train_leave_too():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    test = images_of([50, 60, 70], ["x", "x", "y"], prefix="t")
    found = highest_of([0.996, 0.97, 0.5], patients=["x", "x", "y"], ids=test.image_ids)
    spoilt = contamination_of_test(test, train, found, 0.995)
    assert spoilt.images.tolist() == [True, True, False]
    assert (spoilt.num_found, spoilt.share) == (1, 1 / 3)


def test_two_names_for_one_person_leave_the_training_baseline_together():
    """Only image 1 of b points to image 0 of a; a's own nearest is another patient."""
    train = images_of([1, 2, 3, 4], ["a", "b", "b", "c"])
    found = highest_of(
        [0.6, 0.996, 0.97, 0.6], "train->train", ["a", "b", "b", "c"], train.image_ids, [3, 0, 0, 0]
    )
    spoilt = contamination_of_train(found, train, 0.995)
    assert spoilt.images.tolist() == [True, True, True, False]
    assert (spoilt.num_found, spoilt.share) == (1, 1 / 4)


def pair(first_set, second_set, first_patient, second_patient, kind="exact"):
    return DuplicatePair(
        kind, first_set, "i0", second_set, "i1", first_patient, second_patient, 1.0
    )


@pytest.mark.parametrize(
    ("duplicate", "status", "words"),
    [
        (pair("test", "train", "a", "a"), "WARN", "1 equal across test and train of one patient"),
        (pair("test", "train", None, None), "WARN", "1 equal across test and train"),
        (pair("train", "train", "a", "b"), "WARN", "1 equal within train of different patients"),
        (pair("train", "train", "a", "a"), "PASS", "1 equal within train of one patient"),
        (pair("train", "train", None, None), "PASS", "1 equal within train"),
        (pair("synthetic", "synthetic", None, None), "PASS", "1 equal within synthetic"),
        (pair("synthetic", "train", None, "a"), "PASS", "1 equal across synthetic and train"),
    ],
)
def test_duplicates_warn_where_they_spoil_the_baseline(duplicate, status, words):
    (check,) = _duplicates_rows([duplicate])
    assert (check.status, check.detail) == (status, words)


def test_the_orientations_that_were_searched_are_said():
    assert "eight" in orientations(TRANSFORMS)
    assert "in 4 orientations" in orientations(possible_transforms(TRANSFORMS, 30, 20))
    assert "quarter" not in seen_alterations(possible_transforms(TRANSFORMS, 30, 20))
    assert "not flipped" in orientations(("identity",))
    assert seen_alterations(("identity",)) == "noise and intensity"


def inputs_of(train, synthetic, left_out=()):
    account = Accounting(found=len(train) + len(left_out), used=len(train), left_out=left_out)
    none = Accounting(found=1, used=1)
    return Inputs(train, synthetic, None, {"train": account, "synthetic": none}, (0,))


def test_an_unreadable_training_file_forbids_a_clearance_and_one_left_out_by_rule_does_not():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    baseline = choose_yardstick(candidate(INNOCENT), None, AuditOptions()).baseline
    broken = (LeftOut("a.png", "read", "truncated", "the file ends early"),)
    (obstacle,) = obstacles_to_clearance(inputs_of(train, train, broken), baseline)
    assert "1 training files could not be read" in obstacle
    by_rule = (LeftOut("notes.txt", "find", "other_file", "no image"),)
    assert obstacles_to_clearance(inputs_of(train, train, by_rule), baseline) == []
    decision = decide(INNOCENT[:350] - 0.2, calibrate(INNOCENT), INNOCENT, num_patients=400)
    assert decision.code == "NO_COPY_DETECTED"
    counts = Counts(350, 3, 0, 0, 3.5, 0, 3, 0, 0, 1050)
    verdict = verdict_from(
        decision,
        counts,
        test_used=True,
        obstacles=[obstacle],
        false_flag_rate=0.01,
        alterations="noise",
    )
    assert verdict.code == "INCONCLUSIVE"
    assert verdict.reasons[0] == obstacle


def test_sets_with_different_backgrounds_are_noticed():
    half = np.zeros((4, 1, 8, 8), dtype=np.uint8)
    half[..., 4:] = np.arange(1, 33).reshape(8, 4)
    full = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8).repeat(4, axis=0)
    sets = [ImageSet.from_arrays(images) for images in (half, full)]
    (check,) = intensity_checks(inputs_of(*sets))
    assert check.status == "WARN"
    assert "train 50%, synthetic 2%" in check.detail
    (check,) = intensity_checks(inputs_of(sets[0], sets[0]))
    assert check.status == "PASS"


def test_images_without_a_patient_are_not_shared_for_having_equal_names():
    """Both sets hold an image named i1 whose patient is unknown: two pictures, nobody in common."""
    train = images_of([1, 2], ["a", None])
    test = images_of([50, 60], ["w", None])
    found = highest_of([0.5, 0.5], patients=["w", "i1"], ids=test.image_ids)
    spoilt = contamination_of_test(test, train, found, 0.995)
    assert spoilt.shared_patients == ()
    assert not spoilt.images.any()


INNOCENT = np.linspace(0.5, 0.9, 400)


def test_contaminated_test_images_leave_the_baseline():
    test = candidate(np.append(INNOCENT, [0.9999] * 8), spoilt=range(400, 408))
    yardstick = choose_yardstick(test, None, AuditOptions())
    assert yardstick.baseline.num_images == 400
    assert yardstick.baseline.maximum == 0.9
    check = next(c for c in baseline_checks(yardstick, test) if c.name == "Test set")
    assert (check.status, check.detail[:14]) == ("WARN", "8 of 408 test ")


def test_above_five_per_cent_the_test_set_is_not_used_at_all():
    test = candidate(np.append(INNOCENT, [0.9999] * 40), spoilt=range(400, 440))
    train = candidate(INNOCENT - 0.1, comparison="train->train", name="the training set")
    yardstick = choose_yardstick(test, train, AuditOptions())
    assert yardstick.baseline.comparison == "train->train"
    assert "40 of 440" in yardstick.baseline.reason
    check = next(c for c in baseline_checks(yardstick, test) if c.name == "Test set")
    assert check.status == "FAIL"


def test_without_a_test_set_the_other_patients_of_train_decide():
    train = candidate(INNOCENT, comparison="train->train", name="the training set")
    yardstick = choose_yardstick(None, train, AuditOptions())
    assert yardstick.baseline.comparison == "train->train"
    assert "no test set" in yardstick.baseline.reason


def test_too_small_a_baseline_is_none():
    yardstick = choose_yardstick(candidate(INNOCENT[:50]), None, AuditOptions())
    assert yardstick.threshold is None
    assert yardstick.baseline.comparison is None
    assert "needs 99" in yardstick.baseline.reason
    ok = choose_yardstick(candidate(INNOCENT[:50]), None, AuditOptions(false_flag_rate=0.05))
    assert ok.threshold is not None


def test_a_threshold_of_the_users_is_marked_and_its_false_flag_rate_measured():
    yardstick = choose_yardstick(candidate(INNOCENT), None, AuditOptions(threshold=0.8))
    above = int((INNOCENT > 0.8).sum())
    assert yardstick.baseline.threshold == 0.8
    assert yardstick.baseline.threshold_source == "user"
    assert yardstick.baseline.false_flag_rate == pytest.approx((above + 1) / 401)
    names = [c.name for c in baseline_checks(yardstick, None)]
    assert "Threshold" in names


def test_few_patients_behind_a_baseline_are_said():
    test = candidate(INNOCENT, patients=[f"p{i % 8}" for i in range(400)])
    check = baseline_checks(choose_yardstick(test, None, AuditOptions()), test)[0]
    assert check.status == "WARN"
    assert "8 patients" in check.detail


@pytest.mark.parametrize(
    ("option", "value"),
    [("top_k", 0), ("top_patients", 1), ("threshold", 1.5), ("jobs", 0), ("max_skipped", 2.0)],
)
def test_options_out_of_range_name_their_flag(option, value):
    with pytest.raises(OptionError, match="--" + option.replace("_", "-")):
        AuditOptions(**{option: value})


def test_every_option_but_those_of_speed_is_a_setting():
    assert set({field.name for field in fields(AuditOptions)}) - set(AuditOptions().settings()) == {
        "engine",
        "memory_bytes",
        "threads",
        "jobs",
    }


def test_examples_of_patients_come_from_the_set_itself():
    """Not from the whole source: a split's test set must not show training patients."""
    both = images_of([1, 2, 3, 4], ["a", "a", "b", "c"])
    record = {"patients": {"rule": "brats", "coverage": 1.0, "examples": [["a/1", "a"]]}}
    both._record = record
    text = recognised("test", both.subset([2, 3]), Accounting(2, 2))
    assert "(b from i2, c from i3)" in text
    assert "2 patients by rule brats, 100% covered" in text
    assert "patients" not in recognised("synthetic", both, Accounting(4, 4))
