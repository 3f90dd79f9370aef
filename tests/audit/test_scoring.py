"""Scores of a set: which images of it are compared in which family, and how they are taken out."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.conftest import as_they_are, image_set, innocents, slices_of, small

from likeness._audit.baselines import Places
from likeness._audit.inputs import open_inputs
from likeness._audit.scoring import SetScores, score_all
from likeness._progress import SILENT
from likeness.datasets import ImageSet
from likeness.scores import FAMILIES, PatientRanking


def ranking(values):
    values = np.asarray(values, dtype=np.float64)[:, None]
    index = np.arange(len(values), dtype=np.int32)[:, None]
    return PatientRanking(values, index, index, np.zeros((len(values), 1, 0), np.float32))


@pytest.fixture
def scores():
    many, few = np.array([0, 2, 3, 5, 8, 9]), np.array([2, 5, 9])
    rows = {"plain": many, "dihedral": many, "registered": few, "tiles": few}
    return SetScores(
        rows, {family: ranking(rows[family] * 1.0 + 100 * n) for n, family in enumerate(FAMILIES)}
    )


def test_at_takes_the_same_images_from_every_family(scores):
    taken = scores.at(np.array([5, 9]))
    for number, family in enumerate(FAMILIES):
        assert taken[family].similarity[:, 0].tolist() == [5 + 100 * number, 9 + 100 * number]


def test_keep_takes_what_is_marked_and_remembers_the_rows(scores):
    keep = np.zeros(10, dtype=bool)
    keep[[0, 5, 6, 9]] = True
    kept = scores.keep(keep)
    assert kept.rows["plain"].tolist() == [0, 5, 9]
    assert kept.rows["tiles"].tolist() == [5, 9]
    assert kept.rankings["plain"].similarity[:, 0].tolist() == [0, 5, 9]
    assert kept.rankings["tiles"].similarity[:, 0].tolist() == [305, 309]
    assert kept.in_all_families.tolist() == [5, 9]
    assert kept.at(kept.in_all_families)["dihedral"].similarity[:, 0].tolist() == [105, 109]


def score(tmp_path, train, synthetic, test=None, **changes):
    options = small(**changes)
    inputs = open_inputs(
        train, synthetic, test, work=tmp_path / "sets", options=options, progress=SILENT
    )
    return inputs, score_all(inputs, options, places=Places(tmp_path, tmp_path), progress=SILENT)


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr("likeness.scores.scorer.rank_registered", as_they_are)


def test_the_costly_families_hold_a_part_of_the_images_of_the_others(quickly, tmp_path):
    sets = image_set(range(20)), innocents(5), image_set(range(1000, 1010))
    _, scores = score(tmp_path, *sets, train_sample=30, local_sample=12)
    rows = scores.null.rows
    assert [len(rows[family]) for family in FAMILIES] == [30, 30, 12, 12]
    assert set(rows["tiles"]) <= set(rows["plain"])
    assert all(len(scores.null.rankings[family]) == len(rows[family]) for family in FAMILIES)
    assert all(len(scores.synthetic[family]) == 5 for family in FAMILIES)
    assert {family: len(rows) for family, rows in scores.test.rows.items()} == {
        "plain": 20,
        "dihedral": 20,
    }


@pytest.mark.parametrize(("limit", "number"), [(110, 50), (30, 30)])
def test_of_enough_held_out_people_one_image_each_is_in_all_families(
    quickly, tmp_path, limit, number
):
    sets = image_set(range(4)), innocents(2), image_set(range(1000, 1050))
    inputs, scores = score(tmp_path, *sets, local_sample=limit)
    rows = scores.test.in_all_families
    assert len(rows) == len(set(inputs.test.patient_codes[rows].tolist())) == number
    assert set(scores.test.rows) == set(FAMILIES)
    taken = scores.test.at(rows)
    assert all(len(taken[family]) == number for family in FAMILIES)


def test_no_training_image_meets_its_own_person(quickly, tmp_path):
    """p0 and "again" share a picture: neither meets the other, in any family."""
    train = image_set(range(12))
    images = np.concatenate([train.take(range(24)), train.take([0]), slices_of(0, 4)[3:]])
    sets = ImageSet.from_arrays(images, patient_ids=[*train.patient_ids, "again", "again"])
    inputs, scores = score(tmp_path, sets, innocents(3))
    person = scores.people.of_images(inputs.train)
    assert scores.people.num_groups == 12
    assert person[0] == person[24] == person[25]
    for family in FAMILIES:
        ranking, rows = scores.null.rankings[family], scores.null.rows[family]
        assert (ranking.group != person[rows][:, None]).all()
        present = ranking.image >= 0
        assert (person[ranking.image[present]] == ranking.group[present]).all()
        assert present[:, :2].all(), "all the others are there"


def test_the_scores_are_those_of_the_same_search_without_a_store(quickly, tmp_path):
    sets = image_set(range(12)), innocents(4), image_set(range(1000, 1006))
    _, first = score(tmp_path, *sets)
    stored = list((tmp_path / "scores").glob("*.npz"))
    assert stored
    _, again = score(tmp_path, *sets)
    assert sorted((tmp_path / "scores").glob("*.npz")) == sorted(stored)
    for family in FAMILIES:
        for a, b in (
            (first.synthetic[family], again.synthetic[family]),
            (first.null.rankings[family], again.null.rankings[family]),
        ):
            np.testing.assert_array_equal(a.similarity, b.similarity)
            np.testing.assert_array_equal(a.image, b.image)
