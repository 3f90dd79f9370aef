"""The score bank: who is compared with whom, once, and resumed."""

from __future__ import annotations

import numpy as np
import pytest
from tests.validate.making import SlowScorer, people

from likeness._validate import ValidationOptions, plan_validation
from likeness._validate.bank import build_bank
from likeness._validate.queries import (
    MeanImages,
    make_images,
    plan_queries,
    reserved_rows,
    spread_over_groups,
)
from likeness.alterations import ALTERATIONS, CONTROLS
from likeness.datasets import ImageSet
from likeness.errors import InputError, OptionError

OPTIONS = ValidationOptions(per_kind=8, controls=10, grid=16, threads=1)


@pytest.fixture(scope="module")
def images():
    return people()


@pytest.fixture(scope="module")
def plan(images):
    return plan_queries(images, images.patient_codes, OPTIONS)


@pytest.fixture(scope="module")
def built(images, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    scorers = []

    def make(references, groups):
        scorers.append(SlowScorer(references, groups))
        return scorers[-1]

    return build_bank(images, work, OPTIONS, make_scorer=make), work, scorers


def test_reserved_images_are_no_references_and_nobody_is_without(images, plan):
    reserved = reserved_rows(images.patient_codes, OPTIONS)
    assert len(reserved) == OPTIONS.per_kind
    assert not set(reserved) & set(plan.references)
    assert len(np.unique(images.patient_codes[reserved])) == len(reserved)
    assert set(images.patient_codes[plan.references]) == set(range(images.num_patients))
    single = people(views=1)
    assert len(reserved_rows(single.patient_codes, OPTIONS)) == 0


def test_every_kind_is_there_or_named(images, plan):
    names = {part.name for part in plan.parts} | {text.split(":")[0] for text in plan.left_out}
    assert names == {k.name for k in ALTERATIONS} | {c.name for c in CONTROLS} - {"novel"} | {
        "real"
    }
    assert [text.split(":")[0] for text in plan.left_out] == ["requantised"]
    without = plan_queries(people(slices=False), images.patient_codes, OPTIONS).left_out
    assert {text.split(":")[0] for text in without} == {"requantised", "between_slices"}


def test_donors_are_others_and_their_columns_are_dropped(images, plan):
    codes = images.patient_codes
    for part in plan.parts:
        kind = next((k for k in ALTERATIONS if k.name == part.name), None)
        if kind is None:
            continue
        assert (part.truth == codes[part.row]).all()
        if kind.needs == "donor":
            assert (codes[part.second] != part.truth).all()
            assert (part.excluded == codes[part.second]).all()
        else:
            assert (part.excluded == -1).all()


def test_slices_between_and_other_images_are_of_the_same_patient(images, plan):
    parts = {part.name: part for part in plan.parts}
    between, other = parts["between_slices"], parts["other_image"]
    for row, second in zip(between.row, between.second, strict=True):
        assert images.neighbours(row)[1] == second
    references = set(plan.references)
    assert set(between.second) <= references
    assert not set(other.second) & references
    assert (images.patient_codes[other.row] == images.patient_codes[other.second]).all()
    made = make_images(other, images, MeanImages(images, images.patient_codes), OPTIONS, 0)
    assert np.array_equal(made, images.take(other.second))


def test_images_do_not_depend_on_how_they_are_divided(images, plan):
    sums = MeanImages(images, images.patient_codes)
    for part in plan.parts:
        whole = make_images(part, images, sums, OPTIONS, 0)
        ends = [make_images(part.part(start, start + 3), images, sums, OPTIONS, start)
                for start in range(0, len(part), 3)]  # fmt: skip
        assert np.array_equal(whole, np.concatenate(ends)), part.name


def test_the_mean_leaves_the_own_patient_out(images):
    codes = images.patient_codes
    expected = images.read(0, len(images))[codes != 5].astype(float).mean(axis=0)
    assert np.allclose(MeanImages(images, codes).without(5), expected)


def test_images_are_spread_over_patients():
    groups = np.array([0] * 10 + [1] * 2 + [2])
    rng = np.random.default_rng(0)
    for count, expected in ((3, [1, 1, 1]), (5, [2, 2, 1]), (13, [10, 2, 1]), (99, [10, 2, 1])):
        rows = spread_over_groups(np.arange(13), groups, count, rng)
        assert np.bincount(groups[rows], minlength=3).tolist() == expected
        assert len(np.unique(rows)) == len(rows)


def test_nobody_meets_whom_it_must_not(built):
    bank = built[0]
    for part in bank.parts.values():
        excluded = part.queries.excluded
        for ranking in part.rankings.values():
            assert not (ranking.group == excluded[:, None])[excluded >= 0].any()
        if part.queries.role != "real":
            of = bank.reference_groups[np.maximum(part.nearest.group, 0)]
            met = (of == excluded[:, None]) & (part.nearest.group >= 0)
            assert not met[excluded >= 0].any()


def test_nearest_images_are_the_most_correlated_others(built, images):
    bank = built[0]
    part = bank.real
    blocks = images.read(0, len(images)).astype(float).reshape(-1, 16, 2, 16, 2).mean((2, 4))
    vectors = blocks.reshape(len(images), -1)
    table = np.corrcoef(vectors[part.queries.row])
    np.fill_diagonal(table, -2)
    assert np.array_equal(part.nearest.group[:, 0], table.argmax(axis=1))
    assert np.allclose(part.nearest.similarity[:, 0], table.max(axis=1), atol=1e-6)


def test_identical_copies_point_to_their_patients(built):
    part = built[0].parts["identity"]
    assert np.array_equal(part.rankings["plain"].group[:, 0], part.queries.truth)
    assert np.allclose(part.rankings["plain"].similarity[:, 0], 1)


def test_a_finished_bank_is_read_and_a_damaged_block_made_again(built, images):
    bank, work, scorers = built
    blocks = sorted(work.rglob("*.npz"))

    def forbidden(references, groups):
        raise AssertionError

    again = build_bank(images, work, OPTIONS, make_scorer=forbidden)
    blocks[3].write_bytes(blocks[3].read_bytes()[:100])
    calls = []

    def make(references, groups):
        calls.append(SlowScorer(references, groups))
        return calls[-1]

    mended = build_bank(images, work, OPTIONS, make_scorer=make)
    assert [len(scorer.calls) for scorer in calls] == [1]
    for name, part in bank.parts.items():
        for other in (again, mended):
            for family, ranking in part.rankings.items():
                assert np.array_equal(ranking.group, other.parts[name].rankings[family].group)
            assert np.array_equal(part.nearest.similarity, other.parts[name].nearest.similarity,
                                  equal_nan=True)  # fmt: skip
    assert len(scorers) == 1


def test_other_settings_make_another_bank_and_fewer_splits_do_not():
    first = OPTIONS.bank_settings()
    assert ValidationOptions(per_kind=9, controls=10, grid=16).bank_settings() != first
    assert ValidationOptions(per_kind=8, controls=10, grid=16, splits=3).bank_settings() == first
    assert ValidationOptions(per_kind=8, controls=10, grid=16, threads=2).bank_settings() == first


def test_equal_images_of_two_patients_make_one_person(tmp_path):
    images = people()
    pixels = images.read(0, len(images))
    pixels[10] = pixels[40]
    twins = ImageSet.from_arrays(pixels, patient_ids=images.patient_ids)
    bank = build_bank(twins, tmp_path, OPTIONS, make_scorer=SlowScorer)
    assert bank.merged_patients == 1
    assert bank.num_groups == images.num_patients - 1
    assert bank.groups[10] == bank.groups[40]


def test_patients_must_be_known_and_enough(tmp_path):
    images = people()
    nameless = ImageSet.from_arrays(images.read(0, 40))
    with pytest.raises(InputError, match="patients of this set are not known"):
        plan_validation(nameless, OPTIONS)
    with pytest.raises(InputError, match="has 10 different patients"):
        plan_validation(people(10), OPTIONS)
    wrong = ValidationOptions(channels=("t9",), per_kind=8, controls=10)
    with pytest.raises(OptionError, match=r"\['t9'\]"):
        build_bank(images, tmp_path, wrong, make_scorer=SlowScorer)


@pytest.mark.parametrize(
    ("name", "value"),
    [("splits", 1), ("per_kind", 0), ("q", 1.5), ("seed", -1), ("synthetic", 5), ("depth", 1)],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} is {value}"):
        ValidationOptions(**{name: value})
