"""What holds for the set as a whole: when it can be said, and who takes part."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tests.audit.conftest import as_they_are, image_set, innocents, slices_of, small

import likeness
from likeness._audit.duplicates import Contamination
from likeness._audit.inputs import Inputs
from likeness._audit.set_level import (
    pooled_nearest,
    run_membership,
    strata_of,
    usable_people,
    why_not,
)
from likeness.datasets import Accounting, ImageSet
from likeness.scores import PatientRanking


def tiny(names, prefix="i", classes=None):
    pixels = np.arange(len(names), dtype=np.uint8)[:, None, None, None] + np.zeros(
        (1, 1, 4, 4), np.uint8
    )
    ids = [f"{prefix}{k}" for k in range(len(names))]
    return ImageSet.from_arrays(pixels, image_ids=ids, patient_ids=names, classes=classes)


def inputs_of(train, test):
    none = Accounting(found=1, used=1)
    return Inputs(train, train, test, {"train": none, "synthetic": none}, (0,))


PEOPLE = [f"p{i // 2}" for i in range(40)]
OTHERS = [f"t{i // 2}" for i in range(40)]


@pytest.mark.parametrize(
    ("train", "test", "spoilt", "words"),
    [
        (PEOPLE, None, (), "there is no test set"),
        ([*PEOPLE[:-3], None, None, None], OTHERS, (), "patients of 3 of 40 training images"),
        (PEOPLE, [*OTHERS[:-3], None, None, None], (), "patients of 3 of 40 test images"),
        (PEOPLE, OTHERS, (0, 1, 2), "7.5% of the test images are also"),
        (["a", "b"], OTHERS, (), "20 held-out and 2 training patients are too few"),
        (PEOPLE, ["x"] * 3 + ["y"], (), "2 held-out and 20 training patients are too few"),
        (PEOPLE, OTHERS, (0, 1), ""),
        ([*PEOPLE[:-2], None, None], OTHERS, (), ""),
    ],
)
def test_why_nothing_can_be_said_is_said(train, test, spoilt, words):
    contamination = None
    if test is not None:
        images = np.isin(np.arange(len(test)), spoilt)
        contamination = Contamination(images)
        test = tiny(test, "t")
    found = why_not(inputs_of(tiny(train), test), contamination)
    assert found.startswith(words) if words.startswith("there") else words in found
    assert bool(found) == bool(words)


def test_a_person_with_one_contaminated_image_does_not_take_part():
    test = tiny(["x", "x", "y", "z"])
    usable = usable_people(test, Contamination(np.array([False, True, False, False])))
    assert dict(zip(test.patient_names, usable.tolist(), strict=True)) == {
        "x": False,
        "y": True,
        "z": True,
    }


def ranking(rows, depth=4):
    """Rows of {group: similarity}."""
    similarity = np.full((len(rows), depth), np.nan)
    group = np.full((len(rows), depth), -1, dtype=np.int32)
    for number, row in enumerate(rows):
        ordered = sorted(row.items(), key=lambda item: -item[1])[:depth]
        for column, (code, value) in enumerate(ordered):
            similarity[number, column], group[number, column] = value, code
    return PatientRanking(similarity, group, group.copy(), np.zeros((len(rows), depth, 0)))


def test_the_nearest_person_of_both_sides_and_what_sets_it_apart():
    rng = np.random.default_rng(1)
    train = [{g: float(rng.uniform(0, 0.9)) for g in range(5)} for _ in range(30)]
    test = [{g: float(rng.uniform(0, 0.9)) for g in range(3)} for _ in range(30)]
    train[0], test[1] = {}, {}
    train[2], test[2] = {0: 0.5}, {}
    train[3], test[3] = {}, {}
    nearest, contrast = pooled_nearest(ranking(train), ranking(test), 5)
    for row in range(30):
        everybody = {**train[row], **{g + 5: value for g, value in test[row].items()}}
        ordered = sorted(everybody, key=lambda code: -everybody[code])
        assert nearest[row] == (ordered[0] if ordered else -1)
        if len(ordered) < 2:
            assert np.isnan(contrast[row])
        else:
            first, second = (np.arctanh(everybody[code]) for code in ordered[:2])
            assert contrast[row] == pytest.approx(first - second)


def test_images_that_point_to_removed_people_point_to_the_next():
    """Test person 0 is a training person under another name: all images point to it."""
    rows = [{0: 0.95, 1: 0.3, 2: 0.2} for _ in range(20)]
    in_train = ranking([{g: 0.5 + 0.01 * (g == k % 6) for g in range(6)} for k in range(20)])
    usable = np.array([False, True, True])
    with_all = run_membership(
        in_train, ranking(rows), np.ones(3, dtype=bool), 6, strata=None, options=small()
    )
    without = run_membership(in_train, ranking(rows), usable, 6, strata=None, options=small())
    assert with_all.share == 0.0
    assert without.share == 1.0
    assert (without.num_train, without.num_test) == (6, 2)
    assert without.expected == pytest.approx(6 / 8)


def test_labels_are_exchanged_within_classes_where_the_split_was_made_so():
    """All weight is on class 1, whose people are all training people: no evidence at all."""
    train = tiny(["a", "b", "c", "d"], classes=["0", "0", "1", "1"])
    test = tiny(["x", "y"], "t", classes=["0", "0"])
    people = SimpleNamespace(num_groups=4, of_images=lambda images: images.patient_codes)
    scores = SimpleNamespace(people=people)
    assert strata_of(train, test, scores, small()) is None
    strata = strata_of(train, test, scores, small(strata="class"))
    assert len(set(strata[[0, 1, 4, 5]].tolist())) == len(set(strata[[2, 3]].tolist())) == 1
    assert strata[0] != strata[2]
    in_train = ranking([{2: 0.9, 3: 0.1}, {3: 0.9, 2: 0.1}])
    in_test = ranking([{0: 0.0}, {1: 0.0}])
    values = {"usable_patients": np.ones(2, dtype=bool), "num_train": 4, "options": small()}
    within = run_membership(in_train, in_test, strata=strata, **values)
    across = run_membership(in_train, in_test, strata=None, **values)
    assert within.p == 1.0
    assert within.delta == 0.0
    assert across.p < 0.6


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr("likeness.scores.scorer.rank_registered", as_they_are)


def membership(train, synthetic, test, **changes):
    options = small(self_check=False, evidence=0, local_sample=20, **changes)
    return likeness.audit(train, synthetic, test, options=options).membership


def test_the_set_level_speaks_of_people_not_of_slices(quickly):
    """Copies of 12 of 20 people; each has one slice or six."""
    found = []
    for count in (1, 6):
        test = image_set(range(1000, 1020), count)
        train = image_set(range(20), count)
        copies = train.take([i * count for i in range(12)])
        found.append(membership(train, np.concatenate([copies, innocents(4)]), test))
    one, six = found
    assert one.num_train_patients == six.num_train_patients == 20
    assert one.p_value == pytest.approx(six.p_value, abs=0.02)
    assert one.fewest_leaked_05 == six.fewest_leaked_05


def test_a_few_test_images_that_are_training_images_leave_with_their_person(quickly):
    train = image_set(range(20))
    clean = image_set(range(1000, 1030))
    other_slice = slices_of(3, 3)[2:]
    spoilt = ImageSet.from_arrays(
        np.concatenate([clean.take(range(60)), train.take([6]), other_slice]),
        patient_ids=[*clean.patient_ids, "stranger", "stranger"],
    )
    copies = train.take(range(0, 40, 2))
    with_stranger, without = (membership(train, copies, test) for test in (spoilt, clean))
    assert with_stranger.num_test_patients == without.num_test_patients == 30
    assert with_stranger.matched_share == without.matched_share
    assert with_stranger.p_value == without.p_value


def test_the_share_with_equal_sizes_is_a_half_for_innocent_images(quickly):
    found = membership(image_set(range(60), 1), innocents(80), image_set(range(1000, 1020), 1))
    assert found.equal_size_share == pytest.approx(0.5, abs=0.12)
    assert found.expected_share == pytest.approx(0.75)
    assert found.band_low <= found.matched_share <= found.band_high


def test_patients_with_more_images_cannot_be_exchanged_with_others(quickly):
    """Whoever has more images comes closer to everything: no sign of training."""
    train = image_set(range(30), 4)
    uneven = membership(train, innocents(40), image_set(range(1000, 1030), 1))
    assert not uneven.available
    assert "4 images on average, held-out ones 1" in uneven.reason
    assert membership(train, innocents(40), image_set(range(1000, 1030), 4)).available
