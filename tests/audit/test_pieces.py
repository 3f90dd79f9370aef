"""The parts of an audit that need no search: samples, duplicates, checks, words."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness._audit.checks import _duplicates_rows, obstacles_to_clearance, real_set_checks
from likeness._audit.comparisons import ByPerson, Highest, sample_of_patients
from likeness._audit.coverage import coverage_rows
from likeness._audit.duplicates import (
    Contamination,
    contamination_of_test,
    exact_across,
    exact_within,
    near_duplicates,
)
from likeness._audit.inputs import Inputs, intensity_checks, recognised
from likeness._audit.methods import orientations
from likeness._audit.options import AuditOptions
from likeness._audit.yardstick import choose_yardstick
from likeness._findings import Counts, DuplicatePair, Membership
from likeness.datasets import Accounting, ImageSet
from likeness.datasets.accounting import LeftOut
from likeness.errors import OptionError
from likeness.scores import PatientRanking
from likeness.search import search
from likeness.similarity import possible_transforms
from likeness.types import TRANSFORMS


def highest_of(correlations, comparison="test->train", patients=None):
    correlations = np.asarray(correlations, dtype=np.float64)
    n = len(correlations)
    return Highest(
        comparison=comparison,
        query_ids=tuple(f"image{i}" for i in range(n)),
        query_patients=tuple(patients or (f"p{i}" for i in range(n))),
        correlation=correlations,
        correlation_identity=correlations,
        correlation_mean=correlations,
        match=np.zeros(n, dtype=np.int64),
        transform=np.zeros(n, dtype=np.int8),
        undefined=np.isnan(correlations),
        num_reference_patients=5,
        pairs=n * 5,
    )


def nearest(similarity, images=None):
    """A dihedral ranking of depth 1; image i lies on reference `images[i]` as it is."""
    similarity = np.array(similarity, dtype=np.float64)[:, None]
    count = len(similarity)
    image = np.arange(count) if images is None else np.array(images)
    group = np.zeros((count, 1), dtype=np.int32)
    place = np.zeros((count, 1, 1), dtype=np.float32)
    return PatientRanking(similarity, group, image.astype(np.int32)[:, None], place)


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


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=150), st.integers(1, 60), st.integers(0, 90)
)
def test_a_smaller_sample_is_part_of_a_larger_one(codes, size, more):
    codes = np.array(codes, dtype=np.int32)
    few, many = (sample_of_patients(codes, number, seed=5) for number in (size, size + more))
    assert set(few.tolist()) <= set(many.tolist())


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
    (pair,) = near_duplicates(train, "train", train, nearest([0.999, 0.999, 0.5], [1, 0, 0]), 0.995)
    assert {pair.first_id, pair.second_id} == {"i0", "i1"}
    assert (pair.first_patient, pair.second_patient, pair.kind) == ("a", "b", "near")


def test_near_duplicates_begin_at_the_limit_and_say_how_they_lie():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    ranking = nearest([0.995, 0.9949, np.nan], [1, 2, -1])
    ranking.placement[0, 0, 0] = TRANSFORMS.index("rot90")
    (pair,) = near_duplicates(
        images_of([7, 8, 9], ["x", "y", "z"], "t"), "test", train, ranking, 0.995
    )
    assert (pair.first_id, pair.second_id, pair.transform) == ("t0", "i1", "rot90")


ALL = np.arange(4)


def test_test_images_leave_for_each_of_the_three_reasons():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    test = images_of([2, 50, 60, 70], ["w", "x", "b", "y"], prefix="t")
    # equal pixels, almost equal, patient in train, innocent
    spoilt = contamination_of_test(test, train, ALL, nearest([0.5, 0.996, 0.5, 0.5]), 0.995)
    assert spoilt.images.tolist() == [True, True, True, False]
    assert spoilt.shared_patients == ("b",)
    assert spoilt.share == 0.75


def test_the_other_images_of_a_person_found_in_train_leave_too():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    test = images_of([50, 60, 70], ["x", "x", "y"], prefix="t")
    spoilt = contamination_of_test(test, train, ALL[:3], nearest([0.996, 0.97, 0.5]), 0.995)
    assert spoilt.images.tolist() == [True, True, False]
    assert (spoilt.num_found, spoilt.share) == (1, 1 / 3)


def test_only_the_test_images_that_were_compared_have_a_similarity():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    test = images_of([50, 60, 3], ["x", "y", "z"], prefix="t")
    spoilt = contamination_of_test(test, train, np.array([1]), nearest([0.996]), 0.995)
    assert spoilt.images.tolist() == [False, True, True], "equal pixels are found in all"


def test_constant_images_are_no_proof_of_one_person():
    train = images_of([1, 2, 3], ["a", "b", "c"])
    test = images_of([1, 2], ["x", "y"], prefix="t")
    varies = np.array([False, True, True])
    spoilt = contamination_of_test(
        test, train, ALL[:2], nearest([np.nan, 0.5]), 0.995, train_varies=varies
    )
    assert spoilt.images.tolist() == [False, True]


def test_images_without_a_patient_are_not_shared_for_having_equal_names():
    """Both sets hold an image named i1 whose patient is unknown: two pictures, nobody in common."""
    train = images_of([1, 2], ["a", None])
    test = images_of([50, 60], ["w", None])
    spoilt = contamination_of_test(test, train, ALL[:2], nearest([0.5, 0.5]), 0.995)
    assert spoilt.shared_patients == ()
    assert not spoilt.images.any()


def test_patients_that_are_one_person_do_not_meet_at_full_size():
    """b is a under another name; without that knowledge a's nearest would be b."""
    train = images_of([1, 1, 9], ["a", "b", "c"])
    pixels = train.read(0, 3).copy()
    pixels[2, 0, 0, 0] += 40
    train = ImageSet.from_arrays(pixels, patient_ids=["a", "b", "c"])
    groups = np.array([0, 0, 1], dtype=np.int32)
    apart = search(train, train, query_groups=train.patient_codes)
    together = search(train, ByPerson(train, groups), query_groups=groups)
    assert apart.top.reference_index[:2, 0].tolist() == [1, 0]
    assert together.top.reference_index[:2, 0].tolist() == [2, 2]


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
    assert "not flipped" in orientations(("identity",))


def inputs_of(train, synthetic, left_out=(), test=None):
    account = Accounting(found=len(train) + len(left_out), used=len(train), left_out=left_out)
    none = Accounting(found=1, used=1)
    return Inputs(train, synthetic, test, {"train": account, "synthetic": none}, (0,))


def test_an_unreadable_training_file_forbids_a_clearance_and_one_left_out_by_rule_does_not():
    """What an obstacle does to the verdict: see test_verdict.py."""
    train = images_of([1, 2, 3], ["a", "b", "c"])
    broken = (LeftOut("a.png", "read", "truncated", "the file ends early"),)
    (obstacle,) = obstacles_to_clearance(inputs_of(train, train, broken), None)
    assert "1 training files could not be read" in obstacle
    by_rule = (LeftOut("notes.txt", "find", "other_file", "no image"),)
    assert obstacles_to_clearance(inputs_of(train, train, by_rule), None) == []


@pytest.mark.parametrize(("unknown", "number"), [(2, 0), (3, 1)])
def test_above_five_per_cent_unknown_patients_forbid_a_clearance(unknown, number):
    train = images_of(range(40), [*(f"p{i}" for i in range(40 - unknown)), *[None] * unknown])
    assert len(obstacles_to_clearance(inputs_of(train, train), None)) == number


@pytest.mark.parametrize(
    ("spoilt", "status", "obstacles"), [(0, "PASS", 0), (5, "WARN", 0), (6, "FAIL", 1)]
)
def test_above_five_per_cent_contamination_there_is_no_held_out_set(spoilt, status, obstacles):
    train = images_of(range(25), [f"p{i}" for i in range(25)])
    contamination = Contamination(np.arange(100) < spoilt)
    rows = real_set_checks(inputs_of(train, train), contamination, [])
    (check,) = [row for row in rows if row.name == "Test set"]
    assert (check.status, check.detail[:6]) == (status, f"{spoilt} of 1")
    assert bool(check.action) == (status != "PASS")
    assert len(obstacles_to_clearance(inputs_of(train, train), contamination)) == obstacles


def test_people_are_counted_and_few_of_them_are_said():
    for number, status in ((19, "WARN"), (20, "PASS")):
        train = images_of(range(number), [f"p{i}" for i in range(number)])
        rows = {
            row.name: row for row in real_set_checks(inputs_of(train, train), None, [["a", "b"]])
        }
        assert rows["Enough training patients"].status == status
        assert rows["One person, one id"].detail.startswith("2 patient ids share an equal image")
        assert rows["Test set"].status == "WARN"


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


INNOCENT = np.linspace(0.5, 0.9, 400)


def test_the_yardstick_are_held_out_images_without_those_that_are_in_train():
    test = highest_of(np.append(INNOCENT, [0.9999] * 8))
    spoilt = Contamination(np.arange(408) >= 400)
    yardstick = choose_yardstick(test, spoilt, highest_of(INNOCENT - 0.1, "train->train"))
    assert yardstick.comparison == "test->train"
    assert yardstick.quantile(1.0) == 0.9
    assert yardstick.quantile(0.5) == pytest.approx(np.median(INNOCENT))
    assert yardstick.num_above(0.9) == 1
    assert yardstick.num_above(0.8) == int((INNOCENT >= 0.8).sum())
    assert yardstick.num_above(0.95) == 0


def test_with_few_held_out_images_training_images_of_others_are_the_yardstick():
    train = highest_of([*INNOCENT, np.nan], "train->train")
    few = highest_of(INNOCENT[:19])
    nobody = Contamination(np.zeros(19, dtype=bool))
    for test, contamination in ((few, nobody), (None, None)):
        yardstick = choose_yardstick(test, contamination, train)
        assert yardstick.comparison == "train->train"
        assert len(yardstick.correlations) == 400, "an image without a correlation is none"
    enough = highest_of(INNOCENT[:20])
    none_spoilt = Contamination(np.zeros(20, dtype=bool))
    assert choose_yardstick(enough, none_spoilt, train).comparison == "test->train"


def test_without_any_real_images_there_is_no_yardstick():
    yardstick = choose_yardstick(None, None, None)
    assert yardstick.comparison is None
    assert yardstick.quantile(0.5) is None
    assert yardstick.num_above(0.1) == 0


COUNTS = Counts(
    synthetic=9, train=9, test=9, flagged=2, unusual=3, expected=0.1, patients=1, train_patients=9,
    test_patients=9, undefined=0, pairs=81,
)  # fmt: skip


def test_a_test_that_was_not_made_is_not_said_to_have_been():
    rows = {r.risk: r for r in coverage_rows(COUNTS, Membership(available=False, reason="no set"))}
    for risk in ("Membership inference", "Inference (WP29)"):
        assert rows[risk].in_scope
        assert not rows[risk].executed
    assert "no set" in rows["Membership inference"].result
    tested = coverage_rows(COUNTS, Membership(available=True, reason="", p_value=0.25))
    assert "p = 0.2500" in {row.risk: row for row in tested}["Membership inference"].result
    assert sum(not row.in_scope for row in tested) == 4


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("fdr", 0.0),
        ("fdr", 0.21),
        ("top_k", 0),
        ("top_patients", 1),
        ("train_sample", 0),
        ("local_sample", 20_001),
        ("strata", "site"),
        ("planted", 0),
        ("permutations", 998),
        ("evidence", -1),
        ("near_duplicate", 0.0),
        ("jobs", 0),
        ("max_skipped", 2.0),
    ],
)
def test_options_out_of_range_name_their_flag(option, value):
    with pytest.raises(OptionError, match="--" + option.replace("_", "-")):
        AuditOptions(**{option: value})


def test_every_option_but_those_of_speed_is_a_setting():
    assert set({field.name for field in fields(AuditOptions)}) - set(AuditOptions().settings()) == {
        "engine",
        "memory_bytes",
        "threads",
        "cluster",
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
